//! Lines that end in CRLF, found in bytes that may arrive one at a time. It remembers how far it looked, so that a slow sender
//! costs no second look. Bare CR, bare LF and every other control byte but a tab are refused where they stand, without waiting for
//! the rest: nothing that HTTP puts on a line needs them (RFC 9112 §2.2, RFC 9110 §5.5).

use std::ops::Range;

/// How far a growing block of lines was read.
#[derive(Clone, Debug, Default)]
pub(super) struct LineScanner {
    scanned: usize,
    line_start: usize,
}

/// A control byte stands where none may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StrayControl;

impl LineScanner {
    /// The next whole line of `block`, without its CRLF, as a range of `block`; `None` when it has not ended yet. `block` is the
    /// same bytes every time, with more behind them.
    pub(super) fn next_line(&mut self, block: &[u8]) -> Result<Option<Range<usize>>, StrayControl> {
        let fresh = block.get(self.scanned..).unwrap_or_default();
        let Some(offset) = find_control(fresh) else {
            self.scanned = block.len();
            return Ok(None);
        };
        self.scanned += offset;
        match fresh.get(offset..) {
            Some([b'\r', b'\n', ..]) => {
                let line = self.line_start..self.scanned;
                self.scanned += 2;
                self.line_start = self.scanned;
                Ok(Some(line))
            }
            Some([b'\r']) => Ok(None),
            _ => Err(StrayControl),
        }
    }

    /// Where the line after the last whole one starts.
    pub(super) fn consumed(&self) -> usize {
        self.line_start
    }
}

/// A control byte that HTTP does not allow within a line (RFC 5234 CTL, but HTAB).
pub(super) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// The first control byte. Sixteen at a time without a branch between them, which the compiler turns into vector code.
fn find_control(bytes: &[u8]) -> Option<usize> {
    let (blocks, tail) = bytes.as_chunks::<16>();
    for (index, block) in blocks.iter().enumerate() {
        if block.iter().fold(false, |any, byte| any | is_control(*byte)) {
            return block.iter().position(|byte| is_control(*byte)).map(|at| index * 16 + at);
        }
    }
    tail.iter().position(|byte| is_control(*byte)).map(|at| blocks.len() * 16 + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_ends_in_crlf_and_in_nothing_else() {
        let mut scanner = LineScanner::default();
        let block = b"one\r\n\ttwo\r\n\r\nrest";
        assert_eq!(scanner.next_line(block), Ok(Some(0..3)));
        assert_eq!(scanner.next_line(block), Ok(Some(5..9)));
        assert_eq!(scanner.next_line(block), Ok(Some(11..11)));
        assert_eq!(scanner.consumed(), 13);
        assert_eq!(scanner.next_line(block), Ok(None));
        for bad in ["a\nb", "a\rb", "a\r\r\n", "\n", "a\0", "a\x0b\r\n", "a\x7f", "a\x1b"] {
            assert_eq!(LineScanner::default().next_line(bad.as_bytes()), Err(StrayControl), "{bad:?}");
        }
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let block = vec![b'x'; 1000];
        let mut scanner = LineScanner::default();
        for len in 0..=block.len() {
            assert_eq!(scanner.next_line(&block[..len]), Ok(None));
            assert_eq!(scanner.scanned, len);
        }
    }

    proptest! {
        #[test]
        fn the_first_control_byte_is_found_wherever_it_is(
            mut bytes in prop::collection::vec(0x20_u8..0x7f, 0..100), at in 0_usize..100, control in 0_u8..0x20,
        ) {
            prop_assert_eq!(find_control(&bytes), None);
            if let Some(place) = bytes.get_mut(at) {
                *place = control;
                prop_assert_eq!(find_control(&bytes), (control != b'\t').then_some(at));
            }
        }
    }
}
