//! The registry and what belongs to the process as a whole. Every name starts with `telamon_`.
//!
//! A counter exists from the start, at zero: Prometheus' `rate` does not see a first increment that comes together with the
//! series, and the first fault of a kind is the one that an alert must not miss. Only what a servlet can never count is left out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::call::side_name;
use super::endpoints::{self, EndpointSample};
use super::{process, unused};
use crate::model::{Code, HttpProtocol, Kind};
use crate::translate::Dialect;

/// Upper bounds in seconds. They start where a sidecar's own cost ends, are 2 to 2.5 apart so that a quantile is read to within
/// that factor, have an edge at 15 s, the default timeout of a unary call, and end where only streams are left.
pub(super) const DURATION_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The classes of an HTTP status, and what is counted when the caller left before there was one.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What the endpoints of all servlets are at the moment of a scrape.
type EndpointSource = Box<dyn Fn() -> Vec<EndpointSample> + Send + Sync>;

/// All of the process' metrics. A clone is another handle on the same ones.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

pub(super) struct Families {
    registry: Registry,
    started: Instant,
    uptime: Gauge,
    endpoints: OnceLock<EndpointSource>,
    /// The servlets that carry plain HTTP: much is never counted of them.
    untranslated: Mutex<HashSet<String>>,
    connections_open: IntGaugeVec,
    connections_accepted: IntCounterVec,
    connections_refused: IntCounterVec,
    unrouted: FaultCounters,
    reloads_accepted: IntCounter,
    reloads_rejected: IntCounter,
    schema_changes_refused: IntCounter,
    last_reload: Gauge,
    pub(super) access_log_dropped: IntCounter,
    pub(super) requests: IntCounterVec,
    pub(super) grpc_responses: IntCounterVec,
    pub(super) http_responses: IntCounterVec,
    pub(super) faults: IntCounterVec,
    pub(super) durations: HistogramVec,
    pub(super) retries: IntCounterVec,
    pub(super) legacy: IntCounterVec,
    pub(super) received: IntCounterVec,
    pub(super) sent: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let counters =
            |name, help, labels: &[&str]| registered(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        let counter = |name, help| registered(&registry, IntCounter::new(name, help));
        let gauge = |name, help| registered(&registry, Gauge::new(name, help));

        let build = Opts::new("telamon_build_info", "Always 1; the label says what runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        registered(&registry, IntGauge::with_opts(build)).set(1);
        let unrouted = counters(
            "telamon_unrouted_requests_total",
            "Requests refused before they had a servlet, by the flag of the fault.",
            &["flag", "side"],
        );
        let reloads = counters("telamon_reloads_total", "Reloads of one servlet, by result.", &["result"]);
        let connections_open = registered(
            &registry,
            IntGaugeVec::new(Opts::new("telamon_connections_open", "Connections from callers."), &["listener"]),
        );
        let durations = HistogramOpts::new(
            "telamon_request_duration_seconds",
            "From the head of a request to the end of its answer; streams included.",
        )
        .buckets(DURATION_BUCKETS.to_vec());

        Metrics(Arc::new(Families {
            started: Instant::now(),
            uptime: gauge("telamon_uptime_seconds", "Since the process started."),
            endpoints: OnceLock::new(),
            untranslated: Mutex::default(),
            connections_open,
            connections_accepted: counters(
                "telamon_connections_accepted_total",
                "Connections from callers.",
                &["listener"],
            ),
            connections_refused: counters(
                "telamon_connections_refused_total",
                "Connections turned away before their first request, by the limit that did it.",
                &["listener", "reason"],
            ),
            unrouted: FaultCounters::new(&unrouted, &[]),
            reloads_accepted: reloads.with_label_values(&["accepted"]),
            reloads_rejected: reloads.with_label_values(&["rejected"]),
            schema_changes_refused: counter(
                "telamon_schema_changes_refused_total",
                "Reloads of one servlet that were refused because its new schema would break callers.",
            ),
            last_reload: gauge(
                "telamon_last_reload_accepted_timestamp_seconds",
                "When files were last accepted, at the start or by a reload, in seconds since 1970.",
            ),
            access_log_dropped: counter(
                "telamon_access_log_dropped_lines_total",
                "Lines of the access log that were not written: its reader or its disk was too slow, or refused them.",
            ),
            requests: counters(
                "telamon_requests_total",
                "Calls that ended, by what the caller speaks.",
                &["servlet", "dialect", "protocol"],
            ),
            grpc_responses: counters(
                "telamon_grpc_responses_total",
                "Calls that ended, by gRPC code; calls of untranslated servlets have none.",
                &["servlet", "code"],
            ),
            http_responses: counters(
                "telamon_http_responses_total",
                "Calls that ended, by class of the HTTP status sent; callers that speak gRPC see codes instead.",
                &["servlet", "class"],
            ),
            faults: counters(
                "telamon_faults_total",
                "Answers that Telamon gave itself and streams that it ended, by the flag of the fault.",
                &["servlet", "flag", "side"],
            ),
            durations: registered(&registry, HistogramVec::new(durations, &["servlet"])),
            retries: counters("telamon_retries_total", "Tries after a call's first.", &["servlet"]),
            legacy: counters("telamon_legacy_requests_total", "Calls over HTTP/1.0.", &["servlet"]),
            received: counters("telamon_received_bytes_total", "Body bytes from callers.", &["servlet"]),
            sent: counters("telamon_sent_bytes_total", "Body bytes to callers.", &["servlet"]),
            registry,
        }))
    }

    /// Where the endpoints are asked for at every scrape. The first one given stays.
    pub fn endpoints_from(&self, source: impl Fn() -> Vec<EndpointSample> + Send + Sync + 'static) {
        let _ = self.0.endpoints.set(Box::new(source));
    }

    /// A request that was refused before it had a servlet.
    pub fn unrouted(&self, kind: Kind) {
        self.0.unrouted.inc(kind);
    }

    /// A reload of one servlet that took effect at `now`.
    pub fn reload_accepted(&self, now: SystemTime) {
        self.0.reloads_accepted.inc();
        self.loaded(now);
    }

    /// The files were accepted at `now`, at the start.
    pub fn loaded(&self, now: SystemTime) {
        if let Ok(since) = now.duration_since(SystemTime::UNIX_EPOCH) {
            self.0.last_reload.set(since.as_secs_f64());
        }
    }

    /// A reload of one servlet that changed nothing, because something in its files is wrong.
    pub fn reload_rejected(&self) {
        self.0.reloads_rejected.inc();
    }

    /// A rejected reload whose files are right, but whose schema would break callers.
    pub fn schema_change_refused(&self) {
        self.0.schema_changes_refused.inc();
    }

    /// Takes a removed servlet's series out of the next scrape. Calls still in flight are counted where nobody sees it.
    pub fn forget_servlet(&self, servlet: &str) {
        let all = &self.0;
        // An error means that the series never existed.
        for dialect in Dialect::ALL {
            for protocol in HttpProtocol::ALL {
                let _ = all.requests.remove_label_values(&[servlet, dialect.name(), protocol.name()]);
            }
        }
        for code in Code::ALL {
            let _ = all.grpc_responses.remove_label_values(&[servlet, code.name()]);
        }
        for class in CLASSES {
            let _ = all.http_responses.remove_label_values(&[servlet, class]);
        }
        for kind in Kind::ALL {
            let _ = all.faults.remove_label_values(&[servlet, kind.flag(), side_name(kind.side())]);
        }
        for family in [&all.retries, &all.legacy, &all.received, &all.sent] {
            let _ = family.remove_label_values(&[servlet]);
        }
        let _ = all.durations.remove_label_values(&[servlet]);
        self.carries(servlet, true);
    }

    /// Whether calls of `servlet` are translated, or plain HTTP.
    pub(super) fn carries(&self, servlet: &str, translated: bool) {
        let mut untranslated = self.0.untranslated.lock().unwrap_or_else(PoisonError::into_inner);
        if translated {
            untranslated.remove(servlet);
        } else {
            untranslated.insert(servlet.to_owned());
        }
    }

    /// Calls that were cut so far because the process was going away.
    pub fn cut(&self) -> u64 {
        let is_draining = |metric: &&Metric| {
            metric.get_label().iter().any(|label| label.name() == "flag" && label.value() == Kind::Draining.flag())
        };
        let families = self.0.faults.collect();
        let metrics = families.iter().flat_map(MetricFamily::get_metric).filter(is_draining);
        metrics.map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Everything, in Prometheus' text format (`prometheus::TEXT_FORMAT` is its media type).
    pub fn render(&self) -> String {
        self.0.uptime.set(self.0.started.elapsed().as_secs_f64());
        let mut families = self.0.registry.gather();
        let untranslated = self.0.untranslated.lock().unwrap_or_else(PoisonError::into_inner).clone();
        families.iter_mut().for_each(|family| unused::prune(family, &untranslated));
        families.extend(process::families());
        if let Some(source) = self.0.endpoints.get() {
            families.extend(endpoints::families(&source()));
        }
        // A family without a series is an error to the encoder and nothing to the reader.
        families.retain(|family| !family.get_metric().is_empty());
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| format!("# {error}\n"))
    }

    pub(super) fn families(&self) -> &Families {
        &self.0
    }
}

/// A family that the registry knows.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let family = made.expect("names and labels are written in this folder, and are valid");
    registry.register(Box::new(family.clone())).expect("no name is given twice in this folder");
    family
}

/// One counter a kind of fault, found by its number.
pub(super) struct FaultCounters(Vec<IntCounter>);

impl FaultCounters {
    /// The counters of `family`, whose labels are `first`, then the flag, then the side.
    pub(super) fn new(family: &IntCounterVec, first: &[&str]) -> FaultCounters {
        let counter = |kind: &Kind| {
            let labels: Vec<&str> = first.iter().copied().chain([kind.flag(), side_name(kind.side())]).collect();
            family.with_label_values(&labels)
        };
        FaultCounters(Kind::ALL.iter().map(counter).collect())
    }

    pub(super) fn inc(&self, kind: Kind) {
        if let Some(counter) = self.0.get(kind as usize) {
            counter.inc();
        }
    }
}

/// Why a listener turns a connection away: the limit is reached, `accept` failed for want of a resource, the first bytes never came.
const REFUSALS: [&str; 2] = ["connections", "accept"];

/// One listener's connections.
pub struct ListenerMetrics {
    open: IntGauge,
    accepted: IntCounter,
    refused: IntCounterVec,
    listener: String,
}

impl ListenerMetrics {
    pub fn new(metrics: &Metrics, listener: &str) -> ListenerMetrics {
        let all = metrics.families();
        for reason in REFUSALS {
            all.connections_refused.with_label_values(&[listener, reason]);
        }
        ListenerMetrics {
            open: all.connections_open.with_label_values(&[listener]),
            accepted: all.connections_accepted.with_label_values(&[listener]),
            refused: all.connections_refused.clone(),
            listener: listener.to_owned(),
        }
    }

    /// A connection was taken. `closed` is for the Drop of whoever holds it.
    pub fn opened(&self) {
        self.accepted.inc();
        self.open.inc();
    }

    pub fn closed(&self) {
        self.open.dec();
    }

    /// A connection was turned away. Looks the reason up: no call is waiting for it.
    pub fn refused(&self, why: &'static str) {
        self.refused.with_label_values(&[self.listener.as_str(), why]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_ours_and_every_family_is_explained() {
        let metrics = Metrics::new();
        let _ = super::super::ServletMetrics::new(&metrics, "echo", true);
        let _ = ListenerMetrics::new(&metrics, "ingress");
        metrics.endpoints_from(|| vec![EndpointSample::default()]);
        let text = metrics.render();
        assert!(text.lines().count() > 100, "{text}");
        for line in text.lines() {
            let name = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
            assert!(name.starts_with("telamon_"), "{line}");
        }
        for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{family}");
        }
    }

    #[test]
    fn a_fault_is_counted_under_its_own_flag() {
        let metrics = Metrics::new();
        for (index, kind) in Kind::ALL.iter().enumerate() {
            (0..=index).for_each(|_| metrics.unrouted(*kind));
        }
        let text = metrics.render();
        for (index, kind) in Kind::ALL.iter().enumerate() {
            let labels = format!("{{flag=\"{}\",side=\"{}\"}}", kind.flag(), side_name(kind.side()));
            assert!(text.contains(&format!("telamon_unrouted_requests_total{labels} {}\n", index + 1)), "{kind:?}");
        }
    }

    #[test]
    fn connections_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        let listener = ListenerMetrics::new(&metrics, "in");
        assert!(
            metrics.render().contains("telamon_connections_refused_total{listener=\"in\",reason=\"connections\"} 0\n")
        );
        listener.opened();
        listener.opened();
        listener.closed();
        listener.refused("connections");
        let text = metrics.render();
        assert!(text.contains("telamon_connections_open{listener=\"in\"} 1\n"), "{text}");
        assert!(text.contains("telamon_connections_accepted_total{listener=\"in\"} 2\n"));
        assert!(text.contains("telamon_connections_refused_total{listener=\"in\",reason=\"connections\"} 1\n"));
    }

    #[test]
    fn reloads_are_counted_by_result() {
        let metrics = Metrics::new();
        metrics.loaded(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(66));
        let text = metrics.render();
        assert!(text.contains("telamon_last_reload_accepted_timestamp_seconds 66\n"), "a start is an acceptance");
        assert!(text.contains("telamon_reloads_total{result=\"accepted\"} 0\n"), "and no reload");
        metrics.reload_rejected();
        metrics.schema_change_refused();
        metrics.reload_accepted(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(77));
        metrics.reload_accepted(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(88));
        let text = metrics.render();
        assert!(text.contains("telamon_reloads_total{result=\"accepted\"} 2\n"), "{text}");
        assert!(text.contains("telamon_reloads_total{result=\"rejected\"} 1\n"));
        assert!(text.contains("telamon_schema_changes_refused_total 1\n"));
        assert!(text.contains("telamon_last_reload_accepted_timestamp_seconds 88\n"));
    }
}
