//! How many calls an endpoint was given lately, to hold against what its weight promises.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const BUCKET_NANOS: u64 = 10_000_000_000;
/// Ten minutes, the running bucket, and room to a power of two.
const BUCKETS: usize = 64;

/// Counts in buckets of 10 s over 10 minutes. Each is one number, its turn above and the count below, so that a bucket is emptied and
/// counted into in one step. The running one stands apart: it is all that most calls touch.
#[derive(Debug)]
pub(super) struct Observed {
    running: AtomicU64,
    past: Box<[AtomicU64; BUCKETS]>,
}

impl Observed {
    pub(super) fn new() -> Observed {
        Observed { running: AtomicU64::new(0), past: Box::new([const { AtomicU64::new(0) }; BUCKETS]) }
    }

    /// Counts one call at `now`, in nanoseconds of the epoch.
    pub(super) fn count(&self, now: u64) {
        let turn = turn(now);
        let mut running = self.running.load(Relaxed);
        while running >> 32 < turn {
            match self.running.compare_exchange_weak(running, (turn << 32) | 1, Relaxed, Relaxed) {
                Ok(_) => {
                    if let Some(bucket) = self.past.get((running >> 32) as usize % BUCKETS) {
                        bucket.store(running, Relaxed);
                    }
                    return;
                }
                Err(stands) => running = stands,
            }
        }
        self.running.fetch_add(1, Relaxed);
    }

    /// The calls of the running bucket and of the `whole` ones before it.
    pub(super) fn sum(&self, whole: u64, now: u64) -> u64 {
        let last = turn(now);
        let first = last.saturating_sub(whole);
        let buckets = self.past.iter().chain([&self.running]).map(|bucket| bucket.load(Relaxed));
        buckets.filter(|value| (first..=last).contains(&(value >> 32))).map(|value| value & 0xffff_ffff).sum()
    }
}

/// From 1, so that an unused bucket matches none. 32 bits of turns are 1,361 years.
fn turn(now: u64) -> u64 {
    now / BUCKET_NANOS + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_and_ten_minutes_hold_what_fell_into_them() {
        let observed = Observed::new();
        for second in 0..700 {
            observed.count(second * 1_000_000_000);
        }
        let now = 699_000_000_000;
        assert_eq!(observed.sum(6, now), 70, "the running bucket and six whole ones");
        assert_eq!(observed.sum(60, now), 610);
        assert_eq!(observed.sum(6, now + 55_000_000_000), 10);
        assert_eq!(observed.sum(60, now + 700_000_000_000), 0);
    }
}
