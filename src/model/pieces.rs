//! Bytes as they came, in pieces: to be passed on without a copy, or to be put together when somebody needs them in one. Small pieces
//! are put together as they come, so that crumbs cost no more than their bytes: a piece holds all of the buffer that it was read into.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The same, of what may be held for long: a quarter of the buffers that bodies are read into, and what a frame of HTTP/2 has most often.
const LARGE_TO_HOLD: usize = 16 * 1024;

/// Bytes in the order in which they came. The first piece is kept as it is until there is another.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Empty only if `more` has no whole ones.
    first: Bytes,
    /// In a place of their own: most bodies are one piece, and are moved about.
    more: Option<Box<More>>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct More {
    whole: VecDeque<Bytes>,
    /// Small ones, behind all others.
    joined: BytesMut,
}

impl Pieces {
    /// From here on a piece is worth its own place.
    pub const LARGE: usize = 4 * 1024;

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.is_empty() {
            self.len = piece.len();
            self.first = piece;
        } else if piece.len() < Pieces::LARGE {
            self.join(&piece);
        } else {
            self.len += piece.len();
            let more = self.more.get_or_insert_default();
            if more.whole.is_empty() && more.joined.is_empty() && self.first.len() < Pieces::LARGE {
                more.joined.extend_from_slice(&std::mem::take(&mut self.first));
            }
            for piece in [std::mem::take(&mut more.joined).freeze(), piece] {
                if self.first.is_empty() {
                    self.first = piece;
                } else if !piece.is_empty() {
                    more.whole.push_back(piece);
                }
            }
        }
    }

    /// A piece of what is gathered until all of it has come, which takes as long as its sender likes: in any number they pin four times
    /// their size at most.
    pub fn push_to_hold(&mut self, piece: Bytes) {
        if self.is_empty() || piece.len() >= LARGE_TO_HOLD { self.push(piece) } else { self.push_copy(&piece) }
    }

    /// A piece that is not to be kept where it lies.
    pub fn push_copy(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.is_empty() {
            self.len = piece.len();
            self.first = Bytes::copy_from_slice(piece);
        } else {
            self.join(piece);
        }
    }

    fn join(&mut self, piece: &[u8]) {
        self.len += piece.len();
        let more = self.more.get_or_insert_default();
        if more.whole.is_empty() && more.joined.is_empty() && self.first.len() < Pieces::LARGE {
            more.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        if more.joined.is_empty() && piece.len() >= Pieces::LARGE {
            // The rest of a frame that came in two reads is next, and would move what is here to a larger place.
            more.joined.reserve(LARGE_TO_HOLD);
        }
        more.joined.extend_from_slice(piece);
    }

    /// The first bytes, in some number.
    pub fn peek(&self) -> &[u8] {
        match &self.more {
            Some(more) if self.first.is_empty() => &more.joined,
            _ => &self.first,
        }
    }

    /// Copies the first bytes, as many as there is room for. How many.
    pub fn copy_first(&self, room: &mut [u8]) -> usize {
        let more = self.more.iter().flat_map(|more| more.whole.iter().map(|piece| &**piece).chain([&*more.joined]));
        let bytes = std::iter::once(&*self.first).chain(more).flatten();
        room.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count()
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        let next = match &mut self.more {
            Some(more) if self.first.is_empty() => {
                self.first = std::mem::take(&mut more.joined).freeze();
                Bytes::new()
            }
            Some(more) => more.whole.pop_front().unwrap_or_default(),
            None => Bytes::new(),
        };
        let piece = std::mem::replace(&mut self.first, next);
        self.len -= piece.len();
        (!piece.is_empty()).then_some(piece)
    }

    /// Takes the first `len` bytes off, or all of them if there are no more.
    pub fn split_to(&mut self, len: usize) -> Pieces {
        let mut front = Pieces::default();
        while front.len < len && !self.is_empty() {
            let left = len - front.len;
            if self.peek().len() > left {
                front.push(self.split_first(left));
            } else if let Some(piece) = self.pop() {
                front.push(piece);
            }
        }
        front
    }

    /// The beginning of what `peek` says, which is longer.
    fn split_first(&mut self, len: usize) -> Bytes {
        self.len -= len;
        match &mut self.more {
            Some(more) if self.first.is_empty() => more.joined.split_to(len).freeze(),
            _ => self.first.split_to(len),
        }
    }

    /// Passes over the first `len` bytes.
    pub fn skip(&mut self, len: usize) {
        let mut left = len;
        while left > 0 && !self.is_empty() {
            let step = left.min(self.peek().len());
            if step == self.peek().len() {
                self.pop();
            } else {
                self.split_first(step);
            }
            left -= step;
        }
    }

    /// All of it in one; not copied if it is one.
    pub fn into_bytes(mut self) -> Bytes {
        if self.peek().len() == self.len {
            return self.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        while let Some(piece) = self.pop() {
            whole.extend_from_slice(&piece);
        }
        whole.freeze()
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Pieces {
        Pieces { len: whole.len(), first: whole, more: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGE: usize = Pieces::LARGE;

    const SIZES: [usize; 9] = [0, 1, 7, 100, 1024, LARGE - 1, LARGE, LARGE + 1, 20_000];

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in proptest::collection::vec((0..SIZES.len(), 0..3_u8, 0..4_usize, 0..30_000_usize), 0..40),
        ) {
            let (mut pieces, mut there) = (Pieces::default(), Vec::new());
            for (step, (size, copied, act, len)) in steps.into_iter().enumerate() {
                let piece = vec![step as u8; SIZES[size]];
                there.extend_from_slice(&piece);
                match copied {
                    0 => pieces.push_copy(&piece),
                    1 => pieces.push_to_hold(piece.into()),
                    _ => pieces.push(piece.into()),
                }
                let taken = match act {
                    0 => Vec::new(),
                    1 => pieces.pop().map_or_else(Vec::new, Vec::from),
                    2 => pieces.split_to(len).into_bytes().to_vec(),
                    _ => {
                        pieces.skip(len);
                        there[..len.min(there.len())].to_vec()
                    }
                };
                prop_assert!(act < 2 || taken.len() == len.min(there.len()));
                prop_assert_eq!(&there[..taken.len()], &taken[..]);
                there.drain(..taken.len());
                prop_assert_eq!(pieces.len(), there.len());
                prop_assert_eq!(pieces.is_empty(), there.is_empty());
                let mut first = [0; 15];
                let len = pieces.copy_first(&mut first);
                prop_assert_eq!(&first[..len], &there[..there.len().min(15)]);
                prop_assert!(there.starts_with(pieces.peek()) && pieces.peek().is_empty() == there.is_empty());
            }
            prop_assert_eq!(pieces.clone().into_bytes(), there.clone());
            let mut popped = Vec::new();
            while let Some(piece) = pieces.pop() {
                prop_assert!(!piece.is_empty());
                popped.extend_from_slice(&piece);
            }
            prop_assert_eq!(popped, there);
        }
    }

    #[test]
    fn crumbs_are_put_together() {
        for copied in [false, true] {
            let mut pieces = Pieces::default();
            for _ in 0..100_000 {
                if copied {
                    pieces.push_copy(b"x")
                } else {
                    pieces.push(Bytes::from_static(b"x"))
                }
                pieces.push(Bytes::new());
            }
            assert_eq!(pieces.pop().unwrap().len(), 100_000);
            assert!(pieces.pop().is_none());
        }
    }

    #[test]
    fn what_is_large_or_alone_stays_where_it_lies() {
        let large: Vec<Bytes> = (0..3).map(|step| Bytes::from(vec![step; LARGE])).collect();
        let mut pieces = Pieces::default();
        large.iter().for_each(|piece| pieces.push(piece.clone()));
        assert_eq!(pieces.split_to(LARGE / 2).pop().unwrap().as_ptr(), large[0].as_ptr());
        for piece in &large {
            let popped = pieces.pop().unwrap();
            assert!(piece.as_ptr_range().contains(&popped.as_ptr()));
        }
        let small = Bytes::from(vec![1; 10]);
        pieces.push(small.clone());
        assert_eq!(pieces.clone().into_bytes().as_ptr(), small.as_ptr());
        assert_eq!(Pieces::from(small.clone()).pop().unwrap().as_ptr(), small.as_ptr());
    }
}
