//! The envelope: a whole HTTP exchange inside gRPC, by `telamon.v1.HttpServlet` (proto/telamon/v1/http_servlet.proto), for servlets that
//! no schema describes. Whatever such a route's callers speak is plain HTTP to it.
//!
//! What leaves is HTTP as the listener has cleaned it; what comes back is held to HTTP's rules before a byte of it is written, since
//! a servlet may hand on what somebody else put into its fields. It leans towards breaking an answer off.

mod head;
mod message;
mod reply;
mod request;

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;

pub(crate) use reply::EnvelopeReply;
pub(crate) use request::EnvelopeRequest;

use crate::wire::Forwarding;

/// The one method of the contract.
const PATH: &str = "/telamon.v1.HttpServlet/Serve";

/// Whether a method takes whole exchanges.
pub fn is_envelope(method: &PathAndQuery) -> bool {
    is_envelope_path(method.path())
}

/// The same of a request's path.
pub fn is_envelope_path(path: &str) -> bool {
    path == PATH
}

/// What is known of a call that is enveloped.
#[derive(Clone, Debug)]
pub struct EnvelopePlan {
    path: PathAndQuery,
    /// The request is HEAD: its answer has no body.
    head_request: bool,
    /// Bytes of one message of the answer.
    message_limit: usize,
}

impl EnvelopePlan {
    pub fn new(head_request: bool, message_limit: usize) -> EnvelopePlan {
        EnvelopePlan { path: PathAndQuery::from_static(PATH), head_request, message_limit }
    }

    pub(super) fn path(&self) -> &PathAndQuery {
        &self.path
    }
}

/// What of a request is not in its head.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The head as an HTTP/1 caller sent it.
    pub raw_head: Option<Bytes>,
    pub peer: Option<SocketAddr>,
    /// The name of the listener that took it.
    pub listener: &'a str,
    pub forwarding: &'a Forwarding,
    /// Bytes of the body, when they are known.
    pub length: Option<u64>,
    /// Nothing follows the head.
    pub bodiless: bool,
}

/// The metadata beside the envelope: what tracing in the servlet's gRPC library lives by. The rest is inside, where no limit of metadata
/// cuts a cookie.
pub(super) fn metadata(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["traceparent", "tracestate"] {
        for value in from.get_all(name).iter().filter(|value| value.to_str().is_ok()) {
            headers.append(name, value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests;
