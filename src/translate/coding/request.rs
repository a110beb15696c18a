//! A request whose body is in a content coding: decoded ahead of whatever translates it, which never knows.

use bytes::Bytes;
use http::HeaderMap;

use super::decoder::{Decoded, Decoder};
use super::{CodingError, content_codings};
use crate::model::{Fault, Kind, Stage};
use crate::translate::middle::{RequestStep, RequestTranslator};

/// What may be decoded for each byte of a message, and the bytes that a message counts for at least: JSON takes more room than protobuf,
/// but whoever sends megabytes of blanks for each small message only keeps a worker busy.
const PAID_FOR: usize = 64;
const LEAST_PAID: usize = 1024;

/// What may be decoded beyond a message's own limit before there is a message: a piece, and the white space around it.
const SLACK: usize = 128 << 10;

/// A translator behind a decoder.
#[derive(Debug)]
pub(in crate::translate) struct DecodedRequest {
    inner: Box<dyn RequestTranslator>,
    state: State,
    limit: usize,
    /// Decoded, and not yet paid for by a message.
    fruitless: usize,
}

#[derive(Debug)]
enum State {
    Decoding(Box<Decoder>),
    /// A body of one byte or more is this fault.
    Refusing(Fault),
    Decoded,
    Failed(Fault),
}

impl DecodedRequest {
    /// Puts a decoder before `inner` when `headers` name a coding. `limit`: the most bytes of one message, which `inner` holds; here
    /// it bounds what no message comes of.
    pub(in crate::translate) fn around(
        inner: Box<dyn RequestTranslator>,
        headers: &HeaderMap,
        limit: usize,
    ) -> Box<dyn RequestTranslator> {
        let state = match content_codings(headers).as_deref() {
            Ok([]) => return inner,
            Ok([only]) => State::Decoding(Box::new(Decoder::new(*only, None))),
            Ok([first, second, ..]) => State::Decoding(Box::new(Decoder::new(*first, Some(*second)))),
            Err(fault) => State::Refusing((*fault).clone()),
        };
        Box::new(DecodedRequest { inner, state, limit, fruitless: 0 })
    }

    /// A message pays for what was decoded without one, but a small one not for much.
    fn pay(&mut self, step: &RequestStep) {
        if let RequestStep::Frame(frame) = step {
            self.fruitless = self.fruitless.saturating_sub(frame.len().max(LEAST_PAID).saturating_mul(PAID_FOR));
        }
    }

    fn advance(&mut self) -> Result<RequestStep, Fault> {
        loop {
            match self.inner.step()? {
                RequestStep::NeedInput => {}
                step => {
                    self.pay(&step);
                    return Ok(step);
                }
            }
            let decoder = match &mut self.state {
                State::Decoding(decoder) => decoder,
                State::Refusing(_) | State::Decoded => return Ok(RequestStep::NeedInput),
                State::Failed(fault) => return Err(fault.clone()),
            };
            match decoder.step().map_err(refused)? {
                Decoded::NeedInput => return Ok(RequestStep::NeedInput),
                Decoded::Piece(piece) => {
                    self.fruitless = self.fruitless.saturating_add(piece.len());
                    self.inner.push(piece);
                    if self.fruitless > self.limit.saturating_add(SLACK) {
                        // The translator's own word on it, if it has one.
                        if let step @ RequestStep::Frame(_) = self.inner.step()? {
                            self.pay(&step);
                            return Ok(step);
                        }
                        return Err(refused(CodingError::TooLarge(self.limit)));
                    }
                }
                Decoded::End => {
                    self.state = State::Decoded;
                    self.inner.finish();
                }
            }
        }
    }
}

impl RequestTranslator for DecodedRequest {
    /// How long it is decoded is not known; of a coding that is not taken the caller hears before it sends the body.
    fn expect_len(&mut self, len: u64) {
        if let State::Refusing(fault) = &self.state
            && len > 0
        {
            self.state = State::Failed(fault.clone());
        }
    }

    fn push(&mut self, chunk: Bytes) {
        match &mut self.state {
            State::Decoding(decoder) => decoder.push(chunk),
            State::Refusing(fault) if !chunk.is_empty() => self.state = State::Failed(fault.clone()),
            State::Refusing(_) | State::Decoded | State::Failed(_) => {}
        }
    }

    fn trailers(&mut self, trailers: HeaderMap) {
        self.inner.trailers(trailers);
    }

    fn finish(&mut self) {
        match &mut self.state {
            State::Decoding(decoder) => decoder.finish(),
            State::Refusing(_) => self.inner.finish(),
            State::Decoded | State::Failed(_) => {}
        }
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let State::Failed(fault) = &self.state {
            return Err(fault.clone());
        }
        let step = self.advance();
        if let Err(fault) = &step {
            self.state = State::Failed(fault.clone());
        }
        step
    }

    fn is_end(&self) -> bool {
        !matches!(self.state, State::Failed(_)) && self.inner.is_end()
    }
}

fn refused(error: CodingError) -> Fault {
    let kind = match error {
        CodingError::TooLarge(_) => Kind::BodyTooLarge,
        CodingError::Malformed(_) | CodingError::Truncated(_) => Kind::MalformedBody,
        CodingError::Encoder(_) => Kind::Internal,
    };
    Fault::new(kind, Stage::RequestBody, format!("the body's Content-Encoding: {error}"))
}
