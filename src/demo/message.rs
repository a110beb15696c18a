//! Protobuf's wire format as far as the demo servlet needs it, written by hand, so that the demo shares no code with the translation
//! that it shows: <https://protobuf.dev/programming-guides/encoding>.

/// A message being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A number of any integer or enum type; the default, 0, is left out.
    pub(super) fn number(mut self, field: u32, value: i64) -> Writer {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value as u64); // negative numbers are ten bytes, as the format has it
        }
        self
    }

    /// A string; the default, an empty one, is left out.
    pub(super) fn text(self, field: u32, value: &str) -> Writer {
        if value.is_empty() { self } else { self.bytes(field, value.as_bytes()) }
    }

    /// A message within this one.
    pub(super) fn message(self, field: u32, value: &Writer) -> Writer {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Writer {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field's value as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    /// Of a fixed size: nothing in the demo's messages.
    Fixed,
}

/// The fields of a message, in the order in which they came.
///
/// # Errors
/// What is not a message.
pub(super) fn fields(mut message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        let (value, rest) = match key & 7 {
            0 => varint(rest).map(|(number, rest)| (Value::Number(number as i64), rest))?,
            1 => (Value::Fixed, rest.get(8..).ok_or(Malformed)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let (bytes, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
                (Value::Bytes(bytes), rest)
            }
            5 => (Value::Fixed, rest.get(4..).ok_or(Malformed)?),
            _ => return Err(Malformed),
        };
        if key >> 3 == 0 {
            return Err(Malformed);
        }
        fields.push((key >> 3, value));
        message = rest;
    }
    Ok(fields)
}

/// Bytes that are no protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The last text of that number; empty when there is none, as in proto3.
///
/// # Errors
/// When it is not UTF-8.
pub(super) fn text(fields: &[(u64, Value<'_>)], number: u64) -> Result<String, Malformed> {
    let value = fields.iter().rev().find_map(|(field, value)| match value {
        Value::Bytes(bytes) if *field == number => Some(*bytes),
        _ => None,
    });
    String::from_utf8(value.unwrap_or_default().to_vec()).map_err(|_| Malformed)
}

/// The last number of that field, cut to 32 bits as the format has it; 0 when there is none.
pub(super) fn number(fields: &[(u64, Value<'_>)], number: u64) -> i32 {
    let value = fields.iter().rev().find_map(|(field, value)| match value {
        Value::Number(value) if *field == number => Some(*value as i32),
        _ => None,
    });
    value.unwrap_or_default()
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_formats_own_examples_are_written_and_read() {
        // protobuf.dev: `a = 150` and `b = "testing"`.
        let message = Writer::default().number(1, 150).text(2, "testing").into_bytes();
        assert_eq!(message, [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing"].concat());
        let fields = fields(&message).unwrap();
        assert_eq!((number(&fields, 1), text(&fields, 2)), (150, Ok("testing".to_owned())));
        assert_eq!((number(&fields, 9), text(&fields, 9)), (0, Ok(String::new())));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [&[u8]; 8] = [
            &[0x08],
            &[0x12, 0x05, b'a'],
            &[0x0b],
            &[0x09, 1, 2],
            &[0x0d, 1],
            &[0x00, 0x01],
            &[0x80; 11],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ];
        for bytes in cases {
            assert_eq!(fields(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a: i32, b in ".*") {
            let message = Writer::default().number(3, i64::from(a)).text(4, &b).into_bytes();
            let fields = fields(&message).unwrap();
            prop_assert_eq!(number(&fields, 3), a);
            prop_assert_eq!(text(&fields, 4), Ok(b));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = fields(&bytes);
        }
    }
}
