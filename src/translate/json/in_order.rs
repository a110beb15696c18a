//! The fields of a message on the wire, in the order of their numbers. The wire may hold them in any order, a repeated field in
//! pieces, a singular one several times; JSON wants each once. Nearly all messages are in order, so they are read as they stand, and
//! watched; once one is not, everything is read again, and each message looked over first, tags only. Where the order is wrong the
//! places of the fields, eight bytes each, are sorted. A message that came in several pieces is read as their sequence, which is
//! what protobuf means by merging.

use smallvec::SmallVec;

use super::field_set::FieldSet;
use super::wire::{Malformed, Record, Records, Span, WireType, element_type, wire_type};
use crate::schema::{Cardinality, Field, FieldKind, Message};

/// A message's pieces, one after the other.
#[derive(Clone)]
pub(super) struct Parts<'a, 'p> {
    wire: &'a [u8],
    rest: std::slice::Iter<'p, Span>,
    records: Records<'a>,
}

impl<'a, 'p> Parts<'a, 'p> {
    pub(super) fn new(wire: &'a [u8], parts: &'p [Span]) -> Parts<'a, 'p> {
        Parts { wire, rest: parts.iter(), records: Records::new(wire, Span::new(0, 0)) }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Record>, Malformed> {
        loop {
            if let Some(record) = self.records.next()? {
                return Ok(Some(record));
            }
            let Some(part) = self.rest.next() else { return Ok(None) };
            self.records = Records::new(self.wire, *part);
        }
    }
}

/// What is said of fields that are not in order, where they were taken to be.
pub(super) const OUT_OF_ORDER: &str = "the fields are not in order";

/// Whether fields are taken to be in order until one is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Assumed,
    /// Looked over before anything is read.
    Checked,
}

/// What has been met of a message whose order is assumed.
#[derive(Default)]
pub(super) struct Watch {
    /// The index that the next field has at least.
    least: u32,
    oneofs: FieldSet,
}

impl Watch {
    /// Whether a field may come now, as the first of its records.
    #[inline]
    pub(super) fn follows(&mut self, field: &Field) -> bool {
        if field.index < self.least || field.oneof.is_some_and(|oneof| self.oneofs.insert(oneof)) {
            return false;
        }
        self.least = field.index + 1;
        true
    }
}

/// Where a field stands. Four bytes are enough: a longer message is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Occurrence {
    index: u32,
    start: u32,
}

/// The known fields of a message, each field's records together.
pub(super) struct Fields<'a, 'p> {
    message: &'a Message,
    wire: &'a [u8],
    source: Source<'a, 'p>,
    watch: Option<Watch>,
    peeked: Option<(&'a Field, Record)>,
}

enum Source<'a, 'p> {
    AsTheyStand(Parts<'a, 'p>),
    Sorted(std::vec::IntoIter<Occurrence>),
}

impl<'a, 'p> Fields<'a, 'p> {
    /// All fields of a message. Where the order is assumed, an error may mean that it is not so.
    pub(super) fn in_order(
        wire: &'a [u8],
        message: &'a Message,
        parts: &'p [Span],
        order: Order,
    ) -> Result<Fields<'a, 'p>, Malformed> {
        if order == Order::Assumed {
            let watch = Some(Watch::default());
            return Ok(Fields { watch, ..Fields::as_they_stand(wire, message, parts) });
        }
        if are_in_order(wire, message, parts)? {
            return Ok(Fields::as_they_stand(wire, message, parts));
        }
        // Also where only the last member of a oneof counts.
        Ok(Fields::sorted(wire, message, places(wire, message, parts)?))
    }

    /// One of them.
    pub(super) fn only(
        wire: &'a [u8],
        message: &'a Message,
        field: &Field,
        parts: &'p [Span],
    ) -> Result<Fields<'a, 'p>, Malformed> {
        let mut places = places(wire, message, parts)?;
        places.retain(|place| place.index == field.index);
        Ok(Fields::sorted(wire, message, places))
    }

    fn as_they_stand(wire: &'a [u8], message: &'a Message, parts: &'p [Span]) -> Fields<'a, 'p> {
        Fields { message, wire, source: Source::AsTheyStand(Parts::new(wire, parts)), watch: None, peeked: None }
    }

    fn sorted(wire: &'a [u8], message: &'a Message, places: Vec<Occurrence>) -> Fields<'a, 'p> {
        Fields { message, wire, source: Source::Sorted(places.into_iter()), watch: None, peeked: None }
    }

    /// The next field, with its first record.
    pub(super) fn next(&mut self) -> Result<Option<(&'a Field, Record)>, Malformed> {
        let next = self.take()?;
        if let (Some(watch), Some((field, record))) = (&mut self.watch, &next)
            && !watch.follows(field)
        {
            return Err(Malformed { offset: record.start as usize, message: OUT_OF_ORDER });
        }
        Ok(next)
    }

    #[inline]
    fn take(&mut self) -> Result<Option<(&'a Field, Record)>, Malformed> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(Some(peeked));
        }
        loop {
            let record = match &mut self.source {
                Source::AsTheyStand(parts) => parts.next()?,
                Source::Sorted(places) => match places.next() {
                    Some(place) => Records::new(self.wire, Span::new(place.start as usize, self.wire.len())).next()?,
                    None => None,
                },
            };
            let Some(record) = record else { return Ok(None) };
            match self.message.by_number(record.number) {
                Some(field) if fits(field, record.value.wire_type()) => return Ok(Some((field, record))),
                // Unknown to this schema, or of another type in the writer's: passed over, as by every protobuf parser.
                _ => {}
            }
        }
    }

    /// The next record, if it is the same field's.
    #[inline]
    pub(super) fn next_of(&mut self, field: &Field) -> Result<Option<Record>, Malformed> {
        // Should something unknown be between two records of a field, its coming back breaks the order.
        if let (Some(_), None, Source::AsTheyStand(parts)) = (&self.watch, &self.peeked, &self.source)
            && parts.records.is_before_another(field.number)
        {
            return Ok(None);
        }
        match self.take()? {
            Some((next, record)) if next.index == field.index => Ok(Some(record)),
            other => {
                self.peeked = other;
                Ok(None)
            }
        }
    }
}

pub(super) fn is_packable(kind: FieldKind) -> bool {
    wire_type(kind) != WireType::Len
}

#[inline]
fn fits(field: &Field, found: WireType) -> bool {
    let expected = element_type(field);
    match field.cardinality {
        Cardinality::Singular { .. } => found == expected,
        Cardinality::Repeated { .. } => found == expected || found == WireType::Len && is_packable(field.kind),
        Cardinality::Map { .. } => found == WireType::Len,
    }
}

/// Whether the fields stand in the order of their numbers, and of each oneof one member at most.
fn are_in_order(wire: &[u8], message: &Message, parts: &[Span]) -> Result<bool, Malformed> {
    let (mut highest, mut oneofs) = (0, FieldSet::default());
    for part in parts {
        let mut records = Records::new(wire, *part);
        while let Some((number, found)) = records.next_tag()? {
            let Some(field) = message.by_number(number).filter(|field| fits(field, found)) else { continue };
            if field.index < highest || field.oneof.is_some_and(|oneof| oneofs.insert(oneof)) {
                return Ok(false);
            }
            highest = field.index;
        }
    }
    Ok(true)
}

/// Where the fields stand, in the order of their numbers, without those that a later member of their oneof has cleared.
fn places(wire: &[u8], message: &Message, parts: &[Span]) -> Result<Vec<Occurrence>, Malformed> {
    let mut fields = Fields::as_they_stand(wire, message, parts);
    let mut places = Vec::new();
    // A oneof, its member, and since where it has been that one.
    let mut winners: SmallVec<[(u32, Occurrence); 4]> = SmallVec::new();
    while let Some((field, record)) = fields.next()? {
        let place = Occurrence { index: field.index, start: record.start };
        places.push(place);
        let Some(oneof) = field.oneof else { continue };
        match winners.iter_mut().find(|(of, _)| *of == oneof) {
            Some((_, winner)) if winner.index != place.index => *winner = place,
            Some(_) => {}
            None => winners.push((oneof, place)),
        }
    }
    places.retain(|place| {
        let oneof = message.fields().get(place.index as usize).and_then(|field| field.oneof);
        let winner = oneof.and_then(|oneof| winners.iter().find(|(of, _)| *of == oneof));
        winner.is_none_or(|(_, winner)| winner.index == place.index && winner.start <= place.start)
    });
    places.sort_unstable();
    Ok(places)
}
