//! gRPC's length-prefixed messages (grpc/doc/PROTOCOL-HTTP2.md, `Length-Prefixed-Message`): one byte of flag, four of length, the
//! message. Leans towards trusting nothing: a length is held against the limit before a byte is kept for it, and memory grows with
//! what arrived, never with what was announced.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::model::{Fault, Kind, Pieces, Stage};

/// Bytes of the prefix.
pub const HEADER_LEN: usize = 5;

/// One message, still as the sender's protobuf bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub bytes: Bytes,
    /// Whether the sender compressed it with the stream's `grpc-encoding`.
    pub compressed: bool,
}

/// Why bytes are not a sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A flag other than 0 and 1.
    Flag(u8),
    /// A message of `len` bytes, over the limit.
    TooLarge { len: usize, limit: usize },
    /// The stream ended within a message.
    Truncated,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Flag(flag) => write!(f, "a gRPC message begins with the flag {flag}: only 0 and 1 are known"),
            FrameError::TooLarge { len, limit } => {
                write!(f, "a gRPC message of {len} bytes is over the limit of {limit} bytes")
            }
            FrameError::Truncated => f.write_str("the stream ended within a gRPC message"),
        }
    }
}

impl std::error::Error for FrameError {}

impl FrameError {
    /// The fault that this is when a caller sent it.
    pub fn in_request(self) -> Fault {
        let kind = match self {
            FrameError::Flag(_) | FrameError::Truncated => Kind::MalformedBody,
            FrameError::TooLarge { .. } => Kind::BodyTooLarge,
        };
        Fault::new(kind, Stage::RequestBody, self.to_string())
    }

    /// The fault that this is when a servlet sent it.
    pub fn in_reply(self) -> Fault {
        let kind = match self {
            FrameError::Flag(_) | FrameError::Truncated => Kind::MalformedReply,
            FrameError::TooLarge { .. } => Kind::UntranslatableReply,
        };
        Fault::new(kind, Stage::ReplyBody, self.to_string())
    }
}

/// Cuts a stream of bytes into messages.
///
/// ```text
/// Prefix ──5 bytes──▶ Body(flag, len) ──len bytes──▶ Prefix
///    └── flag > 1, len > limit ──▶ Failed (for good)
/// ```
/// Push a chunk, then take messages until there is none: what is kept between two pushes is less than one message and its prefix.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
    chunks: VecDeque<Bytes>,
    available: usize,
    state: State,
    // The beginning of a message that did not arrive in one chunk.
    partial: BytesMut,
    // The same, of one that is wanted in pieces.
    held: Pieces,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Prefix,
    Body { compressed: bool, len: usize },
    Failed(FrameError),
}

impl FrameDecoder {
    /// `limit`: the most bytes of one message, its prefix not counted.
    pub fn new(limit: usize) -> FrameDecoder {
        FrameDecoder {
            limit,
            chunks: VecDeque::new(),
            available: 0,
            state: State::Prefix,
            partial: BytesMut::new(),
            held: Pieces::default(),
        }
    }

    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.available += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    /// The next whole message; `None` when more bytes are needed. An error stays.
    // Named for what it does; an iterator cannot go on after None.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Message>, FrameError> {
        let Some((compressed, len)) = self.prefix()? else { return Ok(None) };
        if self.partial.len() + self.available < len {
            self.keep(len);
            return Ok(None);
        }
        let bytes = self.take(len);
        self.state = State::Prefix;
        Ok(Some(Message { bytes, compressed }))
    }

    /// The same, for whoever need not have a message in one: most of a large one is not copied. A decoder is asked for messages in one of
    /// the two ways. Whether the message is compressed is told beside it.
    pub fn next_in_pieces(&mut self) -> Result<Option<(Pieces, bool)>, FrameError> {
        let Some((compressed, len)) = self.prefix()? else { return Ok(None) };
        while self.held.len() < len {
            let Some(front) = self.chunks.front_mut() else { return Ok(None) };
            let piece = front.split_to(front.len().min(len - self.held.len()));
            if front.is_empty() {
                self.chunks.pop_front();
            }
            self.available -= piece.len();
            self.held.push_to_hold(piece);
        }
        self.state = State::Prefix;
        Ok(Some((std::mem::take(&mut self.held), compressed)))
    }

    /// Flag and length of the message that is under way; `None` when more bytes are needed.
    fn prefix(&mut self) -> Result<Option<(bool, usize)>, FrameError> {
        loop {
            match self.state {
                State::Prefix => {
                    if self.partial.len() + self.available < HEADER_LEN {
                        self.keep(HEADER_LEN);
                        return Ok(None);
                    }
                    let mut prefix = self.take(HEADER_LEN);
                    let (flag, len) = (prefix.get_u8(), prefix.get_u32() as usize);
                    self.state = if flag > 1 {
                        State::Failed(FrameError::Flag(flag))
                    } else if len > self.limit {
                        State::Failed(FrameError::TooLarge { len, limit: self.limit })
                    } else {
                        State::Body { compressed: flag == 1, len }
                    };
                }
                State::Body { compressed, len } => return Ok(Some((compressed, len))),
                State::Failed(error) => {
                    self.chunks.clear();
                    self.available = 0;
                    return Err(error);
                }
            }
        }
    }

    /// Call when the stream has ended and `next` says `None`: whether it ended between two messages.
    pub fn at_end(&self) -> Result<(), FrameError> {
        match self.state {
            State::Failed(error) => Err(error),
            State::Prefix if self.partial.is_empty() && self.available == 0 => Ok(()),
            State::Prefix | State::Body { .. } => Err(FrameError::Truncated),
        }
    }

    /// Moves all chunks, which together are less than `wanted`, into one buffer: many tiny chunks must not cost a handle each.
    fn keep(&mut self, wanted: usize) {
        for chunk in self.chunks.drain(..) {
            if self.partial.is_empty() {
                // Large messages come in many chunks: begin with room for some of them.
                self.partial.reserve(wanted.min(chunk.len().saturating_mul(2)));
            }
            self.partial.extend_from_slice(&chunk);
        }
        self.available = 0;
    }

    /// The next `len` bytes, which are there. Shared with the chunk when they lie in one.
    fn take(&mut self, len: usize) -> Bytes {
        if self.partial.is_empty()
            && let Some(front) = self.chunks.front_mut()
            && front.len() >= len
        {
            let bytes = front.split_to(len);
            if front.is_empty() {
                self.chunks.pop_front();
            }
            self.available -= len;
            return bytes;
        }
        while self.partial.len() < len
            && let Some(front) = self.chunks.front_mut()
        {
            let piece = front.split_to(front.len().min(len - self.partial.len()));
            if front.is_empty() {
                self.chunks.pop_front();
            }
            self.available -= piece.len();
            self.partial.extend_from_slice(&piece);
        }
        std::mem::take(&mut self.partial).freeze()
    }
}

/// The prefix of an uncompressed message of `len` bytes.
pub fn frame_header(len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = len.to_be_bytes();
    [0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[(bool, Vec<u8>)]) -> Vec<u8> {
        let mut all = Vec::new();
        for (compressed, message) in messages {
            let mut header = frame_header(message.len() as u32);
            header[0] = u8::from(*compressed);
            all.extend_from_slice(&header);
            all.extend_from_slice(message);
        }
        all
    }

    type Decoded = (Vec<(bool, Vec<u8>)>, Result<(), FrameError>);

    /// Everything that comes out when the bytes arrive in pieces of those sizes, in turn.
    fn decode(bytes: &[u8], sizes: &[usize], limit: usize) -> Decoded {
        let whole = decode_by(bytes, sizes, limit, |decoder| {
            Ok(decoder.next()?.map(|message| (message.compressed, message.bytes.to_vec())))
        });
        let in_pieces = decode_by(bytes, sizes, limit, |decoder| {
            Ok(decoder.next_in_pieces()?.map(|(pieces, compressed)| (compressed, pieces.into_bytes().to_vec())))
        });
        assert_eq!(whole, in_pieces);
        whole
    }

    fn decode_by(
        bytes: &[u8],
        sizes: &[usize],
        limit: usize,
        next: impl Fn(&mut FrameDecoder) -> Result<Option<(bool, Vec<u8>)>, FrameError>,
    ) -> Decoded {
        let mut decoder = FrameDecoder::new(limit);
        let mut out = Vec::new();
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = (*sizes.next().unwrap()).min(rest.len());
            decoder.push(Bytes::copy_from_slice(&rest[..size]));
            rest = &rest[size..];
            loop {
                match next(&mut decoder) {
                    Ok(Some(message)) => out.push(message),
                    Ok(None) => break,
                    Err(error) => return (out, Err(error)),
                }
            }
        }
        (out, decoder.at_end())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            sizes in proptest::collection::vec(1_usize..50, 1..8),
            cut in 0_usize..10,
        ) {
            let mut bytes = framed(&messages);
            prop_assert_eq!(decode(&bytes, &sizes, 64), (messages.clone(), Ok(())));
            bytes.truncate(bytes.len().saturating_sub(cut));
            let whole = decode(&bytes, &[usize::MAX], 64);
            prop_assert_eq!(decode(&bytes, &sizes, 64), whole);
        }

        #[test]
        fn garbage_gives_the_same_result_for_any_split(
            bytes in proptest::collection::vec(0_u8..3, 0..60),
            sizes in proptest::collection::vec(1_usize..20, 1..5),
        ) {
            let whole = decode(&bytes, &[usize::MAX], 8);
            prop_assert_eq!(decode(&bytes, &sizes, 8), whole);
        }
    }

    #[test]
    fn a_message_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from(framed(&[(false, vec![7; 100])]));
        let mut decoder = FrameDecoder::new(100);
        decoder.push(chunk.clone());
        let message = decoder.next().unwrap().unwrap();
        assert_eq!(message.bytes.as_ptr(), chunk[5..].as_ptr());
    }

    #[test]
    fn what_breaks_the_framing_is_told_and_stays() {
        let cases: &[(&[u8], FrameError)] = &[
            (&[2, 0, 0, 0, 0], FrameError::Flag(2)),
            (&[255, 255, 255, 255, 255], FrameError::Flag(255)),
            (&[0, 0, 0, 0, 11], FrameError::TooLarge { len: 11, limit: 10 }),
            (&[1, 255, 255, 255, 255], FrameError::TooLarge { len: 0xffff_ffff, limit: 10 }),
        ];
        for (bytes, expected) in cases {
            let mut decoder = FrameDecoder::new(10);
            decoder.push(Bytes::copy_from_slice(bytes));
            assert_eq!(decoder.next(), Err(*expected));
            decoder.push(Bytes::from_static(&[0, 0, 0, 0, 0]));
            assert_eq!((decoder.next(), decoder.at_end()), (Err(*expected), Err(*expected)));
        }
        for len in 1..7 {
            let mut decoder = FrameDecoder::new(10);
            decoder.push(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 1, 1][..len]));
            assert_eq!((decoder.next(), decoder.at_end()), (Ok(None), Err(FrameError::Truncated)));
        }
    }

    #[test]
    fn an_announced_length_costs_no_memory() {
        let mut decoder = FrameDecoder::new(usize::MAX);
        decoder.push(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]));
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.partial.capacity() < 1024);
    }
}
