//! A field from plain text: query parameters and captures of a path. The text has no quotes, so the type decides alone what it
//! means; numbers and bools are read as leniently as Envoy's transcoder reads them, since URLs are typed by hand.

use std::borrow::Cow;

use super::base64;
use super::field_mask::Case;
use super::place::{JsonError, excerpt};
use super::read_scalar::{Scalar, number};
use super::read_well_known::{put_field_mask, put_instant, wrapped};
use super::time;
use super::wire::{WireType, begin_length, end_length, put_field_tag, put_tag, put_varint, wire_type};
use crate::schema::{Cardinality, EnumId, Field, FieldKind, Messages, WellKnown};

/// Appends a field, tag and value, from its text. Of a repeated field, this is one element more.
///
/// # Errors
/// The text does not fit the field's type, or no text can: maps, and messages other than wrappers, `Timestamp`, `Duration`,
/// `FieldMask` and `Value` (which takes any text as a string). `out` is then as it was.
pub fn scalar_from_text(messages: &Messages, field: &Field, text: &str, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let start = out.len();
    put(messages, field, text, out).map_err(|why| {
        out.truncate(start);
        JsonError::new(0, format!("{:?} is {why}", excerpt(text))).in_key(&field.name)
    })
}

fn put(messages: &Messages, field: &Field, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if matches!(field.cardinality, Cardinality::Map { .. }) {
        return Err("text, and no text can be a map".into());
    }
    put_field_tag(field, out);
    let FieldKind::Message(id) = field.kind else { return put_scalar(messages, field.kind, text, out) };
    let message = messages.get(id);
    let Some(well_known) = message.well_known else { return Err(format!("text, and not a {}", message.full_name)) };
    let start = begin_length(out);
    put_message(messages, well_known, text, out)?;
    end_length(start, out);
    Ok(())
}

fn put_message(messages: &Messages, well_known: WellKnown, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    match well_known {
        WellKnown::Timestamp => {
            let parsed = time::parse_timestamp(text);
            put_instant(parsed.ok_or("not a timestamp like 2024-02-29T12:34:56.789Z in range")?, out);
        }
        WellKnown::Duration => {
            let parsed = time::parse_duration(text);
            put_instant(parsed.ok_or("not a duration like 1.5s in range")?, out);
        }
        WellKnown::FieldMask => put_field_mask(text, Case::Either, out).ok_or("not a field mask like a.fooBar,b")?,
        WellKnown::Value => {
            put_tag(3, WireType::Len, out);
            put_scalar(messages, FieldKind::String, text, out)?;
        }
        _ => {
            let kind = wrapped(well_known).ok_or("text, and its type can only be given in a body")?;
            put_tag(1, wire_type(kind), out);
            put_scalar(messages, kind, text, out)?;
        }
    }
    Ok(())
}

fn put_scalar(messages: &Messages, kind: FieldKind, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        FieldKind::String => {
            put_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        FieldKind::Bytes => {
            let start = begin_length(out);
            base64::decode(text, out).ok_or("not base64")?;
            end_length(start, out);
        }
        FieldKind::Bool => {
            let value = parse_bool(text).ok_or("neither true nor false")?;
            Scalar::Varint(u64::from(value)).put(out);
        }
        FieldKind::Enum(id) => {
            enumeration(messages, id, text)?.put(out);
        }
        _ => {
            number(kind, &plain_number(text))?.put(out);
        }
    }
    Ok(())
}

fn enumeration(messages: &Messages, id: EnumId, text: &str) -> Result<Scalar, String> {
    let enumeration = messages.enumeration(id);
    if let Some(number) = enumeration.number(text) {
        return Ok(Scalar::Varint(i64::from(number) as u64));
    }
    if enumeration.is_null_value && text == "null" {
        return Ok(Scalar::Varint(0));
    }
    match number(FieldKind::Enum(id), &plain_number(text)) {
        Ok(scalar) if !enumeration.is_null_value || scalar == Scalar::Varint(0) => Ok(scalar),
        _ => Err(format!("no value of {}", enumeration.full_name)),
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// As JSON would write it: without a plus or leading zeros, which people write in URLs.
fn plain_number(text: &str) -> Cow<'_, str> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let significant = digits.trim_start_matches('0');
    let starts_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    match digits.len() - significant.len() {
        _ if !starts_with_digit(digits) => Cow::Borrowed(text),
        0 => Cow::Owned(format!("{sign}{digits}")),
        _ if starts_with_digit(significant) => Cow::Owned(format!("{sign}{significant}")),
        _ => Cow::Owned(format!("{sign}0{significant}")),
    }
}
