//! The registry and what belongs to the process as a whole. Every name starts with `telamon_`.
//!
//! A counter exists from the start, at zero: Prometheus' `rate` does not see a first increment that comes together with the
//! series, and the first fault of a kind is the one that an alert must not miss. Only what a servlet can never count is left out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use super::call::side_name;
use super::endpoints::{self, EndpointSample};
use super::exposition::Family;
use super::listener_metrics::ListenerFamilies;
use super::servlet_metrics::AllServlets;
use super::{process, unused};
use crate::model::Kind;

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
    unrouted: FaultCounts,
    reloads: Reloads,
    pub(super) access_log_dropped: IntCounter,
    pub(super) listeners: ListenerFamilies,
    pub(super) servlets: AllServlets,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let register = Register(Registry::new());
        let build = Opts::new("telamon_build_info", "Always 1; the label says what runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        register.family(IntGauge::with_opts(build)).set(1);
        Metrics(Arc::new(Families {
            started: Instant::now(),
            uptime: register.gauge("telamon_uptime_seconds", "Since the process started."),
            endpoints: OnceLock::new(),
            unrouted: FaultCounts::default(),
            reloads: Reloads::new(&register),
            access_log_dropped: register.counter(
                "telamon_access_log_dropped_lines_total",
                "Lines of the access log that were not written: its reader or its disk was too slow, or refused them.",
            ),
            listeners: ListenerFamilies::new(&register),
            servlets: AllServlets::default(),
            registry: register.0,
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

    /// A change of `telamon.yaml` that is right and waits for a restart.
    pub fn reload_postponed(&self) {
        self.0.reloads.accepted.inc();
    }

    /// A reload of one servlet, or of `telamon.yaml`, that took effect at `now`.
    pub fn reload_accepted(&self, now: SystemTime) {
        self.0.reloads.accepted.inc();
        self.loaded(now);
    }

    /// The files were accepted at `now`, at the start.
    pub fn loaded(&self, now: SystemTime) {
        if let Ok(since) = now.duration_since(SystemTime::UNIX_EPOCH) {
            self.0.reloads.last_accepted.set(since.as_secs_f64());
        }
    }

    /// A reload that changed nothing, because something in the files is wrong.
    pub fn reload_rejected(&self) {
        self.0.reloads.rejected.inc();
    }

    /// A rejected reload whose files are right, but whose new schema would break callers.
    pub fn schema_change_refused(&self) {
        self.0.reloads.schema_changes_refused.inc();
    }

    /// Takes a removed servlet's series out of the next scrape. Calls still in flight are counted where nobody sees it.
    pub fn forget_servlet(&self, servlet: &str) {
        self.0.servlets.forget(servlet);
    }

    /// Calls that were cut so far because the process was going away.
    pub fn cut(&self) -> u64 {
        self.0.servlets.faults(Kind::Draining)
    }

    /// Everything, in Prometheus' text format (`prometheus::TEXT_FORMAT` is its media type).
    pub fn render(&self) -> String {
        self.0.uptime.set(self.0.started.elapsed().as_secs_f64());
        let mut families = self.0.registry.gather();
        families.extend(process::families());
        // A family without a series is an error to the encoder and nothing to the reader.
        families.retain(|family| !family.get_metric().is_empty());
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            text = format!("# {error}\n");
        }
        let unrouted = "Requests refused before they had a servlet, by the flag of the fault.";
        let mut family = Family::counter(&mut text, "telamon_unrouted_requests_total", unrouted);
        for (kind, count) in self.0.unrouted.shown(unused::fails_unrouted) {
            family.line(&[("flag", kind.flag()), ("side", side_name(kind.side()))], count);
        }
        self.0.servlets.write(&mut text);
        if let Some(source) = self.0.endpoints.get() {
            endpoints::write(&source(), &mut text);
        }
        text
    }

    pub(super) fn families(&self) -> &Families {
        &self.0
    }
}

/// Where families are made known.
pub(super) struct Register(Registry);

impl Register {
    pub(super) fn family<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("names and labels are written in this folder, and are valid");
        self.0.register(Box::new(family.clone())).expect("no name is given twice in this folder");
        family
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.family(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.family(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.family(Gauge::new(name, help))
    }
}

/// What became of the files that were written.
struct Reloads {
    accepted: IntCounter,
    rejected: IntCounter,
    schema_changes_refused: IntCounter,
    last_accepted: Gauge,
}

impl Reloads {
    fn new(register: &Register) -> Reloads {
        let reloads = register.counters("telamon_reloads_total", "Files read anew and accepted or rejected, a servlet at a time: servlets that come, change or go, and telamon.yaml.", &["result"]);
        Reloads {
            accepted: reloads.with_label_values(&["accepted"]),
            rejected: reloads.with_label_values(&["rejected"]),
            schema_changes_refused: register.counter(
                "telamon_schema_changes_refused_total",
                "New schemas that were refused because they would break callers, each counted once for as long as it is refused.",
            ),
            last_accepted: register.gauge(
                "telamon_last_reload_accepted_timestamp_seconds",
                "When files were last put in force, at the start or by a reload, in seconds since 1970. What waits for a restart is not.",
            ),
        }
    }
}

/// One count a kind of fault, found by its number.
pub(super) struct FaultCounts([AtomicU64; Kind::ALL.len()]);

impl Default for FaultCounts {
    fn default() -> Self {
        FaultCounts([const { AtomicU64::new(0) }; Kind::ALL.len()])
    }
}

impl FaultCounts {
    pub(super) fn inc(&self, kind: Kind) {
        if let Some(count) = self.0.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn get(&self, kind: Kind) -> u64 {
        self.0.get(kind as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Those that have happened, and those that are `expected` to.
    pub(super) fn shown(&self, expected: impl Fn(Kind) -> bool) -> impl Iterator<Item = (Kind, u64)> {
        let counts = Kind::ALL.iter().map(|kind| (*kind, self.get(*kind)));
        counts.filter(move |(kind, count)| *count > 0 || expected(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_ours_and_every_family_is_explained() {
        let metrics = Metrics::new();
        let _ = super::super::ServletMetrics::new(&metrics, "echo", true);
        let _ = super::super::ListenerMetrics::new(&metrics, "ingress");
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
