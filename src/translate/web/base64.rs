//! base64 as gRPC-Web's text form has it: a stream of quanta, any of which may be padded, since each side encodes piece by piece.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Decodes a stream of padded pieces.
#[derive(Debug, Default)]
pub(crate) struct Base64Stream {
    quantum: [u8; 4],
    have: usize,
}

impl Base64Stream {
    /// The bytes that a piece of text completes; `None` when it is no base64.
    pub(crate) fn decode(&mut self, text: &[u8]) -> Option<Bytes> {
        let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
        for byte in text {
            *self.quantum.get_mut(self.have)? = *byte;
            self.have += 1;
            if self.have == 4 {
                self.have = 0;
                put_quantum(self.quantum, &mut out)?;
            }
        }
        Some(Bytes::from(out))
    }

    /// Whether the text so far is whole.
    pub(crate) fn at_boundary(&self) -> bool {
        self.have == 0
    }
}

fn put_quantum([a, b, c, d]: [u8; 4], out: &mut Vec<u8>) -> Option<()> {
    let (a, b) = (sextet(a)?, sextet(b)?);
    out.push(a << 2 | b >> 4);
    if c == b'=' {
        return (d == b'=').then_some(());
    }
    let c = sextet(c)?;
    out.push(b << 4 | c >> 2);
    if d == b'=' {
        return Some(());
    }
    out.push(c << 6 | sextet(d)?);
    Some(())
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// A piece on its own, padded.
pub(super) fn encode(bytes: &[u8]) -> Bytes {
    Bytes::from(STANDARD.encode(bytes))
}

/// Encodes messages that come in pieces: each is padded where it ends, so that it can be read as soon as it is whole, and the text
/// is the same whatever the pieces.
#[derive(Debug, Default)]
pub(super) struct MessageEncoder {
    /// What did not fill a quantum.
    kept: Vec<u8>,
}

impl MessageEncoder {
    /// Adds the text of the next bytes to `out`; `last`: a message ends with them.
    pub(super) fn encode(&mut self, mut bytes: &[u8], last: bool, out: &mut String) {
        if !self.kept.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(3 - self.kept.len()));
            self.kept.extend_from_slice(now);
            bytes = later;
            if self.kept.len() < 3 && !last {
                return;
            }
            STANDARD.encode_string(&self.kept, out);
            self.kept.clear();
        }
        let whole = if last { bytes.len() } else { bytes.len() / 3 * 3 };
        let (now, later) = bytes.split_at(whole);
        STANDARD.encode_string(now, out);
        self.kept.extend_from_slice(later);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn padded_pieces_are_read_whatever_the_cuts(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6),
            size in 1_usize..9,
        ) {
            let text: Vec<u8> = pieces.iter().flat_map(|piece| encode(piece)).collect();
            let mut stream = Base64Stream::default();
            let read: Vec<u8> = text.chunks(size).flat_map(|chunk| stream.decode(chunk).unwrap()).collect();
            prop_assert!(stream.at_boundary());
            prop_assert_eq!(read, pieces.concat());
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["AA A", "A===", "AA=A", "====", "-_==", "AAA\n"] {
            assert_eq!(Base64Stream::default().decode(text.as_bytes()), None, "{text:?}");
        }
        let mut cut = Base64Stream::default();
        cut.decode(b"AAA").unwrap();
        assert!(!cut.at_boundary());
    }
}
