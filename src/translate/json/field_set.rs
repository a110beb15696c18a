//! Which fields, or oneofs, of a message have been met: a word for nearly every message, more where a message has more.

use smallvec::SmallVec;

#[derive(Debug, Default)]
pub(super) struct FieldSet {
    low: u64,
    high: SmallVec<[u64; 1]>,
}

impl FieldSet {
    /// Puts an index in; whether it was there already. Memory follows the largest index, which is bounded by the schema.
    #[inline]
    pub(super) fn insert(&mut self, index: u32) -> bool {
        let bit = 1_u64 << (index % 64);
        let word = match (index as usize / 64).checked_sub(1) {
            None => &mut self.low,
            Some(place) => {
                if self.high.len() <= place {
                    self.high.resize(place + 1, 0);
                }
                let Some(word) = self.high.get_mut(place) else { return false };
                word
            }
        };
        let before = *word;
        *word |= bit;
        before & bit != 0
    }

    #[inline]
    pub(super) fn contains(&self, index: u32) -> bool {
        let word = match (index as usize / 64).checked_sub(1) {
            None => self.low,
            Some(place) => self.high.get(place).copied().unwrap_or(0),
        };
        word & (1_u64 << (index % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_nothing_else() {
        let mut set = FieldSet::default();
        for index in [0, 63, 64, 65, 1000] {
            assert!(!set.contains(index) && !set.insert(index) && set.contains(index) && set.insert(index), "{index}");
        }
        for index in [1, 62, 66, 127, 128, 999, 1001, 100_000] {
            assert!(!set.contains(index), "{index}");
        }
    }
}
