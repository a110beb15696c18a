//! As much of protobuf's encoding as joining and picking apart whole messages takes (protobuf.dev/programming-guides/encoding):
//! that concatenated messages merge is what body, path and query are put together with. Fields are read by `wire`, as the JSON codec
//! reads them.

pub(in crate::translate) mod wire;

pub(in crate::translate) use wire::WireType;
use wire::{Span, WireValue};

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Record<'a> {
    pub(in crate::translate) number: u32,
    pub(in crate::translate) wire_type: WireType,
    /// Behind a length, or between the tags of a group: the content. Else the value as it stands.
    pub(in crate::translate) value: &'a [u8],
    /// All of it, the tag included.
    pub(in crate::translate) raw: &'a [u8],
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Malformed;

/// The fields of a message in the order they stand in; ends with the first thing that is none.
pub(in crate::translate) fn records(message: &[u8]) -> Records<'_> {
    let all = u32::try_from(message.len()).map(|_| wire::Records::new(message, Span::new(0, message.len())));
    Records { message, rest: Some(all.map_err(|_| Malformed)) }
}

pub(in crate::translate) struct Records<'a> {
    message: &'a [u8],
    /// Nothing after what is no field; an error when the message is longer than a place in it can be told.
    rest: Option<Result<wire::Records<'a>, Malformed>>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = match self.rest.take()? {
            Ok(rest) => rest,
            Err(malformed) => return Some(Err(malformed)),
        };
        let record = match rest.next() {
            Ok(record) => record?,
            Err(_) => return Some(Err(Malformed)),
        };
        let raw = self.message.get(record.start as usize..rest.offset()).unwrap_or_default();
        self.rest = Some(Ok(rest));
        let value = match record.value {
            WireValue::Len(span) | WireValue::Group(span) => span.of(self.message),
            WireValue::Varint(_) | WireValue::Fixed64(_) | WireValue::Fixed32(_) => {
                let tag = raw.iter().take_while(|byte| **byte >= 0x80).count() + 1;
                raw.get(tag..).unwrap_or_default()
            }
        };
        Some(Ok(Record { number: record.number, wire_type: record.value.wire_type(), value, raw }))
    }
}

pub(in crate::translate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    wire::put_varint(value, out);
}

pub(in crate::translate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    wire::put_tag(number, wire_type, out);
}

/// A string, bytes or message field.
pub(in crate::translate) fn put_len(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_tag(out, number, WireType::Len);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// A message as a field: behind a length, or as a group.
pub(in crate::translate) fn put_message(out: &mut Vec<u8>, number: u32, delimited: bool, content: &[u8]) {
    if delimited {
        put_tag(out, number, WireType::StartGroup);
        out.extend_from_slice(content);
        put_tag(out, number, WireType::EndGroup);
    } else {
        put_len(out, number, content);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_every_wire_type_are_found_whole() {
        let mut message = Vec::new();
        put_tag(&mut message, 1, WireType::Varint);
        put_varint(&mut message, 300);
        put_tag(&mut message, 2, WireType::Fixed64);
        message.extend_from_slice(&[1; 8]);
        put_len(&mut message, 3, b"abc");
        let mut inner = Vec::new();
        put_message(&mut inner, 5, true, &[]);
        put_len(&mut inner, 1, b"x");
        put_message(&mut message, 4, true, &inner);
        put_tag(&mut message, 6, WireType::Fixed32);
        message.extend_from_slice(&[2; 4]);
        let found: Vec<_> = records(&message).collect::<Result<_, _>>().unwrap();
        let values: Vec<_> = found.iter().map(|record| (record.number, record.value.to_vec())).collect();
        let expected = [(1, vec![0xac, 2]), (2, vec![1; 8]), (3, b"abc".to_vec()), (4, inner.clone()), (6, vec![2; 4])];
        assert_eq!(values, expected);
        assert_eq!(found.iter().flat_map(|record| record.raw).copied().collect::<Vec<_>>(), message);
    }

    #[test]
    fn what_is_no_message_is_said_once() {
        let deep = [0x0b; 200];
        let cases: &[&[u8]] = &[
            &[0x08],
            &[0x08, 0x80],
            &[0x00, 0x00],
            &[0x0a, 0x05, 0x00],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x0b],
            &[0x0b, 0x14],
            &[0x0c],
            &[0x0e],
            &[0x0f],
            &[0x09, 1, 2, 3],
            &[0x0d, 1, 2, 3],
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
            &[0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01],
            &deep,
        ];
        for bytes in cases {
            assert_eq!(records(bytes).collect::<Vec<_>>(), [Err(Malformed)], "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn varints_read_back(value in any::<u64>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            bytes.push(9);
            let mut records = wire::Records::new(&bytes, Span::new(0, bytes.len()));
            prop_assert_eq!(records.varint(), Ok(value));
            prop_assert_eq!(records.offset(), bytes.len() - 1);
        }

        #[test]
        fn no_bytes_panic_and_records_never_overlap(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let raw: usize = records(&bytes).filter_map(Result::ok).map(|record| record.raw.len()).sum();
            prop_assert!(raw <= bytes.len());
        }
    }
}
