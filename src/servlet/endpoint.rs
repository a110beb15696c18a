//! One replica, as this process knows it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::aside::{Aside, SetAside};
use super::latency::{Latency, Recent};
use super::observed::{Observed, Running};
use super::turns::Turns;
use crate::balance::{Epoch, Pool, Spells, Stats};
use crate::model::Address;

/// Which endpoint, unique in the process: an address that was removed and added again is another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

impl EndpointId {
    fn next() -> EndpointId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        EndpointId(NEXT.fetch_add(1, Relaxed))
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address that calls go to, with everything that outlives a change of the table.
///
/// In this order, because what every call touches then lies in one cache line, and small, with the long arrays elsewhere: with ten
/// thousand endpoints, lines and pages fetched are what a pick costs.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Endpoint {
    pub(super) aside: Aside,
    pub(super) running: Running,
    pub(super) recent: Recent,
    /// Its first 40 bytes fill the line.
    pub(super) stats: Stats,
    pub(super) failures: AtomicU64,
    pub(super) observed: Observed,
    pub(super) latency: Latency,
    epoch: Epoch,
    /// The servlet's count of endpoints set aside and taken back: workers bring their orders up to date when it moves.
    turns: Arc<Turns>,
    id: EndpointId,
    address: Address,
    since: Instant,
    servlet: Arc<str>,
    /// When it was set aside.
    pub(super) away: Spells,
    /// Why the last connection failed; taken for failures and for people alone.
    complaint: Mutex<Box<str>>,
}

impl Endpoint {
    pub(super) fn new(servlet: Arc<str>, address: Address, epoch: Epoch, turns: Arc<Turns>, now: Instant) -> Endpoint {
        Endpoint {
            aside: Aside::default(),
            running: Running::default(),
            recent: Recent::default(),
            stats: Stats::new(),
            failures: AtomicU64::new(0),
            observed: Observed::default(),
            latency: Latency::default(),
            epoch,
            turns,
            id: EndpointId::next(),
            address,
            since: now,
            servlet,
            away: Spells::default(),
            complaint: Mutex::default(),
        }
    }

    pub fn id(&self) -> EndpointId {
        self.id
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The servlet that it is a replica of.
    pub fn servlet(&self) -> &Arc<str> {
        &self.servlet
    }

    /// When it was first in the table.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Calls in flight on it, in the whole process.
    pub fn in_flight(&self) -> u64 {
        self.stats.in_flight()
    }

    /// Leases taken on it so far.
    pub fn requests(&self) -> u64 {
        self.stats.begun()
    }

    /// Leases that ended badly (`Verdict::Bad`).
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Until when nothing is sent there because connections to it fail; `None` when nothing is against it.
    pub fn set_aside_until(&self, now: Instant) -> Option<Instant> {
        let until = self.aside.until();
        (until > self.epoch.nanos(now)).then(|| self.epoch.instant(until))
    }

    /// A connection to it could not be made: nothing is sent there for 100 ms, doubled with each failure in a row up to 10 s. `why`
    /// is for people to read. `None` when it had been set aside already.
    pub fn connect_failed(&self, now: Instant, why: &str) -> Option<SetAside> {
        let now = self.epoch.nanos(now);
        let told = self.aside.failed(now, self.id.0);
        if let Some(told) = &told {
            self.away.begin(now);
            *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = why.into();
            if told.was_fine { self.turns.leave() } else { self.turns.take() }
        }
        told.map(|told| told.told)
    }

    /// A connection to it came up: whatever was against it is so no more. Tells whether there was something. (A good answer to the call
    /// that tries it does the same; others may be the last of a server that no longer listens.)
    pub fn connected(&self, now: Instant) -> bool {
        self.comes_back(self.epoch.nanos(now))
    }

    /// The same, in nanoseconds of the epoch.
    pub(super) fn comes_back(&self, now: u64) -> bool {
        let was_aside = self.aside.clear();
        if was_aside {
            self.away.end(now);
            self.turns.come_back();
        }
        was_aside
    }

    /// Why the last connection to it that failed did.
    pub(super) fn complaint(&self) -> Box<str> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a call in. Tells whether it is the one that tries the endpoint after a wait.
    pub(super) fn begin(&self, pool: &Pool, now: u64) -> bool {
        let before = self.stats.begin(pool);
        self.running.count(&self.observed, now, before);
        let on_trial = self.aside.until() != 0 && self.aside.begin_trial(now);
        if on_trial {
            self.turns.take();
        }
        on_trial
    }

    /// Counts a call out that went well, after so many seconds to the head of its answer.
    pub(super) fn end_good(&self, pool: &Pool, seconds: f64, now: u64) {
        let seconds = seconds.max(1e-9);
        let log = seconds.ln();
        self.stats.end_good(pool, seconds, log, now);
        self.recent.record(&self.latency, log, now);
    }

    /// Calls given to it in the running 10 s and the `whole` ten seconds before.
    pub(super) fn given(&self, whole: u64, now: u64) -> u64 {
        self.observed.sum(whole, now, self.requests())
    }
}

impl Drop for Endpoint {
    /// One that goes while it is aside is so no more.
    fn drop(&mut self) {
        if self.aside.clear() {
            self.turns.come_back();
        }
    }
}
