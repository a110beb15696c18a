//! As much of protobuf's encoding as joining and picking apart whole messages takes (protobuf.dev/programming-guides/encoding):
//! that concatenated messages merge is what body, path and query are put together with.

/// What follows a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Len = 2,
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) number: u32,
    pub(crate) wire_type: WireType,
    /// Behind a length, or between the tags of a group: the content. Else the value as it stands.
    pub(crate) value: &'a [u8],
    /// All of it, the tag included.
    pub(crate) raw: &'a [u8],
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Groups within groups that are followed before a message is refused; what protobuf's own decoders allow.
const MOST_GROUPS: u32 = 100;

/// The fields of a message in the order they stand in; ends with the first thing that is none.
pub(crate) fn records(message: &[u8]) -> Records<'_> {
    Records { rest: message }
}

pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = read(self.rest, 0);
        self.rest = record.and_then(|record| self.rest.get(record.raw.len()..)).unwrap_or_default();
        // A group's end with no beginning is no field.
        Some(record.filter(|record| record.wire_type != WireType::EndGroup).ok_or(Malformed))
    }
}

fn read(bytes: &[u8], groups: u32) -> Option<Record<'_>> {
    let (tag, body) = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| (1..=0x1fff_ffff).contains(number))?;
    let (wire_type, value, rest) = match tag & 7 {
        0 => {
            let (_, rest) = varint(body)?;
            let (value, rest) = body.split_at_checked(body.len() - rest.len())?;
            (WireType::Varint, value, rest)
        }
        1 => {
            let (value, rest) = body.split_at_checked(8)?;
            (WireType::Fixed64, value, rest)
        }
        2 => {
            let (len, content) = varint(body)?;
            let (value, rest) = content.split_at_checked(usize::try_from(len).ok()?)?;
            (WireType::Len, value, rest)
        }
        3 if groups < MOST_GROUPS => {
            let mut rest = body;
            loop {
                let inner = read(rest, groups + 1)?;
                let after = rest.get(inner.raw.len()..)?;
                if inner.wire_type == WireType::EndGroup {
                    let content = body.get(..body.len() - rest.len()).filter(|_| inner.number == number)?;
                    break (WireType::StartGroup, content, after);
                }
                rest = after;
            }
        }
        4 => (WireType::EndGroup, [].as_slice(), body),
        5 => {
            let (value, rest) = body.split_at_checked(4)?;
            (WireType::Fixed32, value, rest)
        }
        _ => return None,
    };
    Some(Record { number, wire_type, value, raw: bytes.get(..bytes.len() - rest.len())? })
}

/// A varint, and what follows it.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if place == 9 && part > 1 {
            return None;
        }
        value |= part << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number) << 3 | wire_type as u64);
}

/// A string, bytes or message field.
pub(crate) fn put_len(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_tag(out, number, WireType::Len);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// A message as a field: behind a length, or as a group.
pub(crate) fn put_message(out: &mut Vec<u8>, number: u32, delimited: bool, content: &[u8]) {
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
            prop_assert_eq!(varint(&bytes), Some((value, &[9_u8][..])));
        }

        #[test]
        fn no_bytes_panic_and_records_never_overlap(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let raw: usize = records(&bytes).filter_map(Result::ok).map(|record| record.raw.len()).sum();
            prop_assert!(raw <= bytes.len());
        }
    }
}
