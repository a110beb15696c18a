//! Who is next: a winner tree over the keys of an order.
//!
//! A key and its index share one u64 (key above, index below), so that a comparison is one instruction and ties go to the lower
//! index. Up to 65,536 entries the key has 48 bits; beyond, the index takes bits from the key, which stays fine enough.

/// An entry that takes no part.
const ABSENT: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// `nodes[1]` is the winner; the children of `k` are `2k` and `2k + 1`; the leaves are the upper half.
    nodes: Vec<u64>,
    leaves: usize,
    index_bits: u32,
}

impl Tree {
    /// A tree of `len` entries, none of which takes part yet.
    pub(super) fn new(len: usize) -> Tree {
        let leaves = len.max(1).next_power_of_two();
        Tree { nodes: vec![ABSENT; leaves * 2], leaves, index_bits: leaves.trailing_zeros().max(16) }
    }

    /// Gives every entry a key at once, or none: in one pass, where a step each would go up the tree each time.
    pub(super) fn fill(&mut self, keys: impl Iterator<Item = Option<u64>>) {
        let most = (1 << self.key_bits()) - 2;
        let bits = self.index_bits;
        let (inner, leaves) = self.nodes.split_at_mut(self.leaves);
        for (index, (leaf, key)) in leaves.iter_mut().zip(keys).enumerate() {
            *leaf = key.map_or(ABSENT, |key| (key.min(most) << bits) | index as u64);
        }
        // Each level is half of the one below it, which lies behind it; the leaves are in an array of their own.
        let mut below: &[u64] = leaves;
        let mut rest = inner;
        while rest.len() > 1 {
            let (above, level) = rest.split_at_mut(rest.len() / 2);
            for (node, pair) in level.iter_mut().zip(below.chunks_exact(2)) {
                *node = pair.iter().copied().min().unwrap_or(ABSENT);
            }
            below = level;
            rest = above;
        }
    }

    pub(super) fn key_bits(&self) -> u32 {
        64 - self.index_bits
    }

    /// The entry with the lowest key.
    pub(super) fn min(&self) -> Option<(u64, usize)> {
        let value = self.nodes.get(1).copied().filter(|value| *value != ABSENT)?;
        Some((value >> self.index_bits, (value & ((1 << self.index_bits) - 1)) as usize))
    }

    /// The key of one entry, if it takes part.
    pub(super) fn key(&self, index: usize) -> Option<u64> {
        self.nodes.get(self.leaves + index).filter(|value| **value != ABSENT).map(|value| value >> self.index_bits)
    }

    /// `key` is cut to what fits.
    pub(super) fn set(&mut self, index: usize, key: u64) {
        let most = (1 << self.key_bits()) - 2;
        self.put(index, (key.min(most) << self.index_bits) | index as u64);
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.put(index, ABSENT);
    }

    fn put(&mut self, index: usize, value: u64) {
        let mut at = self.leaves + index;
        let Some(leaf) = self.nodes.get_mut(at) else { return };
        *leaf = value;
        let mut winner = value;
        while at > 1 {
            winner = winner.min(self.nodes.get(at ^ 1).copied().unwrap_or(ABSENT));
            at >>= 1;
            match self.nodes.get_mut(at) {
                Some(node) if *node != winner => *node = winner,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_given_at_once_are_keys_given_one_by_one(keys in prop::collection::vec(prop::option::of(0_u64..50), 0..70)) {
            let (mut filled, mut set) = (Tree::new(keys.len()), Tree::new(keys.len()));
            filled.fill(vec![Some(7); keys.len()].into_iter());
            filled.fill(keys.iter().copied());
            for (index, key) in keys.iter().enumerate() {
                key.iter().for_each(|key| set.set(index, *key));
            }
            prop_assert_eq!(filled.nodes, set.nodes);
        }

        #[test]
        fn the_winner_is_the_lowest_key_then_the_lowest_index(
            len in 0_usize..70,
            steps in prop::collection::vec((0_usize..70, prop::option::of(0_u64..50)), 0..200),
        ) {
            let mut tree = Tree::new(len);
            let mut plain: Vec<Option<u64>> = vec![None; len];
            for (index, key) in steps {
                let Some(slot) = plain.get_mut(index) else { continue };
                *slot = key;
                match key {
                    Some(key) => tree.set(index, key),
                    None => tree.remove(index),
                }
                let expected = plain.iter().enumerate().filter_map(|(i, key)| Some(((*key)?, i))).min();
                prop_assert_eq!(tree.min(), expected);
                prop_assert_eq!(tree.key(index), key);
            }
        }
    }

    #[test]
    fn more_than_sixteen_bits_of_entries_keep_their_order() {
        let mut tree = Tree::new(200_000);
        for index in 0..200_000_u64 {
            tree.set(index as usize, (index * 7919) % 200_003 + 5);
        }
        assert_eq!(tree.min(), Some((5, 0)));
        tree.set(199_999, 3);
        assert_eq!(tree.min(), Some((3, 199_999)));
    }

    #[test]
    fn a_key_too_large_is_cut_and_still_takes_part() {
        let mut tree = Tree::new(2);
        tree.set(1, u64::MAX);
        assert_eq!(tree.min().map(|(_, index)| index), Some(1));
        tree.set(0, 12);
        assert_eq!(tree.min(), Some((12, 0)));
    }
}
