//! A body that is read whole.

use bytes::{Buf, Bytes};

/// Bytes put together; not copied when they come in one piece, as most bodies do.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    one: Bytes,
    many: Vec<u8>,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.one = chunk;
            return;
        }
        self.many.extend_from_slice(&self.one);
        self.one.advance(self.one.len());
        self.many.extend_from_slice(&chunk);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        if self.many.is_empty() { &self.one } else { &self.many }
    }
}
