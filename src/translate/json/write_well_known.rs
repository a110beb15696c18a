//! The messages with a JSON form of their own, to JSON, by the field numbers of google/protobuf/*.proto.

use smallvec::SmallVec;

use super::any::type_name;
use super::field_mask;
use super::in_order::Parts;
use super::place::{WireError, excerpt};
use super::read_well_known::{has_own_form, wrapped};
use super::time::{self, Instant};
use super::wire::{Span, WireValue, wire_type};
use super::write::{Members, Writer};
use super::write_map::Entries;
use super::write_text::{put_float, put_string, utf8, zero};
use crate::schema::{FieldKind, WellKnown};

fn fail(parts: &[Span], message: impl Into<std::borrow::Cow<'static, str>>) -> WireError {
    WireError::new(parts.first().map_or(0, |span| span.start()), message)
}

impl Writer<'_, '_> {
    pub(super) fn well_known(&mut self, well_known: WellKnown, parts: &[Span]) -> Result<(), WireError> {
        match well_known {
            WellKnown::Timestamp => self.instant(parts, time::write_timestamp, "a timestamp out of range"),
            WellKnown::Duration => self.instant(parts, time::write_duration, "a duration out of range"),
            WellKnown::FieldMask => self.field_mask(parts),
            WellKnown::Struct => self.structure(parts),
            WellKnown::Value => self.dynamic(parts),
            WellKnown::ListValue => self.list(parts),
            WellKnown::Any => self.any(parts),
            WellKnown::DoubleWrapper
            | WellKnown::FloatWrapper
            | WellKnown::Int64Wrapper
            | WellKnown::Uint64Wrapper
            | WellKnown::Int32Wrapper
            | WellKnown::Uint32Wrapper
            | WellKnown::BoolWrapper
            | WellKnown::StringWrapper
            | WellKnown::BytesWrapper => self.wrapper(parts, wrapped(well_known).unwrap_or(FieldKind::Bytes)),
            WellKnown::Empty | WellKnown::HttpBody => Err(fail(parts, "an ordinary message")),
        }
    }

    fn instant(
        &mut self,
        parts: &[Span],
        write: fn(Instant, &mut Vec<u8>) -> Option<()>,
        out_of_range: &'static str,
    ) -> Result<(), WireError> {
        let mut time = Instant::default();
        let mut records = Parts::new(self.wire, parts);
        while let Some(record) = records.next()? {
            match (record.number, record.value) {
                (1, WireValue::Varint(seconds)) => time.seconds = seconds as i64,
                (2, WireValue::Varint(nanos)) => time.nanos = nanos as i32,
                _ => {}
            }
        }
        self.out.push(b'"');
        write(time, self.out).ok_or_else(|| fail(parts, out_of_range))?;
        self.out.push(b'"');
        Ok(())
    }

    fn field_mask(&mut self, parts: &[Span]) -> Result<(), WireError> {
        let mut mask = String::new();
        let mut records = Parts::new(self.wire, parts);
        let mut first = true;
        while let Some(record) = records.next()? {
            let (1, WireValue::Len(span)) = (record.number, record.value) else { continue };
            if !first {
                mask.push(',');
            }
            first = false;
            let path = utf8(span, self.wire)?;
            let lost = || WireError::new(span.start(), format!("the path {:?} has no camelCase form", excerpt(path)));
            field_mask::camel_case(path, &mut mask).ok_or_else(lost)?;
        }
        put_string(&mask, self.out);
        Ok(())
    }

    fn wrapper(&mut self, parts: &[Span], kind: FieldKind) -> Result<(), WireError> {
        let mut value = zero(kind);
        let mut records = Parts::new(self.wire, parts);
        while let Some(record) = records.next()? {
            if record.number == 1 && record.value.wire_type() == wire_type(kind) {
                value = record.value;
            }
        }
        self.scalar(kind, value)
    }

    /// `google.protobuf.Value`: of its oneof, the last member on the wire. One that holds nothing is written as `null`.
    pub(super) fn dynamic(&mut self, parts: &[Span]) -> Result<(), WireError> {
        let mut value = WireValue::Varint(0);
        let mut member = 1;
        let mut nested: SmallVec<[Span; 1]> = SmallVec::new();
        let mut records = Parts::new(self.wire, parts);
        while let Some(record) = records.next()? {
            match (record.number, record.value) {
                (1 | 4, WireValue::Varint(_)) | (2, WireValue::Fixed64(_)) | (3, WireValue::Len(_)) => nested.clear(),
                (5 | 6, WireValue::Len(span)) => {
                    if member != record.number {
                        nested.clear();
                    }
                    nested.push(span);
                }
                _ => continue,
            }
            (member, value) = (record.number, record.value);
        }
        match (member, value) {
            (2, WireValue::Fixed64(bits)) => {
                let number = f64::from_bits(bits);
                if !number.is_finite() {
                    return Err(fail(parts, "a google.protobuf.Value that is no finite number"));
                }
                put_float(number, self.out);
            }
            (3, value) => self.scalar(FieldKind::String, value)?,
            (4, value) => self.scalar(FieldKind::Bool, value)?,
            (5, _) => self.structure(&nested)?,
            (6, _) => self.list(&nested)?,
            _ => self.out.extend_from_slice(b"null"),
        }
        Ok(())
    }

    fn list(&mut self, parts: &[Span]) -> Result<(), WireError> {
        self.open(b'[', parts)?;
        let mut records = Parts::new(self.wire, parts);
        let mut index = 0;
        while let Some(record) = records.next()? {
            let (1, WireValue::Len(span)) = (record.number, record.value) else { continue };
            if index > 0 {
                self.out.push(b',');
            }
            self.dynamic(&[span]).map_err(|error| error.in_index(index))?;
            self.check_end()?;
            index += 1;
        }
        self.close(b']');
        Ok(())
    }

    fn structure(&mut self, parts: &[Span]) -> Result<(), WireError> {
        let mut entries = Entries::new();
        let mut records = Parts::new(self.wire, parts);
        while let Some(record) = records.next()? {
            if let (1, WireValue::Len(span)) = (record.number, record.value) {
                self.entry(&mut entries, FieldKind::String, span)?;
            }
        }
        self.map(entries, None)
    }

    fn any(&mut self, parts: &[Span]) -> Result<(), WireError> {
        let nothing = Span::new(0, 0);
        let (mut url, mut value) = (nothing, nothing);
        let mut records = Parts::new(self.wire, parts);
        while let Some(record) = records.next()? {
            match (record.number, record.value) {
                (1, WireValue::Len(span)) => url = span,
                (2, WireValue::Len(span)) => value = span,
                _ => {}
            }
        }
        self.open(b'{', parts)?;
        let url = utf8(url, self.wire)?;
        if !url.is_empty() || !value.is_empty() {
            let known = type_name(url).and_then(|name| self.messages.by_name(name));
            let unknown = || fail(parts, format!("the type {:?} of an Any is not in the schema", excerpt(url)));
            let id = known.ok_or_else(unknown)?;
            self.out.extend_from_slice(b"\"@type\":");
            put_string(url, self.out);
            let message = self.messages.get(id);
            if has_own_form(message.well_known) {
                self.out.extend_from_slice(b",\"value\":");
                self.message(id, &[value])?;
            } else {
                self.fields(message, &[value], &mut Members::after_one())?;
            }
        }
        self.close(b'}');
        Ok(())
    }
}
