//! Decide: which servlet, which method, in which dialect, until when. No await, no lock; the same for traffic and for `explain`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::mount::{Mount, Routing, Target, Upstream};
use crate::model::{Deadline, Fault, Kind, Stage, parse_grpc_timeout};
use crate::policy::{self, CallKind};
use crate::route::{Miss, Tier};
use crate::schema;
use crate::translate::{Manner, RestPlan, Translation};

/// What is decided about a request before anything is done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mount: Arc<Mount>,
    pub carriage: Carriage,
    pub deadline: Deadline,
    /// What the deadline was made of.
    pub timeout: Option<Duration>,
}

/// How the call travels.
#[derive(Clone, Debug)]
pub enum Carriage {
    /// gRPC to gRPC, untouched; under another path when a route says so.
    Grpc { path: Option<PathAndQuery> },
    /// Another dialect to gRPC.
    Translated(Translation),
    /// HTTP to HTTP, untranslated.
    Http,
}

impl Plan {
    /// How the caller is told of faults.
    pub fn manner(&self) -> Manner {
        match &self.carriage {
            Carriage::Grpc { .. } => Manner::Grpc,
            Carriage::Translated(translation) => translation.manner(),
            Carriage::Http => Manner::Http,
        }
    }

    /// `/pkg.Service/Method`, for calls of a gRPC method.
    pub(super) fn method_path<'p>(&'p self, head: &'p Parts) -> Option<&'p str> {
        match &self.carriage {
            Carriage::Grpc { path: Some(path) } => Some(path.path()),
            Carriage::Grpc { path: None } => Some(head.uri.path()),
            Carriage::Translated(translation) => Some(translation.method_path().path()),
            Carriage::Http => None,
        }
    }
}

/// Decides about a request whose head was read at `now`.
///
/// # Errors
/// `NoRoute`, `UnknownMethod`, `MethodNotAllowed`, `UnsupportedMediaType`, `InvalidRequest`: what is wrong and what would be right.
pub fn plan(routing: &Routing, head: &Parts, now: Instant) -> Result<Plan, Fault> {
    let caller = caller_timeout(head)?;
    let (mount, carriage, kind) = choose(routing, head)?;
    let timeout = policy::timeout(kind, mount.unary_timeout, mount.timeout, caller);
    Ok(Plan { mount, carriage, deadline: Deadline::after(now, timeout), timeout })
}

type Choice = (Arc<Mount>, Carriage, CallKind);

fn choose(routing: &Routing, head: &Parts) -> Result<Choice, Fault> {
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let path = head.uri.path();
    let table = &routing.table;
    if is_grpc_call(head) {
        // Routes come before services, and services are known by their names: REST rules are not for gRPC callers.
        return match table.find_in(Tier::Routes, host, &head.method, path, &head.headers) {
            Ok(found) => to_target(found.target, head),
            Err(_) => to_service(routing, head),
        };
    }
    match table.find(host, &head.method, path, &head.headers) {
        Ok(found) => to_target(found.target, head),
        Err(miss) => Err(missed(routing, head, miss)),
    }
}

/// A gRPC caller's path names the method itself.
fn to_service(routing: &Routing, head: &Parts) -> Result<Choice, Fault> {
    let path = head.uri.path();
    let Some(found) = routing.table.service(path) else {
        return Err(Fault::new(Kind::UnknownMethod, Stage::Plan, format!("no servlet serves `{path}`")));
    };
    let mount = Arc::clone(&found.target.mount);
    let known = mount.schema.as_ref().and_then(|schema| schema.method(found.service, found.method));
    let kind = known.map_or(CallKind::Unknown, |method| kind_of(method));
    Ok((mount, Carriage::Grpc { path: None }, kind))
}

fn to_target(target: &Target, head: &Parts) -> Result<Choice, Fault> {
    let mount = Arc::clone(&target.mount);
    match (mount.upstream, &target.call) {
        (Upstream::Http1 | Upstream::Http2, _) => Ok((mount, Carriage::Http, CallKind::Unknown)),
        (Upstream::Grpc, Some(call)) if is_grpc_call(head) => {
            let path = Some(call.method.path.clone());
            Ok((mount, Carriage::Grpc { path }, kind_of(&call.method)))
        }
        (Upstream::Grpc, Some(call)) => {
            let method = Arc::clone(&call.method);
            let kind = kind_of(&method);
            let binding = Arc::clone(call.binding_for(&head.method));
            let plan = RestPlan { method, binding, message_limit: mount.message_limit };
            Ok((mount, Carriage::Translated(Translation::Rest(plan)), kind))
        }
        // The configuration refuses such a route; a defect here must not carry traffic anywhere.
        (Upstream::Grpc, None) => {
            Err(Fault::new(Kind::Internal, Stage::Plan, format!("a route of `{}` names no method", mount.name)))
        }
    }
}

/// What to tell when no rule matches.
fn missed(routing: &Routing, head: &Parts, miss: Miss) -> Fault {
    let path = head.uri.path();
    match miss {
        Miss::MethodNotAllowed(allow) => {
            let names: Vec<&str> = allow.iter().map(Method::as_str).collect();
            let told = format!("`{path}` takes {}, not {}", names.join(", "), head.method);
            Fault { allow, ..Fault::new(Kind::MethodNotAllowed, Stage::Plan, told) }
        }
        Miss::NotFound => match routing.table.service(path) {
            Some(found) if found.target.mount.schema.is_none() => {
                let told = format!("servlet `{}` has no schema: only gRPC callers reach it", found.target.mount.name);
                Fault::new(Kind::UnsupportedMediaType, Stage::Plan, told)
            }
            _ => Fault::new(Kind::NoRoute, Stage::Plan, format!("no route for {} {path}", head.method)),
        },
    }
}

pub(super) fn is_grpc_call(head: &Parts) -> bool {
    Manner::of(head.version, &head.headers) == Manner::Grpc
}

fn kind_of(method: &schema::Method) -> CallKind {
    if method.client_streaming || method.server_streaming { CallKind::Streaming } else { CallKind::Unary }
}

fn caller_timeout(head: &Parts) -> Result<Option<Duration>, Fault> {
    let Some(value) = head.headers.get("grpc-timeout") else { return Ok(None) };
    let timeout = parse_grpc_timeout(value.as_bytes());
    timeout.map(Some).ok_or_else(|| invalid("`grpc-timeout` is one to eight digits and one of H, M, S, m, u, n"))
}

fn invalid(told: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::Plan, told)
}
