//! Decide: which servlet, which method, in which dialect, until when. No await, no lock; the same for traffic and for `explain`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, Method};

use super::mount::{Call, Mount, Routing, Target, Upstream};
use crate::model::{Deadline, Fault, Kind, Stage, parse_grpc_timeout};
use crate::policy::{self, CallKind};
use crate::route::{Miss, ServiceMatch, Tier};
use crate::schema;
use crate::translate::{
    Codec, ConnectPlan, Dialect, EnvelopePlan, Form, Manner, ReplyCoding, RestPlan, Translation, UnaryPlan, WebPlan,
    check_connect_head, check_uncoded, connect_get_codec, is_envelope, is_envelope_path,
};

static CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What is decided about a request before anything is done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mount: Arc<Mount>,
    pub carriage: Carriage,
    /// What was agreed about the answer's content coding, where there may be one.
    pub coding: Option<ReplyCoding>,
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

    /// What the call is counted as.
    pub fn dialect(&self) -> Dialect {
        match &self.carriage {
            Carriage::Grpc { .. } => Dialect::Grpc,
            Carriage::Translated(translation) => translation.dialect(),
            Carriage::Http => Dialect::Http,
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

/// Decides about a request whose head was read at `now`, from a caller that speaks in `manner`.
///
/// # Errors
/// `NoRoute`, `UnknownMethod`, `MethodNotAllowed`, `UnsupportedMediaType`, `InvalidRequest`: what is wrong and what would be right.
pub fn plan(routing: &Routing, head: &Parts, manner: Manner, trusted: bool, now: Instant) -> Result<Plan, Fault> {
    let (mount, carriage, kind) = choose(routing, head, manner, trusted)?;
    let caller = match &carriage {
        // Plain HTTP names no deadline, whatever its fields.
        Carriage::Http | Carriage::Translated(Translation::Envelope(_)) => None,
        Carriage::Grpc { .. } | Carriage::Translated(_) => caller_timeout(head, manner)?,
    };
    let timeout = policy::timeout(kind, mount.unary_timeout, mount.timeout, caller);
    let coding = match &carriage {
        Carriage::Translated(translation) if translation.has_coded_answer() => {
            mount.compression.map(|compression| ReplyCoding::agreed(compression, &head.headers))
        }
        Carriage::Translated(_) | Carriage::Grpc { .. } | Carriage::Http => None,
    };
    Ok(Plan { mount, carriage, coding, deadline: Deadline::after(now, timeout), timeout })
}

type Choice = (Arc<Mount>, Carriage, CallKind);

fn choose(routing: &Routing, head: &Parts, manner: Manner, trusted: bool) -> Result<Choice, Fault> {
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let path = head.uri.path();
    let table = &routing.table;
    if manner.names_method() {
        // Routes come before services, and services are known by their names: REST rules are not for these callers.
        return match table.find_in(Tier::Routes, host, &head.method, path, &head.headers) {
            Ok(found) => to_target(found.target, head, manner, trusted),
            Err(_) => to_service(routing, head, manner, trusted),
        };
    }
    match table.find(host, &head.method, path, &head.headers) {
        Ok(found) if head.method == Method::HEAD && is_stream_for_any(found.target) => Err(head_of_stream(path)),
        Ok(found) => to_target(found.target, head, manner, trusted),
        Err(miss) => match as_get(routing, head, &miss) {
            Some(target) if head.method == Method::HEAD => to_target(target, head, manner, trusted),
            answered => Err(missed(routing, head, miss, answered.is_some())),
        },
    }
}

/// The unary method that a GET would reach where the request's own method reaches nothing: it answers HEAD as well, without the body
/// (RFC 9110 §9.3.2). A stream does not: it would run for nobody.
fn as_get<'r>(routing: &'r Routing, head: &Parts, miss: &Miss) -> Option<&'r Target> {
    let Miss::MethodNotAllowed(allow) = miss else { return None };
    if !allow.contains(&Method::GET) {
        return None;
    }
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let found = routing.table.find(host, &Method::GET, head.uri.path(), &head.headers).ok()?;
    // What is enveloped knows HEAD itself.
    let is_unary = |call: &Call| kind_of(&call.method) == CallKind::Unary || is_envelope(&call.method.path);
    (found.target.mount.upstream == Upstream::Grpc && found.target.call.as_ref().is_some_and(is_unary))
        .then_some(found.target)
}

/// Whether a route for any HTTP method leads to a method that streams: the answer to HEAD would run for nobody.
fn is_stream_for_any(target: &Target) -> bool {
    let streams = |call: &Call| {
        let is_for_any = call.bodiless.is_some() || call.binding.verb.is_none();
        is_for_any && kind_of(&call.method) == CallKind::Streaming && !is_envelope(&call.method.path)
    };
    target.mount.upstream == Upstream::Grpc && target.call.as_ref().is_some_and(streams)
}

fn head_of_stream(path: &str) -> Fault {
    let told = format!("`{path}` leads to a stream, which HEAD would have run for nobody");
    let allow = vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    Fault { allow, ..Fault::new(Kind::MethodNotAllowed, Stage::Plan, told) }
}

/// The caller's path names the method itself.
fn to_service(routing: &Routing, head: &Parts, manner: Manner, trusted: bool) -> Result<Choice, Fault> {
    let path = head.uri.path();
    // Whoever writes an envelope says who called, and from where: a way around the route into it that only trusted peers have.
    let known = routing.table.service(path).filter(|_| trusted || !is_envelope_path(path));
    let Some(found) = known else {
        return Err(Fault::new(Kind::UnknownMethod, Stage::Plan, format!("no servlet serves `{path}`")));
    };
    let mount = Arc::clone(&found.target.mount);
    if mount.pending.is_some() && needs_schema(manner) {
        return Err(pending(&mount));
    }
    let known = mount.schema.as_ref().and_then(|schema| schema.method(found.service, found.method)).cloned();
    let kind = known.as_deref().map_or(CallKind::Unknown, kind_of);
    let carriage = match manner {
        Manner::Grpc => {
            check_post(&head.method, path)?;
            Carriage::Grpc { path: None }
        }
        _ => {
            let named = PathAndQuery::try_from(path).map_err(|_| invalid("the path is no gRPC path"))?;
            Carriage::Translated(by_name(manner, head, named, known, mount.message_limit)?)
        }
    };
    Ok((mount, carriage, kind))
}

fn to_target(target: &Target, head: &Parts, manner: Manner, trusted: bool) -> Result<Choice, Fault> {
    let mount = Arc::clone(&target.mount);
    match (mount.upstream, &target.call) {
        (Upstream::Http1 | Upstream::Http2, _) => Ok((mount, Carriage::Http, CallKind::Unknown)),
        (Upstream::Grpc, Some(call)) => {
            let (method, kind) = (Arc::clone(&call.method), kind_of(&call.method));
            let carriage = match manner {
                _ if is_envelope(&method.path) => enveloped(&method, head, manner, trusted, mount.message_limit),
                Manner::Grpc => {
                    check_post(&head.method, method.path.path())?;
                    Carriage::Grpc { path: Some(method.path.clone()) }
                }
                Manner::Rest | Manner::Protobuf(_) | Manner::Http => {
                    let binding = Arc::clone(call.binding_for(&head.method));
                    let plan = RestPlan::new(method, binding, mount.message_limit, &head.headers);
                    Carriage::Translated(Translation::Rest(plan))
                }
                _ => {
                    let path = method.path.clone();
                    Carriage::Translated(by_name(manner, head, path, Some(method), mount.message_limit)?)
                }
            };
            Ok((mount, carriage, kind))
        }
        (Upstream::Grpc, None) if mount.pending.is_some() => {
            let Some(path) = target.unbound.clone().filter(|_| !needs_schema(manner)) else {
                return Err(pending(&mount));
            };
            let carriage = match manner {
                Manner::Grpc => {
                    check_post(&head.method, path.path())?;
                    Carriage::Grpc { path: Some(path) }
                }
                _ => Carriage::Translated(by_name(manner, head, path, None, mount.message_limit)?),
            };
            Ok((mount, carriage, CallKind::Unknown))
        }
        // The configuration refuses such a route; a defect here must not carry traffic anywhere.
        (Upstream::Grpc, None) => {
            Err(Fault::new(Kind::Internal, Stage::Plan, format!("a route of `{}` names no method", mount.name)))
        }
    }
}

/// On a route into the envelope every caller speaks plain HTTP, but for trusted peers that call it by its own name: whoever writes an
/// envelope says who called, and from where.
fn enveloped(method: &schema::Method, head: &Parts, manner: Manner, trusted: bool, message_limit: usize) -> Carriage {
    if trusted && manner == Manner::Grpc && head.method == Method::POST && head.uri.path() == method.path.path() {
        return Carriage::Grpc { path: None };
    }
    Carriage::Translated(Translation::Envelope(EnvelopePlan::new(head.method == Method::HEAD, message_limit)))
}

/// A call of the method at `path`, in a dialect whose callers name the method. `method`: what is known of it.
fn by_name(
    manner: Manner,
    head: &Parts,
    path: PathAndQuery,
    method: Option<Arc<schema::Method>>,
    message_limit: usize,
) -> Result<Translation, Fault> {
    let get = manner == Manner::ConnectUnary(None);
    if get && !method.as_ref().is_some_and(|method| method.no_side_effects) {
        let told = format!("`{path}` is called by POST: it is not declared to have no side effects");
        return Err(Fault { allow: vec![Method::POST], ..Fault::new(Kind::MethodNotAllowed, Stage::Plan, told) });
    }
    if !get {
        check_post(&head.method, path.path())?;
    }
    if !matches!(manner, Manner::ConnectUnary(_)) {
        check_uncoded(&head.headers)?;
    }
    let connect = |codec, form| {
        check_connect_head(&head.headers, form, codec)?;
        connect(ConnectPlan { path: path.clone(), method: method.clone(), codec, form, message_limit })
    };
    match manner {
        Manner::GrpcWeb { text } => Ok(Translation::Web(WebPlan::new(path, &head.headers, text))),
        Manner::ConnectUnary(Some(codec)) => connect(codec, Form::Post),
        Manner::ConnectUnary(None) => connect(connect_get_codec(head.uri.query().unwrap_or_default())?, Form::Get),
        Manner::ConnectStream(codec) => connect(codec, Form::Stream),
        Manner::Grpc | Manner::GrpcHttp1 | Manner::Rest | Manner::Protobuf(_) | Manner::Http => {
            if method.as_ref().is_some_and(|method| kind_of(method) == CallKind::Streaming) {
                let told = format!("`{path}` streams: over HTTP/1 gRPC is unary; use HTTP/2, gRPC-Web or Connect");
                return Err(Fault::new(Kind::NotImplemented, Stage::Plan, told));
            }
            Ok(Translation::Unary(UnaryPlan { path, message_limit }))
        }
    }
}

/// gRPC, and what is made of it, is called by POST (PROTOCOL-HTTP2.md, `Method`).
fn check_post(method: &Method, path: &str) -> Result<(), Fault> {
    if method == Method::POST {
        return Ok(());
    }
    let told = format!("`{path}` is called by POST, not {method}");
    Err(Fault { allow: vec![Method::POST], ..Fault::new(Kind::MethodNotAllowed, Stage::Plan, told) })
}

/// Holds a Connect call against what is known of its method.
fn connect(plan: ConnectPlan) -> Result<Translation, Fault> {
    let unsupported = |told: String| Err(Fault::new(Kind::UnsupportedMediaType, Stage::Plan, told));
    match &plan.method {
        Some(method) => {
            let streams = method.client_streaming || method.server_streaming;
            if streams != (plan.form == Form::Stream) {
                let (kind, expected) =
                    if streams { ("streams", "application/connect+") } else { ("is unary", "application/") };
                return unsupported(format!(
                    "`{}` {kind}: its content types are {expected}proto and {expected}json",
                    plan.path
                ));
            }
        }
        None if plan.codec == Codec::Json => {
            return unsupported(format!("`{}` is in no schema here: JSON cannot be read; send protobuf", plan.path));
        }
        None => {}
    }
    Ok(Translation::Connect(plan))
}

/// What to tell when no rule matches. `takes_head`: where GET would be taken, so would HEAD.
fn missed(routing: &Routing, head: &Parts, miss: Miss, takes_head: bool) -> Fault {
    let path = head.uri.path();
    match miss {
        Miss::MethodNotAllowed(mut allow) => {
            if takes_head && !allow.contains(&Method::HEAD) {
                allow.push(Method::HEAD);
            }
            let names: Vec<&str> = allow.iter().map(Method::as_str).collect();
            let told = format!("`{path}` takes {}, not {}", names.join(", "), head.method);
            Fault { allow, ..Fault::new(Kind::MethodNotAllowed, Stage::Plan, told) }
        }
        Miss::NotFound => match routing.table.service(path) {
            Some(found) if found.target.mount.pending.is_some() => pending(&found.target.mount),
            Some(found) if found.target.mount.schema.is_none() => {
                let told = format!("servlet `{}` has no schema: only gRPC callers reach it", found.target.mount.name);
                Fault::new(Kind::UnsupportedMediaType, Stage::Plan, told)
            }
            found => {
                match (found.as_ref().and_then(by_its_rules), routing.mounts.iter().find(|it| it.pending.is_some())) {
                    (Some(told), _) => Fault::new(Kind::NoRoute, Stage::Plan, told),
                    // It may be a way into a servlet whose ways are not known yet: a 404 would say that there is none.
                    (None, Some(mount)) => pending(mount),
                    (None, None) => {
                        Fault::new(Kind::NoRoute, Stage::Plan, format!("no route for {} {path}", head.method))
                    }
                }
            }
        },
    }
}

/// The answer while a servlet's endpoints have not told its schema.
fn pending(mount: &Mount) -> Fault {
    let told = format!("the schema of servlet `{}` is not fetched yet; try again soon", mount.name);
    Fault::new(Kind::SchemaPending, Stage::Plan, told)
}

/// Whether nothing can be done for these callers without a schema: they speak JSON, or by GET, which a method must allow.
fn needs_schema(manner: Manner) -> bool {
    match manner {
        Manner::Grpc | Manner::GrpcHttp1 | Manner::GrpcWeb { .. } => false,
        Manner::ConnectUnary(Some(codec)) | Manner::ConnectStream(codec) => codec == Codec::Json,
        Manner::ConnectUnary(None) | Manner::Rest | Manner::Protobuf(_) | Manner::Http => true,
    }
}

/// For a path that names a method which has rules, and so is not reached by its own name: what they are, the first few of them.
fn by_its_rules(found: &ServiceMatch<'_, '_, Target>) -> Option<String> {
    const MOST: usize = 5;
    let method = found.target.mount.schema.as_ref()?.method(found.service, found.method)?;
    let rules: Vec<&str> = method.bindings.iter().take(MOST).map(|binding| &*binding.text).collect();
    let more = if method.bindings.len() > MOST { ", …" } else { "" };
    (!rules.is_empty()).then(|| format!("`{}` is reached by its rules: {}{more}", method.path, rules.join(", ")))
}

fn kind_of(method: &schema::Method) -> CallKind {
    if method.client_streaming || method.server_streaming { CallKind::Streaming } else { CallKind::Unary }
}

/// The time that the caller gives the call, in its own dialect's words.
fn caller_timeout(head: &Parts, manner: Manner) -> Result<Option<Duration>, Fault> {
    if manner.dialect() == Dialect::Connect {
        let Some(value) = head.headers.get(&CONNECT_TIMEOUT) else { return Ok(None) };
        let digits =
            value.to_str().ok().filter(|text| text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let timeout = digits.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        return timeout.map(Some).ok_or_else(|| invalid("`connect-timeout-ms` is one to ten digits"));
    }
    let Some(value) = head.headers.get(&GRPC_TIMEOUT) else { return Ok(None) };
    let timeout = parse_grpc_timeout(value.as_bytes());
    timeout.map(Some).ok_or_else(|| invalid("`grpc-timeout` is one to eight digits and one of H, M, S, m, u, n"))
}

fn invalid(told: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::Plan, told)
}
