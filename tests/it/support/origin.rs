//! A plain HTTP/1 origin that writes its bytes itself and remembers what it was asked.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Its request line.
    pub line: String,
    /// Its fields in order, names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Which connection brought it, from 0.
    pub connection: usize,
}

impl Asked {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a field; panics when there are several.
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }
}

/// One connection to the origin.
pub struct Wire {
    pub socket: TcpStream,
    pub number: usize,
    ahead: Vec<u8>,
    all: Arc<Mutex<Vec<Asked>>>,
}

/// The origin, on a port of its own.
pub struct Origin {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Origin {
    /// Does `script` for each connection.
    pub async fn start<F, T>(script: F) -> Origin
    where
        F: Fn(Wire) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (all, open) = (Arc::clone(&asked), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut open = open.lock().unwrap();
                let wire = Wire { socket, number: open.len(), ahead: Vec::new(), all: Arc::clone(&all) };
                open.push(tokio::spawn(script(wire)));
            }
        });
        Origin { address, asked, connections, accepting }
    }

    /// Answers every request with these bytes, and keeps its connections.
    pub async fn always(answer: &'static str) -> Origin {
        Origin::start(move |mut wire: Wire| async move {
            while wire.request().await.is_some() {
                wire.write(answer).await;
            }
        })
        .await
    }

    /// Answers one request a connection with these bytes, and closes it.
    pub async fn once(answer: &'static str) -> Origin {
        Origin::start(move |mut wire: Wire| async move {
            if wire.request().await.is_some() {
                wire.write(answer).await;
            }
        })
        .await
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Connections whose script is over.
    pub fn ended(&self) -> usize {
        self.connections.lock().unwrap().iter().filter(|connection| connection.is_finished()).count()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}

impl Wire {
    /// The next request with its body; `None` when the connection ends.
    pub async fn request(&mut self) -> Option<Asked> {
        let mut asked = self.head().await?;
        if asked.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line().await?;
                let size = usize::from_str_radix(&line, 16).unwrap();
                if size == 0 {
                    break;
                }
                let data = self.exactly(size + 2).await?;
                asked.body.extend_from_slice(&data[..size]);
            }
            loop {
                let line = self.line().await?;
                let Some((name, value)) = line.split_once(':') else { break };
                asked.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        } else if let Some(length) = asked.field("content-length") {
            let length = length.parse().unwrap();
            asked.body = self.exactly(length).await?;
        }
        self.all.lock().unwrap().push(asked.clone());
        Some(asked)
    }

    /// The next request's head.
    pub async fn head(&mut self) -> Option<Asked> {
        let line = self.line().await?;
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Asked { line, fields, connection: self.number, ..Asked::default() })
    }

    /// So many bytes.
    pub async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < length {
            self.more().await?;
        }
        Some(self.ahead.drain(..length).collect())
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref()).await;
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.ahead.extend_from_slice(&buffer[..read]);
                Some(())
            }
        }
    }
}
