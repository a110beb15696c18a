//! What a caller writes for a cell.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cell::{Cell, Http, Kind, Outcome, Way};
use super::codec::{field, gzipped, message, to_base64};

/// How long a caller gives a call that the servlet never ends. All such calls wait at the same time.
pub const PATIENCE_MS: u32 = 2000;

/// A request.
#[derive(Debug)]
pub struct Asked {
    pub method: &'static str,
    pub target: String,
    pub fields: Vec<(&'static str, String)>,
    /// The body as it is written.
    pub pieces: Vec<Vec<u8>>,
    /// Each piece but the first waits until more of the answer has come: both sides talk at once.
    pub is_talk: bool,
}

/// `{"text": …}`.
fn json(text: &str) -> Vec<u8> {
    format!("{{\"text\":\"{text}\"}}").into_bytes()
}

const BOUNDARY: &str = "between";

impl Asked {
    pub fn of(cell: &Cell, id: &str) -> Asked {
        let mut asked = Asked {
            method: "POST",
            target: String::new(),
            fields: vec![("x-cell", id.to_owned()), ("x-play", cell.outcome.play().to_owned())],
            pieces: Vec::new(),
            is_talk: cell.outcome == Outcome::Ok && cell.kind == Kind::Bidi && cell.http == Http::V2,
        };
        if cell.is_gzip() {
            asked.fields.push(("x-gzip", "1".to_owned()));
        }
        match cell.way {
            Way::Grpc | Way::Web | Way::WebText => asked.grpc(cell),
            Way::ConnectProto | Way::ConnectJson => asked.connect(cell),
            Way::ConnectGet => asked.connect_get(cell),
            _ => asked.http(cell),
        }
        if cell.outcome == Outcome::Deadline {
            match cell.way {
                Way::ConnectProto | Way::ConnectJson | Way::ConnectGet => {
                    asked.fields.push(("connect-timeout-ms", PATIENCE_MS.to_string()));
                }
                // These have no field for it: it is the servlet's own.
                Way::Envelope | Way::Plain => asked.target = asked.target.replacen('/', "/late-", 1),
                _ => asked.fields.push(("grpc-timeout", format!("{PATIENCE_MS}m"))),
            }
        }
        asked
    }

    /// The way to the method by its name.
    fn by_name(&mut self, kind: Kind) {
        let method = match kind {
            Kind::Unary => "Unary",
            Kind::Client => "Client",
            Kind::Server => "Server",
            Kind::Bidi => "Bidi",
        };
        self.target = format!("/matrix.v1.Matrix/{method}");
    }

    fn field(&mut self, name: &'static str, value: &str) {
        self.fields.push((name, value.to_owned()));
    }

    fn grpc(&mut self, cell: &Cell) {
        self.by_name(cell.kind);
        let content_type = match cell.way {
            Way::Grpc => "application/grpc",
            Way::Web => "application/grpc-web+proto",
            _ => "application/grpc-web-text+proto",
        };
        self.field("content-type", content_type);
        if cell.way == Way::Grpc && cell.http == Http::V2 {
            self.field("te", "trailers");
        }
        if cell.is_gzip() {
            self.field("grpc-encoding", "gzip");
            self.field("grpc-accept-encoding", "gzip");
        }
        for text in cell.texts() {
            let framed = message(cell.is_gzip(), &field(1, text.as_bytes()));
            self.pieces.push(if cell.way == Way::WebText { to_base64(&framed) } else { framed });
        }
    }

    fn connect(&mut self, cell: &Cell) {
        self.by_name(cell.kind);
        self.field("connect-protocol-version", "1");
        let is_json = cell.way == Way::ConnectJson;
        let codec = if is_json { "json" } else { "proto" };
        let written = |text: &str| if is_json { json(text) } else { field(1, text.as_bytes()) };
        if cell.kind == Kind::Unary {
            self.field("content-type", &format!("application/{codec}"));
            self.coded(cell, written(cell.texts()[0]));
            return;
        }
        self.field("content-type", &format!("application/connect+{codec}"));
        if cell.is_gzip() {
            self.field("connect-content-encoding", "gzip");
            self.field("connect-accept-encoding", "gzip");
        }
        self.pieces = cell.texts().into_iter().map(|text| message(cell.is_gzip(), &written(text))).collect();
    }

    fn connect_get(&mut self, cell: &Cell) {
        self.by_name(cell.kind);
        self.method = "GET";
        let message = json(cell.texts()[0]);
        let query = if cell.is_gzip() {
            self.field("accept-encoding", "gzip, identity;q=0");
            format!("base64=1&compression=gzip&message={}", URL_SAFE_NO_PAD.encode(gzipped(&message)))
        } else {
            format!("base64=1&message={}", URL_SAFE_NO_PAD.encode(message))
        };
        self.target = format!("{}?connect=v1&encoding=json&{query}", self.target);
    }

    /// A body in one piece, which the coding is of as a whole.
    fn coded(&mut self, cell: &Cell, body: Vec<u8>) {
        if cell.is_gzip() {
            self.field("content-encoding", "gzip");
            // Even where it does not make an answer shorter.
            self.field("accept-encoding", "gzip, identity;q=0");
        }
        self.pieces = vec![if cell.is_gzip() { gzipped(&body) } else { body }];
    }

    fn http(&mut self, cell: &Cell) {
        let of = match cell.way {
            Way::Envelope => "/envelope",
            Way::Plain => "/plain",
            way if way.is_bytes(cell.kind) => "/m/raw",
            _ => "/m",
        };
        self.target = format!("{of}/{}", cell.kind.word());
        let texts = cell.texts();
        let up = cell.kind.streams_up();
        let (content_type, pieces): (&str, Vec<Vec<u8>>) = match cell.way {
            Way::Lines if up => {
                let lines = texts.iter().map(|text| [&json(text)[..], b"\n"].concat());
                ("application/x-ndjson", lines.collect())
            }
            Way::Form => ("application/x-www-form-urlencoded", vec![format!("text={}", texts[0]).into_bytes()]),
            Way::Multipart => ("multipart/form-data; boundary=between", multipart(cell.is_bytes(), &texts)),
            Way::Protobuf => ("application/x-protobuf", vec![field(1, texts[0].as_bytes())]),
            Way::HttpBody | Way::Envelope | Way::Plain => {
                ("text/plain", texts.iter().map(|text| text.as_bytes().to_vec()).collect())
            }
            _ if up => ("application/json", array(&texts)),
            _ => ("application/json", vec![json(texts[0])]),
        };
        self.field("content-type", content_type);
        match cell.way {
            Way::Lines => self.field("accept", "application/x-ndjson"),
            Way::Events => self.field("accept", "text/event-stream"),
            _ => {}
        }
        if cell.is_gzip() {
            self.is_talk = false;
            self.coded(cell, pieces.concat());
        } else {
            self.pieces = pieces;
        }
    }
}

fn array(texts: &[&str]) -> Vec<Vec<u8>> {
    let last = texts.len() - 1;
    let piece = |(index, text): (usize, &&str)| {
        let (before, after) = (if index == 0 { "[" } else { "," }, if index == last { "]" } else { "" });
        [before.as_bytes(), &json(text), after.as_bytes()].concat()
    };
    texts.iter().enumerate().map(piece).collect()
}

/// A form with one part: the field `text`, or a file.
fn multipart(is_file: bool, texts: &[&str]) -> Vec<Vec<u8>> {
    let disposition =
        if is_file { "name=\"any\"; filename=\"a.txt\"\r\nContent-Type: text/plain" } else { "name=\"text\"" };
    let mut pieces: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    pieces[0].splice(0..0, head.into_bytes());
    pieces.last_mut().unwrap().extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    pieces
}

impl Cell {
    fn is_bytes(&self) -> bool {
        self.way.is_bytes(self.kind)
    }
}
