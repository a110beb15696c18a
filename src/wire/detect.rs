//! HTTP/1 and HTTP/2 on one port, told apart by their first bytes (RFC 9113 §3.4). Only the exact preface is HTTP/2: a near miss is
//! left to the HTTP/1 parser, which refuses it with an answer that a person can read.

use super::http2::PREFACE;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// What a connection that starts with `prefix` speaks. `None`: more bytes are needed, since these are a strict prefix of the
/// HTTP/2 preface.
pub fn detect(prefix: &[u8]) -> Option<Protocol> {
    if prefix.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(prefix) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http2() {
        for len in 0..PREFACE.len() {
            assert_eq!(detect(&PREFACE[..len]), None, "{len}");
        }
        assert_eq!(detect(PREFACE), Some(Protocol::Http2));
        assert_eq!(detect(&[PREFACE, b"\0\0\0\x04"].concat()), Some(Protocol::Http2));
    }

    #[test]
    fn one_byte_off_is_http1() {
        for at in 0..PREFACE.len() {
            let mut bytes = PREFACE.to_vec();
            bytes[at] ^= 0x20;
            assert_eq!(detect(&bytes), Some(Protocol::Http1), "{at}");
            assert_eq!(detect(&bytes[..=at]), Some(Protocol::Http1), "{at}");
        }
        for text in ["GET / HTTP/1.1\r\n", "POST", "PUT /", "\r\nGET", "\x16\x03\x01"] {
            assert_eq!(detect(text.as_bytes()), Some(Protocol::Http1), "{text:?}");
        }
    }
}
