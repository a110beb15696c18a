//! A reply without what an operator keeps from callers, whatever the dialect: the lists are held before any of it is translated, so
//! that no dialect has a way around them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::FieldNames;
use crate::model::Fault;
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::status::Status;

/// A reply of which callers see no more than `names` lets through; without any, the reply as it is.
pub fn withhold(reply: Box<dyn ReplyTranslator>, names: Option<&Arc<FieldNames>>) -> Box<dyn ReplyTranslator> {
    match names {
        Some(names) => Box::new(Withheld { inner: reply, names: Arc::clone(names) }),
        None => reply,
    }
}

#[derive(Debug)]
struct Withheld {
    inner: Box<dyn ReplyTranslator>,
    names: Arc<FieldNames>,
}

impl ReplyTranslator for Withheld {
    fn head(&mut self, status: StatusCode, mut headers: HeaderMap) {
        self.names.withhold(&mut headers);
        self.inner.head(status, headers);
    }

    fn push(&mut self, chunk: Bytes) {
        self.inner.push(chunk);
    }

    fn finish(&mut self, mut trailers: Option<HeaderMap>) {
        if let Some(trailers) = &mut trailers {
            self.names.withhold(trailers);
        }
        self.inner.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        self.inner.step()
    }

    fn status(&self) -> Option<&Status> {
        self.inner.status()
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = self.inner.trailers()?;
        self.names.withhold(&mut trailers);
        Some(trailers)
    }

    fn promised(&self) -> Option<u64> {
        self.inner.promised()
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        self.inner.farewell(fault)
    }
}
