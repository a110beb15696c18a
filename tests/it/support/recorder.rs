//! An HTTP/1 servlet that writes down the very bytes it gets, and takes them for requests by the strictest reading.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

/// A request as it stood on the wire.
#[derive(Clone, Debug)]
pub struct Taken {
    pub line: String,
    /// Names as they were written.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Taken {
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Answers each whole request with 200 and the request's body.
pub struct Origin {
    pub address: String,
    taken: Arc<Mutex<Vec<Taken>>>,
    unclean: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Origin {
    pub async fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (taken, unclean) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (all, bad) = (Arc::clone(&taken), Arc::clone(&unclean));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (read, mut write) = socket.into_split();
                let (all, bad) = (Arc::clone(&all), Arc::clone(&bad));
                tokio::spawn(async move {
                    let mut wire = Wire { read, seen: Vec::new() };
                    loop {
                        match wire.request().await {
                            Ok(Some(request)) => {
                                let body = request.body.clone();
                                let head = request.method() == "HEAD";
                                all.lock().unwrap().push(request);
                                answer(&mut write, if head { b"" } else { &body }, body.len()).await;
                            }
                            Ok(None) => return,
                            Err(why) => return bad.lock().unwrap().push(why),
                        }
                    }
                });
            }
        });
        Origin { address, taken, unclean, accepting }
    }

    /// Takes what has arrived whole.
    pub fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    /// What was not in the one form that the proxy writes.
    pub fn unclean(&self) -> Vec<String> {
        self.unclean.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(write: &mut OwnedWriteHalf, body: &[u8], length: usize) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let _ = write.write_all(&[head.as_bytes(), body].concat()).await;
}

struct Wire {
    read: OwnedReadHalf,
    seen: Vec<u8>,
}

impl Wire {
    /// The next request; `None` when the connection ends, be it in the middle of one; the error is what is not clean.
    async fn request(&mut self) -> Result<Option<Taken>, String> {
        let Some(line) = self.line().await? else { return Ok(None) };
        let words: Vec<&str> = line.split(' ').collect();
        let is_clean = matches!(&words[..], [method, target, "HTTP/1.1"]
            if method.bytes().all(|byte| byte.is_ascii_alphabetic()) && target.starts_with(['/', '*']));
        if !is_clean {
            return Err(format!("request line {line:?}"));
        }
        let mut fields = Vec::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(": ") else { return Err(format!("field {line:?}")) };
            if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
                return Err(format!("name {line:?}"));
            }
            fields.push((name.to_owned(), value.to_owned()));
        }
        let all = |name: &str| fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value).collect::<Vec<_>>();
        if all("host").len() > 1 {
            return Err(format!("two hosts: {fields:?}"));
        }
        let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
            ([], []) => Some(Vec::new()),
            ([length], []) => match length.parse::<usize>() {
                Ok(number) if number.to_string() == **length => self.exactly(number).await,
                _ => return Err(format!("content-length {length:?}")),
            },
            ([], [coding]) if *coding == "chunked" => self.chunks().await?,
            _ => return Err(format!("framing {fields:?}")),
        };
        Ok(body.map(|body| Taken { line, fields, body }))
    }

    async fn chunks(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            let size = usize::from_str_radix(&line, 16).map_err(|_| format!("chunk size {line:?}"))?;
            if line.starts_with(['+', '0']) && line != "0" {
                return Err(format!("chunk size {line:?}"));
            }
            if size > 0 {
                let Some(data) = self.exactly(size).await else { return Ok(None) };
                body.extend(data);
            } else {
                // Trailers, up to the empty line.
                loop {
                    match self.line().await? {
                        None => return Ok(None),
                        Some(line) if line.is_empty() => return Ok(Some(body)),
                        Some(_) => {}
                    }
                }
            }
            let Some(end) = self.exactly(2).await else { return Ok(None) };
            if end != b"\r\n" {
                return Err(format!("chunk ends in {end:?}"));
            }
        }
    }

    async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.seen.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.seen.drain(..end + 2).collect();
                let line = &line[..end];
                if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
                    return Err(format!("control byte in {}", line.escape_ascii()));
                }
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
            if !self.more().await {
                return Ok(None);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.seen.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.seen.drain(..length).collect())
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.read.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.seen.extend_from_slice(&buffer[..read]);
                true
            }
        }
    }
}
