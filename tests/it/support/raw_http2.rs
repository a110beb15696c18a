//! An HTTP/2 caller that writes its frames itself, for what no library would send.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field written out, kept in the table or not.
pub fn field(name: &[u8], value: &[u8], kept: bool) -> Vec<u8> {
    assert!(name.len() < 127 && value.len() < 127);
    let (first, name_len, len) = (if kept { 0x40 } else { 0 }, name.len() as u8, value.len() as u8);
    [&[first, name_len], name, &[len], value].concat()
}

pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes(), false)).collect()
}

/// The fields of a gRPC call of `path`.
pub fn call(path: &str) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

pub struct Caller<S = TcpStream> {
    pub socket: S,
}

impl Caller {
    /// Connects and exchanges settings.
    pub async fn connect(address: &str) -> Caller {
        Caller::over(TcpStream::connect(address).await.unwrap()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    /// Exchanges settings.
    pub async fn over(socket: S) -> Caller<S> {
        let mut caller = Caller { socket };
        caller.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        caller.write(&frame(SETTINGS, 1, 0, &[])).await;
        caller
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind on this stream.
    pub async fn find(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if (frame.kind, frame.stream) == (kind, stream) {
                return Some(frame);
            }
        }
    }

    /// The frame that ends `stream`, from the server's side.
    pub async fn end_of(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            let ends =
                frame.kind == RST_STREAM || (matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0);
            if frame.stream == stream && ends {
                return Some(frame);
            }
        }
    }

    /// A unary gRPC call that is answered well; false when the connection is gone.
    pub async fn lives(&mut self, stream: u32, path: &str) -> bool {
        self.write(&frame(HEADERS, END_HEADERS, stream, &call(path))).await;
        self.write(&frame(DATA, END_STREAM, stream, &super::framed(b"x"))).await;
        self.end_of(stream).await.is_some_and(|frame| frame.kind == HEADERS)
    }
}

/// The error code of a RST_STREAM or GOAWAY.
pub fn code(frame: &Frame) -> u32 {
    let at = if frame.kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap())
}
