//! Responses of servlets off the front of a connection's buffer. It is as strict as with requests: a response whose length could be read
//! in two ways is none, since what one reader takes for its end another takes for the next response, to somebody else.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use smallvec::SmallVec;

use super::body::{BodyDecoder, Piece};
use super::framing::{self, Framing, TransferCodings, parse_length};
use super::hop_by_hop::{self, ends_here};
use super::lines::LineScanner;
use super::refusal::Refusal;
use super::request::HeadLimits;
use crate::model::{Fault, Kind, Stage};

/// Fields that are parsed without an allocation.
const FIELDS_ON_STACK: usize = 32;

/// What every status line starts with.
const START: &[u8] = b"HTTP/1.";

const fn bad(message: &'static str) -> Refusal {
    Refusal::new(Kind::MalformedReply, message)
}

/// A response's head, checked, with what concerned this hop taken out of its fields.
#[derive(Debug)]
pub struct ResponseHead {
    /// Version 1.0 or 1.1. No field is left that ends at this hop, but for the `Upgrade` of a 101; `Content-Length`, if it is there, is
    /// there once.
    pub response: Response<()>,
    /// Reads what follows the head.
    pub body: ResponseBody,
    /// Whether the connection may carry another request after the body: on 1.1 unless the head says `close`, on 1.0 only when it says
    /// `keep-alive` (RFC 9112 §9.3), and never when the body has no other end than the connection's, or the protocol changes.
    pub keep_alive: bool,
}

/// Reads the heads that answer one request, interim ones (1xx) and the last. After a fault it reads nothing more and repeats the fault.
#[derive(Debug)]
pub struct ResponseParser {
    limits: HeadLimits,
    /// The request was HEAD: whatever the fields say, no body follows.
    to_head: bool,
    scanner: LineScanner,
    /// Whole lines of this head so far, its status line included.
    lines: usize,
    refused: Option<Refusal>,
}

impl ResponseParser {
    pub fn new(limits: HeadLimits, to_head: bool) -> ResponseParser {
        ResponseParser { limits, to_head, scanner: LineScanner::default(), lines: 0, refused: None }
    }

    /// Takes one head off the front of `buf`; `None` when it is not whole yet. `buf` may only have grown at its end since the last call
    /// that returned `None`.
    ///
    /// # Errors
    /// `MalformedReply` at `Wait`.
    pub fn parse(&mut self, buf: &mut BytesMut) -> Result<Option<ResponseHead>, Fault> {
        let result = match self.refused {
            Some(refusal) => Err(refusal),
            None => self.step(buf),
        };
        result.map_err(|refusal| {
            self.refused = Some(refusal);
            Fault::new(refusal.kind, Stage::Wait, format!("the servlet's answer is malformed: {}", refusal.message))
        })
    }

    fn step(&mut self, buf: &mut BytesMut) -> Result<Option<ResponseHead>, Refusal> {
        if !self.scan(buf)? {
            return Ok(None);
        }
        let head = buf.split_to(self.scanner.consumed()).freeze();
        let fields = self.lines - 1;
        *self = ResponseParser::new(self.limits, self.to_head);
        read(&head, fields, self.to_head).map(Some)
    }

    /// Whether the head is whole. What is no response at all is told at its first byte, as far as that shows it: a server that speaks
    /// something else may wait for us.
    fn scan(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        let window = buf.get(..self.limits.bytes).unwrap_or(buf);
        if self.lines == 0 && !START.starts_with(window.get(..START.len()).unwrap_or(window)) {
            return Err(bad("it does not start with an HTTP version"));
        }
        let stray = |_| bad("a control byte in its head; lines end in CRLF");
        while let Some(line) = self.scanner.next_line(window).map_err(stray)? {
            if line.is_empty() {
                return Ok(true);
            }
            if self.lines > self.limits.fields {
                return Err(bad("its head is over the limit of").over(self.limits.fields, "fields"));
            }
            self.lines += 1;
        }
        if buf.len() >= self.limits.bytes {
            return Err(bad("its head is over the limit of").over(self.limits.bytes, "bytes"));
        }
        Ok(false)
    }
}

/// Reads a head that ends with its empty line and has `fields` field lines.
fn read(head: &Bytes, fields: usize, to_head: bool) -> Result<ResponseHead, Refusal> {
    if fields <= FIELDS_ON_STACK {
        read_into(head, &mut [const { MaybeUninit::uninit() }; FIELDS_ON_STACK], to_head)
    } else {
        read_into(head, &mut vec![MaybeUninit::uninit(); fields], to_head)
    }
}

fn read_into<'head>(
    head: &'head Bytes,
    room: &mut [MaybeUninit<httparse::Header<'head>>],
    to_head: bool,
) -> Result<ResponseHead, Refusal> {
    let mut parsed = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, room) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(bad("its head is malformed")),
        Err(error) => return Err(syntax(error)),
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(bad("malformed status line"));
    };
    let status = StatusCode::from_u16(code).map_err(|_| bad("malformed status line"))?;
    let mut fields = Fields::with_capacity(parsed.headers.len(), status)?;
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad("malformed field name"))?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        fields.take(name, value.map_err(|_| bad("malformed field value"))?)?;
    }
    fields.into_head(minor == 0, to_head)
}

fn syntax(error: httparse::Error) -> Refusal {
    bad(match error {
        httparse::Error::HeaderName => "malformed field name",
        httparse::Error::HeaderValue => "malformed field value",
        httparse::Error::NewLine => "a line does not end in CRLF",
        httparse::Error::Version | httparse::Error::Token | httparse::Error::Status => "malformed status line",
        httparse::Error::TooManyHeaders => "its head has too many fields",
    })
}

/// The fields of one head, sorted into those that go on and those that speak to this hop.
struct Fields {
    status: StatusCode,
    kept: HeaderMap,
    connection: SmallVec<[HeaderValue; 1]>,
    length: Option<u64>,
    /// As it was said, if that is the way to say it.
    said_length: Option<HeaderValue>,
    codings: TransferCodings,
}

impl Fields {
    fn with_capacity(fields: usize, status: StatusCode) -> Result<Fields, Refusal> {
        Ok(Fields {
            status,
            kept: HeaderMap::try_with_capacity(fields).map_err(|_| bad("its head has too many fields"))?,
            connection: SmallVec::new(),
            length: None,
            said_length: None,
            codings: TransferCodings::default(),
        })
    }

    fn take(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Refusal> {
        if name == CONTENT_LENGTH {
            self.take_length(&value)?;
            self.said_length = Some(value).filter(|value| value.as_bytes().iter().all(u8::is_ascii_digit));
        } else if name == TRANSFER_ENCODING {
            self.codings.add(&value);
        } else if name == CONNECTION {
            self.connection.push(value);
        } else if !ends_here(&name) || (name == UPGRADE && self.status == StatusCode::SWITCHING_PROTOCOLS) {
            self.kept.try_append(name, value).map_err(|_| bad("its head has too many fields"))?;
        }
        Ok(())
    }

    /// Some servers say it twice; the same is no contradiction (RFC 9110 §8.6).
    fn take_length(&mut self, value: &HeaderValue) -> Result<(), Refusal> {
        for length in value.as_bytes().split(|byte| *byte == b',') {
            let length = parse_length(length.trim_ascii()).ok_or(bad("malformed Content-Length"))?;
            if self.length.replace(length).is_some_and(|other| other != length) {
                return Err(bad("two lengths in Content-Length"));
            }
        }
        Ok(())
    }

    fn into_head(self, http10: bool, to_head: bool) -> Result<ResponseHead, Refusal> {
        let Fields { status, kept: mut headers, connection, length, said_length, codings } = self;
        let framing = framing::decide(length, codings, http10).map_err(|refusal| bad(refusal.message))?;
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless = to_head
            || status.is_informational()
            || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let body = match framing {
            _ if bodiless => ResponseBody::framed(Framing::None),
            Framing::None => ResponseBody(Reading::UntilClose),
            Framing::Length(_) | Framing::Chunked => ResponseBody::framed(framing),
        };
        let persistence = hop_by_hop::leave(&connection, &mut headers);
        let keep_alive = !persistence.close && (!http10 || persistence.keep_alive);
        // A length has no meaning there (RFC 9110 §8.6).
        if let Some(length) = length.filter(|_| !status.is_informational() && status != StatusCode::NO_CONTENT) {
            let value = said_length.unwrap_or_else(|| length.into());
            headers.try_insert(CONTENT_LENGTH, value).map_err(|_| bad("its head has too many fields"))?;
        }
        let keep_alive = keep_alive && !switches && !matches!(body.0, Reading::UntilClose);
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = if http10 { Version::HTTP_10 } else { Version::HTTP_11 };
        *response.headers_mut() = headers;
        Ok(ResponseHead { response, body, keep_alive })
    }
}

/// Reads the body of one response.
#[derive(Debug)]
pub struct ResponseBody(Reading);

#[derive(Debug)]
enum Reading {
    Framed(BodyDecoder),
    /// It has no other end than the connection's (RFC 9112 §6.3).
    UntilClose,
    Closed,
}

impl ResponseBody {
    fn framed(framing: Framing) -> ResponseBody {
        ResponseBody(Reading::Framed(BodyDecoder::new(framing)))
    }

    /// Takes the next piece off the front of `buf`; `None` when it is not there yet. `End` is given as often as it is asked for.
    ///
    /// # Errors
    /// `MalformedReply` at `ReplyBody`: nothing more of this connection may be read.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Fault> {
        match &mut self.0 {
            Reading::Framed(decoder) => decoder.decode(buf).map_err(|fault| {
                let told = format!("the servlet's answer is malformed: {}", fault.message);
                Fault::new(Kind::MalformedReply, Stage::ReplyBody, told)
            }),
            Reading::UntilClose if buf.is_empty() => Ok(None),
            Reading::UntilClose => Ok(Some(Piece::Data(buf.split().freeze()))),
            Reading::Closed => Ok(Some(Piece::End)),
        }
    }

    /// The servlet has ended its side, and all that came before has been decoded.
    ///
    /// # Errors
    /// `ConnectionLost` at `ReplyBody`, when that is not where this body ends.
    pub fn close(&mut self) -> Result<(), Fault> {
        match &self.0 {
            Reading::UntilClose | Reading::Closed => {
                self.0 = Reading::Closed;
                Ok(())
            }
            Reading::Framed(decoder) if decoder.is_done() => Ok(()),
            Reading::Framed(_) => {
                let told = "the servlet closed the connection in the middle of its answer";
                Err(Fault::new(Kind::ConnectionLost, Stage::ReplyBody, told))
            }
        }
    }

    /// Whether the body was read to its end. One that has no bytes is over from the start.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Reading::Framed(decoder) => decoder.is_done(),
            Reading::UntilClose => false,
            Reading::Closed => true,
        }
    }

    /// The bytes still to come, when known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Reading::Framed(decoder) => decoder.remaining(),
            Reading::UntilClose => None,
            Reading::Closed => Some(0),
        }
    }
}
