//! Wire format to JSON: each message as an object of its fields, in the order of their numbers.

use smallvec::SmallVec;

use super::MAX_DEPTH;
use super::in_order::{Fields, Order, is_packable};
use super::place::WireError;
use super::wire::{Malformed, Record, Records, Span, WireValue, wire_type};
use super::write_map::Entries;
use super::write_text::{is_zero, put_scalar, put_string, zero};
use crate::schema::{Cardinality, Field, FieldKind, Message, MessageId, Messages, WellKnown};

/// How JSON is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The most bytes of text, and about the most of memory besides. One byte of a packed enum becomes a name as long as its author
    /// liked, and two of an empty message the names of all that it is in.
    pub most: usize,
    /// Write fields without presence even when they hold zero, and empty lists and maps.
    pub always_print_primitive_fields: bool,
    /// Enum values as numbers instead of names.
    pub enums_as_ints: bool,
    /// Field names as the .proto spells them instead of lowerCamelCase.
    pub preserve_proto_names: bool,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions {
            most: usize::MAX,
            always_print_primitive_fields: false,
            enums_as_ints: false,
            preserve_proto_names: false,
        }
    }
}

/// The most bytes of text for a message of up to `message_limit` bytes: more than any string takes whose every byte is escaped, and
/// than numbers take, packed as tightly as they can be, with names of a usual length.
pub fn most_text(message_limit: usize) -> usize {
    message_limit.saturating_mul(8)
}

/// JSON is about twice as long as the wire format; but no message is believed for more than this many bytes before they are there.
const FIRST_ROOM: usize = 64 * 1024;

/// Appends the JSON form of a message on the wire, its fields in the order of their numbers, without whitespace.
///
/// # Errors
/// The bytes are no such message, or JSON has no form for it (a timestamp in the year 20000, an Any of an unknown type), or a longer
/// one than the options allow. `out` then holds a part of the text, to be thrown away.
pub fn from_wire(
    messages: &Messages,
    id: MessageId,
    wire: &[u8],
    options: &WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    out.reserve(wire.len().saturating_mul(2).min(FIRST_ROOM));
    let mut writer = Writer::new(messages, wire, options, out)?;
    writer.write(|writer| writer.message(id, &[Span::new(0, wire.len())]))
}

/// Appends the JSON form of one field of a message on the wire: what `response_body: "field"` of an HTTP rule asks for. A field
/// that is not there is its type's zero, `[]` or `{}`; a message that is not there is `{}`, or `null` if it is one with a JSON
/// form of its own.
///
/// # Errors
/// As [`from_wire`].
pub fn field_from_wire(
    messages: &Messages,
    id: MessageId,
    field: &Field,
    wire: &[u8],
    options: &WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let mut writer = Writer::new(messages, wire, options, out)?;
    writer.write(|writer| writer.only(messages.get(id), field, &[Span::new(0, wire.len())]))
}

#[cold]
pub(super) fn too_long(options: &WriteOptions) -> WireError {
    WireError::new(0, format!("its JSON is over the limit of {} bytes", options.most))
}

pub(super) struct Writer<'a, 'o> {
    pub(super) messages: &'a Messages,
    pub(super) options: WriteOptions,
    pub(super) wire: &'a [u8],
    pub(super) out: &'o mut Vec<u8>,
    /// Where the text is to end at the latest.
    end: usize,
    depth: u32,
    order: Order,
}

/// Where the next member of an object goes.
pub(super) struct Members {
    /// No comma before it.
    pub(super) first: bool,
    /// No name either: the value alone is wanted.
    bare: bool,
}

impl Members {
    /// After a member that has been written already.
    pub(super) fn after_one() -> Members {
        Members { first: false, bare: false }
    }
}

impl From<Malformed> for WireError {
    fn from(malformed: Malformed) -> WireError {
        WireError::new(malformed.offset, malformed.message)
    }
}

impl<'a, 'o> Writer<'a, 'o> {
    fn new(
        messages: &'a Messages,
        wire: &'a [u8],
        options: &WriteOptions,
        out: &'o mut Vec<u8>,
    ) -> Result<Writer<'a, 'o>, WireError> {
        if u32::try_from(wire.len()).is_err() {
            return Err(WireError::new(0, "a message of 4 GiB or more"));
        }
        let end = out.len().saturating_add(options.most);
        Ok(Writer { messages, options: *options, wire, out, end, depth: 0, order: Order::Assumed })
    }

    /// Writes; and, when something is wrong, once more with the order of fields looked over: perhaps it was that alone, and in the
    /// right order a later field takes the place of what is wrong. So nothing costs more than twice.
    fn write(&mut self, mut write: impl FnMut(&mut Self) -> Result<(), WireError>) -> Result<(), WireError> {
        let start = self.out.len();
        let written = write(self).or_else(|_| {
            self.out.truncate(start);
            self.depth = 0;
            self.order = Order::Checked;
            write(self)
        });
        written.and_then(|()| self.check_end())
    }

    /// Holds the text to its limit: asked wherever there may be any number of what follows.
    #[inline]
    pub(super) fn check_end(&self) -> Result<(), WireError> {
        if self.out.len() > self.end { Err(too_long(&self.options)) } else { Ok(()) }
    }

    /// A message, whatever its form.
    pub(super) fn message(&mut self, id: MessageId, parts: &[Span]) -> Result<(), WireError> {
        let message = self.messages.get(id);
        match message.well_known {
            None | Some(WellKnown::Empty | WellKnown::HttpBody) => {
                self.open(b'{', parts)?;
                self.fields(message, parts, &mut Members { first: true, bare: false })?;
                self.close(b'}');
                Ok(())
            }
            Some(well_known) => self.well_known(well_known, parts),
        }
    }

    pub(super) fn open(&mut self, bracket: u8, at: &[Span]) -> Result<(), WireError> {
        if self.depth == MAX_DEPTH {
            let offset = at.first().map_or(0, |span| span.start());
            return Err(WireError::new(offset, format!("more than {MAX_DEPTH} objects and arrays inside each other")));
        }
        self.depth += 1;
        self.out.push(bracket);
        self.check_end()
    }

    pub(super) fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.out.push(bracket);
    }

    /// The members of a message's object.
    pub(super) fn fields(
        &mut self,
        message: &'a Message,
        parts: &[Span],
        members: &mut Members,
    ) -> Result<(), WireError> {
        let always = self.options.always_print_primitive_fields;
        if let ([span], Order::Assumed, false) = (parts, self.order, always) {
            return self.straight(message, *span, members);
        }
        let mut fields = Fields::in_order(self.wire, message, parts, self.order)?;
        let mut unwritten = message.fields().iter();
        while let Some((field, record)) = fields.next()? {
            while always && let Some(before) = unwritten.next().filter(|before| before.index < field.index) {
                self.default(before, members)?;
            }
            self.field(field, record, &mut fields, members).map_err(|error| error.in_key(&field.json_name))?;
        }
        while always && let Some(after) = unwritten.next() {
            self.default(after, members)?;
        }
        Ok(())
    }

    /// One field's value alone.
    fn only(&mut self, message: &'a Message, field: &Field, parts: &[Span]) -> Result<(), WireError> {
        let mut fields = Fields::only(self.wire, message, field, parts)?;
        let start = self.out.len();
        let mut members = Members { first: true, bare: true };
        if let Some((field, record)) = fields.next()? {
            self.field(field, record, &mut fields, &mut members).map_err(|error| error.in_key(&field.json_name))?;
        }
        if self.out.len() == start {
            self.absent(field, &mut members)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &'a Field,
        record: Record,
        fields: &mut Fields<'a, '_>,
        members: &mut Members,
    ) -> Result<(), WireError> {
        match field.cardinality {
            Cardinality::Singular { presence } => self.singular(field, presence, record, fields, members),
            Cardinality::Repeated { .. } => self.repeated(field, record, fields, members),
            Cardinality::Map { key } => {
                let mut entries = Entries::new();
                let mut next = Some(record);
                while let Some(record) = next {
                    if let WireValue::Len(span) = record.value {
                        self.entry(&mut entries, key, span)?;
                    }
                    next = fields.next_of(field)?;
                }
                self.name(field, members);
                self.map(entries, Some(field.kind))
            }
        }
    }

    fn singular(
        &mut self,
        field: &'a Field,
        presence: bool,
        first: Record,
        fields: &mut Fields<'a, '_>,
        members: &mut Members,
    ) -> Result<(), WireError> {
        if let FieldKind::Message(id) = field.kind {
            let mut parts: SmallVec<[Span; 1]> = SmallVec::new();
            let mut next = Some(first);
            while let Some(record) = next {
                if let WireValue::Len(span) | WireValue::Group(span) = record.value {
                    parts.push(span);
                }
                next = fields.next_of(field)?;
            }
            self.name(field, members);
            return self.message(id, &parts);
        }
        let mut value = first.value;
        while let Some(record) = fields.next_of(field)? {
            value = record.value;
        }
        if presence || self.options.always_print_primitive_fields || !is_zero(field.kind, value) {
            self.name(field, members);
            self.scalar(field.kind, value)?;
        }
        Ok(())
    }

    fn repeated(
        &mut self,
        field: &'a Field,
        first: Record,
        fields: &mut Fields<'a, '_>,
        members: &mut Members,
    ) -> Result<(), WireError> {
        let mut index = 0;
        let mut next = Some(first);
        while let Some(record) = next {
            match record.value {
                WireValue::Len(span) if is_packable(field.kind) => {
                    let mut elements = Records::new(self.wire, span);
                    while !elements.is_done() {
                        let value = elements.value(wire_type(field.kind))?;
                        self.element(field, value, &mut index, members)?;
                    }
                }
                value => self.element(field, value, &mut index, members)?,
            }
            next = fields.next_of(field)?;
        }
        if index > 0 {
            self.close(b']');
            return Ok(());
        }
        self.default(field, members).map(|_| ())
    }

    #[inline]
    pub(super) fn element(
        &mut self,
        field: &'a Field,
        value: WireValue,
        index: &mut usize,
        members: &mut Members,
    ) -> Result<(), WireError> {
        if *index > 0 {
            self.out.push(b',');
        } else {
            self.name(field, members);
            self.open(b'[', &[])?;
        }
        self.value(field.kind, value).map_err(|error| error.in_index(*index))?;
        *index += 1;
        self.check_end()
    }

    /// One element of any kind.
    pub(super) fn value(&mut self, kind: FieldKind, value: WireValue) -> Result<(), WireError> {
        match (kind, value) {
            (FieldKind::Message(id), WireValue::Len(span) | WireValue::Group(span)) => self.message(id, &[span]),
            _ => self.scalar(kind, value),
        }
    }

    pub(super) fn scalar(&mut self, kind: FieldKind, value: WireValue) -> Result<(), WireError> {
        Ok(put_scalar(self.messages, &self.options, kind, value, self.wire, self.out)?)
    }

    #[inline]
    pub(super) fn name(&mut self, field: &Field, members: &mut Members) {
        let first = std::mem::take(&mut members.first);
        if members.bare {
            return;
        }
        if self.options.preserve_proto_names {
            if !first {
                self.out.push(b',');
            }
            put_string(&field.name, self.out);
            self.out.push(b':');
            return;
        }
        let behind_another = field.json_member.as_bytes();
        let alone = behind_another.get(1..).unwrap_or_default();
        self.out.extend_from_slice(if first { alone } else { behind_another });
    }

    /// A field that is not there, where those without presence are wanted all the same.
    fn default(&mut self, field: &'a Field, members: &mut Members) -> Result<(), WireError> {
        if self.options.always_print_primitive_fields && !field.has_presence() {
            self.name(field, members);
            self.nothing(field)?;
        }
        Ok(())
    }

    fn absent(&mut self, field: &Field, members: &mut Members) -> Result<(), WireError> {
        self.name(field, members);
        self.nothing(field)
    }

    fn nothing(&mut self, field: &Field) -> Result<(), WireError> {
        let text: &[u8] = match (field.cardinality, field.kind) {
            (Cardinality::Repeated { .. }, _) => b"[]",
            (Cardinality::Map { .. }, _) => b"{}",
            (Cardinality::Singular { .. }, FieldKind::Message(id)) => match self.messages.get(id).well_known {
                None | Some(WellKnown::Empty | WellKnown::HttpBody) => b"{}",
                Some(_) => b"null",
            },
            (Cardinality::Singular { .. }, kind) => return self.scalar(kind, zero(kind)),
        };
        self.out.extend_from_slice(text);
        Ok(())
    }
}
