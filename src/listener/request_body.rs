//! A request's body, whatever protocol brings it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::HeaderValue;

use super::http1;
use super::http2;
use crate::model::{Body, Fault, Frame};

/// The body of a request, read as it arrives: what is not asked for stays with the caller.
#[derive(Debug)]
pub struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    Empty,
    Http1(Rc<http1::Shared>),
    Http2(http2::Incoming),
}

impl RequestBody {
    pub fn empty() -> RequestBody {
        RequestBody(Source::Empty)
    }

    pub(super) fn http1(shared: Rc<http1::Shared>) -> RequestBody {
        RequestBody(Source::Http1(shared))
    }

    pub(super) fn http2(incoming: http2::Incoming) -> RequestBody {
        RequestBody(Source::Http2(incoming))
    }

    /// The protocol that an HTTP/1.1 caller wants to change to. When the answer is 101, this body starts anew as the raw bytes that
    /// the caller sends after its request, and the reply's body are the raw bytes that go back.
    pub fn upgrade(&self) -> Option<HeaderValue> {
        match &self.0 {
            Source::Http1(shared) => shared.upgrade(),
            Source::Empty | Source::Http2(_) => None,
        }
    }
}

impl Body for RequestBody {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        match &mut self.get_mut().0 {
            Source::Empty => Poll::Ready(None),
            Source::Http1(shared) => shared.poll_frame(cx),
            Source::Http2(incoming) => incoming.poll_frame(cx),
        }
    }

    fn is_end(&self) -> bool {
        match &self.0 {
            Source::Empty => true,
            Source::Http1(shared) => shared.is_end(),
            Source::Http2(incoming) => incoming.is_end(),
        }
    }

    fn exact_len(&self) -> Option<u64> {
        match &self.0 {
            Source::Empty => Some(0),
            Source::Http1(shared) => shared.exact_len(),
            Source::Http2(incoming) => incoming.exact_len(),
        }
    }
}
