//! Messages and enums as tables that a transcoder can run on: every reference is an index, every look-up one probe. Built once
//! from a descriptor pool when a schema is loaded, immutable after, so a call reads it without a lock or a reference count.
//!
//! Leans towards speed on the path of a call: building may be slow and names are kept more than once.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax,
};
use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::Type;

use super::well_known::{NULL_VALUE, WellKnown};

// The keys come from the schema, which its operator wrote; a caller can only look names up, so a fixed seed is no weakness.
type Names = HashMap<Box<str>, u32, FixedState>;

/// A message of one [`Messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

impl MessageId {
    /// Its place among the messages of the pool that the schema was compiled from.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// An enum of one [`Messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumId(u32);

impl EnumId {
    /// Its place among the enums of the pool that the schema was compiled from.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every message and enum of a schema. Share it in an `Arc`.
#[derive(Debug)]
pub struct Messages {
    messages: Vec<Message>,
    enums: Vec<Enumeration>,
    message_names: Names,
    // What an id of another schema finds: nothing, and no panic.
    no_message: Message,
    no_enum: Enumeration,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    pub full_name: Box<str>,
    pub well_known: Option<WellKnown>,
    /// In the order of their numbers; [`Field::index`] is the place in it. Extensions are among them, named `[full.name]`.
    fields: Box<[Field]>,
    names: Names,
    // Index + 1 by number, for the numbers that are dense enough; 0 is no field.
    low_numbers: Box<[u16]>,
}

/// One field, or one extension.
#[derive(Clone, Debug)]
pub struct Field {
    pub number: u32,
    /// Its place among [`Message::fields`].
    pub index: u32,
    /// As the .proto says it.
    pub name: Box<str>,
    /// As JSON says it: lowerCamelCase, or the `json_name` option.
    pub json_name: Box<str>,
    /// [`Field::json_name`] as it begins a member of an object that has others before it: a comma, the name in quotes, a colon.
    pub json_member: Box<str>,
    /// What one element is; of a map, what its values are.
    pub kind: FieldKind,
    pub cardinality: Cardinality,
    /// The oneof it belongs to, counted within its message. The invisible oneof of a proto3 `optional` is none.
    pub oneof: Option<u32>,
    /// A message between group tags instead of behind a length: proto2 `group`, or `DELIMITED` in editions.
    pub delimited: bool,
    /// proto2's `required`: whoever reads a message without it refuses the message.
    pub required: bool,
}

/// What an element of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Message(MessageId),
    Enum(EnumId),
}

/// How many elements a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cardinality {
    Singular {
        /// Whether "set to zero" differs from "not set": messages, oneof members, `optional`, and all of proto2.
        presence: bool,
    },
    Repeated {
        /// Whether it is written packed; both forms are read.
        packed: bool,
    },
    Map {
        /// A string, a bool or an integer.
        key: FieldKind,
    },
}

/// One enum.
#[derive(Debug)]
pub struct Enumeration {
    pub full_name: Box<str>,
    /// `google.protobuf.NullValue`, which JSON writes as `null`.
    pub is_null_value: bool,
    numbers: HashMap<i32, Box<str>, FixedState>,
    names: HashMap<Box<str>, i32, FixedState>,
}

impl Messages {
    /// Compiles all of a pool.
    pub fn build(pool: &DescriptorPool) -> Messages {
        let mut message_names = Names::default();
        let mut enum_names = Names::default();
        for (message, id) in pool.all_messages().zip(0..) {
            message_names.insert(message.full_name().into(), id);
        }
        for (enumeration, id) in pool.all_enums().zip(0..) {
            enum_names.insert(enumeration.full_name().into(), id);
        }
        let ids = Ids { messages: &message_names, enums: &enum_names };
        Messages {
            messages: pool.all_messages().map(|message| Message::build(&message, &ids)).collect(),
            enums: pool.all_enums().map(|enumeration| Enumeration::build(&enumeration)).collect(),
            message_names,
            no_message: Message::of("", Vec::new()),
            no_enum: Enumeration::nothing(),
        }
    }

    /// The message of a full name, `pkg.Outer.Inner`, without a leading dot.
    pub fn by_name(&self, full_name: &str) -> Option<MessageId> {
        self.message_names.get(full_name).copied().map(MessageId)
    }

    /// The message of an id. An id that another `Messages` gave out finds an arbitrary message, or one without fields.
    #[inline]
    pub fn get(&self, id: MessageId) -> &Message {
        self.messages.get(id.0 as usize).unwrap_or(&self.no_message)
    }

    /// The enum of an id; as [`Messages::get`] for an id from elsewhere.
    pub fn enumeration(&self, id: EnumId) -> &Enumeration {
        self.enums.get(id.0 as usize).unwrap_or(&self.no_enum)
    }

    /// How a field's element is spoken of in JSON, when its message is a well-known one.
    pub fn well_known(&self, kind: FieldKind) -> Option<WellKnown> {
        match kind {
            FieldKind::Message(id) => self.get(id).well_known,
            _ => None,
        }
    }

    /// Whether a field's element is `google.protobuf.NullValue`.
    pub fn is_null_value(&self, kind: FieldKind) -> bool {
        matches!(kind, FieldKind::Enum(id) if self.enumeration(id).is_null_value)
    }
}

struct Ids<'a> {
    messages: &'a Names,
    enums: &'a Names,
}

impl Ids<'_> {
    fn kind(&self, kind: &Kind) -> FieldKind {
        let id = |names: &Names, name: &str| names.get(name).copied().unwrap_or(u32::MAX);
        match kind {
            Kind::Double => FieldKind::Double,
            Kind::Float => FieldKind::Float,
            Kind::Int32 => FieldKind::Int32,
            Kind::Int64 => FieldKind::Int64,
            Kind::Uint32 => FieldKind::Uint32,
            Kind::Uint64 => FieldKind::Uint64,
            Kind::Sint32 => FieldKind::Sint32,
            Kind::Sint64 => FieldKind::Sint64,
            Kind::Fixed32 => FieldKind::Fixed32,
            Kind::Fixed64 => FieldKind::Fixed64,
            Kind::Sfixed32 => FieldKind::Sfixed32,
            Kind::Sfixed64 => FieldKind::Sfixed64,
            Kind::Bool => FieldKind::Bool,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Message(message) => FieldKind::Message(MessageId(id(self.messages, message.full_name()))),
            Kind::Enum(enumeration) => FieldKind::Enum(EnumId(id(self.enums, enumeration.full_name()))),
        }
    }
}

impl Message {
    /// All fields, in the order of their numbers.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of a number.
    #[inline]
    pub fn by_number(&self, number: u32) -> Option<&Field> {
        match self.low_numbers.get(number as usize) {
            Some(&place) => self.fields.get(usize::from(place).checked_sub(1)?),
            None => {
                let place = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
                self.fields.get(place)
            }
        }
    }

    /// The field that JSON calls so: by its JSON name, else by its name in the .proto.
    pub fn by_json_name(&self, name: &str) -> Option<&Field> {
        self.fields.get(*self.names.get(name)? as usize)
    }

    fn build(message: &MessageDescriptor, ids: &Ids<'_>) -> Message {
        let fields = message.fields().map(|field| Field::build(&field, ids));
        let extensions = message.extensions().map(|extension| Field::build_extension(&extension, ids));
        Message::of(message.full_name(), fields.chain(extensions).collect())
    }

    fn of(full_name: &str, mut fields: Vec<Field>) -> Message {
        fields.sort_by_key(|field| field.number);
        for (field, index) in fields.iter_mut().zip(0..) {
            field.index = index;
        }
        let mut names = Names::default();
        // Should one field's JSON name be another's own name, the JSON name wins: it is what the mapping writes.
        for field in &fields {
            names.entry(field.json_name.clone()).or_insert(field.index);
        }
        for field in &fields {
            names.entry(field.name.clone()).or_insert(field.index);
        }
        let low_numbers = low_numbers(&fields);
        Message {
            full_name: full_name.into(),
            well_known: WellKnown::by_name(full_name),
            fields: fields.into(),
            names,
            low_numbers,
        }
    }
}

/// At most four slots a field (and 64 to begin with): an array for the usual 1, 2, 3, and no 536,870,911 slots for the odd one.
fn low_numbers(fields: &[Field]) -> Box<[u16]> {
    let limit = fields.len().saturating_mul(4).max(64);
    let top = fields.iter().rev().map(|field| field.number as usize).find(|number| *number < limit);
    if fields.len() >= usize::from(u16::MAX) {
        return Box::default();
    }
    let mut slots = vec![0; top.map_or(0, |top| top.saturating_add(1))];
    for (field, place) in fields.iter().zip(1..) {
        if let Some(slot) = slots.get_mut(field.number as usize) {
            *slot = place;
        }
    }
    slots.into()
}

/// Whether a repeated field is written packed. The descriptors' own answer is not asked: it is fixed before the options of a
/// .proto that was compiled here are interpreted, and misses `[packed = …]`.
fn packed(field: &FieldDescriptorProto, syntax: Syntax) -> bool {
    let packable = !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message | Type::Group);
    let option = field.options.as_ref().and_then(|options| options.packed);
    packable && option.unwrap_or(syntax == Syntax::Proto3)
}

fn json_member(name: &str) -> Box<str> {
    format!(",{}:", serde_json::Value::from(name)).into()
}

impl Field {
    fn build(field: &FieldDescriptor, ids: &Ids<'_>) -> Field {
        let (kind, cardinality) = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let key = ids.kind(&entry.map_entry_key_field().kind());
                (ids.kind(&entry.map_entry_value_field().kind()), Cardinality::Map { key })
            }
            kind if field.is_list() => (
                ids.kind(&kind),
                Cardinality::Repeated {
                    packed: packed(field.field_descriptor_proto(), field.parent_message().parent_file().syntax()),
                },
            ),
            kind => (ids.kind(&kind), Cardinality::Singular { presence: field.supports_presence() }),
        };
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).and_then(|oneof| {
            let place = field.parent_message().oneofs().position(|other| other == oneof)?;
            u32::try_from(place).ok()
        });
        Field {
            number: field.number(),
            index: 0,
            name: field.name().into(),
            json_name: field.json_name().into(),
            json_member: json_member(field.json_name()),
            kind,
            cardinality,
            oneof,
            delimited: field.is_group(),
            required: field.cardinality() == prost_reflect::Cardinality::Required,
        }
    }

    fn build_extension(extension: &ExtensionDescriptor, ids: &Ids<'_>) -> Field {
        let kind = ids.kind(&extension.kind());
        let cardinality = if extension.is_list() {
            Cardinality::Repeated {
                packed: packed(extension.field_descriptor_proto(), extension.parent_file().syntax()),
            }
        } else {
            Cardinality::Singular { presence: true }
        };
        let name: Box<str> = format!("[{}]", extension.full_name()).into();
        Field {
            number: extension.number(),
            index: 0,
            json_name: name.clone(),
            json_member: json_member(&name),
            name,
            kind,
            cardinality,
            oneof: None,
            delimited: extension.is_group(),
            required: false,
        }
    }

    /// Whether "set to zero" differs from "not set".
    pub fn has_presence(&self) -> bool {
        matches!(self.cardinality, Cardinality::Singular { presence: true })
    }
}

impl Enumeration {
    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<i32> {
        self.names.get(name).copied()
    }

    /// The name of a number; of several, the first in the .proto.
    pub fn name(&self, number: i32) -> Option<&str> {
        self.numbers.get(&number).map(|name| &**name)
    }

    /// Every name with its number, aliases too, by number and then by name.
    pub fn values(&self) -> Vec<(&str, i32)> {
        let mut values: Vec<(&str, i32)> = self.names.iter().map(|(name, number)| (&**name, *number)).collect();
        values.sort_unstable_by_key(|(name, number)| (*number, *name));
        values
    }

    fn build(enumeration: &EnumDescriptor) -> Enumeration {
        let mut this = Enumeration::nothing();
        this.full_name = enumeration.full_name().into();
        this.is_null_value = enumeration.full_name() == NULL_VALUE;
        // The descriptor's own list, since the values of a pool are sorted and an alias could come before the first name.
        for value in &enumeration.enum_descriptor_proto().value {
            let (name, number): (Box<str>, i32) = (value.name().into(), value.number());
            this.numbers.entry(number).or_insert_with(|| name.clone());
            this.names.insert(name, number);
        }
        this
    }

    fn nothing() -> Enumeration {
        Enumeration {
            full_name: "".into(),
            is_null_value: false,
            numbers: HashMap::default(),
            names: HashMap::default(),
        }
    }
}

#[cfg(test)]
mod tests;
