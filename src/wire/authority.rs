//! Which authority a request is for: `uri-host [":" port]` of RFC 3986 §3.2, without what no honest caller sends. It leans to
//! refusing: a host that two readers could split differently (userinfo, a comma, percent-encoding, a zone) routes nowhere.

use std::net::Ipv6Addr;

use bytes::Bytes;
use http::HeaderValue;

use super::refusal::Refusal;

const BAD_AUTHORITY: Refusal = Refusal::head("the host is not a name or an address with an optional port");

/// Whether `text` may stand in `Host` or `:authority`: a registered name, an IPv4 address or a bracketed IPv6 address, and
/// perhaps a port up to 65535. A name in `default_host` is checked by this too.
pub fn is_authority(text: &[u8]) -> bool {
    canonical_len(text).is_some()
}

/// Whether `text` is a name with percent-encoded bytes, and perhaps a port (RFC 3986 §3.2.2): what callers make of the path of a Unix
/// socket, `%2Frun%2Fa.sock`, when nobody told them an authority. It names no host.
pub fn is_encoded_name(text: &[u8]) -> bool {
    let len = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let Some((mut name, port)) = text.split_at_checked(len) else { return false };
    if !matches!(port, [] | [b':']) && !port.strip_prefix(b":").is_some_and(is_port) {
        return false;
    }
    let mut is_encoded = false;
    loop {
        name = match name {
            [] => return is_encoded,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                is_encoded = true;
                rest
            }
            [byte, rest @ ..] if is_name_byte(*byte) || *byte == b',' => rest,
            _ => return false,
        };
    }
}

/// Checks a `Host` value and drops the colon of an empty port (RFC 3986 §6.2.3).
pub(super) fn canonical(value: HeaderValue) -> Result<HeaderValue, Refusal> {
    let bytes = value.as_bytes();
    let len = canonical_len(bytes).ok_or(BAD_AUTHORITY)?;
    if len == bytes.len() {
        return Ok(value);
    }
    let kept = bytes.get(..len).unwrap_or_default();
    HeaderValue::from_bytes(kept).map_err(|_| BAD_AUTHORITY)
}

/// The same for the authority of an absolute-form target, without a copy.
pub(super) fn canonical_bytes(mut text: Bytes) -> Result<HeaderValue, Refusal> {
    text.truncate(canonical_len(&text).ok_or(BAD_AUTHORITY)?);
    HeaderValue::from_maybe_shared(text).map_err(|_| BAD_AUTHORITY)
}

/// The length without an empty port, or `None` when it is not an authority.
fn canonical_len(text: &[u8]) -> Option<usize> {
    let (host_len, rest) = if let Some(literal) = text.strip_prefix(b"[") {
        let len = literal.iter().position(|byte| *byte == b']')?;
        let (address, rest) = literal.split_at_checked(len)?;
        std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
        (len + 2, rest.get(1..)?)
    } else {
        let len = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(len)?;
        if name.is_empty() || !name.iter().all(|byte| is_name_byte(*byte)) {
            return None;
        }
        (len, rest)
    };
    match rest {
        [] | [b':'] => Some(host_len),
        [b':', port @ ..] => is_port(port).then_some(text.len()),
        _ => None,
    }
}

/// RFC 3986 `unreserved` and `sub-delims`, without the comma: a list of hosts is what two joined `Host` fields look like.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
        )
}

fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use http::uri::Authority;

    use super::*;

    #[test]
    fn names_and_addresses_with_a_port_or_without() {
        for text in
            ["a", "a.example", "a_b.example.", "A.Example:80", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:443", "x:0"]
        {
            assert!(is_authority(text.as_bytes()), "{text}");
            assert_eq!(canonical(HeaderValue::from_static(text)).unwrap(), text);
            assert!(text.parse::<Authority>().is_ok(), "what passes fits an `:authority`: {text}");
        }
    }

    #[test]
    fn an_empty_port_is_no_port() {
        assert_eq!(canonical(HeaderValue::from_static("a.example:")).unwrap(), "a.example");
        assert_eq!(canonical(HeaderValue::from_static("[::1]:")).unwrap(), "[::1]");
        assert_eq!(canonical_bytes(Bytes::from_static(b"a:")).unwrap(), "a");
    }

    #[test]
    fn what_two_readers_could_split_differently_is_refused() {
        for text in [
            "",
            ":80",
            "u@a",
            "u:p@a",
            "a,b",
            "a, b",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:80:80",
            "a:8 0",
            "a%2eb",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]]",
            "[]",
            "[::1%25lo]",
            "[v1.a]",
            "[a]",
            "a[b]",
            "[::1]:x",
            "\"a\"",
            "a<b>",
            "a\u{e9}",
            "a|b",
            "a\tb",
            "{a}",
            "a^b",
            "a`b",
        ] {
            assert!(!is_authority(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn the_path_of_a_socket_is_an_encoded_name_and_names_nobody() {
        for text in ["%2Frun%2Fa.sock", "%2frun%2Fa,b.sock", "run%2Fa.sock", "a%2eb:80", "%2F:", "%2F"] {
            assert!(is_encoded_name(text.as_bytes()) && !is_authority(text.as_bytes()), "{text}");
        }
        for text in
            ["", "a", "a.example:80", "%", "%2", "%zz", "%2F%", "%2F@a", "u@%2F", "%2F:x", "%2F:65536", "/%2F", "[%2F]"]
        {
            assert!(!is_encoded_name(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn whatever_passes_fits_a_uri() {
        for byte in 0..=u8::MAX {
            let text = [b'a', byte, b'b'];
            if is_authority(&text) {
                assert!(Authority::try_from(&text[..]).is_ok(), "{byte:#x}");
            }
        }
    }
}
