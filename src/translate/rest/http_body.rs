//! `google.api.HttpBody` (google/api/httpbody.proto): bytes and their content type, in place of JSON.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{self, HeaderName};

use super::super::protobuf::{Malformed, WireType, put_len, put_tag, put_varint, records, wire};
use crate::model::Pieces;
use crate::schema::Field;

const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// Header fields of the bytes themselves, which the servlet alone knows: their coding, and digests (RFC 9530). Of any other answer they
/// would be about bytes that nobody gets.
pub(super) const SAID_OF_BYTES: [HeaderName; 3] =
    [header::CONTENT_ENCODING, HeaderName::from_static("content-digest"), HeaderName::from_static("repr-digest")];

/// What of a message is an HTTP answer.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// Empty when the message has none.
    pub(super) content_type: Bytes,
    pub(super) data: Pieces,
}

/// The most bytes of a field's tag and length.
const MOST_PREFIX: usize = 5 + 10;

/// What comes before and behind `len` bytes of data in a message, or the field of it, that holds them.
pub(super) fn around(field: Option<&Field>, content_type: &[u8], len: usize) -> (Vec<u8>, Vec<u8>) {
    let mut head = Vec::with_capacity(content_type.len() + 16);
    if !content_type.is_empty() {
        put_len(&mut head, CONTENT_TYPE, content_type);
    }
    if len > 0 {
        put_tag(&mut head, DATA, WireType::Len);
        put_varint(&mut head, len as u64);
    }
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    match field {
        None => return (head, behind),
        Some(field) if field.delimited => {
            put_tag(&mut before, field.number, WireType::StartGroup);
            put_tag(&mut behind, field.number, WireType::EndGroup);
        }
        Some(field) => {
            put_tag(&mut before, field.number, WireType::Len);
            put_varint(&mut before, (head.len() + len) as u64);
        }
    }
    before.extend_from_slice(&head);
    (before, behind)
}

/// Appends such a message or field.
pub(super) fn put(out: &mut Vec<u8>, field: Option<&Field>, content_type: &[u8], data: &[u8]) {
    let (before, behind) = around(field, content_type, data.len());
    for part in [&before, data, &behind] {
        out.extend_from_slice(part);
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

/// Reads a `google.api.HttpBody`. Data that lies in pieces is not put together.
pub(super) fn read(message: Pieces) -> Result<Raw, Malformed> {
    if let Some(raw) = read_strings(message.clone()) {
        return Ok(raw);
    }
    read_records(&message.into_bytes())
}

fn read_records(message: &Bytes) -> Result<Raw, Malformed> {
    let mut raw = Raw::default();
    for record in records(message) {
        let record = record?;
        match (record.number, record.wire_type) {
            (CONTENT_TYPE, WireType::Len) => raw.content_type = part(message, record.value),
            (DATA, WireType::Len) => raw.data = part(message, record.value).into(),
            _ => {}
        }
    }
    Ok(raw)
}

fn part(message: &Bytes, value: &[u8]) -> Bytes {
    if value.is_empty() { Bytes::new() } else { message.slice_ref(value) }
}

/// The same, of a message that has nothing but fields with a length, as the one that is meant has.
fn read_strings(mut rest: Pieces) -> Option<Raw> {
    let mut raw = Raw::default();
    while !rest.is_empty() {
        // It may lie in two pieces.
        let mut prefix = [0; MOST_PREFIX];
        let len = rest.copy_first(&mut prefix);
        let mut prefix = wire::Records::new(&prefix, wire::Span::new(0, len));
        let tag = prefix.raw_tag().ok()?;
        let len = usize::try_from(prefix.varint().ok()?).ok()?;
        rest.skip(prefix.offset());
        if tag & 7 != WireType::Len as u32 || len > rest.len() {
            return None;
        }
        let value = rest.split_to(len);
        match tag >> 3 {
            CONTENT_TYPE => raw.content_type = value.into_bytes(),
            DATA => raw.data = value,
            _ => {}
        }
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Anything that may stand in a message, whole or not.
    fn fields() -> impl Strategy<Value = Vec<u8>> {
        let string = (1..20_u32, proptest::collection::vec(any::<u8>(), 0..5_000)).prop_map(|(number, value)| {
            let mut out = Vec::new();
            put_len(&mut out, number % 4 + u32::from(number > 15) * 1_000_000, &value);
            out
        });
        let other = proptest::collection::vec(0..40_u8, 1..6);
        let field = prop_oneof![6 => string, 1 => other];
        proptest::collection::vec(field, 0..6).prop_map(|fields| fields.concat())
    }

    fn told(raw: Result<Raw, Malformed>) -> Result<(Bytes, Bytes), Malformed> {
        raw.map(|raw| (raw.content_type, raw.data.into_bytes()))
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_whatever_its_pieces(
            fields in fields(),
            cut in 0..10_usize,
            sizes in proptest::collection::vec(1..9_000_usize, 1..5),
        ) {
            let whole = Bytes::copy_from_slice(&fields[..fields.len().saturating_sub(cut / 5)]);
            let (mut pieces, mut rest) = (Pieces::default(), whole.clone());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                pieces.push(rest.split_to(rest.len().min(*size)));
            }
            prop_assert_eq!(told(read(pieces)), told(read_records(&whole)));
            prop_assert_eq!(told(read(whole.clone().into())), told(read_records(&whole)));
        }
    }

    #[test]
    fn large_data_stays_where_it_lies() {
        let mut message = Vec::new();
        put(&mut message, None, b"text/plain", &[7; 100_000]);
        let (mut pieces, mut rest) = (Pieces::default(), Bytes::from(message));
        let all = rest.as_ptr_range();
        while !rest.is_empty() {
            pieces.push(rest.split_to(rest.len().min(10_000)));
        }
        let mut raw = read(pieces).unwrap();
        assert_eq!((&*raw.content_type, raw.data.len()), (&b"text/plain"[..], 100_000));
        let pieces = std::iter::from_fn(|| raw.data.pop());
        let kept: usize = pieces.filter(|piece| all.contains(&piece.as_ptr())).map(|piece| piece.len()).sum();
        assert!(kept > 98_000, "{kept}");
    }
}
