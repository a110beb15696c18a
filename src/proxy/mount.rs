//! What the request path knows of a servlet. Derived from its file whenever that changes, and never changed in place: a reload swaps
//! one `Arc<Routing>` for the next.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;

use crate::policy::Cors;
use crate::route;
use crate::schema::{Binding, Method, Schema};
use crate::servlet::Servlet;
use crate::telemetry::ServletMetrics;
use crate::translate::{Compression, FieldNames};
use crate::upstream;

/// What a servlet's replicas speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    Grpc,
    /// Plain HTTP/1.1, untranslated.
    Http1,
    /// Plain HTTP/2, untranslated.
    Http2,
}

/// A servlet as calls meet it.
pub struct Mount {
    pub name: Arc<str>,
    /// Its endpoints, which live on when the rest is rebuilt.
    pub servlet: Arc<Servlet>,
    pub upstream: Upstream,
    /// The patterns of its services, for people.
    pub services: Vec<String>,
    /// How many routes its file lists.
    pub routes: usize,
    /// Needed to translate; gRPC callers do without.
    pub schema: Option<Arc<Schema>>,
    /// Why there is no schema yet, although there will be: its endpoints are to tell it.
    pub pending: Option<String>,
    /// Of every call, when its file says so.
    pub timeout: Option<Duration>,
    /// Of a unary gRPC call, when it does not.
    pub unary_timeout: Duration,
    /// Which pages of other origins may call.
    pub cors: Option<Arc<Cors>>,
    /// What an operator lets through of metadata.
    pub metadata: MetadataNames,
    /// Bytes of one message of a translated call.
    pub message_limit: usize,
    /// Bytes of a request's body.
    pub body_limit: Option<u64>,
    /// Bytes of a request's body that are kept for another endpoint.
    pub replay_limit: usize,
    /// Of the answers of translated calls.
    pub compression: Option<Compression>,
    /// How its endpoints are connected to.
    pub connections: upstream::Options,
    pub metrics: ServletMetrics,
}

/// Which metadata goes through, each way. `None`: all of it, which is not looked at.
#[derive(Clone, Debug, Default)]
pub struct MetadataNames {
    pub request: Option<Arc<FieldNames>>,
    pub reply: Option<Arc<FieldNames>>,
}

/// Where a route leads.
#[derive(Clone, Debug)]
pub struct Target {
    pub mount: Arc<Mount>,
    /// The gRPC method, for routes that name one.
    pub call: Option<Call>,
    /// The path of that method while nothing else is known of it, because the schema is pending.
    pub unbound: Option<PathAndQuery>,
}

/// A gRPC method and how a request becomes its input.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    /// Instead of `binding` for requests without a body, on routes for any HTTP method.
    pub bodiless: Option<Arc<Binding>>,
}

impl Call {
    /// The binding for a request: body `*` on POST, PUT and PATCH, else the query (design §3).
    pub fn binding_for(&self, method: &http::Method) -> &Arc<Binding> {
        let has_body = [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(method);
        match &self.bodiless {
            Some(bodiless) if !has_body => bodiless,
            _ => &self.binding,
        }
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount").field("name", &self.name).field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// All that decides where a request goes. Published whole.
pub struct Routing {
    pub table: route::Table<Target>,
    pub mounts: Vec<Arc<Mount>>,
}
