//! Bytes that were read and are to be taken apart: borrowed from a buffer that many connections share, or in a buffer of their own, of
//! which large payloads become parts without a copy.

use bytes::{Buf, BytesMut};

use super::inbox::Piece;

/// From here on a payload is worth to be a part of the buffer, of which it keeps all alive: a quarter of the largest read.
const LARGE: usize = 16 * 1024;

/// What is left of the bytes that were read.
#[derive(Debug)]
pub enum Input<'read> {
    Borrowed(&'read [u8]),
    Owned(BytesMut),
}

impl Input<'_> {
    pub(super) fn peek(&self) -> &[u8] {
        match self {
            Input::Borrowed(bytes) => bytes,
            Input::Owned(bytes) => bytes,
        }
    }

    pub(super) fn skip(&mut self, len: usize) {
        match self {
            Input::Borrowed(bytes) => *bytes = bytes.get(len..).unwrap_or_default(),
            Input::Owned(bytes) => bytes.advance(len.min(bytes.len())),
        }
    }

    /// Hands the first `len` bytes, as far as there are so many, to `take`.
    pub(super) fn feed(&mut self, len: usize, take: impl FnOnce(Piece<'_>)) {
        match self {
            Input::Owned(bytes) if len >= LARGE => take(Piece::Owned(bytes.split_to(len.min(bytes.len())).freeze())),
            _ => {
                take(Piece::Borrowed(self.peek().get(..len).unwrap_or_default()));
                self.skip(len);
            }
        }
    }

    /// What is to be kept until more has been read.
    pub fn into_rest(self) -> BytesMut {
        match self {
            // Of a large buffer a small rest is not worth the memory.
            Input::Owned(bytes) if bytes.len() >= LARGE => bytes,
            rest if rest.peek().is_empty() => BytesMut::new(),
            rest => BytesMut::from(rest.peek()),
        }
    }
}
