//! The lines of an NDJSON body as its bytes arrive (github.com/ndjson/ndjson-spec): each line whole, the body never. Lines end with
//! a line feed or `\r\n`, the last one may lack its end, and a blank one is no message. Blank is what holds JSON's whitespace alone
//! (RFC 8259 §2): a form feed or anything else is a value that cannot be read.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts a body into its lines.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    buffer: BytesMut,
    // How much of the buffer has no line feed.
    seen: usize,
    // Lines that have ended, blank ones as well.
    number: u64,
    ended: bool,
}

/// A line is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Lines of more than `limit` bytes, their end not counted, are refused as soon as they are.
    pub(super) fn new(limit: usize) -> Lines {
        Lines { limit, buffer: BytesMut::new(), seen: 0, number: 0, ended: false }
    }

    /// More of the body. Take all lines out before the next piece, and no more than one line and one piece is held.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// There is no more: what is left is a line.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// Which line the last one was, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank; `None` if more bytes are needed, or there are none.
    pub(super) fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            if self.seen == 0 {
                self.skip_blank();
            }
            let rest = self.buffer.get(self.seen..).unwrap_or_default();
            let line = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = self.buffer.split_to(self.seen + end);
                    self.buffer.advance(1);
                    line
                }
                None if self.ended && !self.buffer.is_empty() => self.buffer.split(),
                None => {
                    self.seen = self.buffer.len();
                    // The carriage return of its end may be there already.
                    return if self.seen > self.limit.saturating_add(1) { Err(TooLong) } else { Ok(None) };
                }
            };
            self.seen = 0;
            self.number += 1;
            let line = line.freeze();
            let line = line.strip_suffix(b"\r").map_or_else(|| line.clone(), |text| line.slice_ref(text));
            if line.len() > self.limit {
                return Err(TooLong);
            }
            if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                return Ok(Some(line));
            }
        }
    }

    /// Lets go of the blank lines at the front in one go: a body may be megabytes of nothing else.
    fn skip_blank(&mut self) {
        let (mut start, mut lines) = (0, 0);
        for (at, byte) in self.buffer.iter().enumerate() {
            if *byte == b'\n' {
                // One that is too long is refused as any other.
                if at - start > self.limit {
                    break;
                }
                (start, lines) = (at + 1, lines + 1);
            } else if !matches!(byte, b' ' | b'\t' | b'\r') {
                break;
            }
        }
        self.buffer.advance(start);
        self.number += lines;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(body: &[u8], sizes: &[usize], limit: usize) -> Result<Vec<(u64, Vec<u8>)>, TooLong> {
        let mut cutter = Lines::new(limit);
        let mut all = Vec::new();
        let mut rest = body;
        let mut sizes = sizes.iter().cycle();
        loop {
            while let Some(line) = cutter.next_line()? {
                all.push((cutter.number(), line.to_vec()));
            }
            if rest.is_empty() {
                if cutter.ended {
                    return Ok(all);
                }
                cutter.finish();
            }
            let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            cutter.push(piece);
            rest = after;
        }
    }

    #[test]
    fn lines_end_in_either_way_and_blank_ones_are_none() {
        let cases: &[(&str, &[(u64, &str)])] = &[
            ("", &[]),
            ("\n", &[]),
            ("a", &[(1, "a")]),
            ("a\n", &[(1, "a")]),
            ("a\r\nb\n", &[(1, "a"), (2, "b")]),
            ("a\n\n \t\r\nb", &[(1, "a"), (4, "b")]),
            ("a\rb\n", &[(1, "a\rb")]),
            ("a\r", &[(1, "a")]),
            (" \x0c\n\x0b\r\n\r\r\n\u{a0}", &[(1, " \x0c"), (2, "\x0b"), (4, "\u{a0}")]),
        ];
        for (body, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(number, line)| (*number, line.as_bytes().to_vec())).collect();
            assert_eq!(lines(body.as_bytes(), &[usize::MAX], 10), Ok(expected), "{body:?}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_its_end() {
        assert_eq!(lines(b"12345\r\n1234", &[1], 5).unwrap().len(), 2);
        assert_eq!(lines(b"123456\n", &[usize::MAX], 5), Err(TooLong));
        assert_eq!(lines(b"12345\n123456", &[usize::MAX], 5), Err(TooLong));
        let mut cutter = Lines::new(5);
        cutter.push(b"1234567");
        assert_eq!(cutter.next_line(), Err(TooLong));
    }

    #[test]
    fn a_crowd_of_blank_lines_goes_at_once() {
        let mut cutter = Lines::new(5);
        cutter.push("\r\n \n\n".repeat(10_000).as_bytes());
        cutter.push(b"a\n\n\nb");
        cutter.skip_blank();
        assert_eq!((&*cutter.buffer, cutter.number()), (&b"a\n\n\nb"[..], 30_000));
        assert_eq!(cutter.next_line().unwrap().unwrap(), "a");
        assert_eq!(cutter.next_line(), Ok(None));
        assert_eq!((&*cutter.buffer, cutter.number()), (&b"b"[..], 30_003));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_lines(
            body in "[ab \r\n]{0,60}",
            sizes in proptest::collection::vec(1_usize..7, 1..5),
            limit in 1_usize..20,
        ) {
            prop_assert_eq!(lines(body.as_bytes(), &sizes, limit), lines(body.as_bytes(), &[usize::MAX], limit));
        }
    }
}
