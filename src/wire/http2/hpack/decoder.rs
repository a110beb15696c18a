//! From blocks to fields (RFC 7541 §3.2). Nearly all fields of a call are references of one byte, and cost a copy of what was parsed
//! when the call before it came; the rest is read without an allocation but that of the value itself.

use super::field::{Field, Malformed, Name};
use super::repeated::Repeated;
use super::table::Table;
use super::{CompressionError, DEFAULT_TABLE, FIELD_OVERHEAD, Literal, huffman, integer, static_table};

const OUTSIDE: CompressionError = CompressionError("an index outside of the table");

/// The decoder of one connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    repeated: Repeated,
    /// What the peer may make of the table at most.
    max_table: usize,
}

impl Decoder {
    /// `max_table` is our SETTINGS_HEADER_TABLE_SIZE, in bytes. Until the peer has heard of it and says otherwise, its table has the
    /// size that HTTP/2 begins with, 4096. Nothing is allocated before the first insertion.
    pub fn new(max_table: usize) -> Decoder {
        Decoder { table: Table::new(DEFAULT_TABLE), repeated: Repeated::new(), max_table }
    }

    /// Decodes one whole block and gives `each` its fields in order. An error ends the connection; the fields before it were given.
    /// The table's size changes at the beginning of a block only, and only up to what was allowed (RFC 7541 §4.2).
    pub fn decode(&mut self, block: &[u8], each: &mut impl FnMut(Field)) -> Result<(), CompressionError> {
        let mut rest = block;
        while let [0x20..=0x3f, ..] = rest {
            rest = self.resize(rest)?;
        }
        while let [first, after @ ..] = rest {
            rest = match *first {
                0x80..=0xfe => {
                    each(self.get(usize::from(*first & 0x7f)).ok_or(OUTSIDE)?.clone());
                    after
                }
                0xff => {
                    let (index, after) = integer::read(rest, 7)?;
                    each(self.get(index).ok_or(OUTSIDE)?.clone());
                    after
                }
                0x40..=0x7f => self.literal(rest, Literal::Indexed, each)?,
                0x20..=0x3f => return Err(CompressionError("a table size inside a block")),
                0x10..=0x1f => self.literal(rest, Literal::NeverIndexed, each)?,
                0x00..=0x0f => self.literal(rest, Literal::NotIndexed, each)?,
            };
        }
        Ok(())
    }

    /// Takes the table size that `bytes` begin with; gives what follows it.
    #[cold]
    fn resize<'block>(&mut self, bytes: &'block [u8]) -> Result<&'block [u8], CompressionError> {
        let (size, rest) = integer::read(bytes, 5)?;
        if size > self.max_table {
            return Err(CompressionError("a table size over the limit"));
        }
        self.table.resize(size);
        Ok(rest)
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&Field> {
        match static_table::get(index) {
            None => self.table.get(index.wrapping_sub(static_table::LEN + 1)).map(|entry| &entry.field),
            found => found,
        }
    }

    /// The name of the field at `index`.
    fn name(&self, index: usize) -> Result<Name, CompressionError> {
        match static_table::get(index) {
            Some(field) => Ok(Name::of(field)),
            None => Ok(self.table.get(index.wrapping_sub(static_table::LEN + 1)).ok_or(OUTSIDE)?.name()),
        }
    }

    /// Reads the literal that `bytes` begin with; gives what follows it.
    fn literal<'block>(
        &mut self,
        bytes: &'block [u8],
        literal: Literal,
        each: &mut impl FnMut(Field),
    ) -> Result<&'block [u8], CompressionError> {
        let (index, rest) = integer::read(bytes, literal.prefix())?;
        let (own_name, rest) = match index {
            0 => Text::read(rest).map(|(text, rest)| (Some(text), rest))?,
            _ => (None, rest),
        };
        let (value, rest) = Text::read(rest)?;

        let written = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        // What refers to the dynamic table means another field another time.
        let mark =
            (literal == Literal::NotIndexed && index <= static_table::LEN).then(|| Repeated::mark(written)).flatten();
        if let Some(mark) = mark
            && let Some(field) = self.repeated.find(mark, written)
        {
            each(field.clone());
            return Ok(rest);
        }

        let name = match own_name {
            Some(text) => text.map(Name::parse)?,
            None => self.name(index)?,
        };
        let mut size = name.len() + FIELD_OVERHEAD;
        let mut parsed = value.map(|value| {
            size += value.len();
            name.with(value)
        })?;
        if literal == Literal::NeverIndexed
            && let Ok(Field::Header(_, value) | Field::Authority(value)) = &mut parsed
        {
            value.set_sensitive(true);
        }
        if literal == Literal::Indexed {
            let field = match &parsed {
                Ok(field) => field.clone(),
                Err(Malformed { why, .. }) => Field::Malformed(why),
            };
            self.table.insert(parsed, size);
            each(field);
            return Ok(rest);
        }
        match parsed {
            Ok(field) => {
                if let Some(mark) = mark {
                    self.repeated.note(mark, written, &field);
                }
                each(field);
            }
            Err(Malformed { why, .. }) => each(Field::Malformed(why)),
        }
        Ok(rest)
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Whether nothing is allocated.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.table.is_bare() && self.repeated.is_bare()
    }
}

/// A string literal (RFC 7541 §5.2).
struct Text<'block> {
    raw: &'block [u8],
    is_huffman: bool,
}

impl<'block> Text<'block> {
    /// The string that `bytes` begin with, and what follows it.
    #[inline]
    fn read(bytes: &'block [u8]) -> Result<(Text<'block>, &'block [u8]), CompressionError> {
        let is_huffman = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let (len, rest) = integer::read(bytes, 7)?;
        let (raw, rest) = rest.split_at_checked(len).ok_or(CompressionError("a string is cut off"))?;
        Ok((Text { raw, is_huffman }, rest))
    }

    /// Hands its bytes to `read`.
    #[inline]
    fn map<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, CompressionError> {
        if !self.is_huffman {
            return Ok(read(self.raw));
        }
        huffman::decode(self.raw, read).ok_or(CompressionError("broken Huffman code"))
    }
}
