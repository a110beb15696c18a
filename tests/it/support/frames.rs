//! An HTTP/2 server that writes its frames itself (RFC 9113), for what no library would do.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

pub const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// One connection.
pub struct Frames {
    pub socket: TcpStream,
    /// From 0, in the order of their coming.
    pub number: usize,
}

/// The server, on a port of its own.
pub struct Server {
    pub address: String,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Does `script` for each connection, after the exchange of prefaces. `settings`: identifiers and values.
    pub async fn start<F, T>(settings: &'static [(u16, u32)], script: F) -> Server
    where
        F: Fn(Frames) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Server::within(1 << 30, settings, script).await
    }

    /// The same with the windows that a connection begins with, for itself and for each stream.
    pub async fn narrow<F, T>(script: F) -> Server
    where
        F: Fn(Frames) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Server::within(0, &[], script).await
    }

    async fn within<F, T>(window: u32, settings: &'static [(u16, u32)], script: F) -> Server
    where
        F: Fn(Frames) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            let script = Arc::new(script);
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let mut frames = Frames { socket, number: count.fetch_add(1, SeqCst) };
                let script = Arc::clone(&script);
                open.spawn(async move {
                    let mut preface = [0; 24];
                    if frames.socket.read_exact(&mut preface).await.is_ok() {
                        let payload: Vec<u8> = settings
                            .iter()
                            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
                            .collect();
                        frames.write(SETTINGS, 0, 0, &payload).await;
                        if window > 0 {
                            frames.write(WINDOW_UPDATE, 0, 0, &window.to_be_bytes()).await;
                        }
                        script(frames).await;
                    }
                });
            }
        });
        Server { address, connections, accepting }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Frames {
    /// The next frame of a stream; what belongs to the connection is seen to.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.socket.read_exact(&mut head).await.ok()?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.socket.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let frame = Frame { kind: head[3], flags: head[4], stream, payload };
            match frame.kind {
                SETTINGS if frame.flags == 0 => self.write(SETTINGS, 1, 0, &[]).await,
                PING if frame.flags == 0 => self.write(PING, 1, 0, &frame.payload).await,
                DATA | HEADERS | RESET => return Some(frame),
                _ => {}
            }
        }
    }

    /// Waits for the next call's head; tells its stream.
    pub async fn call(&mut self) -> Option<u32> {
        loop {
            let frame = self.next().await?;
            if frame.kind == HEADERS {
                return Some(frame.stream);
            }
        }
    }

    pub async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.socket.write_all(&frame).await;
    }

    /// A head, or trailers.
    pub async fn head(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            // Literal without indexing, a new name (RFC 7541 §6.2.2).
            block.push(0);
            for text in [name, value] {
                // An integer with a prefix of seven bits (RFC 7541 §5.1).
                let mut length = text.len();
                if length < 127 {
                    block.push(u8::try_from(length).unwrap());
                } else {
                    block.push(127);
                    length -= 127;
                    while length >= 128 {
                        block.push(u8::try_from(length % 128).unwrap() | 128);
                        length /= 128;
                    }
                    block.push(u8::try_from(length).unwrap());
                }
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.write(HEADERS, END_HEADERS | u8::from(end), stream, &block).await;
    }

    /// A whole gRPC answer.
    pub async fn answer(&mut self, stream: u32, message: &[u8]) {
        self.head(stream, false, &[(":status", "200"), ("content-type", "application/grpc")]).await;
        self.write(DATA, 0, stream, &super::framed(message)).await;
        self.head(stream, true, &[("grpc-status", "0")]).await;
    }

    pub async fn reset(&mut self, stream: u32, code: u32) {
        self.write(RESET, 0, stream, &code.to_be_bytes()).await;
    }

    pub async fn go_away(&mut self, last: u32, code: u32) {
        self.write(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await;
    }
}
