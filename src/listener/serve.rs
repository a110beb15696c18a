//! The seam between connections and calls. Like `tower::Service` with a plain async function: a nameable or boxed future would cost
//! every call an allocation, and readiness is a matter of each connection's own limits.

use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, Version};

use super::RequestBody;
use crate::model::{Body, ConnInfo, Fault};

/// What a listener feeds. One a worker.
pub trait Serve: 'static {
    /// What is worked out once a connection.
    type Connection: 'static;
    type Reply: Body;

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

    /// The answer to what never became a request.
    fn refuse(&self, conn: &Rc<Self::Connection>, version: Version, fault: &Fault) -> Response<Bytes>;
}
