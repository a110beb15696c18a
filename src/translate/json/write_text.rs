//! Strings and numbers as JSON text. Escapes what must be escaped and nothing else.

use super::base64;
use super::string::{plain_ascii_prefix, plain_prefix};
use super::wire::{Malformed, Span, WireType, WireValue, unzigzag, wire_type};
use super::write::WriteOptions;
use crate::schema::{FieldKind, Messages};

/// Appends a string in quotes.
pub(super) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    put_rest(text.as_bytes(), out);
}

/// Appends what is left of a string, and the quote behind it.
fn put_rest(mut rest: &[u8], out: &mut Vec<u8>) {
    loop {
        let (plain, special) = rest.split_at_checked(plain_prefix(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

/// Appends a string on the wire, in quotes. While it is ASCII, looking for what must be escaped tells that it is UTF-8, too.
pub(super) fn put_text(span: Span, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut rest = span.of(wire);
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at_checked(plain_ascii_prefix(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        match special.split_first() {
            None => break,
            Some((0x80.., _)) => {
                // All before was ASCII, so no character is torn.
                let start = span.start() + (span.of(wire).len() - special.len());
                utf8(Span::new(start, start + special.len()), wire)?;
                put_rest(special, out);
                return Ok(());
            }
            Some((&byte, after)) => {
                escape(byte, out);
                rest = after;
            }
        }
    }
    out.push(b'"');
    Ok(())
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        8 => out.extend_from_slice(b"\\b"),
        12 => out.extend_from_slice(b"\\f"),
        _ => {
            let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

/// Appends an integer, in quotes or not.
pub(super) fn put_integer(value: impl itoa::Integer, quoted: bool, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    if quoted {
        out.push(b'"');
    }
    out.extend_from_slice(buffer.format(value).as_bytes());
    if quoted {
        out.push(b'"');
    }
}

/// Appends the shortest text that reads back as the same number, without `.0`; infinities and NaN as strings.
pub(super) fn put_float<F: zmij::Float + Copy + Into<f64>>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else {
        let word: &[u8] = if wide.is_nan() {
            b"\"NaN\""
        } else if wide > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(word);
    }
}

/// The value of a field that is not there.
pub(super) fn zero(kind: FieldKind) -> WireValue {
    match wire_type(kind) {
        WireType::Fixed64 => WireValue::Fixed64(0),
        WireType::Fixed32 => WireValue::Fixed32(0),
        WireType::Len | WireType::StartGroup | WireType::EndGroup => WireValue::Len(Span::new(0, 0)),
        WireType::Varint => WireValue::Varint(0),
    }
}

/// Whether a value is the zero of its type. Bits beyond the width of the type do not count.
#[inline]
pub(super) fn is_zero(kind: FieldKind, value: WireValue) -> bool {
    match value {
        WireValue::Varint(value) => match kind {
            FieldKind::Int32 | FieldKind::Uint32 | FieldKind::Sint32 | FieldKind::Enum(_) => value as u32 == 0,
            _ => value == 0,
        },
        WireValue::Fixed64(value) => value == 0,
        WireValue::Fixed32(value) => value == 0,
        WireValue::Len(span) | WireValue::Group(span) => span.is_empty(),
    }
}

/// The text of a string on the wire.
pub(super) fn utf8(span: Span, wire: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(span.of(wire)).map_err(|error| Malformed {
        offset: span.start() + error.valid_up_to(),
        message: "a string that is not UTF-8",
    })
}

/// Appends a scalar. The value has the wire type of the kind.
pub(super) fn put_scalar(
    messages: &Messages,
    options: &WriteOptions,
    kind: FieldKind,
    value: WireValue,
    wire: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    match value {
        WireValue::Varint(value) => match kind {
            FieldKind::Int32 => put_integer(value as i32, false, out),
            FieldKind::Int64 => put_integer(value as i64, true, out),
            FieldKind::Uint32 => put_integer(value as u32, false, out),
            FieldKind::Sint32 => put_integer(unzigzag(value & u64::from(u32::MAX)) as i32, false, out),
            FieldKind::Sint64 => put_integer(unzigzag(value), true, out),
            FieldKind::Bool => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
            FieldKind::Enum(id) => {
                let enumeration = messages.enumeration(id);
                match enumeration.name(value as i32) {
                    _ if enumeration.is_null_value => out.extend_from_slice(b"null"),
                    Some(name) if !options.enums_as_ints => put_string(name, out),
                    _ => put_integer(value as i32, false, out),
                }
            }
            _ => put_integer(value, true, out),
        },
        WireValue::Fixed64(value) => match kind {
            FieldKind::Double => put_float(f64::from_bits(value), out),
            FieldKind::Sfixed64 => put_integer(value as i64, true, out),
            _ => put_integer(value, true, out),
        },
        WireValue::Fixed32(value) => match kind {
            FieldKind::Float => put_float(f32::from_bits(value), out),
            FieldKind::Sfixed32 => put_integer(value as i32, false, out),
            _ => put_integer(value, false, out),
        },
        WireValue::Len(span) | WireValue::Group(span) => match kind {
            FieldKind::String => put_text(span, wire, out)?,
            _ => {
                out.push(b'"');
                base64::encode(span.of(wire), out);
                out.push(b'"');
            }
        },
    }
    Ok(())
}
