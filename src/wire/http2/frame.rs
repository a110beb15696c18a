//! Frames as they stand on the wire (RFC 9113 §4, §6): their heads, read and written.

use bytes::{BufMut, BytesMut};

use super::Reason;

/// What a client begins with (RFC 9113 §3.4).
pub(in crate::wire) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const HEAD: usize = 9;

/// The largest payload that we take and, until its settings say more, that a peer does (RFC 9113 §4.2).
pub(super) const DEFAULT_SIZE: usize = 16 * 1024;

/// What the highest bit of a number leaves: it is reserved.
pub(super) const HIGHEST: u32 = u32::MAX >> 1;

pub(super) mod kind {
    pub(in crate::wire::http2) const DATA: u8 = 0;
    pub(in crate::wire::http2) const HEADERS: u8 = 1;
    pub(in crate::wire::http2) const PRIORITY: u8 = 2;
    pub(in crate::wire::http2) const RST_STREAM: u8 = 3;
    pub(in crate::wire::http2) const SETTINGS: u8 = 4;
    pub(in crate::wire::http2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::wire::http2) const PING: u8 = 6;
    pub(in crate::wire::http2) const GOAWAY: u8 = 7;
    pub(in crate::wire::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::wire::http2) const CONTINUATION: u8 = 9;
}

pub(super) mod flag {
    pub(in crate::wire::http2) const ACK: u8 = 0x1;
    pub(in crate::wire::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::wire::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::wire::http2) const PADDED: u8 = 0x8;
    pub(in crate::wire::http2) const PRIORITY: u8 = 0x20;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Of the payload.
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0: the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    /// `None`: it is not all there.
    pub(super) fn read(bytes: &[u8]) -> Option<FrameHead> {
        let [a, b, c, kind, flags, s, t, r, m, ..] = *bytes else { return None };
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(FrameHead { len, kind, flags, stream: u32::from_be_bytes([s, t, r, m]) & HIGHEST })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn bytes(&self) -> [u8; HEAD] {
        let [_, a, b, c] = (self.len as u32).to_be_bytes();
        let [s, t, r, m] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s, t, r, m]
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_slice(&self.bytes());
    }
}

/// A frame whose payload is one number.
fn put_number(kind: u8, stream: u32, number: u32, out: &mut BytesMut) {
    FrameHead { len: 4, kind, flags: 0, stream }.put(out);
    out.put_u32(number);
}

pub(super) fn put_reset(stream: u32, reason: Reason, out: &mut BytesMut) {
    put_number(kind::RST_STREAM, stream, reason.0, out);
}

pub(super) fn put_window_update(stream: u32, increment: u32, out: &mut BytesMut) {
    put_number(kind::WINDOW_UPDATE, stream, increment, out);
}

pub(super) fn put_ping(flags: u8, payload: [u8; 8], out: &mut BytesMut) {
    FrameHead { len: payload.len(), kind: kind::PING, flags, stream: 0 }.put(out);
    out.put_slice(&payload);
}

pub(super) fn put_goaway(last_stream: u32, reason: Reason, out: &mut BytesMut) {
    FrameHead { len: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.put(out);
    out.put_u32(last_stream);
    out.put_u32(reason.0);
}

/// The part of a HEADERS frame's payload that is of the header block, without padding and priority (RFC 9113 §6.2).
///
/// # Errors
/// That of the connection: it is too short for what its flags promise (§4.2), or its padding is too long.
pub(super) fn unpadded<'payload>(
    head: &FrameHead,
    mut payload: &'payload [u8],
) -> Result<&'payload [u8], (Reason, &'static str)> {
    const SHORT: (Reason, &str) = (Reason::FRAME_SIZE_ERROR, "a frame without what its flags promise");
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (first, rest) = payload.split_first().ok_or(SHORT)?;
        (padding, payload) = (usize::from(*first), rest);
    }
    if head.has(flag::PRIORITY) {
        payload = payload.get(5..).ok_or(SHORT)?;
    }
    let len = payload.len().checked_sub(padding);
    len.and_then(|len| payload.get(..len)).ok_or((Reason::PROTOCOL_ERROR, "padding that is longer than its frame"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = FrameHead { len: 0x12_3456, kind: 7, flags: 0x25, stream: HIGHEST };
        let mut out = BytesMut::new();
        head.put(&mut out);
        assert_eq!(FrameHead::read(&out), Some(head));
        assert_eq!(FrameHead::read(&out[..8]), None);
        out[5] |= 0x80;
        assert_eq!(FrameHead::read(&out), Some(head), "the reserved bit says nothing");
    }

    #[test]
    fn padding_and_priority_are_taken_off() {
        let head = |flags| FrameHead { len: 0, kind: kind::HEADERS, flags, stream: 1 };
        let (short, long) = (Err(Reason::FRAME_SIZE_ERROR), Err(Reason::PROTOCOL_ERROR));
        type Expected = Result<&'static [u8], Reason>;
        let cases: &[(u8, &[u8], Expected)] = &[
            (0, b"abc", Ok(b"abc")),
            (flag::PADDED, b"\x02abcd", Ok(b"ab")),
            (flag::PADDED, b"\x00abcd", Ok(b"abcd")),
            (flag::PADDED, b"\x04abcd", Ok(b"")),
            (flag::PADDED, b"\x05abcd", long),
            (flag::PADDED, b"", short),
            (flag::PRIORITY, b"12345abc", Ok(b"abc")),
            (flag::PRIORITY, b"1234", short),
            (flag::PRIORITY | flag::PADDED, b"\x0112345ab", Ok(b"a")),
            (flag::PRIORITY | flag::PADDED, b"\x0312345ab", long),
        ];
        for (flags, payload, expected) in cases {
            assert_eq!(
                unpadded(&head(*flags), payload).map_err(|(reason, _)| reason),
                *expected,
                "{flags:x} {payload:?}"
            );
        }
    }
}
