//! How a body on its way out is delimited, in replies and requests alike, and what its promised length holds it to: bytes that do not
//! fit the promise would be read as the next message.

use bytes::{BufMut, BytesMut};

/// How long a body is, as far as it is known before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    Empty,
    Exact(u64),
    Unknown,
}

/// The body is not what the head promised. The connection must not be taken for well ended by its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyBroken {
    /// More bytes than the promised length.
    TooLong,
    /// The body ended before its promised length.
    TooShort,
    /// Bytes for a message that has no body.
    NoBody,
    /// Bytes, or another end, after the end.
    Ended,
}

impl std::fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BodyBroken::TooLong => "the body is longer than its promised length",
            BodyBroken::TooShort => "the body is shorter than its promised length",
            BodyBroken::NoBody => "a body for a message that has none",
            BodyBroken::Ended => "a body after its end",
        })
    }
}

impl std::error::Error for BodyBroken {}

/// How the body of a message is delimited, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// There is no body to delimit.
    None,
    /// Bytes left.
    Length(u64),
    Chunks {
        trailers: bool,
    },
    Close,
    /// It was ended, or broke.
    Over,
}

impl Delimiter {
    /// Frames a piece of `len` bytes: writes what precedes it to `out`, and returns what must follow its bytes. After an error it is
    /// over.
    pub(super) fn frame(&mut self, len: usize, out: &mut BytesMut) -> Result<&'static [u8], BodyBroken> {
        match self {
            Delimiter::Over => Err(self.broken(BodyBroken::Ended)),
            // An empty chunk would be the last one.
            _ if len == 0 => Ok(b""),
            Delimiter::None => Err(self.broken(BodyBroken::NoBody)),
            Delimiter::Length(left) => match left.checked_sub(len as u64) {
                Some(rest) => {
                    *left = rest;
                    Ok(b"")
                }
                None => Err(self.broken(BodyBroken::TooLong)),
            },
            Delimiter::Chunks { .. } => {
                put_hex(out, len);
                out.put_slice(b"\r\n");
                Ok(b"\r\n")
            }
            Delimiter::Close => Ok(b""),
        }
    }

    /// Ends the body; tells how it was delimited until then. The last chunk is the caller's to write.
    pub(super) fn end(&mut self) -> Result<Delimiter, BodyBroken> {
        match self {
            Delimiter::Over => Err(self.broken(BodyBroken::Ended)),
            Delimiter::Length(1..) => Err(self.broken(BodyBroken::TooShort)),
            Delimiter::Length(0) | Delimiter::None | Delimiter::Close | Delimiter::Chunks { .. } => {
                Ok(std::mem::replace(self, Delimiter::Over))
            }
        }
    }

    fn broken(&mut self, why: BodyBroken) -> BodyBroken {
        *self = Delimiter::Over;
        why
    }
}

fn put_hex(out: &mut BytesMut, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) & 0xf;
        out.put_u8(char::from_digit(digit as u32, 16).map_or(b'0', |digit| digit as u8));
    }
}
