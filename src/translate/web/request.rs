//! A request whose messages are gRPC's already: checked, and handed on as they come.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Base64Stream;
use crate::model::{Fault, Kind, Stage};
use crate::translate::frame::FrameError;
use crate::translate::middle::{RequestStep, RequestTranslator};
use crate::translate::relay::Walker;

/// One request, binary or base64.
#[derive(Debug)]
pub(crate) struct RelayedRequest {
    text: Option<Base64Stream>,
    walker: Walker,
    ready: VecDeque<Bytes>,
    finished: bool,
    failed: Option<Fault>,
}

impl RelayedRequest {
    pub(crate) fn new(text: bool) -> RelayedRequest {
        RelayedRequest {
            text: text.then(Base64Stream::default),
            walker: Walker::default(),
            ready: VecDeque::new(),
            finished: false,
            failed: None,
        }
    }
}

impl RequestTranslator for RelayedRequest {
    fn push(&mut self, chunk: Bytes) {
        let bytes = match &mut self.text {
            None => chunk,
            Some(text) => match text.decode(&chunk) {
                Some(bytes) => bytes,
                None => {
                    let told = "the body is not base64, which application/grpc-web-text is";
                    self.failed = Some(Fault::new(Kind::MalformedBody, Stage::RequestBody, told));
                    return;
                }
            },
        };
        if let Err(error) = self.walker.walk(&bytes) {
            self.failed = Some(error.in_request());
        } else if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        if !self.walker.at_boundary() || self.text.as_ref().is_some_and(|text| !text.at_boundary()) {
            self.failed.get_or_insert_with(|| FrameError::Truncated.in_request());
        }
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        Ok(match self.ready.pop_front() {
            Some(bytes) => RequestStep::Frame(bytes),
            None if self.finished => RequestStep::End,
            None => RequestStep::NeedInput,
        })
    }

    fn is_end(&self) -> bool {
        self.finished && self.failed.is_none() && self.ready.is_empty()
    }
}
