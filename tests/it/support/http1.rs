//! An HTTP/1 caller that writes its bytes itself and reads what comes.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub struct Caller {
    pub socket: TcpStream,
    /// Read and not yet understood.
    ahead: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub version: String,
    pub status: u16,
    /// Lower-case names; repeated fields joined by `, `.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub trailers: BTreeMap<String, String>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Caller {
    pub async fn connect(address: &str) -> Caller {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Caller { socket, ahead: Vec::new() }
    }

    /// One request on a connection of its own.
    pub async fn once(address: &str, request: &str) -> Answer {
        let mut caller = Caller::connect(address).await;
        caller.write(request).await;
        caller.answer().await.expect("an answer")
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends our side.
    pub async fn half_close(&mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// Goes away without a word: the peer gets a reset.
    pub fn vanish(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Reads until `bytes` have come, and takes all up to their end.
    pub async fn until(&mut self, bytes: &str) -> String {
        loop {
            let end = self.ahead.windows(bytes.len()).position(|part| part == bytes.as_bytes());
            if let Some(end) = end {
                return String::from_utf8(self.ahead.drain(..end + bytes.len()).collect()).unwrap();
            }
            assert!(self.more().await, "{bytes:?} never came; {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// All that still comes, and whether it ended cleanly.
    pub async fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut all = std::mem::take(&mut self.ahead);
        let clean = self.socket.read_to_end(&mut all).await.is_ok();
        (all, clean)
    }

    /// The next answer; `None` when the connection ends before one. Panics when it breaks in the middle.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET").await
    }

    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(self.ahead.drain(..end + 4).collect()).unwrap();
            }
            if !self.more().await {
                assert!(self.ahead.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.ahead));
                return None;
            }
        };
        let (line, fields) = head.trim_end().split_once("\r\n").unwrap_or((head.trim_end(), ""));
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap().to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let headers = fields_of(fields);
        let mut answer = Answer { version, status, headers, body: Vec::new(), trailers: BTreeMap::new() };
        if method == "HEAD" || status == 204 || status == 304 || status < 200 {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks(&mut answer).await;
        } else if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            self.fill(length).await;
            answer.body = self.ahead.drain(..length).collect();
        } else {
            let (body, clean) = self.rest().await;
            assert!(clean, "a body that broke");
            answer.body = body;
        }
        Some(answer)
    }

    async fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(&line, 16).unwrap();
            if size == 0 {
                break;
            }
            self.fill(size + 2).await;
            answer.body.extend(self.ahead.drain(..size));
            assert_eq!(self.ahead.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
        let mut fields = String::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                break;
            }
            fields.push_str(&line);
            fields.push_str("\r\n");
        }
        answer.trailers = fields_of(fields.trim_end());
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line = self.ahead.drain(..end + 2).collect::<Vec<_>>();
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.more().await, "the answer broke in a line");
        }
    }

    async fn fill(&mut self, length: usize) {
        while self.ahead.len() < length {
            assert!(self.more().await, "the answer broke after {} of {length} bytes", self.ahead.len());
        }
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.ahead.extend_from_slice(&buffer[..read]);
                true
            }
        }
    }
}

fn fields_of(text: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let entry = fields.entry(name.to_ascii_lowercase()).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(value.trim());
    }
    fields
}
