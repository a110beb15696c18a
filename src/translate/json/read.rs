//! JSON to wire format: a descent over the text that writes each field as it is met. Fields therefore stand on the wire in the
//! order of the JSON, which protobuf allows; zero values that say nothing are left out, as every protobuf writer does.

use std::borrow::Cow;

use super::any::{TYPE_KEY, TypeUrls};
use super::decimal;
use super::field_set::FieldSet;
use super::keys::Keys;
use super::lexer::Lexer;
use super::place::{JsonError, excerpt};
use super::string::RawString;
use super::wire::{WireType, begin_length, end_length, put_field_tag, put_tag};
use crate::schema::{Cardinality, Field, FieldKind, Message, MessageId, Messages, WellKnown};

/// How JSON is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Pass over fields, and names of enum values, that the schema does not know. Off by default: a misspelt field that
    /// vanishes is found much later.
    pub ignore_unknown: bool,
}

/// Appends the wire form of the message that a JSON text describes.
///
/// # Errors
/// The text is not JSON, or does not fit the message. `out` then holds a part of the message, to be thrown away.
pub fn to_wire(
    messages: &Messages,
    id: MessageId,
    json: &[u8],
    options: &ReadOptions,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let mut reader = Reader::new(messages, json, options, out)?;
    reader.message(id)?;
    reader.lexer.finish()
}

/// Appends one field, tag and all, whose value is the whole of a JSON text: what `body: "field"` of an HTTP rule asks for.
///
/// # Errors
/// As [`to_wire`].
pub fn field_to_wire(
    messages: &Messages,
    field: &Field,
    json: &[u8],
    options: &ReadOptions,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let mut reader = Reader::new(messages, json, options, out)?;
    reader.field(field)?;
    reader.lexer.finish()
}

pub(super) struct Reader<'a, 'o> {
    pub(super) messages: &'a Messages,
    pub(super) options: ReadOptions,
    pub(super) lexer: Lexer<'a>,
    pub(super) out: &'o mut Vec<u8>,
    pub(super) types: TypeUrls<'a>,
}

/// What a value turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The zero of its type, which a field without presence does not write.
    Zero,
    Value,
    /// Nothing was written: an enum name that the schema does not know, and may be passed over.
    Nothing,
}

/// A map's key, as the type it has.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Integer(bool, u64),
    Bool(bool),
    String(Cow<'a, str>),
}

impl<'a, 'o> Reader<'a, 'o> {
    fn new(
        messages: &'a Messages,
        json: &'a [u8],
        options: &ReadOptions,
        out: &'o mut Vec<u8>,
    ) -> Result<Reader<'a, 'o>, JsonError> {
        let lexer = Lexer::new(json)?;
        Ok(Reader { messages, options: *options, lexer, out, types: TypeUrls::default() })
    }

    /// A message's value, without the length in front of it.
    pub(super) fn message(&mut self, id: MessageId) -> Result<(), JsonError> {
        let message = self.messages.get(id);
        match message.well_known {
            None | Some(WellKnown::Empty | WellKnown::HttpBody) => self.object(message, false),
            Some(well_known) => self.well_known(well_known),
        }
    }

    /// An object whose keys are a message's fields, and `@type` if it stands in an Any.
    pub(super) fn object(&mut self, message: &'a Message, in_any: bool) -> Result<(), JsonError> {
        self.lexer.open_object()?;
        let mut first = true;
        let (mut seen, mut oneofs) = (FieldSet::default(), FieldSet::default());
        let (mut unknown, mut type_seen) = (Keys::new(), false);
        // Most writers keep the schema's order, so the next field is looked at before the name is looked up.
        let mut likely = message.fields().iter();
        while let Some(raw) = self.lexer.key(&mut first)? {
            let key = raw.cow()?;
            let next = likely.clone().next().filter(|field| *field.json_name == *key);
            let Some(field) = next.or_else(|| message.by_json_name(&key)) else {
                if in_any && key == TYPE_KEY && !type_seen {
                    type_seen = true;
                    self.lexer.skip_value()?;
                    continue;
                }
                if type_seen && key == TYPE_KEY || !unknown.insert(key) {
                    return Err(raw.twice());
                }
                self.unknown(message, raw)?;
                continue;
            };
            likely = message.fields().get(field.index as usize + 1..).unwrap_or_default().iter();
            self.member(field, raw, &mut seen, &mut oneofs).map_err(|error| error.in_key(&key))?;
        }
        Ok(())
    }

    fn member(
        &mut self,
        field: &'a Field,
        key: RawString<'a>,
        seen: &mut FieldSet,
        oneofs: &mut FieldSet,
    ) -> Result<(), JsonError> {
        if seen.insert(field.index) {
            return Err(JsonError::new(key.offset(), format!("the field {:?} is given twice", field.name)));
        }
        let Some(oneof) = field.oneof else { return self.field(field).map(|_| ()) };
        let before = oneofs.contains(oneof);
        if self.field(field)? != Written::Nothing {
            oneofs.insert(oneof);
            if before {
                let message = format!("{:?} belongs to a oneof of which another field is set", field.name);
                return Err(JsonError::new(key.offset(), message));
            }
        }
        Ok(())
    }

    fn unknown(&mut self, message: &Message, key: RawString<'a>) -> Result<(), JsonError> {
        if self.options.ignore_unknown {
            return self.lexer.skip_value();
        }
        let message = format!("{} has no field {:?}", message.full_name, excerpt(key.text));
        Err(JsonError::new(key.offset(), message).in_key(key.text))
    }

    /// A field's value, tags and all. `null` is as if it were not there, unless it is what the field can hold.
    pub(super) fn field(&mut self, field: &'a Field) -> Result<Written, JsonError> {
        if self.lexer.peek()? == b'n' && !self.holds_null(field) {
            self.lexer.null()?;
            return Ok(Written::Nothing);
        }
        match field.cardinality {
            Cardinality::Singular { presence } => self.singular(field, presence),
            Cardinality::Repeated { packed: true } => self.packed(field),
            Cardinality::Repeated { packed: false } => self.repeated(field),
            Cardinality::Map { key } => self.map(field, key),
        }
    }

    fn holds_null(&self, field: &Field) -> bool {
        let singular = matches!(field.cardinality, Cardinality::Singular { .. });
        let value = self.messages.well_known(field.kind) == Some(WellKnown::Value);
        singular && (value || self.messages.is_null_value(field.kind))
    }

    fn singular(&mut self, field: &'a Field, presence: bool) -> Result<Written, JsonError> {
        let start = self.out.len();
        put_field_tag(field, self.out);
        let written = self.element(field)?;
        if written == Written::Nothing || (written == Written::Zero && !presence) {
            self.out.truncate(start);
        }
        Ok(written)
    }

    /// What follows the tag.
    fn element(&mut self, field: &'a Field) -> Result<Written, JsonError> {
        match field.kind {
            FieldKind::Message(id) if field.delimited => {
                self.message(id)?;
                put_tag(field.number, WireType::EndGroup, self.out);
                Ok(Written::Value)
            }
            kind => self.value(kind),
        }
    }

    /// An element of a kind, with the length in front of it where it has one.
    pub(super) fn value(&mut self, kind: FieldKind) -> Result<Written, JsonError> {
        let FieldKind::Message(id) = kind else { return self.scalar(kind) };
        let start = begin_length(self.out);
        self.message(id)?;
        end_length(start, self.out);
        Ok(Written::Value)
    }

    fn packed(&mut self, field: &'a Field) -> Result<Written, JsonError> {
        self.lexer.open_array()?;
        let tag = self.out.len();
        put_tag(field.number, WireType::Len, self.out);
        let start = begin_length(self.out);
        let (mut first, mut index) = (true, 0_usize);
        while self.lexer.element(&mut first)? {
            self.scalar(field.kind).map_err(|error| error.in_index(index))?;
            index += 1;
        }
        if self.out.len() == start {
            self.out.truncate(tag);
        } else {
            end_length(start, self.out);
        }
        Ok(Written::Value)
    }

    fn repeated(&mut self, field: &'a Field) -> Result<Written, JsonError> {
        self.lexer.open_array()?;
        let (mut first, mut index) = (true, 0_usize);
        while self.lexer.element(&mut first)? {
            self.singular(field, true).map_err(|error| error.in_index(index))?;
            index += 1;
        }
        Ok(Written::Value)
    }

    fn map(&mut self, field: &'a Field, key_kind: FieldKind) -> Result<Written, JsonError> {
        self.lexer.open_object()?;
        let (mut first, mut keys) = (true, Keys::new());
        while let Some(raw) = self.lexer.key(&mut first)? {
            let text = raw.cow()?;
            let fail = || JsonError::new(raw.offset(), format!("{:?} is no key of this map", excerpt(&text)));
            let key = map_key(key_kind, &text).ok_or_else(fail).map_err(|error| error.in_key(&text))?;
            if !keys.insert(key) {
                return Err(raw.twice());
            }
            let entry = self.out.len();
            put_tag(field.number, WireType::Len, self.out);
            let start = begin_length(self.out);
            self.put_text(1, key_kind, &text)?;
            put_tag(2, super::wire::wire_type(field.kind), self.out);
            if self.value(field.kind).map_err(|error| error.in_key(&text))? == Written::Nothing {
                self.out.truncate(entry);
            } else {
                end_length(start, self.out);
            }
        }
        Ok(Written::Value)
    }
}

/// Keys are compared as what they mean, so that `"1"` and `"1.0"` are one.
fn map_key<'a>(kind: FieldKind, text: &Cow<'a, str>) -> Option<Key<'a>> {
    match kind {
        FieldKind::String => Some(Key::String(text.clone())),
        FieldKind::Bool => match &**text {
            "true" => Some(Key::Bool(true)),
            "false" => Some(Key::Bool(false)),
            _ => None,
        },
        _ => {
            let (negative, magnitude) = decimal::parse(text).ok()?;
            Some(Key::Integer(negative && magnitude != 0, magnitude))
        }
    }
}
