//! What a backend answers, and what a caller must therefore get: the one place that both ends read. `bench.proto` has the contract.

use std::rc::Rc;

use crate::http2::Body;
use crate::training;

const FRAME: usize = 16_384; // DATA frames that every peer takes
pub(crate) const TEXT: &str = "a short answer, the same for each call"; // 38 bytes: 40 as a message, 45 with its prefix
pub(crate) const MESSAGES: usize = 1000;
const MESSAGE: usize = 1024;
const BLOB: usize = 1 << 20;

/// Bytes of a message's fields: the tag, the length, the text.
pub(crate) fn text_field(number: u8, text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = text.len();
    while length >= 128 {
        bytes.push(length as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(text);
    bytes
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

fn blob() -> Vec<u8> {
    (0..BLOB).map(|at| (at % 251) as u8).collect()
}

/// `google.api.HttpBody` of the blob.
fn http_body() -> Vec<u8> {
    let mut message = text_field(1, b"application/octet-stream");
    message.extend(text_field(2, &blob()));
    message
}

/// The answers of a gRPC backend, by the method's name.
pub(crate) struct Answers {
    echo: Rc<Body>,
    stream: Rc<Body>,
    blob: Rc<Body>,
    order: Rc<Body>,
    texts: Rc<Body>,
    page: Rc<Body>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let message = framed(&text_field(1, &[b'm'; MESSAGE - 3]));
        let stream = Body { frame: message.len(), bytes: message.repeat(MESSAGES) };
        let body = |bytes| Rc::new(Body { bytes, frame: FRAME });
        Self {
            echo: body(framed(&text_field(1, TEXT.as_bytes()))),
            stream: Rc::new(stream),
            blob: body(framed(&http_body())),
            order: body(framed(&training::order())),
            texts: body(framed(&text_field(1, TEXT.as_bytes())).repeat(training::TEXTS)),
            page: body(training::page()),
        }
    }

    /// `None` is never answered.
    pub(crate) fn of(&self, path: &str) -> Option<&Rc<Body>> {
        match path.rsplit('/').next()? {
            "Stream" => Some(&self.stream),
            "Blob" => Some(&self.blob),
            "Hold" => None,
            "Place" => Some(&self.order),
            "Texts" => Some(&self.texts),
            "Serve" => Some(&self.page),
            _ => Some(&self.echo),
        }
    }
}

/// A plain answer over HTTP/1.1.
pub(crate) fn plain() -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{TEXT}", TEXT.len()).into_bytes()
}

/// What a caller takes for right.
#[derive(Debug)]
pub(crate) enum Expected {
    Exactly(Vec<u8>),
    /// JSON may be spaced in more than one way.
    Within(Vec<u8>),
}

/// A kind of call as a caller makes it.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    /// Further lines of a head over HTTP/1.
    pub(crate) fields: &'static str,
    pub(crate) body: Rc<Body>,
    pub(crate) expected: Expected,
}

impl Call {
    /// `path` replaces the usual one.
    pub(crate) fn named(name: &str, path: Option<String>) -> Option<Self> {
        let grpc = "application/grpc";
        let text = text_field(1, &[b'q'; 39]); // 41 bytes of message: 46 with the prefix
        let json = format!("{{\"text\":\"{}\"}}", "q".repeat(39)).into_bytes();
        let answers = Answers::new();
        let exactly =
            |path: &str| Expected::Exactly(answers.of(path).map(|body| body.bytes.clone()).unwrap_or_default());
        let (method, usual, content_type, body, expected) = match name {
            "echo" => ("POST", "/bench.v1.Bench/Echo", grpc, framed(&text), exactly("/Echo")),
            "stream" => ("POST", "/bench.v1.Bench/Stream", grpc, framed(&text), exactly("/Stream")),
            "blob" => ("POST", "/bench.v1.Bench/Blob", grpc, framed(&http_body()), exactly("/Blob")),
            "hold" => ("POST", "/bench.v1.Bench/Hold", grpc, framed(&text), exactly("/Hold")),
            "json" => {
                ("POST", "/v1/echo", "application/json", json, Expected::Within(format!("\"{TEXT}\"").into_bytes()))
            }
            "http_body" => ("POST", "/v1/blob", "application/octet-stream", blob(), Expected::Exactly(blob())),
            "plain" => ("GET", "/plain", "", Vec::new(), Expected::Exactly(TEXT.into())),
            _ => return training::call(name),
        };
        let body = Rc::new(Body { bytes: body, frame: FRAME });
        Some(Self { method, path: path.unwrap_or_else(|| usual.to_owned()), content_type, fields: "", body, expected })
    }
}
