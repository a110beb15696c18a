//! Request bodies off a connection's buffer, without a copy. Framing is read byte by byte by a machine that knows one way to write
//! it (RFC 9112 §7.1); the lenient readings that have let one body hide a second request are all errors here.
//!
//! ```text
//!            ┌──────────────────────────── DataLf ◄── DataCr ◄─┐
//!            ▼            ';'              LF                  │ whole
//!  new ──► Size ──────────────► Extension ─┐                   │
//!            │ CR                       CR │    LF, size > 0   │
//!            └──────────────► SizeLf ◄─────┴──────────────► Data
//!                               │ LF, size 0
//!                               ▼           empty line
//!                            Trailers ─────────────────► Done
//! ```

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::framing::Framing;
use super::lines::{LineScanner, is_control};
use super::refusal::Refusal;
use super::trailers;
use crate::model::{Fault, Kind, Stage};

/// Chunk extensions of a whole body. Nothing reads them; the bound keeps them from being a body without end inside a body.
const MAX_EXTENSION_BYTES: usize = 16 * 1024;

/// Bytes of a trailer section: they are buffered until it is whole.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// Digits of a chunk size, leading zeros too: as many as 64 bits need.
const MAX_SIZE_DIGITS: u8 = 16;

const TRAILERS_OVER: Refusal = Refusal::new(Kind::HeadTooLarge, "the trailer section is over the limit of");

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Never empty.
    Data(Bytes),
    /// The fields after a chunked body that are allowed there; `End` follows.
    Trailers(HeaderMap),
    /// The body is over; what is left in the buffer is the next request.
    End,
}

#[derive(Debug)]
enum State {
    /// Bytes left of a body with a length.
    Length(u64),
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    /// Bytes left of this chunk.
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Done,
    Broken(Refusal),
}

/// Reads one body. After a fault it reads nothing more and repeats the fault.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    extension_bytes: usize,
    scanner: LineScanner,
    trailer_lines: usize,
}

impl BodyDecoder {
    pub fn new(framing: Framing) -> BodyDecoder {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
        };
        BodyDecoder { state, extension_bytes: 0, scanner: LineScanner::default(), trailer_lines: 0 }
    }

    /// Takes the next piece off the front of `buf`; `None` when it is not there yet. `End` is given as often as it is asked for.
    /// A fault is `MalformedBody`, or `HeadTooLarge` for trailers, and means that nothing more of this connection may be read.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Fault> {
        self.step(buf).map_err(|refusal| {
            self.state = State::Broken(refusal);
            refusal.at(Stage::RequestBody)
        })
    }

    /// Whether the body was read to its end. One that has no bytes is over from the start.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The bytes still to come, when known.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            State::Size { .. }
            | State::Extension { .. }
            | State::SizeLf { .. }
            | State::Data(_)
            | State::DataCr
            | State::DataLf
            | State::Trailers
            | State::Broken(_) => None,
        }
    }

    fn step(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Refusal> {
        loop {
            match &mut self.state {
                State::Length(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    return Ok(data);
                }
                State::Data(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(data);
                }
                State::Trailers => return self.trailers(buf),
                State::Done => return Ok(Some(Piece::End)),
                State::Broken(refusal) => return Err(*refusal),
                State::Size { .. } | State::Extension { .. } | State::SizeLf { .. } | State::DataCr | State::DataLf => {
                    if !self.framing(buf)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Reads on up to a chunk's data or the trailers; `false` when bytes are missing.
    fn framing(&mut self, buf: &mut BytesMut) -> Result<bool, Refusal> {
        let mut used = 0;
        let mut arrived = false;
        for byte in buf.iter() {
            self.state = self.after(*byte)?;
            used += 1;
            if matches!(self.state, State::Data(_) | State::Trailers) {
                arrived = true;
                break;
            }
        }
        buf.advance(used);
        Ok(arrived)
    }

    /// The state after one byte of framing.
    fn after(&mut self, byte: u8) -> Result<State, Refusal> {
        match (&self.state, byte) {
            (State::Size { digits, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if *digits == MAX_SIZE_DIGITS => {
                Err(Refusal::body("a chunk size is too large"))
            }
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Ok(State::Size { size: (size << 4) | digit, digits: digits + 1 })
            }
            (State::Size { size, digits: 1.. }, b';') => Ok(State::Extension { size: *size }),
            (State::Size { size, digits: 1.. } | State::Extension { size }, b'\r') => Ok(State::SizeLf { size: *size }),
            (State::Size { .. }, _) => Err(Refusal::body("malformed chunk size")),
            (State::Extension { .. }, byte) if is_control(byte) => Err(Refusal::body("malformed chunk extension")),
            (State::Extension { size }, _) => {
                let size = *size;
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(Refusal::body("too many chunk extensions"));
                }
                Ok(State::Extension { size })
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeLf { size }, b'\n') => Ok(State::Data(*size)),
            (State::SizeLf { .. }, _) => Err(Refusal::body("a chunk size does not end in CRLF")),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::DataCr | State::DataLf, _) => Err(Refusal::body("a chunk is longer than its size")),
            (State::Length(_) | State::Data(_) | State::Trailers | State::Done, _) => {
                Err(Refusal::body("no framing is expected here"))
            }
            (State::Broken(refusal), _) => Err(*refusal),
        }
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, Refusal> {
        let window = buf.get(..MAX_TRAILER_BYTES).unwrap_or(buf);
        loop {
            let line = self.scanner.next_line(window).map_err(|_| Refusal::body("a control byte in the trailers"))?;
            match line {
                None if buf.len() >= MAX_TRAILER_BYTES => return Err(TRAILERS_OVER.over(MAX_TRAILER_BYTES, "bytes")),
                None => return Ok(None),
                Some(line) if line.is_empty() => break,
                Some(_) if self.trailer_lines == trailers::MAX_FIELDS => {
                    return Err(TRAILERS_OVER.over(trailers::MAX_FIELDS, "fields"));
                }
                Some(_) => self.trailer_lines += 1,
            }
        }
        let section = buf.split_to(self.scanner.consumed()).freeze();
        self.state = State::Done;
        if self.trailer_lines == 0 {
            return Ok(Some(Piece::End));
        }
        let fields = trailers::read(&section)?;
        Ok(Some(if fields.is_empty() { Piece::End } else { Piece::Trailers(fields) }))
    }
}

/// Up to `left` bytes of what has arrived.
fn take(buf: &mut BytesMut, left: &mut u64) -> Option<Piece> {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
    if here == 0 {
        return None;
    }
    *left -= here as u64;
    Some(Piece::Data(buf.split_to(here).freeze()))
}
