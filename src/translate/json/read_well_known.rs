//! The messages with a JSON form of their own, from JSON. Their field numbers are those of google/protobuf/*.proto, which cannot
//! change any more; the schema's own copy is not asked.

use super::any::{TYPE_KEY, type_name};
use super::field_mask::{self, Case};

use super::keys::Keys;
use super::place::{JsonError, excerpt};
use super::read::{Reader, Written};
use super::read_scalar::{Scalar, double};
use super::string::RawString;
use super::time::{self, Instant};
use super::wire::{WireType, begin_length, end_length, put_tag, put_varint, wire_type};
use crate::schema::{FieldKind, MessageId, WellKnown};

/// The kind that a wrapper wraps.
pub(super) fn wrapped(well_known: WellKnown) -> Option<FieldKind> {
    Some(match well_known {
        WellKnown::DoubleWrapper => FieldKind::Double,
        WellKnown::FloatWrapper => FieldKind::Float,
        WellKnown::Int64Wrapper => FieldKind::Int64,
        WellKnown::Uint64Wrapper => FieldKind::Uint64,
        WellKnown::Int32Wrapper => FieldKind::Int32,
        WellKnown::Uint32Wrapper => FieldKind::Uint32,
        WellKnown::BoolWrapper => FieldKind::Bool,
        WellKnown::StringWrapper => FieldKind::String,
        WellKnown::BytesWrapper => FieldKind::Bytes,
        WellKnown::Timestamp
        | WellKnown::Duration
        | WellKnown::FieldMask
        | WellKnown::Struct
        | WellKnown::Value
        | WellKnown::ListValue
        | WellKnown::Any
        | WellKnown::Empty
        | WellKnown::HttpBody => return None,
    })
}

/// Whether inside an Any its JSON form stands under `"value"`: it is not an object of its own fields.
pub(super) fn has_own_form(well_known: Option<WellKnown>) -> bool {
    !matches!(well_known, None | Some(WellKnown::Empty | WellKnown::HttpBody))
}

/// Writes a timestamp's or a duration's fields.
pub(super) fn put_instant(time: Instant, out: &mut Vec<u8>) {
    for (number, value) in [(1, time.seconds), (2, i64::from(time.nanos))] {
        if value != 0 {
            put_tag(number, WireType::Varint, out);
            put_varint(value as u64, out);
        }
    }
}

/// Writes a field mask's paths; `None` where the text is no field mask.
pub(super) fn put_field_mask(text: &str, case: Case, out: &mut Vec<u8>) -> Option<()> {
    for path in field_mask::paths(text, case) {
        let path = path?;
        put_tag(1, WireType::Len, out);
        put_varint(path.len() as u64, out);
        out.extend_from_slice(path.as_bytes());
    }
    Some(())
}

impl<'a> Reader<'a, '_> {
    pub(super) fn well_known(&mut self, well_known: WellKnown) -> Result<(), JsonError> {
        match well_known {
            WellKnown::Timestamp => self.instant(time::parse_timestamp, "a timestamp like 2024-02-29T12:34:56.789Z"),
            WellKnown::Duration => self.instant(time::parse_duration, "a duration like 1.5s"),
            WellKnown::FieldMask => self.field_mask(),
            WellKnown::Struct => self.structure(),
            WellKnown::Value => self.dynamic(),
            WellKnown::ListValue => self.list(),
            WellKnown::Any => self.any(),
            WellKnown::DoubleWrapper
            | WellKnown::FloatWrapper
            | WellKnown::Int64Wrapper
            | WellKnown::Uint64Wrapper
            | WellKnown::Int32Wrapper
            | WellKnown::Uint32Wrapper
            | WellKnown::BoolWrapper
            | WellKnown::StringWrapper
            | WellKnown::BytesWrapper => self.wrapper(wrapped(well_known).unwrap_or(FieldKind::Bytes)),
            WellKnown::Empty | WellKnown::HttpBody => Err(self.lexer.unexpected("an ordinary message")),
        }
    }

    fn text(&mut self, expected: &str) -> Result<RawString<'a>, JsonError> {
        if self.lexer.peek()? == b'"' { self.lexer.string() } else { Err(self.lexer.unexpected(expected)) }
    }

    fn instant(&mut self, parse: fn(&str) -> Option<Instant>, expected: &str) -> Result<(), JsonError> {
        let raw = self.text(expected)?;
        let text = raw.cow()?;
        let fail = || JsonError::new(raw.offset(), format!("expected {expected} in range, found {:?}", excerpt(&text)));
        put_instant(parse(&text).ok_or_else(fail)?, self.out);
        Ok(())
    }

    fn field_mask(&mut self) -> Result<(), JsonError> {
        let raw = self.text("a field mask like a.fooBar,b")?;
        let text = raw.cow()?;
        let fail = || JsonError::new(raw.offset(), format!("{:?} is not a field mask in camelCase", excerpt(&text)));
        put_field_mask(&text, Case::Camel, self.out).ok_or_else(fail)
    }

    fn wrapper(&mut self, kind: FieldKind) -> Result<(), JsonError> {
        let start = self.out.len();
        put_tag(1, wire_type(kind), self.out);
        if self.scalar(kind)? != Written::Value {
            self.out.truncate(start);
        }
        Ok(())
    }

    /// `google.protobuf.Value`: any JSON value.
    fn dynamic(&mut self) -> Result<(), JsonError> {
        match self.lexer.peek()? {
            b'n' => {
                self.lexer.null()?;
                put_tag(1, WireType::Varint, self.out);
                self.out.push(0);
            }
            b't' | b'f' => {
                let value = self.lexer.bool()?;
                put_tag(4, WireType::Varint, self.out);
                self.out.push(u8::from(value));
            }
            b'"' => {
                put_tag(3, WireType::Len, self.out);
                self.scalar(FieldKind::String)?;
            }
            b'{' => self.nested(5, Self::structure)?,
            b'[' => self.nested(6, Self::list)?,
            _ => {
                let start = self.lexer.offset();
                let text = self.lexer.number()?;
                let value = double(text).map_err(|why| JsonError::new(start, format!("{} is {why}", excerpt(text))))?;
                put_tag(2, WireType::Fixed64, self.out);
                Scalar::Fixed64(value.to_bits()).put(self.out);
            }
        }
        Ok(())
    }

    fn nested(&mut self, number: u32, read: fn(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        put_tag(number, WireType::Len, self.out);
        let start = begin_length(self.out);
        read(self)?;
        end_length(start, self.out);
        Ok(())
    }

    fn list(&mut self) -> Result<(), JsonError> {
        self.lexer.open_array()?;
        let (mut first, mut index) = (true, 0_usize);
        while self.lexer.element(&mut first)? {
            self.nested(1, Self::dynamic).map_err(|error| error.in_index(index))?;
            index += 1;
        }
        Ok(())
    }

    fn structure(&mut self) -> Result<(), JsonError> {
        self.lexer.open_object()?;
        let (mut first, mut keys) = (true, Keys::new());
        while let Some(raw) = self.lexer.key(&mut first)? {
            let key = raw.cow()?;
            if !keys.insert(key.clone()) {
                return Err(raw.twice());
            }
            put_tag(1, WireType::Len, self.out);
            let start = begin_length(self.out);
            self.put_text(1, FieldKind::String, &key)?;
            self.nested(2, Self::dynamic).map_err(|error| error.in_key(&key))?;
            end_length(start, self.out);
        }
        Ok(())
    }

    /// `{"@type": url, …}`: the fields of that type, or its own form under `"value"`.
    fn any(&mut self) -> Result<(), JsonError> {
        let start = self.lexer;
        let Some(url) = self.types.of_object(start)? else { return self.any_without_type() };
        let known = type_name(&url).and_then(|name| self.messages.by_name(name));
        let fail = || start.fail(format!("the type {:?} is not in the schema", excerpt(&url))).in_key(TYPE_KEY);
        let id = known.ok_or_else(fail)?;
        put_tag(1, WireType::Len, self.out);
        put_varint(url.len() as u64, self.out);
        self.out.extend_from_slice(url.as_bytes());
        let message = self.messages.get(id);
        let before = self.out.len();
        put_tag(2, WireType::Len, self.out);
        let body = begin_length(self.out);
        match message.well_known {
            Some(WellKnown::Empty) => self.any_value(id, true)?,
            well_known if has_own_form(well_known) => self.any_value(id, false)?,
            _ => self.object(message, true)?,
        }
        if self.out.len() == body {
            self.out.truncate(before);
        } else {
            end_length(body, self.out);
        }
        Ok(())
    }

    /// An Any that holds nothing says nothing; one that holds something must say what.
    fn any_without_type(&mut self) -> Result<(), JsonError> {
        self.lexer.open_object()?;
        match self.lexer.key(&mut true)? {
            None => Ok(()),
            Some(key) => Err(JsonError::new(key.offset(), "an Any needs \"@type\"")),
        }
    }

    /// What stands under `"value"`. Only an Empty may lack it: some writers see nothing special in `{}`.
    fn any_value(&mut self, id: MessageId, optional: bool) -> Result<(), JsonError> {
        let start = self.lexer;
        self.lexer.open_object()?;
        let (mut first, mut keys, mut found) = (true, Keys::new(), optional);
        while let Some(raw) = self.lexer.key(&mut first)? {
            let key = raw.cow()?;
            if !keys.insert(key.clone()) {
                return Err(raw.twice());
            }
            match &*key {
                TYPE_KEY => self.lexer.skip_value()?,
                "value" => {
                    self.message(id).map_err(|error| error.in_key("value"))?;
                    found = true;
                }
                _ if self.options.ignore_unknown => self.lexer.skip_value()?,
                _ => {
                    let message = format!("beside \"value\" there is no field {:?}", excerpt(&key));
                    return Err(JsonError::new(raw.offset(), message).in_key(&key));
                }
            }
        }
        if found { Ok(()) } else { Err(start.fail("this Any needs \"value\"")) }
    }
}
