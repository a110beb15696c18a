//! Percent-encoding as paths meet it (RFC 3986 §2.1, §6.2.2; google/api/http.proto on captured values). Malformed escapes are kept as
//! they are, as Envoy does: a path is refused for what it means, never for how it is spelled.

use std::borrow::Cow;

/// A captured value that is not UTF-8 once decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The byte that `%XX` at the start of `text` stands for.
fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Whether `%XX` for this byte means the same as the byte itself (RFC 3986 §2.3).
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// One spelling for segments that mean the same: unreserved bytes plain, other escapes in upper case.
pub fn normalise(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, from)) = rest.find('%').and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        // An escape is three ASCII bytes, so that this split is always at a boundary.
        match (escape(from.as_bytes()), from.split_at_checked(3)) {
            (Some(byte), Some((_, after))) if is_unreserved(byte) => {
                out.push(byte as char);
                rest = after;
            }
            (Some(_), Some((escaped, after))) => {
                out.extend(escaped.chars().map(|c| c.to_ascii_uppercase()));
                rest = after;
            }
            _ => {
                out.push('%');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The value of a capture. `keep_slash`: `%2F` stays as it is, because the variable spans segments and a slash would read as a border.
pub(super) fn decode(text: &str, keep_slash: bool) -> Result<Cow<'_, str>, NotUtf8> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match escape(rest) {
            Some(byte) if !(keep_slash && byte == b'/') => {
                out.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_mean_the_same_get_one_spelling() {
        let cases = [
            ("plain", "plain"),
            ("%41bc", "Abc"),
            ("%7euser%2Dx%5f%2e", "~user-x_."),
            ("a%2fb", "a%2Fb"),
            ("%e4%B8%ad", "%E4%B8%AD"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
            ("%é41", "%é41"),
        ];
        for (text, expected) in cases {
            assert_eq!(normalise(text), expected, "{text}");
        }
    }

    #[test]
    fn captures_are_decoded_whole_or_but_for_slashes() {
        let cases = [
            ("a%20b", "a b", "a b"),
            ("a%2Fb%2fc", "a/b/c", "a%2Fb%2fc"),
            ("%E4%B8%AD", "中", "中"),
            ("a+b", "a+b", "a+b"),
            ("%3A%3F%25", ":?%", ":?%"),
            ("%252F", "%2F", "%2F"),
            ("50%", "50%", "50%"),
            ("%g0", "%g0", "%g0"),
        ];
        for (text, single, multi) in cases {
            assert_eq!(decode(text, false).unwrap(), single, "{text}");
            assert_eq!(decode(text, true).unwrap(), multi, "{text}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_told() {
        for text in ["%FF", "a%C3", "%ED%A0%80", "%C0%AF"] {
            assert_eq!(decode(text, false), Err(NotUtf8), "{text}");
        }
    }
}
