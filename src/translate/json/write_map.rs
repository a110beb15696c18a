//! Maps to JSON. On the wire a map is a list of entries in which a key may come twice, and then the last counts; JSON may have it
//! once only. So entries are put in the order of their keys, which also makes the same map the same text.

use smallvec::SmallVec;

use super::place::{WireError, excerpt};
use super::wire::{Malformed, Records, Span, WireType, WireValue, unzigzag, wire_type};
use super::write::{Writer, too_long};
use super::write_text::{put_integer, put_string, utf8, zero};
use crate::schema::FieldKind;

/// A map's key, ordered as its type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MapKey<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    String(&'a str),
}

/// Entries as they stand on the wire, by their keys.
pub(super) type Entries<'a> = SmallVec<[(MapKey<'a>, Span); 4]>;

impl MapKey<'_> {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            MapKey::Bool(value) => out.extend_from_slice(if value { b"\"true\"" } else { b"\"false\"" }),
            MapKey::Signed(value) => put_integer(value, true, out),
            MapKey::Unsigned(value) => put_integer(value, true, out),
            MapKey::String(value) => put_string(value, out),
        }
    }
}

impl std::fmt::Display for MapKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MapKey::Bool(value) => write!(f, "{value}"),
            MapKey::Signed(value) => write!(f, "{value}"),
            MapKey::Unsigned(value) => write!(f, "{value}"),
            MapKey::String(value) => f.write_str(&excerpt(value)),
        }
    }
}

impl<'a> Writer<'a, '_> {
    /// The key of an entry: the last one in it, or its type's zero.
    pub(super) fn map_key(&self, kind: FieldKind, entry: Span) -> Result<MapKey<'a>, Malformed> {
        let mut records = Records::new(self.wire, entry);
        let mut key = zero(kind);
        while let Some(record) = records.next()? {
            if record.number == 1 && record.value.wire_type() == wire_type(kind) {
                key = record.value;
            }
        }
        Ok(match key {
            WireValue::Varint(value) => match kind {
                FieldKind::Bool => MapKey::Bool(value != 0),
                FieldKind::Int32 => MapKey::Signed(i64::from(value as i32)),
                FieldKind::Int64 => MapKey::Signed(value as i64),
                FieldKind::Sint32 => MapKey::Signed(unzigzag(value & u64::from(u32::MAX))),
                FieldKind::Sint64 => MapKey::Signed(unzigzag(value)),
                FieldKind::Uint32 => MapKey::Unsigned(u64::from(value as u32)),
                _ => MapKey::Unsigned(value),
            },
            WireValue::Fixed64(value) if kind == FieldKind::Sfixed64 => MapKey::Signed(value as i64),
            WireValue::Fixed64(value) => MapKey::Unsigned(value),
            WireValue::Fixed32(value) if kind == FieldKind::Sfixed32 => MapKey::Signed(i64::from(value as i32)),
            WireValue::Fixed32(value) => MapKey::Unsigned(u64::from(value)),
            WireValue::Len(span) | WireValue::Group(span) => MapKey::String(utf8(span, self.wire)?),
        })
    }

    /// Keeps an entry until all are there. It takes far more memory than the two bytes that it may be on the wire, where the same key
    /// can come any number of times, so that it counts as text does.
    pub(super) fn entry(&self, entries: &mut Entries<'a>, kind: FieldKind, entry: Span) -> Result<(), WireError> {
        if entries.len() >= self.options.most / size_of::<(MapKey<'_>, Span)>() {
            return Err(too_long(&self.options));
        }
        entries.push((self.map_key(kind, entry)?, entry));
        Ok(())
    }

    /// An object of entries. Without a kind, their values are `google.protobuf.Value`s.
    pub(super) fn map(&mut self, mut entries: Entries<'a>, kind: Option<FieldKind>) -> Result<(), WireError> {
        self.open(b'{', &[])?;
        // Of equal keys the later entry sorts behind.
        entries.sort_unstable_by_key(|(key, span)| (*key, span.start()));
        let mut first = true;
        let mut rest = entries.iter();
        while let Some((key, entry)) = rest.next() {
            if rest.as_slice().first().is_some_and(|(next, _)| next == key) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            key.put(self.out);
            self.out.push(b':');
            self.map_value(*entry, kind).map_err(|error| error.in_key(&key.to_string()))?;
            self.check_end()?;
        }
        self.close(b'}');
        Ok(())
    }

    fn map_value(&mut self, entry: Span, kind: Option<FieldKind>) -> Result<(), WireError> {
        let mut records = Records::new(self.wire, entry);
        let expected = kind.map_or(WireType::Len, wire_type);
        let mut scalar = kind.map(zero);
        let mut parts: SmallVec<[Span; 1]> = SmallVec::new();
        while let Some(record) = records.next()? {
            if record.number == 2 && record.value.wire_type() == expected {
                scalar = Some(record.value);
                if let WireValue::Len(span) = record.value {
                    parts.push(span);
                }
            }
        }
        match (kind, scalar) {
            (None, _) => self.dynamic(&parts),
            (Some(FieldKind::Message(id)), _) => self.message(id, &parts),
            (Some(kind), scalar) => self.scalar(kind, scalar.unwrap_or(zero(kind))),
        }
    }
}
