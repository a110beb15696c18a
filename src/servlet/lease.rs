//! One counted try on one endpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::{Endpoint, Member};
use crate::model::{Outcome, Verdict};

/// In-flight + 1, on the endpoint and on its pool, until it is finished or dropped. Dropped unfinished, it says nothing about
/// the endpoint.
#[derive(Debug)]
#[must_use = "a lease that is dropped gives its place back at once"]
pub struct Lease {
    member: Arc<Member>,
    /// In nanoseconds of the epoch.
    begun: u64,
    /// When the head of the answer came; 0 before.
    head: u64,
    /// It is the one call that tries an endpoint that was set aside.
    on_trial: bool,
    counted: bool,
}

impl Lease {
    pub(super) fn begin(member: Arc<Member>, now: u64) -> Lease {
        member.endpoint.stats.begin(&member.pool);
        let on_trial = member.endpoint.chosen(now);
        Lease { member, begun: now, head: 0, on_trial, counted: true }
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.member.endpoint
    }

    /// The head of the answer is here: latency ends at the first call of this, or at the end when there was none.
    pub fn head_arrived(&mut self, now: Instant) {
        if self.head == 0 {
            self.head = self.member.epoch.nanos(now);
        }
    }

    /// The try is over, and this is how it went.
    pub fn finish(mut self, outcome: &Outcome, now: Instant) {
        let endpoint = &self.member.endpoint;
        let (stats, pool) = (&endpoint.stats, &self.member.pool);
        let now = self.member.epoch.nanos(now);
        self.counted = false;
        match outcome.verdict() {
            Verdict::Good => {
                let head = if self.head == 0 { now } else { self.head };
                let seconds = head.saturating_sub(self.begun) as f64 / 1e9;
                stats.end_good(pool, seconds, now);
                endpoint.latency.record(seconds, now);
                if self.on_trial {
                    endpoint.connected();
                }
            }
            Verdict::Bad => {
                stats.end_bad(pool, now);
                endpoint.failures.fetch_add(1, Relaxed);
            }
            Verdict::Void => {
                stats.end(pool);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.counted {
            self.member.endpoint.stats.end(&self.member.pool);
        }
    }
}
