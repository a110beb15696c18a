//! The seam between connections and calls. Like `tower::Service` with a plain async function: a nameable or boxed future would cost
//! every call an allocation, and readiness is a matter of each connection's own limits.

use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};

use super::RequestBody;
use crate::model::{Body, ConnInfo, Fault};

/// What a listener feeds. One a worker.
pub trait Serve: 'static {
    /// What is worked out once a connection.
    type Connection: 'static;
    /// `Unpin`, so that it is written from where it lies.
    type Reply: Body + Unpin;

    /// A connection was accepted.
    fn open(&self, info: ConnInfo) -> Self::Connection;

    /// Answers one request. Dropping the future, or the reply before its end, cancels the call.
    ///
    /// The request's head is clean: `Host` holds the authority (if there is any), the target is the path and query, no
    /// hop-by-hop field is left.
    fn call(
        &self,
        conn: &Rc<Self::Connection>,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Reply>>;

    /// The answer to what never became a request. `head`: what could be read of it, to tell the caller in its own dialect.
    fn refuse(&self, conn: &Rc<Self::Connection>, head: Option<&Parts>, fault: &Fault) -> Response<Bytes>;

    /// What never became a request has got no answer: its stream was reset, or its connection ended.
    fn gave_up(&self, conn: &Rc<Self::Connection>, fault: &Fault);
}
