//! A connection of HTTP/1 requests and their bodies. However its bytes arrive, the same is read; nothing after an anomaly is read;
//! a head that was taken has one way to be written, which is read the same again; and well-made requests with any bodies are taken.

use bytes::BytesMut;
use http::Version;
use telamon::wire::{BodyDecoder, Framing, HeadLimits, Piece, RequestHead, RequestParser};

use super::draw::pieces;

/// Small enough that short inputs meet them.
pub const LIMITS: HeadLimits = HeadLimits { bytes: 160, fields: 5 };

/// What a connection was understood to say.
#[derive(Debug, PartialEq)]
pub enum Said {
    Head(String),
    Body(Vec<u8>),
    Trailers(String),
    End,
    Fault(String),
}

/// A connection that reads requests and their bodies, one after another.
pub struct Reader {
    pub buf: BytesMut,
    pub said: Vec<Said>,
    pub heads: Vec<RequestHead>,
    parser: RequestParser,
    body: Option<BodyDecoder>,
}

impl Reader {
    pub fn new(limits: HeadLimits) -> Reader {
        let parser = RequestParser::new(limits);
        Reader { buf: BytesMut::new(), parser, body: None, said: Vec::new(), heads: Vec::new() }
    }

    /// A connection that has read these.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Reader {
        let mut reader = Reader::new(LIMITS);
        parts.into_iter().for_each(|part| reader.receive(part));
        reader
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            return match self.parser.parse(&mut self.buf, None) {
                Ok(Some(head)) => {
                    let headers = head.request.headers();
                    assert!(!headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
                    assert!(head.framing != Framing::Chunked || head.request.version() == Version::HTTP_11);
                    self.body = Some(BodyDecoder::new(head.framing));
                    self.said.push(Said::Head(format!("{head:?}")));
                    self.heads.push(head);
                    true
                }
                Ok(None) => false,
                Err(fault) => self.fault(&fault.to_string()),
            };
        };
        match body.decode(&mut self.buf) {
            Ok(Some(Piece::Data(data))) => {
                assert!(!data.is_empty());
                match self.said.last_mut() {
                    Some(Said::Body(whole)) => whole.extend_from_slice(&data),
                    _ => self.said.push(Said::Body(data.to_vec())),
                }
            }
            Ok(Some(Piece::Trailers(fields))) => self.said.push(Said::Trailers(format!("{fields:?}"))),
            Ok(Some(Piece::End)) => {
                self.body = None;
                self.said.push(Said::End);
            }
            Ok(None) => return false,
            Err(fault) => return self.fault(&fault.to_string()),
        }
        true
    }

    /// Said once; a later one must be the same.
    fn fault(&mut self, text: &str) -> bool {
        let said = Said::Fault(text.to_owned());
        if !matches!(self.said.last(), Some(Said::Fault(_))) {
            self.said.push(said);
        } else {
            assert_eq!(self.said.last(), Some(&said), "a fault is the last word");
        }
        false
    }
}

/// The one way to write a head that was taken.
pub fn written(head: &RequestHead) -> Vec<u8> {
    let request = &head.request;
    let minor = u8::from(request.version() == Version::HTTP_11);
    let mut bytes = format!("{} {} HTTP/1.{minor}\r\n", request.method(), request.uri()).into_bytes();
    let mut line = |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    for (name, value) in request.headers() {
        line(name.as_str(), value.as_bytes());
    }
    match head.framing {
        Framing::None => {}
        Framing::Length(length) => line("content-length", length.to_string().as_bytes()),
        Framing::Chunked => line("transfer-encoding", b"chunked"),
    }
    line("connection", if head.keep_alive { b"keep-alive" } else { b"close" });
    if head.expects_continue {
        line("expect", b"100-continue");
    }
    if head.accepts_trailers {
        line("te", b"trailers");
    }
    if let Some(upgrade) = &head.upgrade {
        line("connection", b"upgrade");
        line("upgrade", upgrade.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Nothing after an anomaly is read.
pub fn check_anomaly(reader: &mut Reader) {
    if matches!(reader.said.last(), Some(Said::Fault(_))) {
        let (said, left) = (reader.said.len(), reader.buf.len());
        let more: [&[u8]; 3] = [b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"];
        more.iter().for_each(|more| reader.receive(more));
        assert_eq!((reader.said.len(), reader.buf.len()), (said, left + more.concat().len()));
    }
}

/// What was taken is read the same again, written in its one way.
pub fn check_written(head: &RequestHead) {
    let mut again = Reader::new(HeadLimits::default());
    again.receive(&written(head));
    let second = again.heads.first().expect("what was written is a head");
    assert_eq!(meant(second), meant(head));
}

/// All of a head but how it was spelled.
fn meant(head: &RequestHead) -> String {
    let RequestHead { request, framing, keep_alive, expects_continue, accepts_trailers, upgrade, raw: _ } = head;
    format!("{request:?} {framing:?} {keep_alive} {expects_continue} {accepts_trailers} {upgrade:?}")
}

/// Two requests with these bytes, the first with their length and the other in chunks, are read as what they are.
fn check_made(bytes: &[u8], chunks: std::slice::Chunks<'_, u8>) {
    let field = format!("content-length: {}\r\n\r\n", bytes.len());
    let mut sent = [b"PUT /a HTTP/1.1\r\nHost: a\r\n", field.as_bytes(), bytes].concat();
    sent.extend_from_slice(b"POST /b?c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks {
        sent.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    sent.extend_from_slice(b"0\r\n\r\n");
    for step in [1, 9, usize::MAX] {
        let reader = Reader::of(sent.chunks(step));
        let heads: Vec<_> = reader.heads.iter().map(|head| (head.request.uri().to_string(), head.framing)).collect();
        let length = Framing::Length(bytes.len() as u64);
        assert_eq!(heads, [("/a".to_owned(), length), ("/b?c".to_owned(), Framing::Chunked)]);
        let (mut ends, mut bodies) = (0, Vec::new());
        for said in reader.said {
            match said {
                Said::Head(_) => {}
                Said::Body(body) => bodies.push(body),
                Said::End => ends += 1,
                Said::Trailers(_) | Said::Fault(_) => panic!("{said:?}"),
            }
        }
        assert_eq!(ends, 2);
        assert!(bodies.iter().all(|body| body == bytes) && bodies.len() == if bytes.is_empty() { 0 } else { 2 });
    }
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    check_made(bytes, parts.clone());
    let mut whole = Reader::of([bytes]);
    assert_eq!(whole.said, Reader::of(parts).said);
    whole.heads.iter().for_each(check_written);
    check_anomaly(&mut whole);
}
