//! `google.api.HttpBody` (google/api/httpbody.proto): bytes and their content type, in place of JSON.

use std::borrow::Cow;

use http::header::{self, HeaderName};

use super::super::protobuf::{Malformed, WireType, put_len, put_message, put_tag, put_varint, records};
use crate::schema::Field;

const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// Header fields of the bytes themselves, which the servlet alone knows: their coding, and digests (RFC 9530). Of any other answer they
/// would be about bytes that nobody gets.
pub(super) const SAID_OF_BYTES: [HeaderName; 3] =
    [header::CONTENT_ENCODING, HeaderName::from_static("content-digest"), HeaderName::from_static("repr-digest")];

/// What of a message is an HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    /// Empty when the message has none.
    pub(super) content_type: &'a [u8],
    pub(super) data: &'a [u8],
}

/// Appends a message, or the field of it, that holds `data`.
pub(super) fn put(out: &mut Vec<u8>, field: Option<&Field>, content_type: &[u8], data: &[u8]) {
    let mut head = Vec::with_capacity(content_type.len() + 16);
    if !content_type.is_empty() {
        put_len(&mut head, CONTENT_TYPE, content_type);
    }
    if !data.is_empty() {
        put_tag(&mut head, DATA, WireType::Len);
        put_varint(&mut head, data.len() as u64);
    }
    match field {
        None => {
            out.extend_from_slice(&head);
            out.extend_from_slice(data);
        }
        Some(field) if field.delimited => {
            head.extend_from_slice(data);
            put_message(out, field.number, true, &head);
        }
        Some(field) => {
            put_tag(out, field.number, WireType::Len);
            put_varint(out, (head.len() + data.len()) as u64);
            out.extend_from_slice(&head);
            out.extend_from_slice(data);
        }
    }
}

/// The content of a singular message field; what a message that holds it several times means by it is all of them together.
pub(super) fn field_content<'a>(message: &'a [u8], field: &Field) -> Result<Cow<'a, [u8]>, Malformed> {
    let mut content = Cow::Borrowed([].as_slice());
    for record in records(message) {
        let record = record?;
        if record.number != field.number || !matches!(record.wire_type, WireType::Len | WireType::StartGroup) {
            continue;
        }
        if content.is_empty() {
            content = Cow::Borrowed(record.value);
        } else {
            content.to_mut().extend_from_slice(record.value);
        }
    }
    Ok(content)
}

/// Reads a `google.api.HttpBody`.
pub(super) fn read(message: &[u8]) -> Result<Raw<'_>, Malformed> {
    let mut raw = Raw { content_type: &[], data: &[] };
    for record in records(message) {
        let record = record?;
        match (record.number, record.wire_type) {
            (CONTENT_TYPE, WireType::Len) => raw.content_type = record.value,
            (DATA, WireType::Len) => raw.data = record.value,
            _ => {}
        }
    }
    Ok(raw)
}
