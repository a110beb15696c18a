//! Fields that come again and again although their writer puts them in no table: nghttp2 and others hold that no path is worth it, and
//! some write everything out. What came twice is kept, parsed, by the very bytes that it was written with; what comes once costs a
//! hash.
//!
//! It is no table of HPACK's, and nothing that the peer does depends on it.

use super::field::Field;
use super::hash::{hash, is_same};

/// A connection has few such fields.
const SLOTS: usize = 8;

/// In bytes. A field that is longer comes seldom, and a peer shall not make us keep much.
const LONGEST: usize = 128;

#[derive(Debug)]
pub(super) struct Repeated {
    /// Marks of what is kept, and of what came lately and is not; 0 is nobody's.
    kept: [u16; SLOTS],
    lately: [u16; SLOTS],
    /// The slots that are to be given up last, as they were used since it was last their turn: a bit each.
    used: u8,
    /// Whose turn it is to be given up, and to be forgotten; they go round.
    next_kept: u8,
    next_lately: u8,
    slots: Option<Box<[Slot; SLOTS]>>,
}

#[derive(Debug)]
struct Slot {
    written: Box<[u8]>,
    field: Field,
}

impl Default for Slot {
    fn default() -> Slot {
        // No field is written in no bytes.
        Slot { written: Box::default(), field: Field::Malformed("nothing was kept") }
    }
}

impl Repeated {
    pub(super) fn new() -> Repeated {
        Repeated { kept: [0; SLOTS], lately: [0; SLOTS], used: 0, next_kept: 0, next_lately: 0, slots: None }
    }

    /// The mark of what is written thus; `None` if it is too long to be kept.
    #[inline]
    pub(super) fn mark(written: &[u8]) -> Option<u16> {
        (written.len() <= LONGEST).then(|| (hash(0, written) >> 48) as u16 | 1)
    }

    /// The field that is written thus, if it is kept.
    #[inline]
    pub(super) fn find(&mut self, mark: u16, written: &[u8]) -> Option<&Field> {
        let slots = self.slots.as_ref()?;
        let place = self.kept.iter().position(|kept| *kept == mark)?;
        let slot = slots.get(place)?;
        if !is_same(&slot.written, written) {
            return None;
        }
        self.used |= 1 << place;
        Some(&slot.field)
    }

    /// Takes note of a field that was not found, and keeps it if it came before.
    pub(super) fn note(&mut self, mark: u16, written: &[u8], field: &Field) {
        if !self.lately.contains(&mark) {
            if let Some(oldest) = self.lately.get_mut(usize::from(self.next_lately) % SLOTS) {
                *oldest = mark;
            }
            self.next_lately = self.next_lately.wrapping_add(1);
            return;
        }
        // Two that have one mark would only be in each other's way.
        let same = self.kept.iter().position(|kept| *kept == mark);
        let place = same.unwrap_or_else(|| self.give_up());
        let slots = self.slots.get_or_insert_default();
        if let (Some(kept), Some(slot)) = (self.kept.get_mut(place), slots.get_mut(place)) {
            *kept = mark;
            *slot = Slot { written: written.into(), field: field.clone() };
        }
    }

    /// The slot of what was not used for longest, nearly.
    fn give_up(&mut self) -> usize {
        loop {
            let place = usize::from(self.next_kept) % SLOTS;
            self.next_kept = self.next_kept.wrapping_add(1);
            if self.used & 1 << place == 0 {
                return place;
            }
            self.used &= !(1 << place);
        }
    }

    /// Whether nothing is allocated.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.slots.is_none()
    }
}
