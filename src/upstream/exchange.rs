//! One request on its way to an endpoint and its answer on the way back, in one hand: the request's body is carried on whenever the
//! answer is waited for or read, so that no task and no channel stands between them. Dropping it cancels the call upstream.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use super::http1::Http1Exchange;
use super::http2::Http2Exchange;
use crate::model::{Body, Fault, Frame};

/// Poll for the head until it is there, then as the body of the answer. After a 101 `Trailers`, which are empty, say that the servlet has
/// ended its side, and `None` follows when the caller has, too.
#[derive(Debug)]
pub struct Exchange<B: 'static>(pub(super) Kind<B>);

#[derive(Debug)]
pub(super) enum Kind<B: 'static> {
    Http2(Http2Exchange<B>),
    Http1(Http1Exchange<B>),
}

impl<B: Body + Unpin + 'static> Exchange<B> {
    /// The head of the answer; interim answers are passed over.
    ///
    /// # Errors
    /// Whatever ended the call before its answer, at stage `Wait`, or a fault of the request's own body.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Fault>> {
        match &mut self.0 {
            Kind::Http2(exchange) => exchange.poll_head(cx),
            Kind::Http1(exchange) => exchange.poll_head(cx),
        }
    }

    /// The request's body, to be sent elsewhere.
    pub fn into_body(self) -> B {
        match self.0 {
            Kind::Http2(exchange) => exchange.into_body(),
            Kind::Http1(exchange) => exchange.into_body(),
        }
    }

    /// The request's body while it is being sent.
    pub fn body_mut(&mut self) -> &mut B {
        match &mut self.0 {
            Kind::Http2(exchange) => exchange.body_mut(),
            Kind::Http1(exchange) => exchange.body_mut(),
        }
    }
}

impl<B: Body + Unpin + 'static> Body for Exchange<B> {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        match &mut self.get_mut().0 {
            Kind::Http2(exchange) => exchange.poll_frame(cx),
            Kind::Http1(exchange) => exchange.poll_frame(cx),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        match &mut self.get_mut().0 {
            Kind::Http2(exchange) => exchange.poll_progress(cx),
            Kind::Http1(exchange) => exchange.poll_progress(cx),
        }
    }

    fn is_end(&self) -> bool {
        match &self.0 {
            Kind::Http2(exchange) => exchange.is_end(),
            Kind::Http1(exchange) => exchange.is_end(),
        }
    }

    fn exact_len(&self) -> Option<u64> {
        match &self.0 {
            Kind::Http2(_) => None,
            Kind::Http1(exchange) => exchange.exact_len(),
        }
    }
}
