//! A gRPC reply on its way to a gRPC-Web caller: the head goes out as soon as the servlet's is here, and the body ends with a frame of
//! trailers, which tells of every error. Never in the head: a page of another origin could not read it there.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use super::base64::MessageEncoder;
use super::{GRPC_ENCODING, trailer_frame, web_content_type, whole};
use crate::model::Fault;
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::FrameError;
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::relay::Walker;
use crate::translate::status::Status;

/// One reply.
///
/// ```text
/// head ─▶ Head(200) ─▶ Data … ──finish──▶ Data(trailers) End
/// ```
#[derive(Debug)]
pub(crate) struct WebReply {
    text: Option<MessageEncoder>,
    conclusion: Conclusion,
    walker: Walker,
    ready: VecDeque<ReplyStep>,
    failed: Option<Fault>,
    ended: bool,
}

impl WebReply {
    pub(crate) fn new(text: bool) -> WebReply {
        WebReply {
            text: text.then(MessageEncoder::default),
            conclusion: Conclusion::default(),
            walker: Walker::default(),
            ready: VecDeque::new(),
            failed: None,
            ended: false,
        }
    }

    /// The answer's text for a piece of the servlet's, as far as it is messages.
    fn take(&mut self, chunk: Bytes) -> (Bytes, Option<FrameError>) {
        let Some(encoder) = &mut self.text else { return self.walker.cut(chunk) };
        let mut text = String::with_capacity(chunk.len() / 3 * 4 + 8);
        let mut rest: &[u8] = &chunk;
        while !rest.is_empty() {
            let (message, later) = match self.walker.walk_message(rest) {
                Ok(passed) => rest.split_at(passed),
                Err(error) => return (Bytes::from(text), Some(error)),
            };
            encoder.encode(message, self.walker.at_boundary(), &mut text);
            rest = later;
        }
        (Bytes::from(text), None)
    }

    fn last(&self, status: &Status, metadata: HeaderMap) -> Bytes {
        whole(self.text.is_some(), trailer_frame(status, metadata))
    }
}

impl ReplyTranslator for WebReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        let mut response = Response::new(());
        let fields = response.headers_mut();
        let content_type = web_content_type(self.text.is_some(), headers.get(header::CONTENT_TYPE));
        let encoding = headers.get(&GRPC_ENCODING).cloned();
        self.conclusion.head(status, headers);
        *fields = self.conclusion.leading();
        if let Some(encoding) = encoding {
            fields.insert(GRPC_ENCODING, encoding);
        }
        fields.insert(header::CONTENT_TYPE, content_type);
        self.ready.push_back(ReplyStep::Head(response));
    }

    fn push(&mut self, chunk: Bytes) {
        if !self.conclusion.takes(&chunk) || self.failed.is_some() {
            return;
        }
        let (data, stopped) = self.take(chunk);
        if !data.is_empty() {
            self.ready.push_back(ReplyStep::Data(data));
        }
        self.failed = stopped.map(FrameError::in_reply);
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.conclusion.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        if let Some(step) = self.ready.pop_front() {
            return Ok(step);
        }
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        if self.ended {
            return Ok(ReplyStep::End);
        }
        let Some(status) = self.conclusion.status() else { return Ok(ReplyStep::NeedInput) };
        if !self.walker.at_boundary() {
            return Err(FrameError::Truncated.in_reply());
        }
        let frame = self.last(status, self.conclusion.trailing());
        self.ended = true;
        Ok(ReplyStep::Data(frame))
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        // A frame of trailers in the middle of a message would be read as a part of it.
        if self.walker.at_boundary() && self.ready.is_empty() {
            Farewell::End(self.last(&Status::from_fault(fault), HeaderMap::new()))
        } else {
            Farewell::Break(Bytes::new())
        }
    }
}
