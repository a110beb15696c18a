//! What is to be written: small frames in one buffer, large payloads between them where they lie. All of it leaves by as few writes as
//! the socket takes.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// From here on a payload is not copied.
const LARGE: usize = 2 * 1024;

/// Room for what one call usually writes: a head, a message and trailers.
const USUAL: usize = 512;

/// Slices given to one write.
pub(super) const SLICES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// In front of `tail`.
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Outbox {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Lets `write` put small things at the end.
    pub(super) fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        if self.tail.capacity() == 0 {
            self.tail.reserve(USUAL);
        }
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len() - before;
    }

    pub(super) fn put_payload(&mut self, payload: Bytes) {
        if payload.len() < LARGE {
            return self.put(|tail| tail.extend_from_slice(&payload));
        }
        self.len += payload.len();
        if !self.tail.is_empty() {
            let written = self.tail.split().freeze();
            self.sealed.push_back(written);
        }
        self.sealed.push_back(payload);
    }

    /// What comes first, as far as there is room in `slices`. How many there are.
    pub(super) fn slices<'out>(&'out self, slices: &mut [IoSlice<'out>]) -> usize {
        let tail = std::iter::once(&self.tail[..]).filter(|tail| !tail.is_empty());
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(self.sealed.iter().map(|piece| &piece[..]).chain(tail)) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// The first `written` bytes have left.
    pub(super) fn wrote(&mut self, written: usize) {
        let mut left = written.min(self.len);
        self.len -= left;
        while let Some(first) = self.sealed.front_mut() {
            if first.len() > left {
                return first.advance(left);
            }
            left -= first.len();
            self.sealed.pop_front();
        }
        self.tail.advance(left.min(self.tail.len()));
        if self.tail.is_empty() {
            // A connection that rests holds no buffer.
            self.tail = BytesMut::new();
            self.sealed = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_of_it_leaves_in_its_order(
            steps in proptest::collection::vec((any::<bool>(), 0..6_usize, 0..9_000_usize), 0..20),
        ) {
            let (mut outbox, mut put, mut written) = (Outbox::default(), Vec::new(), Vec::new());
            let mut write = |outbox: &mut Outbox, most: usize| {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = outbox.slices(&mut slices);
                let there: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let part = most.min(there.len());
                written.extend_from_slice(&there[..part]);
                outbox.wrote(part);
                part
            };
            for (step, (small, size, most)) in steps.into_iter().enumerate() {
                let bytes = vec![step as u8; [0, 9, 300, LARGE - 1, LARGE, 16_384][size]];
                put.extend_from_slice(&bytes);
                if small { outbox.put(|tail| tail.extend_from_slice(&bytes)) } else { outbox.put_payload(bytes.into()) }
                write(&mut outbox, most);
            }
            while write(&mut outbox, usize::MAX) > 0 {}
            prop_assert_eq!(outbox.len(), 0);
            prop_assert_eq!(written, put);
        }
    }
}
