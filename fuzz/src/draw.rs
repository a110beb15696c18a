//! Choices drawn from a fuzzer's bytes, one after the other; when they run out, every choice is the first.

pub struct Draw<'a>(pub &'a [u8]);

impl<'a> Draw<'a> {
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of some.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// As many bytes as the next one says, or what there is.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        self.0 = rest;
        piece
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The input in pieces: its first byte says how long they are.
pub fn pieces(data: &[u8]) -> Option<(&[u8], std::slice::Chunks<'_, u8>)> {
    let (step, bytes) = data.split_first()?;
    Some((bytes, bytes.chunks(usize::from(*step).max(1))))
}

/// The text in front of the first line's end, and what is behind it.
pub fn two_texts(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}
