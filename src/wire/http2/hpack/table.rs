//! The dynamic table as the decoder sees it (RFC 7541 §2.3.2): a ring of parsed fields, the newest first. It must be to the byte what
//! the peer's encoder believes, so that a field nobody may use stands in it as well.

use std::collections::VecDeque;

use super::field::{Field, Malformed, Name};

#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) field: Field,
    size: usize,
    /// Of a malformed field, which does not tell it itself.
    name: Option<Box<Name>>,
}

impl Entry {
    pub(super) fn name(&self) -> Name {
        self.name.as_ref().map_or_else(|| Name::of(&self.field), |name| Name::clone(name))
    }
}

impl Table {
    /// Empty, with room for `limit` bytes.
    pub(super) fn new(limit: usize) -> Table {
        Table { entries: VecDeque::new(), size: 0, limit }
    }

    /// The entry with `nth` newer than it.
    #[inline]
    pub(super) fn get(&self, nth: usize) -> Option<&Entry> {
        self.entries.get(nth)
    }

    /// Puts a field of `size` bytes first. One that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, parsed: Result<Field, Malformed>, size: usize) {
        let Some(room) = self.limit.checked_sub(size) else {
            self.evict(0);
            return;
        };
        self.evict(room);
        let (field, name) = match parsed {
            Ok(field) => (field, None),
            Err(Malformed { why, name }) => (Field::Malformed(why), Some(Box::new(name))),
        };
        self.entries.push_front(Entry { field, size, name });
        self.size += size;
    }

    /// Gives the table another limit, and drops what is over it.
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(limit);
    }

    /// Drops the oldest until no more than `most` bytes are left.
    fn evict(&mut self, most: usize) {
        while self.size > most
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size;
        }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[cfg(test)]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether nothing is allocated.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.entries.capacity() == 0
    }

    #[cfg(test)]
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.entries.iter().map(|entry| &entry.field)
    }
}
