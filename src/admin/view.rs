//! What the API says, key by key. A contract: people's tools read it, so a key is added and never renamed.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::servlet::{EndpointView, State};
use crate::telemetry::{LegacyView, rfc3339_millis};

/// A servlet in the list of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServletSummary {
    pub name: String,
    /// `grpc`, `http1` or `http2`.
    pub upstream: String,
    /// The balance policy.
    pub policy: String,
    /// Service names, as they are written in its file.
    pub services: Vec<String>,
    /// How many routes it has beside them.
    pub routes: usize,
    /// `none`; `pending` while no endpoint has told it; `known`.
    pub schema: &'static str,
    /// Why it is pending; `null` unless it is.
    pub schema_pending: Option<String>,
    pub endpoints: usize,
    /// Those that take new calls.
    pub serving: usize,
    pub in_flight: u64,
    pub requests: u64,
    pub failures: u64,
}

/// How far a servlet's schema is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// It has none.
    None,
    /// Its endpoints are to tell it, and none has so far, for this reason.
    Pending(String),
    Known,
}

impl ServletSummary {
    /// A summary with the endpoints' numbers added up.
    pub fn new(
        name: &str,
        upstream: &str,
        policy: &str,
        services: Vec<String>,
        routes: usize,
        schema: SchemaState,
        endpoints: &[EndpointView],
    ) -> ServletSummary {
        let (schema, schema_pending) = match schema {
            SchemaState::None => ("none", None),
            SchemaState::Pending(why) => ("pending", Some(why)),
            SchemaState::Known => ("known", None),
        };
        let takes_calls = |endpoint: &&EndpointView| match endpoint.state {
            State::Serving | State::Penalised => true,
            State::Draining | State::SetAside => false,
        };
        ServletSummary {
            name: name.to_owned(),
            upstream: upstream.to_owned(),
            policy: policy.to_owned(),
            services,
            routes,
            schema,
            schema_pending,
            endpoints: endpoints.len(),
            serving: endpoints.iter().filter(takes_calls).count(),
            in_flight: endpoints.iter().map(|endpoint| endpoint.in_flight).sum(),
            requests: endpoints.iter().map(|endpoint| endpoint.requests).sum(),
            failures: endpoints.iter().map(|endpoint| endpoint.failures).sum(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Servlets {
    pub(super) servlets: Vec<ServletSummary>,
}

/// The endpoints of one servlet, in the order of its table.
#[derive(Serialize)]
pub(super) struct Endpoints<'a> {
    servlet: &'a str,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    address: String,
    /// `null` in a table without groups.
    group: Option<String>,
    configured_weight: u32,
    effective_weight: f64,
    expected_share: f64,
    observed_share_1m: Option<f64>,
    observed_share_10m: Option<f64>,
    in_flight: u64,
    requests: u64,
    failures: u64,
    latency_ms: Option<Latency>,
    state: &'static str,
    /// `null` unless it is set aside; in the past when the next call tries it.
    set_aside_until: Option<String>,
    why: String,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

impl<'a> Endpoints<'a> {
    pub(super) fn new(servlet: &'a str, views: Vec<EndpointView>) -> Endpoints<'a> {
        Endpoints { servlet, endpoints: views.into_iter().map(endpoint).collect() }
    }
}

fn endpoint(view: EndpointView) -> Endpoint {
    let latency = |latency: crate::servlet::Latencies| Latency {
        p50: millis(latency.p50),
        p90: millis(latency.p90),
        p99: millis(latency.p99),
        p999: millis(latency.p999),
    };
    Endpoint {
        address: view.address.to_string(),
        group: (!view.group.is_empty()).then(|| view.group.to_string()),
        configured_weight: view.configured_weight,
        effective_weight: rounded(view.effective_weight, 1e3),
        expected_share: rounded(view.expected_share, 1e6),
        observed_share_1m: view.observed_share_1m.map(|share| rounded(share, 1e6)),
        observed_share_10m: view.observed_share_10m.map(|share| rounded(share, 1e6)),
        in_flight: view.in_flight,
        requests: view.requests,
        failures: view.failures,
        latency_ms: view.latency.map(latency),
        state: view.state.name(),
        set_aside_until: view.set_aside_until.map(|until| rfc3339_millis(on_the_clock(until))),
        why: view.why,
    }
}

/// Who speaks HTTP/1.0.
#[derive(Serialize)]
pub(super) struct Legacy {
    callers: Vec<Caller>,
    /// Requests of callers that were forgotten to bound the memory.
    forgotten: u64,
}

#[derive(Serialize)]
struct Caller {
    /// `null` over a Unix socket.
    peer: Option<String>,
    /// `null` when no route matched.
    servlet: Option<String>,
    requests: u64,
    last_seen: String,
    user_agent: Option<String>,
}

impl Legacy {
    pub(super) fn new(view: LegacyView) -> Legacy {
        let callers = view.callers.into_iter().map(|caller| Caller {
            peer: caller.peer.map(|peer| peer.to_string()),
            servlet: caller.servlet.map(|servlet| servlet.to_string()),
            requests: caller.requests,
            last_seen: rfc3339_millis(caller.last_seen),
            user_agent: caller.user_agent,
        });
        Legacy { callers: callers.collect(), forgotten: view.forgotten }
    }
}

/// A moment that was measured, as the clock on the wall has it.
fn on_the_clock(moment: Instant) -> SystemTime {
    let (now, wall) = (Instant::now(), SystemTime::now());
    match moment.checked_duration_since(now) {
        Some(ahead) => wall.checked_add(ahead),
        None => wall.checked_sub(now.saturating_duration_since(moment)),
    }
    .unwrap_or(wall)
}

fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3, 1e3)
}

/// To as many parts as a person would read; what is behind them is noise.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
