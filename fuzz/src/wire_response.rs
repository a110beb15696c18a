//! The answers to one request on a connection. However its bytes arrive, the same is read; nothing after an anomaly is read; a head that
//! was taken has one way to be written, which is read the same again; what is cut is never whole; and well-made answers with any bodies
//! are taken.

use bytes::BytesMut;
use http::Version;
use telamon::wire::{HeadLimits, Piece, ResponseBody, ResponseHead, ResponseParser};

use super::draw::pieces;

/// Small enough that short inputs meet them.
pub const LIMITS: HeadLimits = HeadLimits { bytes: 160, fields: 5 };

/// What a connection was understood to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Head(String),
    Body(Vec<u8>),
    Trailers(String),
    End,
    Fault(String),
}

/// A connection that reads the answers to one request: interim ones, and the last with its body.
pub struct Reader {
    pub buf: BytesMut,
    pub said: Vec<Said>,
    /// Each as it is written in its one way.
    pub written: Vec<Vec<u8>>,
    parser: ResponseParser,
    body: Option<ResponseBody>,
    over: bool,
}

impl Reader {
    pub fn new(limits: HeadLimits, to_head: bool) -> Reader {
        let parser = ResponseParser::new(limits, to_head);
        Reader { buf: BytesMut::new(), parser, body: None, said: Vec::new(), written: Vec::new(), over: false }
    }

    /// A connection that has read these, and then its end.
    pub fn of<'a>(to_head: bool, parts: impl IntoIterator<Item = &'a [u8]>) -> Reader {
        let mut reader = Reader::new(LIMITS, to_head);
        parts.into_iter().for_each(|part| reader.receive(part));
        reader.close();
        reader
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        while !self.over && self.step() {}
    }

    /// The servlet ends its side.
    pub fn close(&mut self) {
        if self.over {
            return;
        }
        match self.body.as_mut().map(ResponseBody::close) {
            Some(Ok(())) => {
                assert!(self.body.as_ref().is_some_and(ResponseBody::is_done));
                self.end();
            }
            Some(Err(fault)) => self.fault(&fault.to_string()),
            None => {}
        }
    }

    fn step(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            match self.parser.parse(&mut self.buf) {
                Ok(Some(head)) => self.take(head),
                Ok(None) => return false,
                Err(fault) => self.fault(&fault.to_string()),
            }
            return true;
        };
        let remaining = body.remaining();
        match body.decode(&mut self.buf) {
            Ok(Some(Piece::Data(data))) => {
                assert!(!data.is_empty() && remaining.is_none_or(|left| left >= data.len() as u64));
                match self.said.last_mut() {
                    Some(Said::Body(whole)) => whole.extend_from_slice(&data),
                    _ => self.said.push(Said::Body(data.to_vec())),
                }
            }
            Ok(Some(Piece::Trailers(fields))) => self.said.push(Said::Trailers(format!("{fields:?}"))),
            Ok(Some(Piece::End)) => self.end(),
            Ok(None) => return false,
            Err(fault) => self.fault(&fault.to_string()),
        }
        true
    }

    fn take(&mut self, head: ResponseHead) {
        let headers = head.response.headers();
        let ends_here = ["connection", "keep-alive", "transfer-encoding", "te", "proxy-connection"];
        assert!(ends_here.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
        assert!(headers.get_all("content-length").iter().count() < 2, "{headers:?}");
        self.said.push(Said::Head(format!("{head:?}")));
        self.written.push(written(&head));
        let status = head.response.status();
        if !status.is_informational() || status == http::StatusCode::SWITCHING_PROTOCOLS {
            self.body = Some(head.body);
        }
    }

    fn end(&mut self) {
        self.said.push(Said::End);
        self.over = true;
    }

    fn fault(&mut self, text: &str) {
        self.said.push(Said::Fault(text.to_owned()));
        self.over = true;
        let again = match &mut self.body {
            None => self.parser.parse(&mut self.buf).map(drop),
            Some(_) => return,
        };
        assert_eq!(again.unwrap_err().to_string(), text, "a fault is the last word");
    }
}

/// The one way to write a head that was taken.
fn written(head: &ResponseHead) -> Vec<u8> {
    let ResponseHead { response, body, keep_alive } = head;
    let minor = u8::from(response.version() == Version::HTTP_11);
    let mut bytes = format!("HTTP/1.{minor} {} \r\n", response.status().as_str()).into_bytes();
    let mut line = |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    for (name, value) in response.headers() {
        line(name.as_str(), value.as_bytes());
    }
    let until_close = !body.is_done() && format!("{body:?}").contains("UntilClose");
    if body.remaining().is_none() && !until_close {
        line("transfer-encoding", b"chunked");
    }
    line("connection", if *keep_alive { b"keep-alive" } else { b"close" });
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Answers with these bytes, of each framing, are read as what they are; what is cut of those that have an end is told.
fn check_made(bytes: &[u8], chunks: std::slice::Chunks<'_, u8>) {
    let length = format!("HTTP/1.1 200 Fine\r\nContent-Length: {}\r\n\r\n", bytes.len());
    let mut chunked =
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in chunks {
        chunked.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let cases = [
        ([length.as_bytes(), bytes].concat(), 1, true),
        (chunked, 2, true),
        ([b"HTTP/1.0 200 OK\r\n\r\n", bytes].concat(), 1, false),
    ];
    for (sent, heads, has_end) in cases {
        for step in [1, 9, usize::MAX] {
            let said = Reader::of(false, sent.chunks(step)).said;
            assert!(said.iter().take(heads).all(|said| matches!(said, Said::Head(_))), "{said:?}");
            let body = (!bytes.is_empty()).then(|| Said::Body(bytes.to_vec()));
            assert_eq!(said.get(heads..), Some(&*body.into_iter().chain([Said::End]).collect::<Vec<_>>()));
        }
        let cut = sent.split_last().map_or(&[][..], |(_, most)| most);
        let said = Reader::of(false, [cut]).said;
        assert_eq!(said.last() != Some(&Said::End), has_end || bytes.is_empty(), "{said:?}");
    }
}

/// Whatever the bytes, they are read in one way.
pub fn check_any<'a>(to_head: bool, bytes: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) {
    let whole = Reader::of(to_head, [bytes]);
    assert_eq!(whole.said, Reader::of(to_head, parts).said);
    for (said, written) in whole.said.iter().filter(|said| matches!(said, Said::Head(_))).zip(&whole.written) {
        let mut again = Reader::new(HeadLimits::default(), to_head);
        again.receive(written);
        assert_eq!(again.said.first(), Some(said), "{:?}", String::from_utf8_lossy(written));
    }
    if to_head {
        assert!(whole.said.iter().all(|said| !matches!(said, Said::Body(_) | Said::Trailers(_))));
    }
}

pub fn check(data: &[u8]) {
    let Some((flags, data)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(data) else { return };
    check_made(bytes, parts.clone());
    check_any(flags & 1 == 1, bytes, parts);
}
