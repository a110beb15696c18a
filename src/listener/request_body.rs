//! A request's body, whatever protocol brings it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;

use super::http1;
use super::http2;
use crate::model::{Body, Fault, Frame};

/// The body of a request, read as it arrives: what is not asked for stays with the caller.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    raw_head: Option<Bytes>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Http1(Rc<http1::Shared>),
    Http2(http2::Incoming),
}

impl RequestBody {
    pub fn empty() -> RequestBody {
        RequestBody { source: Source::Empty, raw_head: None }
    }

    pub(super) fn http1(shared: Rc<http1::Shared>) -> RequestBody {
        RequestBody { source: Source::Http1(shared), raw_head: None }
    }

    pub(super) fn http2(incoming: http2::Incoming) -> RequestBody {
        RequestBody { source: Source::Http2(incoming), raw_head: None }
    }

    /// With the head that it follows, as an HTTP/1 caller sent it.
    pub(super) fn after(self, raw_head: Bytes) -> RequestBody {
        RequestBody { raw_head: Some(raw_head), ..self }
    }

    /// The request's head as an HTTP/1 caller sent it; once. What it asks for is in the request, and how it is spelled is here.
    pub fn take_raw_head(&mut self) -> Option<Bytes> {
        self.raw_head.take()
    }

    /// Lets an HTTP/2 caller pause for as long as it likes: its deadline ends the call. HTTP/1 has one side speak after the other,
    /// and a pause is a stall.
    pub fn let_rest(&mut self) {
        match &mut self.source {
            Source::Http2(incoming) => incoming.let_rest(),
            Source::Empty | Source::Http1(_) => {}
        }
    }

    /// The protocol that an HTTP/1.1 caller wants to change to. When the answer is 101, this body starts anew as the raw bytes that
    /// the caller sends after its request, and the reply's body are the raw bytes that go back.
    pub fn upgrade(&self) -> Option<HeaderValue> {
        match &self.source {
            Source::Http1(shared) => shared.upgrade(),
            Source::Empty | Source::Http2(_) => None,
        }
    }
}

impl Body for RequestBody {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        match &mut self.get_mut().source {
            Source::Empty => Poll::Ready(None),
            Source::Http1(shared) => shared.poll_frame(cx),
            Source::Http2(incoming) => incoming.poll_frame(cx),
        }
    }

    fn is_end(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Http1(shared) => shared.is_end(),
            Source::Http2(incoming) => incoming.is_end(),
        }
    }

    fn exact_len(&self) -> Option<u64> {
        match &self.source {
            Source::Empty => Some(0),
            Source::Http1(shared) => shared.exact_len(),
            Source::Http2(incoming) => incoming.exact_len(),
        }
    }
}
