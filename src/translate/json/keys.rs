//! The keys that an object has had, so that none comes twice: a list while there are few, a tree when there are many, since the
//! keys may be a caller's who wants the look-up to be slow.

use std::collections::BTreeSet;

use smallvec::SmallVec;

/// Up to here, looking through a list beats anything else.
const FEW: usize = 8;

#[derive(Debug)]
pub(super) struct Keys<K> {
    few: SmallVec<[K; FEW]>,
    many: BTreeSet<K>,
}

impl<K: Ord> Keys<K> {
    pub(super) fn new() -> Keys<K> {
        Keys { few: SmallVec::new(), many: BTreeSet::new() }
    }

    /// Whether the key is new.
    pub(super) fn insert(&mut self, key: K) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_new_once() {
        let mut keys = Keys::new();
        for _ in 0..2 {
            let new = (0..100).filter(|key| keys.insert(*key)).count();
            assert!(new == 100 || new == 0);
        }
        assert!(!keys.insert(0) && !keys.insert(99) && keys.insert(100));
    }
}
