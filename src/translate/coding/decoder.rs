//! Codings taken off a body as it comes. A step makes one bounded piece, however much a few bytes stand for, so that the reader can
//! stop at its limit.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::machine::Machine;
use super::{Coding, CodingError};

/// The most bytes of a piece.
const PIECE: usize = 64 << 10;

/// The least room for one.
const LEAST: usize = 1 << 10;

/// What may pass between two codings without a byte for the reader: else a few bytes could keep a step at work for minutes.
const FRUITLESS: usize = 1 << 20;

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Push more, or say that it is finished.
    NeedInput,
    /// A piece, never empty.
    Piece(Bytes),
    /// There is no more.
    End,
}

/// Takes one or two codings off a body.
///
/// Push a piece and step until `NeedInput`. No bytes at all stand for none, in any coding. After an error, drop it.
#[derive(Debug)]
pub struct Decoder {
    queue: VecDeque<Bytes>,
    finished: bool,
    /// Passed between two codings since the last piece.
    fruitless: usize,
    /// The outer coding, if there are two.
    outer: Option<Stage>,
    inner: Stage,
}

impl Decoder {
    /// `inner` was put around the body first, `outer` around that.
    pub fn new(inner: Coding, outer: Option<Coding>) -> Decoder {
        Decoder {
            queue: VecDeque::new(),
            finished: false,
            fruitless: 0,
            outer: outer.map(Stage::new),
            inner: Stage::new(inner),
        }
    }

    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.queue.push_back(chunk);
        }
    }

    /// The body has ended.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Goes on as far as one piece.
    ///
    /// # Errors
    /// `Malformed` and `Truncated`; `TooLarge` for two codings one of which stands for a lot of nothing.
    pub fn step(&mut self) -> Result<Decoded, CodingError> {
        loop {
            match self.inner.step()? {
                Decoded::NeedInput => {}
                decoded => {
                    // What comes out pays for about as much that stood for nothing.
                    if let Decoded::Piece(piece) = &decoded {
                        self.fruitless = self.fruitless.saturating_sub(piece.len().saturating_mul(2));
                    }
                    return Ok(decoded);
                }
            }
            let fed = match &mut self.outer {
                None => feed(&mut self.queue, self.finished, &mut self.inner),
                Some(outer) => match outer.step()? {
                    Decoded::Piece(piece) => {
                        self.fruitless = self.fruitless.saturating_add(piece.len());
                        if self.fruitless > FRUITLESS {
                            return Err(CodingError::TooLarge(FRUITLESS));
                        }
                        self.inner.input = piece;
                        true
                    }
                    Decoded::End => {
                        self.inner.finished = true;
                        true
                    }
                    Decoded::NeedInput => feed(&mut self.queue, self.finished, outer),
                },
            };
            if !fed {
                return Ok(Decoded::NeedInput);
            }
        }
    }
}

/// Gives a stage what has come, or the end.
fn feed(queue: &mut VecDeque<Bytes>, finished: bool, stage: &mut Stage) -> bool {
    match queue.pop_front() {
        Some(chunk) => stage.input = chunk,
        None if finished => stage.finished = true,
        None => return false,
    }
    true
}

/// One coding.
#[derive(Debug)]
struct Stage {
    coding: Coding,
    machine: Machine,
    input: Bytes,
    /// The machine filled its room, and may have more.
    more: bool,
    finished: bool,
}

impl Stage {
    fn new(coding: Coding) -> Stage {
        Stage { coding, machine: Machine::new(coding), input: Bytes::new(), more: false, finished: false }
    }

    fn step(&mut self) -> Result<Decoded, CodingError> {
        while self.more || !self.input.is_empty() {
            let room = if self.more { PIECE } else { self.input.len().saturating_mul(8).clamp(LEAST, PIECE) };
            let mut out = vec![0; room];
            let progress = self.machine.run(&self.input, &mut out)?;
            self.input.advance(progress.consumed.min(self.input.len()));
            self.more = progress.produced == room;
            if progress.produced > 0 {
                out.truncate(progress.produced);
                return Ok(Decoded::Piece(Bytes::from(out)));
            }
            if progress.consumed == 0 && !self.input.is_empty() {
                // It neither reads nor writes: whatever that is, it is not this coding.
                return Err(CodingError::Malformed(self.coding));
            }
        }
        if self.finished {
            self.machine.at_end()?;
            return Ok(Decoded::End);
        }
        Ok(Decoded::NeedInput)
    }
}

/// All of `bytes`, decoded; never more than `limit`.
///
/// # Errors
/// `Malformed`, `Truncated`, `TooLarge`.
pub(super) fn decode_whole(coding: Coding, bytes: Bytes, limit: usize) -> Result<Bytes, CodingError> {
    let mut decoder = Decoder::new(coding, None);
    decoder.push(bytes);
    decoder.finish();
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    loop {
        match decoder.step()? {
            Decoded::Piece(piece) if first.len() + all.len() + piece.len() > limit => {
                return Err(CodingError::TooLarge(limit));
            }
            Decoded::Piece(piece) if first.is_empty() => first = piece,
            Decoded::Piece(piece) => all.extend_from_slice(&piece),
            Decoded::End | Decoded::NeedInput if all.is_empty() => return Ok(first),
            Decoded::End | Decoded::NeedInput => return Ok([&*first, &*all].concat().into()),
        }
    }
}
