//! A servlet that does what a test says, and remembers what it saw.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{framed, text_field};

/// What a servlet saw of a call, filled as it arrives.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub path: String,
    pub authority: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The caller ended its side.
    pub whole: bool,
    /// The stream was reset under us.
    pub reset: bool,
}

/// A call as a script gets it.
pub struct Call {
    pub head: http::request::Parts,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
    pub seen: Arc<Mutex<Seen>>,
}

type Script = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A gRPC servlet on a port of its own.
pub struct Servlet {
    pub address: String,
    seen: Arc<Mutex<Vec<Arc<Mutex<Seen>>>>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Servlet {
    /// Does `script` for each call.
    pub async fn start<F, T>(script: F) -> Servlet
    where
        F: Fn(Call) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Servlet::on(listener, h2::server::Builder::new(), script)
    }

    /// The same with a gate for the script to wait at: a permit lets one call pass once.
    pub async fn gated<F, T>(script: F) -> (Servlet, Arc<Semaphore>)
    where
        F: Fn(Call, Arc<Semaphore>) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let gate = Arc::new(Semaphore::new(0));
        let inside = Arc::clone(&gate);
        let servlet = Servlet::start(move |call| script(call, Arc::clone(&inside))).await;
        (servlet, gate)
    }

    /// Answers its only stream with the words that it is given, as they come, and ends when no more can come. Other calls are
    /// answered with nothing.
    pub async fn prompted() -> (Servlet, mpsc::UnboundedSender<&'static str>) {
        let (send, receive) = mpsc::unbounded_channel();
        let receive = Mutex::new(Some(receive));
        let servlet = Servlet::start(move |mut call: Call| {
            let receive = receive.lock().unwrap().take();
            async move {
                call.read().await;
                let Some(mut receive) = receive else { return call.reply(&[], "0", None) };
                let mut stream = call.begin();
                while let Some(word) = receive.recv().await {
                    stream.send_data(framed(&text_field(1, word)).into(), false).unwrap();
                }
                stream.send_trailers(trailers("0", None)).unwrap();
            }
        })
        .await;
        (servlet, send)
    }

    /// As `start`, on a socket and with HTTP/2 settings of one's own.
    pub fn on<F, T>(listener: TcpListener, builder: h2::server::Builder, script: F) -> Servlet
    where
        F: Fn(Call) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap().to_string();
        let script: Script = Arc::new(move |call| Box::pin(script(call)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (all, open) = (Arc::clone(&seen), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (script, all, builder) = (Arc::clone(&script), Arc::clone(&all), builder.clone());
                open.lock().unwrap().push(tokio::spawn(async move {
                    let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(script(open_call(request, respond, &all)));
                    }
                }));
            }
        });
        Servlet { address, seen, connections, accepting }
    }

    /// What was seen so far, oldest call first.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().map(|seen| seen.lock().unwrap().clone()).collect()
    }

    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Waits until this many calls have come.
    pub async fn called(&self, times: usize) {
        while self.calls() < times {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Breaks every connection, without a word.
    pub fn break_connections(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Accepts nobody any more and breaks what is open.
    pub fn stop(&self) {
        self.accepting.abort();
        self.break_connections();
    }
}

impl Drop for Servlet {
    fn drop(&mut self) {
        self.stop();
    }
}

fn open_call(request: Request<RecvStream>, respond: SendResponse<Bytes>, all: &Mutex<Vec<Arc<Mutex<Seen>>>>) -> Call {
    let (head, body) = request.into_parts();
    let seen = Arc::new(Mutex::new(Seen {
        path: head.uri.path().to_owned(),
        authority: head.uri.authority().map(ToString::to_string),
        headers: head.headers.clone(),
        ..Seen::default()
    }));
    all.lock().unwrap().push(Arc::clone(&seen));
    Call { head, body, respond, seen }
}

impl Call {
    /// Reads one piece of the request.
    pub async fn piece(&mut self) -> Option<Bytes> {
        match self.body.data().await {
            Some(Ok(data)) => {
                let _ = self.body.flow_control().release_capacity(data.len());
                self.seen.lock().unwrap().body.extend_from_slice(&data);
                Some(data)
            }
            Some(Err(_)) => {
                self.seen.lock().unwrap().reset = true;
                None
            }
            None => {
                self.seen.lock().unwrap().whole = true;
                None
            }
        }
    }

    /// Reads the request to its end.
    pub async fn read(&mut self) -> Vec<u8> {
        while self.piece().await.is_some() {}
        self.seen.lock().unwrap().body.clone()
    }

    /// Begins a gRPC answer.
    pub fn begin(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        self.respond.send_response(head, false).unwrap()
    }

    /// Answers with these messages and a status.
    pub fn reply(&mut self, messages: &[&[u8]], status: &str, message: Option<&str>) {
        let mut send = self.begin();
        for message in messages {
            send.send_data(framed(message).into(), false).unwrap();
        }
        send.send_trailers(trailers(status, message)).unwrap();
    }

    /// Answers with a status alone.
    pub fn refuse(&mut self, status: &str, message: Option<&str>) {
        let mut head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        head.headers_mut().extend(trailers(status, message));
        self.respond.send_response(head, true).unwrap();
    }

    /// Waits until the caller resets the call, and remembers it.
    pub async fn reset(&mut self) {
        let _ = std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await;
        self.seen.lock().unwrap().reset = true;
    }
}

pub fn trailers(status: &str, message: Option<&str>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    if let Some(message) = message {
        trailers.insert("grpc-message", message.parse().unwrap());
    }
    trailers
}

/// Answers each call with what it was sent.
pub async fn echo(mut call: Call) {
    let body = call.read().await;
    let mut send = call.begin();
    send.send_data(body.into(), false).unwrap();
    send.send_trailers(trailers("0", None)).unwrap();
}

/// Answers each call with what it was sent, with metadata on both ends.
pub async fn echo_marked(mut call: Call) {
    let body = call.read().await;
    let head = Response::builder().header("content-type", "application/grpc").header("x-head", "1");
    let mut send = call.respond.send_response(head.body(()).unwrap(), false).unwrap();
    send.send_data(body.into(), false).unwrap();
    let mut last = trailers("0", None);
    last.insert("x-cost", "3".parse().unwrap());
    send.send_trailers(last).unwrap();
}

/// Answers each piece of a conversation with itself, as it comes.
pub async fn talk(mut call: Call) {
    let mut send = call.begin();
    while let Some(piece) = call.piece().await {
        if send.send_data(piece, false).is_err() {
            return;
        }
    }
    let _ = send.send_trailers(trailers("0", None));
}

/// Answers with one message, `one`, and says no more: waits for the reset.
pub async fn one_and_no_more(mut call: Call) {
    call.read().await;
    let mut send = call.begin();
    send.send_data(framed(&text_field(1, "one")).into(), false).unwrap();
    let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
    call.seen.lock().unwrap().reset = true;
}

/// Answers with three messages, and waits at the gate after each.
pub async fn three_words(mut call: Call, gate: Arc<Semaphore>) {
    call.read().await;
    let mut send = call.begin();
    for word in ["one", "two", "three"] {
        send.send_data(framed(&text_field(1, word)).into(), false).unwrap();
        gate.acquire().await.unwrap().forget();
    }
    send.send_trailers(trailers("0", None)).unwrap();
}
