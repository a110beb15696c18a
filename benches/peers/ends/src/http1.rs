//! HTTP/1.0 and 1.1, of either side, as far as the peers under measurement write it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::Call;

/// A backend's side of a connection: the same answer to each request.
pub(crate) async fn answer(mut socket: TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut reader = Reader::default();
    loop {
        let head = reader.head(&mut socket).await?;
        reader.body(&mut socket, &head, false).await?;
        socket.write_all(answer).await?;
    }
}

/// A caller's side: one connection, call after call.
pub(crate) struct Caller {
    socket: TcpStream,
    reader: Reader,
}

/// What came back.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, reader: Reader::default() })
    }

    /// `request` is the whole of it, as `request` made it.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let (mut from, mut to) = self.socket.split();
        // A proxy may begin to answer before it has the whole request, and wait for us to read it.
        let (head, written) = tokio::join!(self.reader.head(&mut from), to.write_all(request));
        let head = head?;
        written?;
        let body = self.reader.body(&mut from, &head, true).await?;
        Ok(Answer { status: head.status, body })
    }
}

/// The bytes of a request.
pub(crate) fn request(call: &Call, version: &str) -> Vec<u8> {
    let mut bytes =
        format!("{} {} HTTP/{version}\r\nhost: bench\r\n{}", call.method, call.path, call.fields).into_bytes();
    if !call.content_type.is_empty() {
        let fields = format!("content-type: {}\r\ncontent-length: {}\r\n", call.content_type, call.body.bytes.len());
        bytes.extend_from_slice(fields.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&call.body.bytes);
    bytes
}

struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
}

#[derive(Default)]
struct Reader {
    input: Vec<u8>,
    /// Of the input, what belongs to the exchange that is over.
    done: usize,
    body: Vec<u8>,
}

impl Reader {
    async fn more(&mut self, socket: &mut (impl AsyncReadExt + Unpin)) -> io::Result<usize> {
        if self.input.capacity() - self.input.len() < 1024 {
            self.input.reserve((self.input.len() * 2).clamp(2048, 256 << 10));
        }
        socket.read_buf(&mut self.input).await
    }

    async fn head(&mut self, socket: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Head> {
        self.input.drain(..std::mem::take(&mut self.done));
        let mut looked = 0_usize;
        loop {
            let from = looked.saturating_sub(3);
            if let Some(at) = self.input[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                self.done = from + at + 4;
                return Ok(parsed(&self.input[..self.done]));
            }
            looked = self.input.len();
            if self.more(socket).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// An answer without a length lasts until the connection ends; a request without one has no body.
    async fn body(
        &mut self,
        socket: &mut (impl AsyncReadExt + Unpin),
        head: &Head,
        is_answer: bool,
    ) -> io::Result<&[u8]> {
        self.body.clear();
        if head.chunked {
            loop {
                let size = self.line(socket).await?;
                self.take(socket, size).await?;
                self.body.extend_from_slice(&self.input[self.done - size..self.done]);
                self.take(socket, 2).await?;
                if size == 0 {
                    return Ok(&self.body);
                }
            }
        }
        let start = self.done;
        match head.length {
            Some(length) => self.take(socket, length).await?,
            None if is_answer => {
                while self.more(socket).await? > 0 {}
                self.done = self.input.len();
            }
            None => {}
        }
        Ok(&self.input[start..self.done])
    }

    async fn take(&mut self, socket: &mut (impl AsyncReadExt + Unpin), length: usize) -> io::Result<()> {
        while self.input.len() - self.done < length {
            if self.more(socket).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.done += length;
        Ok(())
    }

    /// A chunk's size.
    async fn line(&mut self, socket: &mut (impl AsyncReadExt + Unpin)) -> io::Result<usize> {
        loop {
            let rest = &self.input[self.done..];
            if let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
                let digits = String::from_utf8_lossy(&rest[..at]).into_owned();
                self.done += at + 2;
                return usize::from_str_radix(digits.trim(), 16).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            if self.more(socket).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn parsed(head: &[u8]) -> Head {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line));
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.trim().parse().ok()).unwrap_or(0);
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    Head { status, length, chunked }
}
