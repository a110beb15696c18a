//! The servlet of the matrix: it takes gRPC, envelopes and plain HTTP/2, does as each call tells it, and writes down what it saw.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, Response};
use tokio::sync::watch;

use super::cell::Kind;
use super::codec::{content, field, field_of, fields, gunzipped, gzipped, message, number, take_frame};
use crate::support::servlet::trailers;
use crate::support::{Call, Servlet};

/// What the servlet tells of its own errors.
pub const TOLD: &str = "none left";

/// What was seen of one cell's call.
#[derive(Clone, Debug, Default)]
pub struct Saw {
    pub calls: usize,
    pub path: String,
    pub headers: HeaderMap,
    /// The caller's texts.
    pub texts: Vec<String>,
    /// Every one of them came compressed.
    pub gzip: bool,
    /// The caller ended its side.
    pub whole: bool,
    /// The servlet did its part, and waits for the end that is none of its own.
    pub hangs: bool,
    pub reset: bool,
}

/// What was seen of all cells.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<HashMap<String, watch::Sender<Saw>>>>);

impl Board {
    fn note(&self, id: &str, change: impl FnOnce(&mut Saw)) {
        self.0.lock().unwrap().entry(id.to_owned()).or_default().send_modify(change);
    }

    pub fn saw(&self, id: &str) -> Saw {
        self.0.lock().unwrap().entry(id.to_owned()).or_default().borrow().clone()
    }

    /// Waits until something is so of a cell's call.
    pub async fn until(&self, id: &str, is_so: impl FnMut(&Saw) -> bool) {
        let mut watched = self.0.lock().unwrap().entry(id.to_owned()).or_default().subscribe();
        let _ = watched.wait_for(is_so).await;
    }
}

pub async fn start(board: &Board) -> Servlet {
    let board = board.clone();
    Servlet::start(move |call| play(call, board.clone())).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Words,
    HttpBody,
    Envelope,
    Plain,
}

/// A call with what is known of it.
struct Stage {
    call: Call,
    speech: Speech,
    /// Read and not yet taken apart.
    ahead: Vec<u8>,
    /// Of a body that is compressed as a whole.
    packed: Vec<u8>,
    send: Option<SendStream<Bytes>>,
    /// The cell is one of gzip.
    gzip: bool,
    /// Messages may be compressed.
    grpc_gzip: bool,
    board: Board,
    id: String,
}

async fn play(call: Call, board: Board) {
    let Some((mut stage, path, play)) = Stage::open(call, board).await else { return };
    let kind = Kind::ALL.into_iter().find(|kind| path.to_lowercase().ends_with(kind.word())).expect("a kind");
    let mut texts = Vec::new();
    let talks = kind == Kind::Bidi && play == "ok";
    while let Some(text) = stage.next().await {
        if talks {
            stage.say(&text);
        }
        texts.push(text);
    }
    let whole = stage.call.seen.lock().unwrap().whole;
    stage.note(|saw| (saw.texts, saw.whole, saw.reset) = (texts.clone(), whole, !whole));
    // Bytes of two messages may have come as one.
    let first = if kind == Kind::Client { texts.concat() } else { "one".to_owned() };
    match &*play {
        "ok" => {
            match kind {
                Kind::Unary | Kind::Client => stage.say(&texts.concat()),
                Kind::Server => ["one", "two"].iter().for_each(|text| stage.say(text)),
                Kind::Bidi => {}
            }
            stage.end("0", None);
        }
        "before" => stage.refuse(),
        "midway" => {
            stage.say(&first);
            if stage.speech == Speech::Plain {
                // HTTP has no other word for it.
                stage.cut().await;
            }
            stage.end("5", Some(TOLD));
        }
        "cut" => {
            stage.say(&first);
            stage.cut().await;
        }
        _ => stage.hang(kind, &first).await,
    }
}

impl Stage {
    /// Learns what the call is about; of an envelope from its first message. None when there is no such thing.
    async fn open(call: Call, board: Board) -> Option<(Stage, String, String)> {
        let path = call.head.uri.path().to_owned();
        let headers = call.head.headers.clone();
        let speech = match &*path {
            "/telamon.v1.HttpServlet/Serve" => Speech::Envelope,
            path if path.starts_with("/matrix.v1.Matrix/Raw") => Speech::HttpBody,
            path if path.starts_with("/matrix.v1.Matrix/") => Speech::Words,
            _ => Speech::Plain,
        };
        let mut stage = Stage {
            call,
            speech,
            ahead: Vec::new(),
            packed: Vec::new(),
            send: None,
            gzip: false,
            grpc_gzip: headers
                .get("grpc-accept-encoding")
                .is_some_and(|value| value.to_str().unwrap().contains("gzip")),
            board,
            id: String::new(),
        };
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (path, id, play) = if speech == Speech::Envelope {
            let (_, message) = loop {
                if let Some(frame) = take_frame(&mut stage.ahead) {
                    break frame;
                }
                stage.ahead.extend(stage.call.piece().await?);
            };
            let head = field_of(&message, 1);
            let all: HashMap<String, String> = fields(&head)
                .into_iter()
                .filter(|(number, _)| *number == 6)
                .map(|(_, field)| (text_of(&field, 1).to_lowercase(), text_of(&field, 2)))
                .collect();
            stage.gzip = all.contains_key("x-gzip");
            (text_of(&head, 2), all.get("x-cell").cloned(), all.get("x-play").cloned())
        } else {
            stage.gzip = text("x-gzip").is_some();
            (path, text("x-cell"), text("x-play"))
        };
        let (id, play) = id.zip(play)?;
        stage.id = id;
        stage.note(|saw| {
            saw.calls += 1;
            (saw.path, saw.headers, saw.gzip) = (path.clone(), headers, true);
        });
        Some((stage, path, play))
    }

    fn note(&self, change: impl FnOnce(&mut Saw)) {
        self.board.note(&self.id, change);
    }

    /// The caller's next text.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.take() {
                return Some(text);
            }
            self.ahead.extend(self.call.piece().await?);
        }
    }

    fn take(&mut self) -> Option<String> {
        let bytes = match self.speech {
            Speech::Words | Speech::HttpBody => {
                let (flag, message) = take_frame(&mut self.ahead)?;
                if flag & 1 == 0 {
                    self.note(|saw| saw.gzip = false);
                }
                field_of(&content(flag, &message), if self.speech == Speech::Words { 1 } else { 2 })
            }
            Speech::Envelope => {
                let (_, message) = take_frame(&mut self.ahead)?;
                let body = field_of(&message, 2);
                if self.gzip {
                    self.packed.extend(body);
                    return self.take_packed();
                }
                self.note(|saw| saw.gzip = false);
                body
            }
            Speech::Plain if self.ahead.is_empty() => return None,
            Speech::Plain if self.gzip => {
                self.packed.append(&mut self.ahead);
                return self.take_packed();
            }
            Speech::Plain => {
                self.note(|saw| saw.gzip = false);
                std::mem::take(&mut self.ahead)
            }
        };
        Some(String::from_utf8(bytes).unwrap())
    }

    /// What is compressed as a whole, once all of it is there.
    fn take_packed(&mut self) -> Option<String> {
        let plain = gunzipped(&self.packed)?;
        self.packed.clear();
        Some(String::from_utf8(plain).unwrap())
    }

    /// The answer's body, begun if need be.
    fn begun(&mut self) -> &mut SendStream<Bytes> {
        if self.send.is_none() {
            let both = self.gzip && self.grpc_gzip;
            let mut head = Response::builder();
            match self.speech {
                Speech::Words | Speech::HttpBody | Speech::Envelope => {
                    head = head.header("content-type", "application/grpc");
                    if both {
                        head = head.header("grpc-encoding", "gzip");
                    }
                }
                Speech::Plain => {
                    head = head.header("content-type", "text/plain");
                    if self.gzip {
                        head = head.header("content-encoding", "gzip");
                    }
                }
            }
            let mut send = self.call.respond.send_response(head.body(()).unwrap(), false).unwrap();
            if self.speech == Speech::Envelope {
                let line = |name: &str, value: &str| {
                    field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
                };
                let mut head = [number(1, 200), line("Content-Type", "text/plain")].concat();
                if self.gzip {
                    head.extend(line("Content-Encoding", "gzip"));
                }
                let _ = send.send_data(message(both, &field(1, &head)).into(), false);
            }
            self.send = Some(send);
        }
        self.send.as_mut().unwrap()
    }

    fn say(&mut self, text: &str) {
        let (gzip, both) = (self.gzip, self.gzip && self.grpc_gzip);
        let coded = || if gzip { gzipped(text.as_bytes()) } else { text.as_bytes().to_vec() };
        let data = match self.speech {
            Speech::Words => message(both, &field(1, text.as_bytes())),
            Speech::HttpBody => message(both, &[field(1, b"text/plain"), field(2, text.as_bytes())].concat()),
            Speech::Envelope => message(both, &field(2, &coded())),
            Speech::Plain => coded(),
        };
        // A caller that has gone is noted elsewhere.
        let _ = self.begun().send_data(data.into(), false);
    }

    fn end(&mut self, status: &str, told: Option<&str>) {
        let is_plain = self.speech == Speech::Plain;
        let send = self.begun();
        if !is_plain {
            let _ = send.send_trailers(trailers(status, told));
        } else {
            let _ = send.send_data(Bytes::new(), true);
        }
    }

    /// Breaks the answer off, once what was said has gone out: the connection's task, which shares this thread, writes it meanwhile.
    async fn cut(&mut self) {
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        self.begun().send_reset(h2::Reason::INTERNAL_ERROR);
    }

    /// An error and nothing else.
    fn refuse(&mut self) {
        if self.speech == Speech::Plain {
            let head = Response::builder().status(404).header("content-type", "text/plain").body(()).unwrap();
            let mut send = self.call.respond.send_response(head, false).unwrap();
            send.send_data(TOLD.into(), true).unwrap();
        } else {
            self.call.refuse("5", Some(TOLD));
        }
    }

    async fn hang(&mut self, kind: Kind, first: &str) {
        if kind.streams_down() {
            self.say(first);
        }
        self.note(|saw| saw.hangs = true);
        match &mut self.send {
            Some(send) => {
                let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
            }
            None => self.call.reset().await,
        }
        self.note(|saw| saw.reset = true);
    }
}

fn text_of(message: &[u8], number: u8) -> String {
    String::from_utf8(field_of(message, number)).unwrap()
}
