//! How many calls an endpoint was given lately, to hold against what its weight promises.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const BUCKET_NANOS: u64 = 10_000_000_000;
/// Ten minutes, the running bucket, and room to a power of two.
const BUCKETS: usize = 64;

/// The bucket that is running: all that most calls read. They write nothing, since whoever counts the endpoint's calls counts for
/// this too.
#[derive(Debug, Default)]
pub(super) struct Running(AtomicU64);

impl Running {
    /// A call at `now`, in nanoseconds of the epoch, `before` which so many had been given to the endpoint.
    pub(super) fn count(&self, observed: &Observed, now: u64, before: u64) {
        let (turn, stands) = (turn(now), self.0.load(Relaxed));
        if stands < turn && self.0.compare_exchange(stands, turn, Relaxed, Relaxed).is_ok() {
            observed.open(turn, before);
        }
    }
}

/// What the count was when each bucket of 10 s of the last 10 minutes began: its turn above, the lower half of the count below. There is
/// nothing before the first call: of ten thousand endpoints, most may never have one.
#[derive(Debug, Default)]
pub(super) struct Observed(OnceLock<Box<[AtomicU64; BUCKETS]>>);

impl Observed {
    fn open(&self, turn: u64, before: u64) {
        let buckets = self.0.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS]));
        if let Some(bucket) = buckets.get(turn as usize % BUCKETS) {
            bucket.store((turn << 32) | (before & 0xffff_ffff), Relaxed);
        }
    }

    /// The calls of the running bucket and of the `whole` ones before it, when there have been `calls` in all.
    pub(super) fn sum(&self, whole: u64, now: u64, calls: u64) -> u64 {
        let last = turn(now);
        let first = last.saturating_sub(whole);
        let buckets = self.0.get().into_iter().flat_map(|buckets| buckets.iter()).map(|bucket| bucket.load(Relaxed));
        let oldest = buckets.filter(|value| (first..=last).contains(&(value >> 32))).min();
        oldest.map_or(0, |value| u64::from((calls as u32).wrapping_sub(value as u32)))
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
        // Also where the lower half of the count wraps.
        for start in [0, u64::from(u32::MAX) - 100] {
            let (running, observed) = (Running::default(), Observed::default());
            for second in 0..700 {
                running.count(&observed, second * 1_000_000_000, start + second);
            }
            let (now, calls) = (699_000_000_000, start + 700);
            assert_eq!(observed.sum(6, now, calls), 70, "the running bucket and six whole ones");
            assert_eq!(observed.sum(60, now, calls), 610);
            assert_eq!(observed.sum(6, now + 55_000_000_000, calls), 10);
            assert_eq!(observed.sum(60, now + 700_000_000_000, calls), 0);
        }
    }
}
