//! A gRPC reply on its way over HTTP/1: one message, with the status and the trailing metadata in the head, because an HTTP/1 caller
//! cannot be counted on to read trailers. So the head waits for the end.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{GRPC_ENCODING, grpc_content_type};
use crate::model::{Fault, Kind, Stage};
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::{FrameError, HEADER_LEN};
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::relay::Walker;
use crate::translate::status::Status;

/// One reply.
#[derive(Debug)]
pub(crate) struct UnaryReply {
    limit: usize,
    conclusion: Conclusion,
    walker: Walker,
    body: BytesMut,
    failed: Option<Fault>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Gathering,
    HeadGiven,
    Ended,
}

impl UnaryReply {
    /// `limit`: the most bytes of the message.
    pub(crate) fn new(limit: usize) -> UnaryReply {
        UnaryReply {
            limit,
            conclusion: Conclusion::default(),
            walker: Walker::default(),
            body: BytesMut::new(),
            failed: None,
            state: State::Gathering,
        }
    }

    fn take(&mut self, mut chunk: &[u8]) -> Result<(), Fault> {
        while !chunk.is_empty() {
            if self.walker.messages() > 0 && self.walker.at_boundary() {
                return Err(untranslatable("more than one message in the reply: a stream needs HTTP/2 or gRPC-Web"));
            }
            let (now, later) = chunk.split_at(self.walker.walk_message(chunk).map_err(FrameError::in_reply)?);
            if self.body.len() + now.len() > self.limit.saturating_add(HEADER_LEN) {
                return Err(untranslatable("the message of the reply is over the limit"));
            }
            self.body.extend_from_slice(now);
            chunk = later;
        }
        Ok(())
    }
}

impl ReplyTranslator for UnaryReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        self.conclusion.head(status, headers);
    }

    fn push(&mut self, chunk: Bytes) {
        if self.conclusion.takes(&chunk) && self.failed.is_none() {
            self.failed = self.take(&chunk).err();
        }
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.conclusion.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let Some(status) = self.conclusion.status() else { return Ok(ReplyStep::NeedInput) };
        match self.state {
            State::Gathering => {
                if status.is_ok() && !self.walker.at_boundary() {
                    return Err(FrameError::Truncated.in_reply());
                }
                if !status.is_ok() {
                    // A message beside an error is not the answer.
                    self.body.clear();
                }
                let initial = &self.conclusion.initial;
                let mut response = Response::new(());
                let fields = response.headers_mut();
                *fields = self.conclusion.metadata();
                if let Some(encoding) = initial.get(&GRPC_ENCODING) {
                    fields.insert(GRPC_ENCODING, encoding.clone());
                }
                fields.insert(header::CONTENT_TYPE, grpc_content_type(initial));
                fields.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
                status.to_trailers(fields);
                self.state = State::HeadGiven;
                Ok(ReplyStep::Head(response))
            }
            State::HeadGiven => {
                self.state = State::Ended;
                Ok(ReplyStep::Data(self.body.split().freeze()))
            }
            State::Ended => Ok(ReplyStep::End),
        }
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, _fault: &Fault) -> Farewell {
        Farewell::Break(Bytes::new())
    }
}

fn untranslatable(told: &'static str) -> Fault {
    Fault::new(Kind::UntranslatableReply, Stage::ReplyBody, told)
}
