//! The data of a stream that has arrived and that nobody has taken yet. Small pieces are put together as they come, so that neither
//! a peer that sends in crumbs nor one whose reader is slow costs more memory than the bytes that its windows let it send; large ones
//! stay where they were read, as parts of buffers that are at most some times their size.

use bytes::Bytes;

use crate::model::Pieces;

/// Bytes that were read, and perhaps belong to a buffer that can be shared.
#[derive(Debug)]
pub(super) enum Piece<'read> {
    Borrowed(&'read [u8]),
    Owned(Bytes),
}

impl Piece<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Borrowed(bytes) => bytes,
            Piece::Owned(bytes) => bytes,
        }
    }
}

/// Bytes in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Inbox(Pieces);

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Owned(bytes) if bytes.len() >= Pieces::LARGE => self.0.push(bytes),
            Piece::Borrowed(bytes) if bytes.len() >= Pieces::LARGE => self.0.push(Bytes::copy_from_slice(bytes)),
            small => self.0.push_copy(small.as_slice()),
        }
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.0.pop()
    }

    /// Drops all of it. Its length.
    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGE: usize = Pieces::LARGE;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in proptest::collection::vec((0..9_usize, any::<bool>(), any::<bool>()), 0..40)) {
            let (mut inbox, mut put, mut taken) = (Inbox::default(), Vec::new(), Vec::new());
            for (step, (size, owned, take)) in steps.into_iter().enumerate() {
                let piece = vec![step as u8; [0, 1, 7, 100, 1024, LARGE - 1, LARGE, LARGE + 1, 20_000][size]];
                put.extend_from_slice(&piece);
                inbox.put(if owned { Piece::Owned(piece.into()) } else { Piece::Borrowed(&piece) });
                if take {
                    taken.extend(inbox.take().into_iter().flatten());
                }
            }
            let mut rest = taken.len();
            while let Some(piece) = inbox.take() {
                prop_assert!(!piece.is_empty());
                taken.extend(piece);
            }
            prop_assert!(inbox.is_empty());
            rest = taken.len() - rest;
            prop_assert_eq!(&taken, &put);
            inbox.put(Piece::Borrowed(&taken));
            inbox.put(Piece::Borrowed(&[1; 10]));
            prop_assert_eq!(inbox.clear(), taken.len() + 10);
            prop_assert!(rest <= taken.len() && inbox.is_empty());
        }
    }
}
