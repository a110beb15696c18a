//! Time as one integer, so that it fits an atomic.

use std::time::{Duration, Instant};

/// Where a servlet's nanoseconds begin.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    pub fn new(start: Instant) -> Epoch {
        Epoch(start)
    }

    /// Nanoseconds from the epoch to `now`, at least 1: zero is free to mean "never".
    pub fn nanos(self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0);
        let nanos = since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()));
        nanos.max(1)
    }

    /// The moment that `nanos` stands for; the epoch itself when that is beyond what can be represented.
    pub fn instant(self, nanos: u64) -> Instant {
        self.0.checked_add(Duration::from_nanos(nanos)).unwrap_or(self.0)
    }
}
