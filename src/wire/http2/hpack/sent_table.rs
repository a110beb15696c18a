//! The dynamic table as the encoder sees it: it is asked for a place, not for a field. A ring of what was sent, numbered as it came,
//! and an index by hash beside it, which holds numbers alone and is checked against the ring: what was dropped need not be looked for
//! in it.
//!
//! It also remembers in a few bytes what was lately sent and not put in the table, so that only what comes again is. We would rather
//! send a field twice than push one that every call has out for one that never comes back.

use std::collections::VecDeque;

use super::FIELD_OVERHEAD;
use super::hash::{hash, is_same};

/// The table holds up to 128 entries: 4096 bytes, at 32 and more each.
const PAIRS: usize = 128;
const NAMES: usize = 64;
/// A call's few unique fields push the marks of what the call before it sent out of 32 short queues hardly ever; and so many fields
/// of every call that share a queue and push each other out are rarer still.
const QUEUES: usize = 32;
const QUEUE: usize = 4;

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
    /// The number of the entry that was sent last, and of the one that came after it the time before: one head follows another, and
    /// most are alike. Worth a try before anything is hashed.
    last: u16,
    expected: u16,
    /// Made when there is something to remember.
    index: Option<Box<Index>>,
}

#[derive(Debug)]
struct Entry {
    hash: u32,
    /// The number of the entry that had the slot before it.
    older: u16,
    /// The number of the entry that was sent after this one.
    follower: u16,
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
    /// By another part of a hash: marks of what was sent and is not in the table, the newest first.
    lately: [[u16; QUEUE]; QUEUES],
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
    fn new(name: &'text [u8], value: &'text [u8]) -> Pair<'text> {
        Pair { name, value, hash: hash(hash(0, name), value) }
    }

    fn size(&self) -> usize {
        self.name.len() + self.value.len() + FIELD_OVERHEAD
    }
}

impl Entry {
    #[inline]
    fn holds(&self, name: &[u8], value: &[u8]) -> bool {
        self.text
            .split_at_checked(usize::from(self.name_len))
            .is_some_and(|(own_name, own_value)| is_same(own_value, value) && is_same(own_name, name))
    }

    fn is(&self, pair: &Pair<'_>) -> bool {
        self.hash == pair.hash as u32 && self.holds(pair.name, pair.value)
    }

    fn size(&self) -> usize {
        self.text.len() + FIELD_OVERHEAD
    }
}

impl SentTable {
    /// Empty, with room for `limit` bytes.
    pub(super) fn new(limit: usize) -> SentTable {
        SentTable { entries: VecDeque::new(), next: 0, size: 0, limit, last: 0, expected: 0, index: None }
    }

    /// How many entries are newer than the one with the number.
    #[inline]
    fn newer_than(&self, number: u16) -> usize {
        usize::from(self.next.wrapping_sub(number).wrapping_sub(1))
    }

    /// How many entries are newer than that of the field, or else the field as it is to be written.
    #[inline]
    pub(super) fn find<'text>(&mut self, name: &'text [u8], value: &'text [u8]) -> Result<usize, Pair<'text>> {
        let newer = self.newer_than(self.expected);
        match self.entries.get(newer) {
            Some(entry) if entry.holds(name, value) => {
                self.last = self.expected;
                self.expected = entry.follower;
                Ok(newer)
            }
            _ => self.find_by_hash(name, value),
        }
    }

    #[inline(never)]
    fn find_by_hash<'text>(&mut self, name: &'text [u8], value: &'text [u8]) -> Result<usize, Pair<'text>> {
        let pair = Pair::new(name, value);
        let newer = self.look_up(&pair).ok_or(pair)?;
        self.follows(self.next.wrapping_sub(newer as u16).wrapping_sub(1));
        Ok(newer)
    }

    /// The entry with the number is sent after the one before it.
    fn follows(&mut self, number: u16) {
        let before = self.newer_than(self.last);
        if let Some(before) = self.entries.get_mut(before) {
            before.follower = number;
        }
        self.last = number;
        self.expected = self.entries.get(self.newer_than(number)).map_or(number, |entry| entry.follower);
    }

    fn look_up(&self, pair: &Pair<'_>) -> Option<usize> {
        let number = *self.index.as_ref()?.pairs.get(pair.hash as usize % PAIRS)?;
        let newer = self.newer_than(number);
        let entry = self.entries.get(newer)?;
        if entry.is(pair) { Some(newer) } else { self.look_up_older(pair, newer, entry) }
    }

    /// The same, among those that had the slot before `entry`.
    fn look_up_older<'table>(
        &'table self,
        pair: &Pair<'_>,
        mut newer: usize,
        mut entry: &'table Entry,
    ) -> Option<usize> {
        for _ in 1..LONGEST_CHAIN {
            // Numbers of what was dropped may be others' by now.
            let before = self.newer_than(entry.older);
            if before <= newer {
                return None;
            }
            newer = before;
            entry = self.entries.get(newer)?;
            if entry.is(pair) {
                return Some(newer);
            }
        }
        None
    }

    /// How many entries are newer than one with this name, if there is one.
    pub(super) fn find_name(&self, name: &[u8]) -> Option<usize> {
        let number = *self.index.as_ref()?.names.get(hash(0, name) as usize % NAMES)?;
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
        let name_came_again = !is_name_known && index.came_again(hash(0, pair.name));
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
        if let Some(slot) = index.names.get_mut(hash(0, pair.name) as usize % NAMES) {
            *slot = self.next;
        }
        let text = [pair.name, pair.value].concat().into_boxed_slice();
        let number = self.next;
        self.entries.push_front(Entry { hash: pair.hash as u32, older, follower: number, name_len, text });
        self.next = number.wrapping_add(1);
        self.size += size;
        self.follows(number);
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

    #[cfg(test)]
    pub(super) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(Entry::size)
    }

    /// Whether nothing is allocated.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.entries.capacity() == 0 && self.index.is_none()
    }
}

impl Index {
    fn new() -> Box<Index> {
        Box::new(Index { pairs: [0; PAIRS], names: [0; NAMES], lately: [[0; QUEUE]; QUEUES] })
    }

    /// Whether the hash was lately asked for; it is now.
    fn came_again(&mut self, hash: u64) -> bool {
        let Some(queue) = self.lately.get_mut((hash >> 32) as usize % QUEUES) else { return false };
        // Zero is nothing's.
        let mark = (hash >> 48) as u16 | 1;
        let came_again = queue.contains(&mark);
        if !came_again {
            let [newest, newer, older, _] = *queue;
            *queue = [mark, newest, newer, older];
        }
        came_again
    }
}
