//! One counted try on one endpoint.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::Endpoint;
use crate::balance::{Epoch, Pool};
use crate::model::{Outcome, Verdict};

/// What the leases of one worker on one group have in common. Counted by the worker alone: another step that all workers take on one
/// number would cost each call as much as choosing does.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) pool: Arc<Pool>,
    pub(super) epoch: Epoch,
}

/// In-flight + 1, on the endpoint and on its pool, until it is finished or dropped. Dropped unfinished, it says nothing about
/// the endpoint. It stays with the worker that took it.
#[derive(Debug)]
#[must_use = "a lease that is dropped gives its place back at once"]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    common: Rc<Common>,
    /// In nanoseconds of the epoch.
    begun: u64,
    /// When the head of the answer came; 0 before.
    head: u64,
    /// It is the one call that tries an endpoint that was set aside.
    on_trial: bool,
    counted: bool,
}

impl Lease {
    pub(super) fn begin(endpoint: Arc<Endpoint>, common: Rc<Common>, now: u64) -> Lease {
        let on_trial = endpoint.begin(&common.pool, now);
        Lease { endpoint, common, begun: now, head: 0, on_trial, counted: true }
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The head of the answer is here: latency ends at the first call of this, or at the end when there was none.
    pub fn head_arrived(&mut self, now: Instant) {
        if self.head == 0 {
            self.head = self.common.epoch.nanos(now);
        }
    }

    /// The try is over, and this is how it went.
    pub fn finish(self, outcome: &Outcome, now: Instant) {
        self.conclude(outcome, now);
    }

    /// [`Lease::finish`]. Tells whether it brought back an endpoint that had been set aside.
    pub fn conclude(mut self, outcome: &Outcome, now: Instant) -> bool {
        let (endpoint, pool) = (&self.endpoint, &self.common.pool);
        let now = self.common.epoch.nanos(now);
        self.counted = false;
        match outcome.verdict() {
            Verdict::Good => {
                let head = if self.head == 0 { now } else { self.head };
                let seconds = head.saturating_sub(self.begun) as f64 / 1e9;
                endpoint.end_good(pool, seconds, now);
                self.on_trial && endpoint.comes_back(now)
            }
            Verdict::Bad => {
                endpoint.stats.end_bad(pool, now);
                endpoint.failures.fetch_add(1, Relaxed);
                false
            }
            Verdict::Void => {
                endpoint.stats.end(pool);
                false
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.counted {
            self.endpoint.stats.end(&self.common.pool);
        }
    }
}
