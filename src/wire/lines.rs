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

/// The first control byte. Eight at a time: lines are short, and to find one is to know its place.
fn find_control(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|byte| is_control(*byte)).map(|at| words.len() * 8 + at)
}

/// The highest bit of each byte that is a control byte.
fn controls(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * EACH;
    // No carry leaves a byte, so that each is told exactly.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let is_low = zeros(word & (0xe0 * EACH));
    let is_tab = zeros(word ^ (u64::from(b'\t') * EACH));
    let is_delete = zeros(word ^ (0x7f * EACH));
    (is_low & !is_tab) | is_delete
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

    #[test]
    fn each_byte_is_told_whatever_stands_beside_it() {
        for byte in 0..=u8::MAX {
            for beside in [0, 1, 8, b'\t', b'\n', 0x1f, b' ', b'a', 0x7e, 0x7f, 0x80, 0xff] {
                for place in 0..8 {
                    let mut word = [beside; 8];
                    word[place] = byte;
                    let told = controls(u64::from_le_bytes(word)).to_le_bytes();
                    let expected = word.map(|byte| if is_control(byte) { 0x80 } else { 0 });
                    assert_eq!(told, expected, "{word:?}");
                }
            }
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
