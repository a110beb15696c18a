//! Types of fields: which may take each other's place on the wire, and which look the same in JSON.
//!
//! The wire goes by "Updating A Message Type": classes of types that read each other's bytes. JSON goes by what is written and what is
//! taken: a number and a string of digits are two forms, and a type that refuses what another took is no replacement for it.

use super::super::message::{Cardinality, Field, FieldKind, MessageId, Messages};
use super::super::well_known::WellKnown;
use super::{Breaks, Comparison};

impl Comparison<'_> {
    /// Whom a field's new type breaks. Messages and enums that take each other's place are put down to be compared.
    pub(super) fn types(&mut self, was: &Field, is: &Field) -> Breaks {
        use Cardinality::{Map, Repeated, Singular};
        let elements = self.elements(was.kind, is.kind);
        match (was.cardinality, is.cardinality) {
            (Singular { .. }, Singular { .. }) | (Repeated { .. }, Repeated { .. }) => elements,
            (Map { key: was }, Map { key: is }) => {
                elements.and(Breaks { json: !json_takes_key(was, is), wire: !wire(was, is) })
            }
            // Numbers are packed when repeated, which one who expects a single one cannot read.
            (Singular { .. }, Repeated { .. }) | (Repeated { .. }, Singular { .. }) => {
                let packable = |kind| !matches!(kind, FieldKind::String | FieldKind::Bytes | FieldKind::Message(_));
                Breaks { json: true, wire: elements.wire || packable(was.kind) || packable(is.kind) }
            }
            // A map is a repeated message of a key and a value.
            (Map { key }, Repeated { .. }) => self.entries(self.new.messages(), is.kind, (key, was.kind)),
            (Repeated { .. }, Map { key }) => self.entries(self.old.messages(), was.kind, (key, is.kind)),
            (Map { .. }, Singular { .. }) | (Singular { .. }, Map { .. }) => Breaks::BOTH,
        }
    }

    fn entries(&self, messages: &Messages, list: FieldKind, (key, value): (FieldKind, FieldKind)) -> Breaks {
        let FieldKind::Message(id) = list else { return Breaks::BOTH };
        let entry = messages.get(id);
        let fits = |number, kind: FieldKind| {
            let same = |field: &Field| match (field.kind, kind) {
                // In two schemas, their types are not followed any further.
                (FieldKind::Message(_), FieldKind::Message(_)) | (FieldKind::Enum(_), FieldKind::Enum(_)) => true,
                (one, other) => wire(one, other),
            };
            entry
                .by_number(number)
                .is_some_and(|field| same(field) && matches!(field.cardinality, Cardinality::Singular { .. }))
        };
        Breaks { json: true, wire: !(fits(1, key) && fits(2, value)) }
    }

    fn elements(&mut self, was: FieldKind, is: FieldKind) -> Breaks {
        match (was, is) {
            (FieldKind::Message(old), FieldKind::Message(new)) => self.message_types(old, new),
            (FieldKind::Enum(old), FieldKind::Enum(new)) => {
                let null = |messages: &Messages, kind| messages.is_null_value(kind);
                if null(self.old.messages(), was) != null(self.new.messages(), is) {
                    return Breaks::JSON;
                }
                self.enums.add(old, new);
                Breaks::NOBODY
            }
            _ => {
                let form = |messages: &Messages, kind| messages.well_known(kind).and_then(wrapped).unwrap_or(kind);
                let (old, new) = (form(self.old.messages(), was), form(self.new.messages(), is));
                Breaks { json: !json_takes(old, new), wire: !wire(was, is) }
            }
        }
    }

    /// Whom it breaks that one message stands for another, before any of their fields is looked at.
    pub(super) fn message_types(&mut self, old: MessageId, new: MessageId) -> Breaks {
        let (was, is) = (self.old.messages().get(old).well_known, self.new.messages().get(new).well_known);
        match (was, is) {
            (None, None) => {
                self.messages.add(old, new);
                Breaks::NOBODY
            }
            (Some(was), Some(is)) if was == is => Breaks::NOBODY,
            (Some(was), Some(is)) => match (wrapped(was), wrapped(is)) {
                (Some(was), Some(is)) => Breaks { json: !json_takes(was, is), wire: !wire(was, is) },
                _ => Breaks::BOTH,
            },
            (Some(_), None) | (None, Some(_)) => Breaks::BOTH,
        }
    }
}

/// Types that read each other's bytes.
#[derive(PartialEq, Eq)]
enum Wire {
    Varint,
    ZigZag,
    Four,
    Eight,
    Float,
    Double,
    Bytes,
}

fn class(kind: FieldKind) -> Wire {
    match kind {
        FieldKind::Int32
        | FieldKind::Int64
        | FieldKind::Uint32
        | FieldKind::Uint64
        | FieldKind::Bool
        | FieldKind::Enum(_) => Wire::Varint,
        FieldKind::Sint32 | FieldKind::Sint64 => Wire::ZigZag,
        FieldKind::Fixed32 | FieldKind::Sfixed32 => Wire::Four,
        FieldKind::Fixed64 | FieldKind::Sfixed64 => Wire::Eight,
        FieldKind::Float => Wire::Float,
        FieldKind::Double => Wire::Double,
        FieldKind::String | FieldKind::Bytes | FieldKind::Message(_) => Wire::Bytes,
    }
}

/// Whether the wire format lets one take the place of the other.
pub(super) fn wire(was: FieldKind, is: FieldKind) -> bool {
    class(was) == class(is)
        && match (was, is) {
            // Bytes may hold text, and an encoded message; text may not hold a message.
            (FieldKind::String, FieldKind::Message(_)) | (FieldKind::Message(_), FieldKind::String) => false,
            (FieldKind::Bool, FieldKind::Enum(_)) | (FieldKind::Enum(_), FieldKind::Bool) => false,
            _ => true,
        }
}

/// Whether JSON callers of the one may go on with the other: the same form, and no value that is no longer taken.
pub(super) fn json_takes(was: FieldKind, is: FieldKind) -> bool {
    use FieldKind::{
        Double, Fixed32, Fixed64, Float, Int32, Int64, Sfixed32, Sfixed64, Sint32, Sint64, Uint32, Uint64,
    };
    was == is
        || matches!(
            (was, is),
            (Int32 | Sint32 | Sfixed32, Int32 | Sint32 | Sfixed32)
                | (Uint32 | Fixed32, Uint32 | Fixed32)
                | (Int64 | Sint64 | Sfixed64, Int64 | Sint64 | Sfixed64)
                | (Uint64 | Fixed64, Uint64 | Fixed64)
                | (Float, Double)
        )
}

/// The same for the keys of maps, which are always strings: every key of the one must be one of the other, and look like none.
fn json_takes_key(was: FieldKind, is: FieldKind) -> bool {
    /// Bits, and whether there are negative numbers.
    fn integer(kind: FieldKind) -> Option<(u32, bool)> {
        match kind {
            FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => Some((32, true)),
            FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => Some((64, true)),
            FieldKind::Uint32 | FieldKind::Fixed32 => Some((32, false)),
            FieldKind::Uint64 | FieldKind::Fixed64 => Some((64, false)),
            FieldKind::Double
            | FieldKind::Float
            | FieldKind::Bool
            | FieldKind::String
            | FieldKind::Bytes
            | FieldKind::Message(_)
            | FieldKind::Enum(_) => None,
        }
    }
    match (integer(was), integer(is)) {
        (Some((was, was_signed)), Some((is, is_signed))) if was_signed == is_signed => was <= is,
        (Some((was, false)), Some((is, true))) => was < is,
        (Some(_), _) | (_, Some(_)) => false,
        (None, None) => was == is,
    }
}

/// What a wrapper wraps: JSON shows that alone.
pub(in crate::schema) fn wrapped(well_known: WellKnown) -> Option<FieldKind> {
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

/// A field's type as the .proto has it.
pub(super) fn spelled(messages: &Messages, field: &Field) -> String {
    let element = element(messages, field.kind);
    match field.cardinality {
        Cardinality::Singular { .. } => element.to_owned(),
        Cardinality::Repeated { .. } => format!("repeated {element}"),
        Cardinality::Map { key } => format!("map<{}, {element}>", self::element(messages, key)),
    }
}

fn element(messages: &Messages, kind: FieldKind) -> &str {
    match kind {
        FieldKind::Double => "double",
        FieldKind::Float => "float",
        FieldKind::Int32 => "int32",
        FieldKind::Int64 => "int64",
        FieldKind::Uint32 => "uint32",
        FieldKind::Uint64 => "uint64",
        FieldKind::Sint32 => "sint32",
        FieldKind::Sint64 => "sint64",
        FieldKind::Fixed32 => "fixed32",
        FieldKind::Fixed64 => "fixed64",
        FieldKind::Sfixed32 => "sfixed32",
        FieldKind::Sfixed64 => "sfixed64",
        FieldKind::Bool => "bool",
        FieldKind::String => "string",
        FieldKind::Bytes => "bytes",
        FieldKind::Message(id) => &messages.get(id).full_name,
        FieldKind::Enum(id) => &messages.enumeration(id).full_name,
    }
}
