//! Callers that write bytes made before and look whether the answer is the right one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::h2_bytes::{
    ACK, DATA, END_HEADERS, END_STREAM, Fields, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame,
    put, put_settings,
};

/// One that calls again and again.
pub(crate) enum Caller {
    Http2(Box<Http2>),
    Http1(Http1),
    Http10(Http1),
}

impl Caller {
    /// gRPC to `path`, so many streams at a time. `message` is sent, and `answer` must come.
    pub(crate) async fn grpc(at: SocketAddr, path: &str, streams: u32, message: &[u8], answer: &[u8]) -> Caller {
        let mut socket = connect(at).await;
        let mut hello = PREFACE.to_vec();
        put_settings(&mut hello);
        socket.write_all(&hello).await.expect("the proxy reads");
        let path = path.to_owned();
        let fields = Fields::default();
        let (data, answer) = (message.to_vec(), answer.to_vec());
        Caller::Http2(Box::new(Http2 { socket, fields, path, data, answer, streams, next: 1, read: Vec::new() }))
    }

    /// A connection that stays.
    pub(crate) async fn http1(at: SocketAddr, request: Vec<u8>, answer: &[u8]) -> Caller {
        let socket = Some(connect(at).await);
        Caller::Http1(Http1 { at, socket, request, answer: answer.to_vec(), read: Vec::new() })
    }

    /// A connection a call.
    pub(crate) fn http10(at: SocketAddr, request: Vec<u8>, answer: &[u8]) -> Caller {
        Caller::Http10(Http1 { at, socket: None, request, answer: answer.to_vec(), read: Vec::new() })
    }

    /// # Panics
    /// The answer is not the right one.
    pub(crate) async fn call(&mut self, times: u32) {
        match self {
            Caller::Http2(caller) => {
                for _ in 0..times / caller.streams {
                    caller.round().await;
                }
            }
            Caller::Http1(caller) => {
                for _ in 0..times {
                    caller.round().await;
                }
            }
            Caller::Http10(caller) => {
                for _ in 0..times {
                    caller.socket = Some(connect(caller.at).await);
                    caller.round().await;
                }
            }
        }
    }
}

async fn connect(at: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(at).await.expect("it listens");
    socket.set_nodelay(true).expect("a socket");
    socket
}

pub(crate) struct Http2 {
    socket: TcpStream,
    fields: Fields,
    path: String,
    data: Vec<u8>,
    answer: Vec<u8>,
    streams: u32,
    next: u32,
    read: Vec<u8>,
}

/// `:method: POST` and `:scheme: http`.
const POST: [u8; 2] = [3, 6];

impl Http2 {
    async fn round(&mut self) {
        let mut out = Vec::new();
        for _ in 0..self.streams {
            let fields = [
                (":authority", "api.example.com"),
                (":path", &*self.path),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("user-agent", "grpc-rust/1.0"),
            ];
            let block = self.fields.block(&POST, &fields);
            put(&mut out, HEADERS, END_HEADERS, self.next, &block);
            put(&mut out, DATA, END_STREAM, self.next, &self.data);
            self.next += 2;
        }
        self.socket.write_all(&out).await.expect("the proxy reads");
        let (mut right, mut ended) = (0, 0);
        while ended < self.streams {
            let Some((Frame { kind, flags, stream, payload }, rest)) = frame(&self.read) else {
                let read = self.socket.read_buf(&mut self.read).await.expect("the proxy writes");
                assert!(read > 0, "the connection ended");
                continue;
            };
            let mut back = Vec::new();
            match kind {
                SETTINGS | PING if flags & ACK == 0 => {
                    put(&mut back, kind, ACK, 0, if kind == PING { payload } else { &[] });
                }
                DATA => right += u32::from(payload == self.answer),
                RST_STREAM | GOAWAY => panic!("stream {stream} was ended by a frame of type {kind}: {payload:?}"),
                _ => {}
            }
            ended += u32::from(matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0);
            let taken = self.read.len() - rest.len();
            self.read.drain(..taken);
            if !back.is_empty() {
                self.socket.write_all(&back).await.expect("the proxy reads");
            }
        }
        assert_eq!(right, self.streams, "right answers");
    }
}

pub(crate) struct Http1 {
    at: SocketAddr,
    socket: Option<TcpStream>,
    request: Vec<u8>,
    /// What the answer's body must hold.
    answer: Vec<u8>,
    read: Vec<u8>,
}

impl Http1 {
    async fn round(&mut self) {
        let socket = self.socket.as_mut().expect("connected");
        socket.write_all(&self.request).await.expect("the proxy reads");
        self.read.clear();
        while !is_whole(&self.read) {
            let read = socket.read_buf(&mut self.read).await.expect("the proxy writes");
            assert!(read > 0, "the connection ended after {}", String::from_utf8_lossy(&self.read));
        }
        let is_good = self.read.starts_with(b"HTTP/1.1 200") || self.read.starts_with(b"HTTP/1.0 200");
        let is_right = self.read.windows(self.answer.len()).any(|part| part == self.answer);
        assert!(is_good && is_right, "{}", String::from_utf8_lossy(&self.read));
    }
}

/// Whether an answer over HTTP/1 has come to its end.
fn is_whole(read: &[u8]) -> bool {
    let Some(head) = read.windows(4).position(|part| part == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => read.len() >= head + 4 + length,
        None => read.ends_with(b"0\r\n\r\n"),
    }
}
