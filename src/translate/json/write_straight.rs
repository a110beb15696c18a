//! The members of nearly every message: all in one piece, its fields in the order of their numbers, each singular one once. They
//! are written as they are read, with nothing kept and nothing looked at twice.
//!
//! Leans on being given up: whatever is not so, and whatever is wrong, is an error, and the message is then written the careful
//! way, which says what is wrong and where.

use super::in_order::{OUT_OF_ORDER, Watch, is_packable};
use super::place::WireError;
use super::wire::{Malformed, Records, Span, WireType, WireValue, element_type, wire_type};
use super::write::{Members, Writer};
use super::write_map::Entries;
use super::write_text::{is_zero, put_text};
use crate::schema::{Cardinality, Field, FieldKind, Message};

impl<'a> Writer<'a, '_> {
    /// As [`Writer::fields`], of a message in one piece, whose order is assumed.
    pub(super) fn straight(
        &mut self,
        message: &'a Message,
        span: Span,
        members: &mut Members,
    ) -> Result<(), WireError> {
        let mut records = Records::new(self.wire, span);
        let mut watch = Watch::default();
        let mut start = records.offset();
        let mut tag = records.raw_tag()?;
        while tag != 0 {
            let found = message.by_number(tag >> 3);
            let Some(field) = found.filter(|field| tag == element_tag(field) || is_packed(tag, field)) else {
                records.back_to(start);
                records.next()?;
                start = records.offset();
                tag = records.raw_tag()?;
                continue;
            };
            if !watch.follows(field) {
                return Err(Malformed { offset: start, message: OUT_OF_ORDER }.into());
            }
            match field.cardinality {
                Cardinality::Singular { presence } => {
                    self.one(field, presence, &mut records, members)?;
                    start = records.offset();
                    tag = records.raw_tag()?;
                }
                Cardinality::Repeated { .. } => (start, tag) = self.many(field, tag, &mut records, members)?,
                Cardinality::Map { key } => {
                    let mut entries = Entries::new();
                    let expected = tag;
                    while tag == expected {
                        let span = records.span()?;
                        self.entry(&mut entries, key, span)?;
                        start = records.offset();
                        tag = records.raw_tag()?;
                    }
                    self.name(field, members);
                    self.map(entries, Some(field.kind))?;
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn one(
        &mut self,
        field: &'a Field,
        presence: bool,
        records: &mut Records<'a>,
        members: &mut Members,
    ) -> Result<(), WireError> {
        match field.kind {
            FieldKind::String => {
                let span = records.span()?;
                if presence || !span.is_empty() {
                    self.name(field, members);
                    put_text(span, self.wire, self.out)?;
                }
            }
            FieldKind::Message(id) => {
                let span = if field.delimited { group(field, records)? } else { records.span()? };
                self.name(field, members);
                self.message(id, &[span])?;
            }
            kind => {
                let value = records.value(wire_type(kind))?;
                if presence || !is_zero(kind, value) {
                    self.name(field, members);
                    self.scalar(kind, value)?;
                }
            }
        }
        Ok(())
    }

    /// All elements that stand together; then where the next record begins, and its tag.
    fn many(
        &mut self,
        field: &'a Field,
        mut tag: u32,
        records: &mut Records<'a>,
        members: &mut Members,
    ) -> Result<(usize, u32), WireError> {
        let mut index = 0;
        loop {
            if is_packed(tag, field) {
                let mut elements = Records::new(self.wire, records.span()?);
                while !elements.is_done() {
                    let value = elements.value(wire_type(field.kind))?;
                    self.element(field, value, &mut index, members)?;
                }
            } else {
                let value = if field.delimited {
                    WireValue::Group(group(field, records)?)
                } else {
                    records.value(wire_type(field.kind))?
                };
                self.element(field, value, &mut index, members)?;
            }
            let start = records.offset();
            tag = records.raw_tag()?;
            if tag != element_tag(field) && !is_packed(tag, field) {
                if index > 0 {
                    self.close(b']');
                }
                return Ok((start, tag));
            }
        }
    }
}

/// In front of an element, or of an entry.
#[inline(always)]
fn element_tag(field: &Field) -> u32 {
    let wire_type = match field.cardinality {
        Cardinality::Map { .. } => WireType::Len,
        Cardinality::Singular { .. } | Cardinality::Repeated { .. } => element_type(field),
    };
    field.number << 3 | wire_type as u32
}

/// Whether elements that could stand alone are behind a length, all together.
#[inline(always)]
fn is_packed(tag: u32, field: &Field) -> bool {
    tag == field.number << 3 | WireType::Len as u32
        && matches!(field.cardinality, Cardinality::Repeated { .. })
        && is_packable(field.kind)
}

/// What is between two group tags, the first of which has been read.
#[cold]
fn group(field: &Field, records: &mut Records<'_>) -> Result<Span, Malformed> {
    match records.group(field.number)? {
        WireValue::Group(span) => Ok(span),
        _ => Ok(Span::new(0, 0)),
    }
}
