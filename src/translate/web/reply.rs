//! A gRPC reply on its way to a gRPC-Web caller: the head goes out as soon as the servlet's is here, and the body ends with a frame of
//! trailers, which tells of every error. Never in the head: a page of another origin could not read it there.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use super::{GRPC_ENCODING, base64, trailer_frame, web_content_type};
use crate::model::Fault;
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::FrameError;
use crate::translate::metadata::reply_headers;
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
    text: bool,
    conclusion: Conclusion,
    walker: Walker,
    ready: VecDeque<ReplyStep>,
    failed: Option<Fault>,
    ended: bool,
}

impl WebReply {
    pub(crate) fn new(text: bool) -> WebReply {
        WebReply {
            text,
            conclusion: Conclusion::default(),
            walker: Walker::default(),
            ready: VecDeque::new(),
            failed: None,
            ended: false,
        }
    }

    fn encoded(&self, bytes: Bytes) -> Bytes {
        if self.text { base64::encode(&bytes) } else { bytes }
    }
}

impl ReplyTranslator for WebReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        let mut response = Response::new(());
        let fields = response.headers_mut();
        *fields = reply_headers(&headers, None);
        if let Some(encoding) = headers.get(&GRPC_ENCODING) {
            fields.insert(GRPC_ENCODING, encoding.clone());
        }
        fields.insert(header::CONTENT_TYPE, web_content_type(self.text, headers.get(header::CONTENT_TYPE)));
        self.conclusion.head(status, headers);
        self.ready.push_back(ReplyStep::Head(response));
    }

    fn push(&mut self, chunk: Bytes) {
        if self.conclusion.status().is_some() || chunk.is_empty() {
            return;
        }
        match self.walker.walk(&chunk) {
            Ok(()) => {
                let data = self.encoded(chunk);
                self.ready.push_back(ReplyStep::Data(data));
            }
            Err(error) => self.failed = Some(error.in_reply()),
        }
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
        let frame = trailer_frame(status, self.conclusion.trailers.as_ref());
        self.ended = true;
        Ok(ReplyStep::Data(self.encoded(frame)))
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        // A frame of trailers in the middle of a message would be read as a part of it.
        if self.walker.at_boundary() && self.failed.is_none() {
            Farewell::End(self.encoded(trailer_frame(&Status::from_fault(fault), None)))
        } else {
            Farewell::Break(Bytes::new())
        }
    }
}
