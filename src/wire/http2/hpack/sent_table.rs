//! The dynamic table as the encoder sees it: it is asked for a place, not for a field. A ring of what was sent, numbered as it came,
//! and an index by hash beside it, which holds numbers alone and is checked against the ring: what was dropped need not be looked for
//! in it.
//!
//! It also remembers in a few bytes what was lately sent and not put in the table, so that only what comes again is. We would rather
//! send a field twice than push one that every call has out for one that never comes back.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::FIELD_OVERHEAD;

/// The table holds up to 128 entries: 4096 bytes, at 32 and more each.
const PAIRS: usize = 128;
const NAMES: usize = 64;
/// A call's few unique fields leave what the call before it sent alone, nearly always.
const LATELY: usize = 128;

/// So many entries with one slot are looked at. Only a peer that wants to be sent more bytes makes it that many.
const LONGEST_CHAIN: usize = 8;

/// No entry takes more than this part of the table.
const LARGEST_PART: usize = 4;

#[derive(Debug)]
pub(super) struct SentTable {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// The number of the next entry; numbers go round.
    next: u16,
    size: usize,
    limit: usize,
    /// Made when there is something to remember.
    index: Option<Box<Index>>,
}

#[derive(Debug)]
struct Entry {
    hash: u32,
    /// The number of the entry that had the slot before it.
    older: u16,
    name_len: u16,
    /// Name and value.
    text: Box<[u8]>,
}

#[derive(Debug)]
struct Index {
    /// By the hash of name and value, the number of the newest entry.
    pairs: [u16; PAIRS],
    /// By the hash of the name.
    names: [u16; NAMES],
    /// By a hash, another part of it: what was sent and is not in the table.
    lately: [u16; LATELY],
}

/// A field's name and value, and their hash.
#[derive(Clone, Copy)]
pub(super) struct Pair<'text> {
    pub(super) name: &'text [u8],
    pub(super) value: &'text [u8],
    hash: u64,
}

impl<'text> Pair<'text> {
    #[inline]
    pub(super) fn new(name: &'text [u8], value: &'text [u8]) -> Pair<'text> {
        // Who knows the seed can make fields displace each other in the index, and gains nothing but longer blocks.
        let mut hasher = FixedState::default().build_hasher();
        hasher.write(name);
        hasher.write(value);
        Pair { name, value, hash: hasher.finish() }
    }

    fn size(&self) -> usize {
        self.name.len() + self.value.len() + FIELD_OVERHEAD
    }
}

fn hash_of_name(name: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(name);
    hasher.finish()
}

impl Entry {
    #[inline]
    fn is(&self, pair: &Pair<'_>) -> bool {
        self.hash == pair.hash as u32
            && self.text.split_at_checked(usize::from(self.name_len)) == Some((pair.name, pair.value))
    }

    fn size(&self) -> usize {
        self.text.len() + FIELD_OVERHEAD
    }
}

impl SentTable {
    /// Empty, with room for `limit` bytes.
    pub(super) fn new(limit: usize) -> SentTable {
        SentTable { entries: VecDeque::new(), next: 0, size: 0, limit, index: None }
    }

    /// How many entries are newer than the one with the number.
    #[inline]
    fn newer_than(&self, number: u16) -> usize {
        usize::from(self.next.wrapping_sub(number).wrapping_sub(1))
    }

    /// How many entries are newer than that of `pair`, if there is one.
    #[inline]
    pub(super) fn find(&self, pair: &Pair<'_>) -> Option<usize> {
        let mut number = *self.index.as_ref()?.pairs.get(pair.hash as usize % PAIRS)?;
        let mut newer = self.newer_than(number);
        for _ in 0..LONGEST_CHAIN {
            let entry = self.entries.get(newer)?;
            if entry.is(pair) {
                return Some(newer);
            }
            number = entry.older;
            let before = self.newer_than(number);
            if before <= newer {
                return None;
            }
            newer = before;
        }
        None
    }

    /// How many entries are newer than one with this name, if there is one.
    pub(super) fn find_name(&self, name: &[u8]) -> Option<usize> {
        let number = *self.index.as_ref()?.names.get(hash_of_name(name) as usize % NAMES)?;
        let newer = self.newer_than(number);
        let entry = self.entries.get(newer)?;
        (entry.text.get(..usize::from(entry.name_len)) == Some(name)).then_some(newer)
    }

    /// Whether `pair`, which is not in the table, shall be put there: it was sent before; or only its name was, which then is not in
    /// the table either (`is_name_known`), and there is room that nobody has.
    pub(super) fn is_worth_inserting(&mut self, pair: &Pair<'_>, is_name_known: bool) -> bool {
        let size = pair.size();
        if size > self.limit / LARGEST_PART {
            return false;
        }
        let index = self.index.get_or_insert_with(Index::new);
        let came_again = index.came_again(pair.hash);
        let name_came_again = !is_name_known && index.came_again(hash_of_name(pair.name));
        came_again || (name_came_again && self.size + size <= self.limit)
    }

    /// Puts `pair`, which is [worth it](Self::is_worth_inserting), first.
    pub(super) fn insert(&mut self, pair: &Pair<'_>) {
        let size = pair.size();
        let (Some(room), Ok(name_len)) = (self.limit.checked_sub(size), u16::try_from(pair.name.len())) else { return };
        self.evict(room);
        let index = self.index.get_or_insert_with(Index::new);
        let mut older = self.next;
        if let Some(slot) = index.pairs.get_mut(pair.hash as usize % PAIRS) {
            older = *slot;
            *slot = self.next;
        }
        if let Some(slot) = index.names.get_mut(hash_of_name(pair.name) as usize % NAMES) {
            *slot = self.next;
        }
        let text = [pair.name, pair.value].concat().into_boxed_slice();
        self.entries.push_front(Entry { hash: pair.hash as u32, older, name_len, text });
        self.next = self.next.wrapping_add(1);
        self.size += size;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
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
            self.size -= entry.size();
        }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Index {
    fn new() -> Box<Index> {
        Box::new(Index { pairs: [0; PAIRS], names: [0; NAMES], lately: [0; LATELY] })
    }

    /// Whether the hash was lately asked for; it is now.
    fn came_again(&mut self, hash: u64) -> bool {
        let Some(slot) = self.lately.get_mut((hash >> 32) as usize % LATELY) else { return false };
        // Zero is nothing's.
        let mark = (hash >> 48) as u16 | 1;
        std::mem::replace(slot, mark) == mark
    }
}
