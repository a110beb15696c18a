//! What all threads of the process share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::routing::Fleet;
use crate::config::{ReloadReport, ServletDef};
use crate::proxy::Routing;
use crate::runtime::Drain;
use crate::servlet::{Endpoint, Registry, Servlet};
use crate::telemetry::{AccessLog, LegacyCallers, Metrics};

/// Reports that are kept for operators.
const REPORTS: usize = 100;

/// Shared by the workers, the control thread and the admin API.
pub(super) struct Shared {
    pub(super) routing: Arc<ArcSwap<Routing>>,
    /// The servlets that run, as they are configured: what the routing was made from.
    pub(super) servlets: ArcSwap<Vec<Arc<ServletDef>>>,
    pub(super) registry: Registry,
    pub(super) metrics: Metrics,
    pub(super) legacy: LegacyCallers,
    pub(super) access_log: Option<AccessLog>,
    pub(super) drain: Drain,
    pub(super) started: SystemTime,
    /// Counts the changes of the tables; a change of it wakes every worker.
    pub(super) generation: watch::Sender<u64>,
    /// All workers accept.
    pub(super) serving: AtomicBool,
    reports: Mutex<VecDeque<ReloadReport>>,
    /// Endpoints that are in no table any more and may have calls yet.
    leaving: Mutex<Vec<Weak<Endpoint>>>,
    /// The first part of the process that ended by a defect.
    broken: OnceLock<String>,
}

impl Shared {
    pub(super) fn new(
        routing: Routing,
        registry: Registry,
        metrics: Metrics,
        access_log: Option<AccessLog>,
        drain: Drain,
    ) -> Shared {
        Shared {
            routing: Arc::new(ArcSwap::from_pointee(routing)),
            servlets: ArcSwap::default(),
            registry,
            metrics,
            legacy: LegacyCallers::new(),
            access_log,
            drain,
            started: SystemTime::now(),
            generation: watch::Sender::new(0),
            serving: AtomicBool::new(false),
            reports: Mutex::default(),
            leaving: Mutex::default(),
            broken: OnceLock::new(),
        }
    }

    /// Keeps which servlets run, for whoever asks about them.
    pub(super) fn runs(&self, fleet: &Fleet) {
        self.servlets.store(Arc::new(fleet.values().map(|running| Arc::clone(&running.def)).collect()));
    }

    /// Wakes every worker: tables have changed.
    pub(super) fn wake(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Why the process should get no traffic; `None` when it should.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if self.drain.is_draining() {
            Some("draining")
        } else if !self.serving.load(Ordering::Acquire) {
            Some("starting")
        } else {
            None
        }
    }

    /// Calls that have an endpoint now.
    pub(super) fn in_flight(&self) -> u64 {
        let servlets = self.registry.all();
        let of = |servlet: &Servlet| servlet.snapshot().endpoints().map(|endpoint| endpoint.in_flight()).sum::<u64>();
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let left: u64 = leaving.iter().filter_map(Weak::upgrade).map(|endpoint| endpoint.in_flight()).sum();
        servlets.values().map(|servlet| of(servlet)).sum::<u64>() + left
    }

    /// These endpoints are in no table any more; their calls go on.
    pub(super) fn leave<'e>(&self, endpoints: impl IntoIterator<Item = &'e Arc<Endpoint>>) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|endpoint| endpoint.strong_count() > 0);
        leaving.extend(endpoints.into_iter().map(Arc::downgrade));
    }

    /// A part of the process has ended by a defect and will not come back; the rest goes on.
    pub(super) fn broke(&self, part: &str) {
        let _ = self.broken.set(format!("{part} ended by a defect; the process should be started anew"));
    }

    /// Why the process should be started anew, if it should.
    pub(super) fn not_alive(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    pub(super) fn keep(&self, report: ReloadReport) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() >= REPORTS {
            reports.pop_back();
        }
        reports.push_front(report);
    }

    /// The newest first.
    pub(super) fn reports(&self) -> Vec<ReloadReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Held by a thread that the process cannot do without; tells when it ends by a panic.
pub(super) struct Vital {
    shared: Arc<Shared>,
    part: String,
}

impl Vital {
    pub(super) fn new(shared: &Arc<Shared>, part: String) -> Vital {
        Vital { shared: Arc::clone(shared), part }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.broke(&self.part);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::routing::routing;
    use super::*;
    use crate::runtime::DrainControl;

    pub(in super::super) fn shared() -> (Arc<Shared>, DrainControl) {
        let (control, drain) = DrainControl::new();
        let metrics = Metrics::new();
        let routing = routing(&Fleet::new()).ok().unwrap();
        (Arc::new(Shared::new(routing, Registry::new(), metrics, None, drain)), control)
    }

    #[test]
    fn a_part_that_ends_by_a_panic_ends_liveness_and_one_that_ends_well_does_not() {
        let (shared, _control) = shared();
        let part = |name: &str, panics: bool| {
            let vital = Vital::new(&shared, name.to_owned());
            let thread = std::thread::spawn(move || {
                let _vital = vital;
                assert!(!panics, "on purpose");
            });
            thread.join().is_err()
        };
        assert!(!part("worker-0", false));
        assert_eq!(shared.not_alive(), None);
        assert!(part("worker-1", true));
        assert!(shared.not_alive().unwrap().starts_with("worker-1 ended"));
    }

    #[test]
    fn calls_on_endpoints_that_are_gone_are_in_flight_until_they_end() {
        let (shared, _control) = shared();
        let now = std::time::Instant::now();
        let table = |address: &str| {
            crate::model::Table::flat(vec![crate::model::EndpointSpec { address: address.parse().unwrap(), weight: 1 }])
        };
        let policy = crate::balance::Policy::RoundRobin;
        let servlet = shared.registry.apply("a", policy, &table("127.0.0.1:1"), now).servlet;
        let mut picker = servlet.picker(1);
        let one = picker.pick(now, &[]).ok().unwrap();
        shared.leave(&shared.registry.apply("a", policy, &table("127.0.0.1:2"), now).change.removed);
        let two = picker.pick(now, &[]).ok().unwrap();
        assert_eq!(shared.in_flight(), 2);
        shared.leave(shared.registry.remove("a").unwrap().snapshot().endpoints());
        assert_eq!(shared.in_flight(), 2);
        drop((one, two));
        assert_eq!(shared.in_flight(), 0);
    }

    #[test]
    fn readiness_says_why_it_is_off() {
        let (shared, control) = shared();
        assert_eq!(shared.not_ready(), Some("starting"));
        shared.serving.store(true, Ordering::Release);
        assert_eq!(shared.not_ready(), None);
        control.begin(std::time::Duration::ZERO);
        assert_eq!(shared.not_ready(), Some("draining"));
    }
}
