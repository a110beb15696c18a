//! Protobuf's wire format (protobuf.dev/programming-guides/encoding): tags, varints, lengths, both ways. Reading checks every
//! length against what is there before it believes it; a field comes out as a place in the input, never as a copy.

use crate::schema::{Field, FieldKind};

/// Groups within groups that are followed before a message is refused; what protobuf's own decoders allow.
const MOST_GROUPS: usize = 100;

/// The bytes of the longest tag: one that is longer than it needs to be is no tag for protobuf's own decoders either.
const LONGEST_TAG: usize = 5;

/// The type of a field on the wire, the low three bits of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Len = 2,
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
}

/// The wire type of one element of a kind.
#[inline]
pub(in crate::translate) fn wire_type(kind: FieldKind) -> WireType {
    match kind {
        FieldKind::Double | FieldKind::Fixed64 | FieldKind::Sfixed64 => WireType::Fixed64,
        FieldKind::Float | FieldKind::Fixed32 | FieldKind::Sfixed32 => WireType::Fixed32,
        FieldKind::String | FieldKind::Bytes | FieldKind::Message(_) => WireType::Len,
        FieldKind::Int32
        | FieldKind::Int64
        | FieldKind::Uint32
        | FieldKind::Uint64
        | FieldKind::Sint32
        | FieldKind::Sint64
        | FieldKind::Bool
        | FieldKind::Enum(_) => WireType::Varint,
    }
}

#[inline]
pub(in crate::translate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(in crate::translate) fn put_tag(number: u32, wire_type: WireType, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | wire_type as u64, out);
}

/// The wire type of one element of a field.
#[inline]
pub(in crate::translate) fn element_type(field: &Field) -> WireType {
    if field.delimited { WireType::StartGroup } else { wire_type(field.kind) }
}

/// The tag in front of one element of a field.
#[inline]
pub(in crate::translate) fn put_field_tag(field: &Field, out: &mut Vec<u8>) {
    put_tag(field.number, element_type(field), out);
}

/// Begins something whose length is not known yet: one byte is kept for it.
pub(in crate::translate) fn begin_length(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Puts the length in. What is shorter than 128 bytes is where it belongs already; anything else moves up by the bytes that its
/// length lacks. A byte can so be moved once a level, at the speed of memory, and nothing is kept for it.
pub(in crate::translate) fn end_length(start: usize, out: &mut Vec<u8>) {
    let length = out.len().saturating_sub(start);
    let more = varint_length(length as u64) - 1;
    if more > 0 {
        let end = out.len();
        out.resize(end + more, 0);
        out.copy_within(start..end, start + more);
    }
    let Some(room) = out.get_mut(start - 1..) else { return };
    let mut rest = length as u64;
    for (byte, place) in room.iter_mut().zip(0..=more) {
        *byte = rest as u8 & 0x7f | if place < more { 0x80 } else { 0 };
        rest >>= 7;
    }
}

fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(in crate::translate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(in crate::translate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A stretch of the input, which is shorter than 4 GiB: both its ends in one word, as every other value on the wire is one, so
/// that a record is handed on without being taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Span(u64);

impl WireValue {
    #[inline]
    pub(in crate::translate) fn wire_type(self) -> WireType {
        match self {
            WireValue::Varint(_) => WireType::Varint,
            WireValue::Fixed64(_) => WireType::Fixed64,
            WireValue::Fixed32(_) => WireType::Fixed32,
            WireValue::Len(_) => WireType::Len,
            WireValue::Group(_) => WireType::StartGroup,
        }
    }
}

impl Span {
    /// Only of places in an input whose length was checked, so that nothing is lost here.
    #[inline]
    pub(in crate::translate) fn new(start: usize, end: usize) -> Span {
        Span((end as u64) << 32 | start as u64)
    }

    #[inline]
    pub(in crate::translate) fn start(self) -> usize {
        self.0 as u32 as usize
    }

    #[inline]
    fn end(self) -> usize {
        (self.0 >> 32) as usize
    }

    #[inline]
    pub(in crate::translate) fn is_empty(self) -> bool {
        self.start() == self.end()
    }

    #[inline]
    pub(in crate::translate) fn of(self, wire: &[u8]) -> &[u8] {
        wire.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// One field as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(in crate::translate) struct Record {
    pub(in crate::translate) number: u32,
    pub(in crate::translate) value: WireValue,
    /// Where its tag begins.
    pub(in crate::translate) start: u32,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::translate) enum WireValue {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Len(Span),
    /// What is between the two tags.
    Group(Span),
}

/// Bytes that are no protobuf, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Malformed {
    pub(in crate::translate) offset: usize,
    pub(in crate::translate) message: &'static str,
}

const NEVER_BEGAN: &str = "a group ends that never began";

/// Reads the records of one stretch. Offsets are those of the whole input.
#[derive(Clone, Copy, Debug)]
pub(in crate::translate) struct Records<'a> {
    wire: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(in crate::translate) fn new(wire: &'a [u8], span: Span) -> Records<'a> {
        Records { wire: wire.get(..span.end()).unwrap_or_default(), at: span.start() }
    }

    /// Steps over the next record, and says only what it is.
    #[inline]
    pub(in crate::translate) fn next_tag(&mut self) -> Result<Option<(u32, WireType)>, Malformed> {
        if self.is_done() {
            return Ok(None);
        }
        let offset = self.at;
        let (number, kind) = self.tag()?;
        match kind {
            WireType::StartGroup => {
                self.group(number)?;
            }
            WireType::EndGroup => return Err(Malformed { offset, message: NEVER_BEGAN }),
            _ => {
                self.value(kind)?;
            }
        }
        Ok(Some((number, kind)))
    }

    /// The next tag as it stands, number and type in one; 0 at the end. Only one that a field is known to have says that there is
    /// such a type: whatever else comes is to be read again from where it began, by [`Records::next`].
    #[inline(always)]
    pub(in crate::translate) fn raw_tag(&mut self) -> Result<u32, Malformed> {
        match self.wire.get(self.at) {
            Some(&tag @ 8..0x80) => {
                self.at += 1;
                Ok(u32::from(tag))
            }
            Some(_) => self.tag().map(|(number, kind)| number << 3 | kind as u32),
            None => Ok(0),
        }
    }

    /// Goes to a place that [`Records::offset`] has told.
    #[inline]
    pub(in crate::translate) fn back_to(&mut self, offset: usize) {
        self.at = offset;
    }

    // Handing its result on in memory costs more than the reading.
    #[inline(always)]
    pub(in crate::translate) fn next(&mut self) -> Result<Option<Record>, Malformed> {
        if self.at >= self.wire.len() {
            return Ok(None);
        }
        let start = self.at;
        let (number, kind) = self.tag()?;
        let value = match kind {
            WireType::StartGroup => self.group(number)?,
            WireType::EndGroup => return Err(Malformed { offset: start, message: NEVER_BEGAN }),
            _ => self.value(kind)?,
        };
        Ok(Some(Record { number, value, start: start as u32 }))
    }

    #[cold]
    fn fail<T>(&self, message: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, message })
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, WireType), Malformed> {
        let offset = self.at;
        let tag = self.varint()?;
        let fail = |message| Err(Malformed { offset, message });
        let kind = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return fail("no such wire type"),
        };
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 && self.at - offset <= LONGEST_TAG => Ok((tag >> 3, kind)),
            _ => fail("no such field number"),
        }
    }

    #[inline]
    pub(in crate::translate) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.wire.get(self.at) {
            Some(&byte @ 0..0x80) => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let rest = self.wire.get(self.at..).unwrap_or_default();
        let mut value = 0_u64;
        for (place, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                if place == 9 && *byte > 1 {
                    return self.fail("a varint of more than 64 bits");
                }
                self.at += place + 1;
                return Ok(value);
            }
        }
        self.fail(if rest.len() < 10 { "the message ends inside a varint" } else { "a varint of more than ten bytes" })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.wire.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.fail("the message ends inside a field"),
        }
    }

    #[inline]
    pub(in crate::translate) fn value(&mut self, kind: WireType) -> Result<WireValue, Malformed> {
        Ok(match kind {
            WireType::Varint => WireValue::Varint(self.varint()?),
            WireType::Fixed64 => WireValue::Fixed64(u64::from_le_bytes(self.array()?)),
            WireType::Fixed32 => WireValue::Fixed32(u32::from_le_bytes(self.array()?)),
            WireType::Len | WireType::StartGroup | WireType::EndGroup => WireValue::Len(self.span()?),
        })
    }

    /// What is behind a length.
    #[inline(always)]
    pub(in crate::translate) fn span(&mut self) -> Result<Span, Malformed> {
        let length = self.varint()?;
        let left = self.wire.len() - self.at;
        let length = match usize::try_from(length) {
            Ok(length) if length <= left => length,
            _ => return self.fail("a length beyond the end of the message"),
        };
        let start = self.at;
        self.at += length;
        Ok(Span::new(start, self.at))
    }

    /// Reads to the end of a group that has begun, over any inside it.
    #[cold]
    pub(in crate::translate) fn group(&mut self, number: u32) -> Result<WireValue, Malformed> {
        let start = self.at;
        let mut open = vec![number];
        loop {
            let end = self.at;
            if end >= self.wire.len() {
                return self.fail("the message ends inside a group");
            }
            let (number, kind) = self.tag()?;
            match kind {
                WireType::StartGroup if open.len() >= MOST_GROUPS => {
                    return self.fail("too many groups inside each other");
                }
                WireType::StartGroup => open.push(number),
                WireType::EndGroup => {
                    if open.pop() != Some(number) {
                        return Err(Malformed { offset: end, message: "another group ends than began" });
                    }
                    if open.is_empty() {
                        return Ok(WireValue::Group(Span::new(start, end)));
                    }
                }
                _ => {
                    self.value(kind)?;
                }
            }
        }
    }

    #[inline]
    pub(in crate::translate) fn is_done(&self) -> bool {
        self.at >= self.wire.len()
    }

    /// Whether the next record is surely another field's, by its first byte alone.
    #[inline(always)]
    pub(in crate::translate) fn is_before_another(&self, number: u32) -> bool {
        self.wire.get(self.at).is_some_and(|tag| *tag < 0x80 && u32::from(tag >> 3) != number)
    }

    /// Where the next record begins.
    #[inline]
    pub(in crate::translate) fn offset(&self) -> usize {
        self.at
    }
}
