//! What all threads of the process share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::ReloadReport;
use crate::proxy::Routing;
use crate::runtime::Drain;
use crate::servlet::Registry;
use crate::telemetry::{AccessLog, LegacyCallers, Metrics};

/// Reports that are kept for operators.
const REPORTS: usize = 100;

/// Shared by the workers, the control thread and the admin API.
pub(super) struct Shared {
    pub(super) routing: Arc<ArcSwap<Routing>>,
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
            registry,
            metrics,
            legacy: LegacyCallers::new(),
            access_log,
            drain,
            started: SystemTime::now(),
            generation: watch::Sender::new(0),
            serving: AtomicBool::new(false),
            reports: Mutex::default(),
        }
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
