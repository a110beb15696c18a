//! Scalars from JSON: what each protobuf type takes, and how it stands on the wire. A number is never rounded into an integer
//! and never clipped: what does not fit is refused.

use super::base64;
use super::decimal::{self, NotInteger};
use super::lexer::number_length;
use super::place::{JsonError, excerpt};
use super::read::{Reader, Written};
use super::wire::{begin_length, end_length, put_tag, put_varint, wire_type, zigzag};
use crate::schema::{EnumId, FieldKind};

/// A scalar by type, ready to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl Scalar {
    pub(super) fn put(self, out: &mut Vec<u8>) -> Written {
        let zero = match self {
            Scalar::Varint(value) => {
                put_varint(value, out);
                value == 0
            }
            Scalar::Fixed32(value) => {
                out.extend_from_slice(&value.to_le_bytes());
                value == 0
            }
            Scalar::Fixed64(value) => {
                out.extend_from_slice(&value.to_le_bytes());
                value == 0
            }
        };
        if zero { Written::Zero } else { Written::Value }
    }
}

/// A number from text, exactly or not at all. The text may be anything, and is a number by JSON's grammar or one of the three
/// words for a float that JSON has no number for.
pub(super) fn number(kind: FieldKind, text: &str) -> Result<Scalar, &'static str> {
    const RANGE: &str = "out of the range of its type";
    let integer = || match decimal::parse(text) {
        Ok(integer) => Ok(integer),
        Err(NotInteger::Malformed) => Err("not an integer"),
        Err(NotInteger::Fraction) => Err("not an integer: it has a fraction"),
        Err(NotInteger::TooLarge) => Err(RANGE),
    };
    let unsigned = |limit: u64| match integer()? {
        (true, 1..) => Err("negative, and its type has no sign"),
        (_, magnitude) if magnitude > limit => Err(RANGE),
        (_, magnitude) => Ok(magnitude),
    };
    let signed = |limit: u64| match integer()? {
        (true, magnitude) if magnitude <= limit => Ok(magnitude.wrapping_neg() as i64),
        (false, magnitude) if magnitude < limit => Ok(magnitude as i64),
        _ => Err(RANGE),
    };
    const HALF32: u64 = 1 << 31;
    const HALF64: u64 = 1 << 63;
    Ok(match kind {
        FieldKind::Double => Scalar::Fixed64(double(text)?.to_bits()),
        FieldKind::Float => Scalar::Fixed32(float(text)?.to_bits()),
        FieldKind::Int32 | FieldKind::Enum(_) => Scalar::Varint(signed(HALF32)? as u64),
        FieldKind::Int64 => Scalar::Varint(signed(HALF64)? as u64),
        FieldKind::Uint32 => Scalar::Varint(unsigned(u64::from(u32::MAX))?),
        FieldKind::Uint64 => Scalar::Varint(unsigned(u64::MAX)?),
        FieldKind::Sint32 => Scalar::Varint(zigzag(signed(HALF32)?)),
        FieldKind::Sint64 => Scalar::Varint(zigzag(signed(HALF64)?)),
        FieldKind::Fixed32 => Scalar::Fixed32(unsigned(u64::from(u32::MAX))? as u32),
        FieldKind::Fixed64 => Scalar::Fixed64(unsigned(u64::MAX)?),
        FieldKind::Sfixed32 => Scalar::Fixed32(signed(HALF32)? as u32),
        FieldKind::Sfixed64 => Scalar::Fixed64(signed(HALF64)? as u64),
        FieldKind::Bool | FieldKind::String | FieldKind::Bytes | FieldKind::Message(_) => return Err("not a number"),
    })
}

pub(super) fn double(text: &str) -> Result<f64, &'static str> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ if number_length(text.as_bytes()) != Some(text.len()) => return Err("not a number"),
        _ => {}
    }
    let value: f64 = text.parse().map_err(|_| "not a number")?;
    if value.is_finite() { Ok(value) } else { Err("out of the range of its type") }
}

fn float(text: &str) -> Result<f32, &'static str> {
    let wide = double(text)?;
    if !wide.is_finite() {
        return Ok(wide as f32);
    }
    // From the text, not from the double: two roundings can differ from one.
    let value: f32 = text.parse().map_err(|_| "not a number")?;
    if value.is_finite() { Ok(value) } else { Err("out of the range of its type") }
}

impl Reader<'_, '_> {
    /// A scalar, with the length in front of it where it has one.
    pub(super) fn scalar(&mut self, kind: FieldKind) -> Result<Written, JsonError> {
        match kind {
            FieldKind::Bool => Ok(Scalar::Varint(u64::from(self.lexer.bool()?)).put(self.out)),
            FieldKind::String => self.string(),
            FieldKind::Bytes => self.bytes(),
            FieldKind::Enum(id) => self.enumeration(id),
            // Reached by no schema: a message is no scalar.
            FieldKind::Message(_) => Err(self.lexer.unexpected("a scalar")),
            _ => self.number(kind),
        }
    }

    fn string(&mut self) -> Result<Written, JsonError> {
        let raw = self.lexer.string()?;
        if raw.is_escaped() {
            let start = begin_length(self.out);
            raw.append(self.out)?;
            end_length(start, self.out);
        } else {
            put_varint(raw.text.len() as u64, self.out);
            self.out.extend_from_slice(raw.text.as_bytes());
        }
        Ok(if raw.text.is_empty() { Written::Zero } else { Written::Value })
    }

    fn bytes(&mut self) -> Result<Written, JsonError> {
        let raw = self.lexer.string()?;
        let text = raw.cow()?;
        let start = begin_length(self.out);
        base64::decode(&text, self.out).ok_or_else(|| JsonError::new(raw.offset(), "not base64"))?;
        let empty = self.out.len() == start;
        end_length(start, self.out);
        Ok(if empty { Written::Zero } else { Written::Value })
    }

    fn number(&mut self, kind: FieldKind) -> Result<Written, JsonError> {
        let scalar = match self.lexer.peek()? {
            b'"' => {
                let raw = self.lexer.string()?;
                let text = raw.cow()?;
                number(kind, &text)
                    .map_err(|why| JsonError::new(raw.offset(), format!("{:?} is {why}", excerpt(&text))))?
            }
            _ => {
                let start = self.lexer.offset();
                let text = self.lexer.number()?;
                number(kind, text).map_err(|why| JsonError::new(start, format!("{} is {why}", excerpt(text))))?
            }
        };
        Ok(scalar.put(self.out))
    }

    fn enumeration(&mut self, id: EnumId) -> Result<Written, JsonError> {
        let enumeration = self.messages.enumeration(id);
        match self.lexer.peek()? {
            b'"' => {
                let raw = self.lexer.string()?;
                let name = raw.cow()?;
                match enumeration.number(&name) {
                    Some(number) => Ok(Scalar::Varint(i64::from(number) as u64).put(self.out)),
                    None if self.options.ignore_unknown => Ok(Written::Nothing),
                    None => {
                        let message = format!("{} has no value {:?}", enumeration.full_name, excerpt(&name));
                        Err(JsonError::new(raw.offset(), message))
                    }
                }
            }
            b'n' if enumeration.is_null_value => {
                self.lexer.null()?;
                Ok(Scalar::Varint(0).put(self.out))
            }
            b'-' | b'0'..=b'9' => {
                let start = self.lexer.offset();
                let written = self.number(FieldKind::Enum(id))?;
                if enumeration.is_null_value && written != Written::Zero {
                    return Err(JsonError::new(start, "null has no number but 0"));
                }
                Ok(written)
            }
            _ => Err(self.lexer.unexpected("the name or number of an enum value")),
        }
    }

    /// A field whose value is a text that has been looked at already: the key of a map.
    pub(super) fn put_text(&mut self, number: u32, kind: FieldKind, text: &str) -> Result<(), JsonError> {
        put_text(number, kind, text, self.out).map_err(|why| self.lexer.fail(format!("{:?} is {why}", excerpt(text))))
    }
}

/// Writes a string, a bool or a number, tag and all, from its plain text.
pub(super) fn put_text(number: u32, kind: FieldKind, text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    put_tag(number, wire_type(kind), out);
    match kind {
        FieldKind::String => {
            put_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        FieldKind::Bool => {
            Scalar::Varint(u64::from(text == "true")).put(out);
        }
        _ => {
            self::number(kind, text)?.put(out);
        }
    }
    Ok(())
}
