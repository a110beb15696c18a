//! The messages of the contract on the wire: written and read by hand, so that a piece of a body goes through without a copy.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::{Fault, Kind, Stage};
use crate::translate::frame::{HEADER_LEN, frame_header};
use crate::translate::protobuf::wire::{self, Span};
use crate::translate::protobuf::{Record, WireType, put_len, put_tag, put_varint, records};

/// Field numbers of `HttpRequest` and `HttpResponse`, which are alike.
const HEAD: u32 = 1;
const BODY: u32 = 2;
const TRAILERS: u32 = 3;

/// Fields of an answer's head. Nobody's application sends so many, and each costs far more memory than its bytes.
const MOST_FIELDS: usize = 500;

/// `RequestHead`.
pub(super) struct RequestHead<'h> {
    pub(super) method: &'h str,
    pub(super) target: &'h str,
    pub(super) scheme: &'h [u8],
    pub(super) authority: &'h [u8],
    pub(super) version: &'h str,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) listener: &'h str,
}

impl RequestHead<'_> {
    /// A whole gRPC message with this head.
    pub(super) fn framed<'f>(&self, fields: impl Iterator<Item = (&'f [u8], &'f HeaderValue)>) -> Bytes {
        let mut head = Vec::with_capacity(1024);
        let texts = [
            (1, self.method.as_bytes()),
            (2, self.target.as_bytes()),
            (3, self.scheme),
            (4, self.authority),
            (5, self.version.as_bytes()),
        ];
        for (number, text) in texts {
            put_text(&mut head, number, text);
        }
        put_fields(&mut head, 6, fields);
        let mut peer = Vec::new();
        put_text(&mut peer, 1, self.address.as_bytes());
        if self.port != 0 {
            put_tag(&mut peer, 2, WireType::Varint);
            put_varint(&mut peer, u64::from(self.port));
        }
        put_text(&mut peer, 3, self.listener.as_bytes());
        put_len(&mut head, 7, &peer);
        framed(HEAD, &head)
    }
}

/// A whole gRPC message with trailers.
pub(super) fn framed_trailers(trailers: &HeaderMap) -> Bytes {
    let mut content = Vec::new();
    put_fields(&mut content, 1, trailers.iter().map(|(name, value)| (name.as_str().as_bytes(), value)));
    framed(TRAILERS, &content)
}

/// What stands before a piece of a body of `len` bytes in a gRPC message.
pub(super) fn piece_prefix(len: usize) -> Vec<u8> {
    let mut inner = Vec::with_capacity(16);
    put_tag(&mut inner, BODY, WireType::Len);
    put_varint(&mut inner, len as u64);
    with_frame_header(inner, len)
}

fn framed(number: u32, content: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(content.len() + 16);
    put_len(&mut message, number, content);
    with_frame_header(message, 0).into()
}

/// Puts the prefix of a gRPC message before it; `more` bytes of the message follow it.
fn with_frame_header(message: Vec<u8>, more: usize) -> Vec<u8> {
    // A head is bounded by the listener and a piece by us, both far below what four bytes count.
    let len = u32::try_from(message.len() + more).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(HEADER_LEN + message.len() + more.min(super::request::COPY));
    framed.extend_from_slice(&frame_header(len));
    framed.extend_from_slice(&message);
    framed
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &[u8]) {
    // proto3 leaves out what is empty.
    if !text.is_empty() {
        put_len(out, number, text);
    }
}

fn put_fields<'f>(out: &mut Vec<u8>, number: u32, fields: impl Iterator<Item = (&'f [u8], &'f HeaderValue)>) {
    let mut field = Vec::new();
    for (name, value) in fields {
        field.clear();
        put_text(&mut field, 1, name);
        put_text(&mut field, 2, value.as_bytes());
        put_len(out, number, &field);
    }
}

/// `HttpResponse.part`.
#[derive(Debug)]
pub(super) enum Part {
    Head(ResponseHead),
    Body(Bytes),
    Trailers(Vec<WrittenField>),
    /// None that is known here.
    Unknown,
}

/// `ResponseHead`, as the servlet wrote it.
#[derive(Debug, Default)]
pub(super) struct ResponseHead {
    pub(super) status: u64,
    pub(super) reason: Bytes,
    pub(super) fields: Vec<WrittenField>,
}

/// `Field`, as the servlet wrote it.
#[derive(Debug, Default)]
pub(super) struct WrittenField {
    pub(super) name: Bytes,
    value: Bytes,
}

impl WrittenField {
    /// The field, if HTTP has room for such.
    pub(super) fn checked(&self) -> Result<(HeaderName, HeaderValue), Fault> {
        let name = HeaderName::from_bytes(&self.name).map_err(|_| broken("a field's name is no token"))?;
        let value = self.value.slice_ref(without_space(&self.value));
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| {
            let told = format!("the servlet's answer cannot be told: the value of `{name}` holds a control byte");
            Fault::new(Kind::MalformedReply, Stage::ReplyBody, told)
        })?;
        Ok((name, value))
    }
}

/// Space and tabs around a value are not of it (RFC 9110 §5.5), and HTTP/2 has no room for them.
fn without_space(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Reads an `HttpResponse`. Of several parts the last counts, and a message that comes twice merges, as everywhere in protobuf.
pub(super) fn read(message: &Bytes) -> Result<Part, Fault> {
    let mut part = Part::Unknown;
    for record in contents(message) {
        let record = record?;
        part = match (record.number, part) {
            (HEAD, Part::Head(head)) => Part::Head(head.merged(message, record.value)?),
            (HEAD, _) => Part::Head(ResponseHead::default().merged(message, record.value)?),
            (BODY, _) => Part::Body(message.slice_ref(record.value)),
            (TRAILERS, before) => {
                let mut fields = if let Part::Trailers(fields) = before { fields } else { Vec::new() };
                for field in contents(record.value) {
                    put_field(message, field?, 1, &mut fields)?;
                }
                Part::Trailers(fields)
            }
            (_, part) => part,
        };
    }
    Ok(part)
}

impl ResponseHead {
    fn merged(mut self, message: &Bytes, content: &[u8]) -> Result<ResponseHead, Fault> {
        for record in records(content) {
            let record = record.map_err(|_| no_message())?;
            match (record.number, record.wire_type) {
                (1, WireType::Varint) => self.status = varint(record.value)?,
                (2, WireType::Len) => self.reason = message.slice_ref(record.value),
                (3, WireType::Len) => put_field(message, record, 3, &mut self.fields)?,
                _ => {}
            }
        }
        Ok(self)
    }
}

fn put_field(message: &Bytes, record: Record<'_>, number: u32, fields: &mut Vec<WrittenField>) -> Result<(), Fault> {
    if record.number != number {
        return Ok(());
    }
    if fields.len() >= MOST_FIELDS {
        return Err(broken("it has more than 500 fields"));
    }
    let mut field = WrittenField::default();
    for part in contents(record.value) {
        let part = part?;
        match part.number {
            1 => field.name = message.slice_ref(part.value),
            2 => field.value = message.slice_ref(part.value),
            _ => {}
        }
    }
    fields.push(field);
    Ok(())
}

/// The strings, bytes and messages in a message.
fn contents(message: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Fault>> {
    records(message).filter_map(|record| match record {
        Ok(record) if record.wire_type == WireType::Len => Some(Ok(record)),
        Ok(_) => None,
        Err(_) => Some(Err(no_message())),
    })
}

fn varint(value: &[u8]) -> Result<u64, Fault> {
    wire::Records::new(value, Span::new(0, value.len())).varint().map_err(|_| no_message())
}

fn no_message() -> Fault {
    broken("a message is no telamon.v1.HttpResponse")
}

/// An answer that breaks the contract.
pub(super) fn broken(why: &str) -> Fault {
    let told = format!("the servlet's answer cannot be told: {why}");
    Fault::new(Kind::MalformedReply, Stage::ReplyBody, told)
}
