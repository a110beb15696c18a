//! Request heads off the front of a connection's buffer. It decides early: what can be refused at its first line, or at the byte
//! that breaks a rule, is refused there, since a caller of HTTP/0.9 sends one line and waits, and a flood never ends.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Request};

use super::framing::Framing;
use super::head;
use super::lines::{LineScanner, StrayControl};
use super::refusal::Refusal;
use crate::model::{Fault, Kind, Stage};

/// How much head a caller may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of one head, its empty line included. 64 KiB by default: tokens and cookies of single sign-on pass 16 KiB, and the
    /// HTTP/2 side takes as much.
    pub bytes: usize,
    /// Fields of one head. 100 by default: browsers and tracing together send fewer than 50, and a field costs far more memory
    /// than its bytes.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { bytes: 64 * 1024, fields: 100 }
    }
}

/// A request's head, checked, with what concerned this hop taken out of its fields and told beside them.
#[derive(Debug)]
pub struct RequestHead {
    /// Version 1.0 or 1.1. The URI is path and query alone, or `*` for OPTIONS; `Host` is the authority that counts, absent only
    /// on 1.0. No field is left that ends at this hop or that tells of framing.
    pub request: Request<()>,
    pub framing: Framing,
    /// What the request asks for: on 1.1 unless it says `close`, on 1.0 only when it says `keep-alive` (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The caller waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1). Never on 1.0.
    pub expects_continue: bool,
    /// `TE: trailers` (RFC 9110 §10.1.4). Never on 1.0.
    pub accepts_trailers: bool,
    /// The protocols that the caller would change to, on 1.1, `h2c` left out.
    pub upgrade: Option<HeaderValue>,
    /// The head as it was sent: its spelling, for who needs it. The request shares these bytes.
    pub raw: Bytes,
}

/// Reads the heads of one connection, one after another. After a fault it reads nothing more and repeats the fault.
#[derive(Debug)]
pub struct RequestParser {
    limits: HeadLimits,
    scanner: LineScanner,
    /// Whole lines of this head so far, its request line included.
    lines: usize,
    skipped_empty_line: bool,
    refused: Option<Refusal>,
}

impl RequestParser {
    pub fn new(limits: HeadLimits) -> RequestParser {
        RequestParser { limits, scanner: LineScanner::default(), lines: 0, skipped_empty_line: false, refused: None }
    }

    /// Takes one head off the front of `buf`; `None` when it is not whole yet. `buf` may only have grown at its end since the
    /// last call that returned `None`. `default_host` is the authority of an HTTP/1.0 request that names none.
    ///
    /// One empty line before a request is passed over (RFC 9112 §2.2): it belongs to the body before it, for old callers. Bytes
    /// that are left in `buf` after that are the start of a head.
    pub fn parse(
        &mut self,
        buf: &mut BytesMut,
        default_host: Option<&HeaderValue>,
    ) -> Result<Option<RequestHead>, Fault> {
        let result = match self.refused {
            Some(refusal) => Err(refusal),
            None => self.step(buf, default_host),
        };
        result.map_err(|refusal| {
            self.refused = Some(refusal);
            refusal.at(Stage::Head)
        })
    }

    fn step(&mut self, buf: &mut BytesMut, default_host: Option<&HeaderValue>) -> Result<Option<RequestHead>, Refusal> {
        if self.lines == 0 && !self.skipped_empty_line && buf.starts_with(b"\r\n") {
            buf.advance(2);
            self.skipped_empty_line = true;
            self.scanner = LineScanner::default();
        }
        if !self.scan(buf)? {
            return Ok(None);
        }
        let head = buf.split_to(self.scanner.consumed()).freeze();
        let fields = self.lines - 1;
        *self = RequestParser::new(self.limits);
        let read = head::read(&head, fields, default_host)?;
        Ok(Some(RequestHead { raw: head, ..read }))
    }

    /// Whether the head is whole. Every check is bound to the byte that fails it, so that the answer is the same however the
    /// bytes arrive.
    fn scan(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        let window = buf.get(..self.limits.bytes).unwrap_or(buf);
        while let Some(line) = self.scanner.next_line(window)? {
            let line = window.get(line).unwrap_or_default();
            match self.lines {
                0 if line.is_empty() => return Err(Refusal::head("an empty line stands for the request line")),
                0 => check_version(line)?,
                _ if line.is_empty() => return Ok(true),
                fields if fields > self.limits.fields => {
                    return Err(Refusal::fields_over(self.limits.fields));
                }
                _ => {}
            }
            self.lines += 1;
        }
        if buf.len() >= self.limits.bytes {
            return Err(Refusal::bytes_over(self.limits.bytes));
        }
        Ok(false)
    }
}

impl From<StrayControl> for Refusal {
    fn from(StrayControl: StrayControl) -> Refusal {
        Refusal::head("a control byte in the request head; lines end in CRLF")
    }
}

/// Whether the request line ends in a version that is spoken here. What is no version at all, or 0.9, is malformed; another
/// version is unsupported.
fn check_version(line: &[u8]) -> Result<(), Refusal> {
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Refusal::new(Kind::UnsupportedVersion, "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here"))
        }
        _ => Err(Refusal::head("the request line does not end in an HTTP version")),
    }
}
