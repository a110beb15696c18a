//! A servlet's answer on its way out of the envelope: its head as soon as it is there, its body in the pieces that it comes in, and
//! never a clean end to what is not whole.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::EnvelopePlan;
use super::head::{AnswerHead, Bodied, trailers};
use super::message::{Part, broken, read};
use crate::model::{Code, Fault, Kind, Stage};
use crate::translate::coding::{GRPC_ENCODING, MessageCoding};
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::FrameDecoder;
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::status::{GRPC_MESSAGE, GRPC_STATUS, Status};

/// One reply.
///
/// ```text
/// Begun ──head──▶ Body ──trailers──▶ Ending ──status OK──▶ Over
///   │  ╲──head of an answer without a body──▶ Bodiless ──end, or a piece of a body──▶ Over
///   └──error status──▶ Over (an HTTP error)
/// ```
/// Anything else is a fault.
#[derive(Debug)]
pub(crate) struct EnvelopeReply {
    head_request: bool,
    decoder: FrameDecoder,
    message_limit: usize,
    coding: MessageCoding,
    conclusion: Conclusion,
    state: State,
    ready: VecDeque<ReplyStep>,
    /// Of an answer that has ended.
    trailers: Option<HeaderMap>,
    /// Stands for the call's end, where nothing of the answer waits for that.
    settled: Option<Status>,
}

#[derive(Debug)]
enum State {
    Begun,
    Body {
        /// Bytes that the head promised and that are still to come.
        left: Option<u64>,
    },
    Ending(HeaderMap),
    Bodiless(Response<()>),
    Over,
}

impl EnvelopeReply {
    pub(crate) fn new(plan: &EnvelopePlan) -> EnvelopeReply {
        EnvelopeReply {
            head_request: plan.head_request,
            decoder: FrameDecoder::new(plan.message_limit),
            message_limit: plan.message_limit,
            coding: MessageCoding::default(),
            conclusion: Conclusion::default(),
            state: State::Begun,
            ready: VecDeque::new(),
            trailers: None,
            settled: None,
        }
    }

    fn next_part(&mut self) -> Result<Option<Part>, Fault> {
        match self.decoder.next().map_err(|error| error.in_reply())? {
            Some(message) => read(&self.coding.open_reply(message, self.message_limit)?).map(Some),
            None => Ok(None),
        }
    }

    /// `None`: it leads to no step by itself.
    fn take(&mut self, part: Part) -> Result<Option<ReplyStep>, Fault> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (state, step) = match (state, part) {
            (state, Part::Unknown) => (state, None),
            (State::Begun, Part::Head(head)) => match AnswerHead::of(head, self.head_request)? {
                None => (State::Begun, None),
                Some(AnswerHead { response, body: Bodied::Never }) => (State::Bodiless(response), None),
                Some(AnswerHead { response, body: Bodied::Exactly(length) }) => {
                    (State::Body { left: Some(length) }, Some(ReplyStep::Head(response)))
                }
                Some(AnswerHead { response, body: Bodied::Unknown }) => {
                    (State::Body { left: None }, Some(ReplyStep::Head(response)))
                }
            },
            (State::Begun, Part::Body(_) | Part::Trailers(_)) => return Err(broken("it does not begin with a head")),
            (state, Part::Body(piece)) if piece.is_empty() && !matches!(state, State::Ending(_)) => (state, None),
            (State::Body { left }, Part::Body(piece)) => {
                let left = match left.map(|left| left.checked_sub(piece.len() as u64)) {
                    Some(None) => return Err(broken("its body is longer than its Content-Length")),
                    left => left.flatten(),
                };
                (State::Body { left }, Some(ReplyStep::Data(piece)))
            }
            (State::Body { left }, Part::Trailers(written)) => {
                not_cut(left)?;
                (State::Ending(trailers(&written)?), None)
            }
            (State::Bodiless(response), Part::Body(_)) => {
                // Nobody takes it, and the servlet need not go on.
                self.settled = Some(Status::new(Code::Ok, ""));
                (State::Over, Some(ReplyStep::Head(response)))
            }
            (State::Bodiless(response), Part::Trailers(_)) => (State::Bodiless(response), None),
            (State::Body { .. } | State::Ending(_) | State::Bodiless(_), Part::Head(_)) => {
                return Err(broken("a second head"));
            }
            (State::Ending(_), Part::Body(_) | Part::Trailers(_)) => return Err(broken("more after its trailers")),
            (State::Over, _) => (State::Over, None),
        };
        self.state = state;
        Ok(step)
    }

    /// The call has ended well.
    fn end(&mut self) -> Result<ReplyStep, Fault> {
        self.decoder.at_end().map_err(|error| error.in_reply())?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun => Err(broken("it has no head")),
            State::Body { left } => {
                not_cut(left)?;
                Ok(ReplyStep::End)
            }
            State::Ending(trailers) => {
                self.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
                Ok(ReplyStep::End)
            }
            State::Bodiless(response) => Ok(ReplyStep::Head(response)),
            State::Over => Ok(ReplyStep::End),
        }
    }

    /// The call has ended with an error.
    fn error(&mut self, status: &Status) -> Result<ReplyStep, Fault> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => Ok(ReplyStep::End),
            State::Begun | State::Bodiless(_) => {
                let (mut parts, body) = status.to_rest(None, None).into_parts();
                parts.headers.remove(GRPC_STATUS);
                parts.headers.remove(GRPC_MESSAGE);
                self.ready.push_back(ReplyStep::Data(body));
                Ok(ReplyStep::Head(Response::from_parts(parts, ())))
            }
            State::Body { .. } | State::Ending(_) => {
                let told = format!("the servlet ended the answer with {}: {}", status.code.name(), status.message);
                Err(Fault::new(Kind::StreamReset, Stage::ReplyBody, told))
            }
        }
    }
}

fn not_cut(left: Option<u64>) -> Result<(), Fault> {
    match left {
        Some(1..) => Err(broken("its body is shorter than its Content-Length")),
        Some(0) | None => Ok(()),
    }
}

impl ReplyTranslator for EnvelopeReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        self.coding = MessageCoding::of(&headers, &GRPC_ENCODING);
        self.conclusion.head(status, headers);
    }

    fn push(&mut self, chunk: Bytes) {
        if self.conclusion.takes(&chunk) && !matches!(self.state, State::Over) {
            self.decoder.push(chunk);
        }
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.conclusion.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        if let Some(step) = self.ready.pop_front() {
            return Ok(step);
        }
        while !matches!(self.state, State::Over) {
            let Some(part) = self.next_part()? else { break };
            if let Some(step) = self.take(part)? {
                return Ok(step);
            }
        }
        if matches!(self.state, State::Over) {
            return Ok(ReplyStep::End);
        }
        match self.conclusion.status().cloned() {
            None => Ok(ReplyStep::NeedInput),
            Some(status) if status.is_ok() => self.end(),
            Some(status) => self.error(&status),
        }
    }

    fn status(&self) -> Option<&Status> {
        self.settled.as_ref().or(self.conclusion.status())
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    fn promised(&self) -> Option<u64> {
        if let State::Body { left } = self.state { left } else { None }
    }

    fn farewell(&mut self, _fault: &Fault) -> Farewell {
        Farewell::Break(Bytes::new())
    }
}
