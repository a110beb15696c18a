//! Strings inside JSON text: where they end, and what their escapes mean. Lone surrogates are refused, since no UTF-8 can hold
//! them.

use std::borrow::Cow;

use super::place::{JsonError, excerpt};

/// A string as it stands in the text, between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawString<'a> {
    pub(super) text: &'a str,
    /// How many backslashes begin an escape in it.
    escapes: usize,
    start: usize,
}

impl<'a> RawString<'a> {
    #[inline]
    pub(super) fn new(text: &'a str, escapes: usize, start: usize) -> RawString<'a> {
        RawString { text, escapes, start }
    }

    /// Whether what stands there is not yet what is meant.
    pub(super) fn is_escaped(self) -> bool {
        self.escapes > 0
    }

    /// Where it stands in the text.
    pub(super) fn offset(self) -> usize {
        self.start.saturating_sub(1)
    }

    /// That this key has been there before.
    pub(super) fn twice(self) -> JsonError {
        JsonError::new(self.offset(), format!("the key {:?} is given twice", excerpt(self.text)))
    }

    /// The text meant, borrowed where it has no escapes.
    #[inline]
    pub(super) fn cow(self) -> Result<Cow<'a, str>, JsonError> {
        if !self.is_escaped() {
            return Ok(Cow::Borrowed(self.text));
        }
        let mut text = String::with_capacity(self.text.len());
        self.unescape(|piece| text.push_str(piece))?;
        Ok(Cow::Owned(text))
    }

    /// Appends the text meant.
    pub(super) fn append(self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        if !self.is_escaped() {
            out.extend_from_slice(self.text.as_bytes());
            return Ok(());
        }
        self.unescape(|piece| out.extend_from_slice(piece.as_bytes()))
    }

    /// That its escapes are right.
    pub(super) fn check(self) -> Result<(), JsonError> {
        if self.is_escaped() { self.unescape(|_| ()) } else { Ok(()) }
    }

    fn unescape(self, mut sink: impl FnMut(&str)) -> Result<(), JsonError> {
        let mut rest = self.text;
        while let Some((plain, escape)) = rest.split_once('\\') {
            sink(plain);
            let fail = |message| JsonError::new(self.start + self.text.len() - escape.len() - 1, message);
            let mut chars = escape.chars();
            let literal = match chars.next() {
                Some('"') => "\"",
                Some('\\') => "\\",
                Some('/') => "/",
                Some('b') => "\u{8}",
                Some('f') => "\u{c}",
                Some('n') => "\n",
                Some('r') => "\r",
                Some('t') => "\t",
                Some('u') => {
                    let (character, after) = unicode_escape(chars.as_str()).map_err(fail)?;
                    sink(character.encode_utf8(&mut [0; 4]));
                    rest = after;
                    continue;
                }
                _ => return Err(fail("no such escape")),
            };
            sink(literal);
            rest = chars.as_str();
        }
        sink(rest);
        Ok(())
    }
}

/// What follows `\u`: four digits, or a surrogate pair over two escapes.
fn unicode_escape(text: &str) -> Result<(char, &str), &'static str> {
    let (unit, rest) = hex4(text)?;
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, rest));
    }
    const LONE: &str = "a surrogate without its other half";
    let low = rest.strip_prefix("\\u").ok_or(LONE)?;
    let (low, rest) = hex4(low)?;
    if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&low) {
        return Err(LONE);
    }
    let character = char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).ok_or(LONE)?;
    Ok((character, rest))
}

fn hex4(text: &str) -> Result<(u32, &str), &'static str> {
    const BAD: &str = "\\u needs four hexadecimal digits";
    let (digits, rest) = text.split_at_checked(4).ok_or(BAD)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(BAD);
    }
    Ok((u32::from_str_radix(digits, 16).map_err(|_| BAD)?, rest))
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
const BLANKS: u64 = u64::from_ne_bytes([b' '; 8]);

/// The top bits of the bytes in a word that need attention inside a string. Only the lowest that is set is sure to be right, since
/// borrows run upwards.
#[inline(always)]
fn special(word: u64) -> u64 {
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let quote = zero_byte(word ^ (ONES * u64::from(b'"')));
    let backslash = zero_byte(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    quote | backslash | control
}

/// How many bytes from the start need no attention inside a string: neither quote, backslash nor control character. Eight at a
/// time, since most of most messages is text; what is left is read together with bytes that have been found plain.
#[inline]
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    prefix::<0>(bytes)
}

/// As [`plain_prefix`], and what is not ASCII needs attention, too.
#[inline]
pub(super) fn plain_ascii_prefix(bytes: &[u8]) -> usize {
    prefix::<TOPS>(bytes)
}

#[inline(always)]
fn prefix<const ALSO: u64>(bytes: &[u8]) -> usize {
    let special = |word: u64| special(word) | word & ALSO;
    let mut length = 0;
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return length + (found.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    if tail.is_empty() {
        return length;
    }
    let (first, word) = match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(last), ..) => (bytes.len() - 8, u64::from_le_bytes(*last)),
        // Four to seven bytes: the upper half begins where the lower one ends, or within it, where both say the same.
        (None, Some(low), Some(high)) => {
            let high = u64::from(u32::from_le_bytes(*high)) << (8 * (bytes.len() - 4));
            (0, u64::from(u32::from_le_bytes(*low)) | high)
        }
        // The middle one of three is the last of two and the only one.
        _ => {
            let at = |place: usize| u64::from(bytes.get(place).copied().unwrap_or_default()) << (8 * place);
            (0, at(0) | at(1) | at(2))
        }
    };
    // Blanks behind a short text.
    let word = if bytes.len() < 8 { word | BLANKS << (8 * bytes.len()) } else { word };
    let found = special(word);
    if found == 0 { bytes.len() } else { first + (found.trailing_zeros() / 8) as usize }
}

#[cfg(test)]
mod tests {
    use super::{plain_ascii_prefix, plain_prefix};

    #[test]
    fn the_first_byte_that_needs_attention_is_found_wherever_it_is() {
        for length in 0..40 {
            let plain: Vec<u8> =
                (0..length).map(|place| [b' ', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'][place % 8]).collect();
            assert_eq!(plain_prefix(&plain), length);
            for (place, special) in (0..length).flat_map(|place| [0, 0x1f, b'"', b'\\'].map(|special| (place, special)))
            {
                let mut bytes = plain.clone();
                bytes[place] = special;
                assert_eq!(plain_prefix(&bytes), place, "{bytes:?}");
                // Another behind it changes nothing.
                bytes[length - 1] = b'"';
                assert_eq!(plain_prefix(&bytes), place, "{bytes:?}");
            }
        }
    }

    #[test]
    fn the_first_byte_that_is_not_ascii_is_found_wherever_it_is() {
        for length in 0..40 {
            let plain: Vec<u8> = (0..length).map(|place| [b' ', 0x7f, b'!', b'#'][place % 4]).collect();
            assert_eq!(plain_ascii_prefix(&plain), length);
            for (place, special) in
                (0..length).flat_map(|place| [0, b'"', b'\\', 0x80, 0xff].map(|special| (place, special)))
            {
                let mut bytes = plain.clone();
                bytes[place] = special;
                assert_eq!(plain_ascii_prefix(&bytes), place, "{bytes:?}");
                bytes[length - 1] = 0xff;
                assert_eq!(plain_ascii_prefix(&bytes), place, "{bytes:?}");
            }
        }
    }
}
