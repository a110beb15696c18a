//! How long good calls took until the head of the answer, over the last five to ten minutes.
//!
//! Buckets grow by a tenth from 1 µs to a quarter of an hour, so that a quantile is within 5 % of the truth. Two windows of five
//! minutes take turns. Whoever finds a window over clears it. Samples that two workers take at once may be lost, which a quantile
//! forgives: a locked addition to a line that is seldom in the cache would cost more than all the rest of a finish.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const BUCKETS: usize = 217;
/// In seconds.
const SHORTEST: f64 = 1e-6;
/// ln 1.1
const STEP: f64 = 0.095_310_179_804_324_87;
const WINDOW_NANOS: u64 = 300_000_000_000;

#[derive(Debug)]
struct Window {
    /// Which five minutes since the epoch, plus one; 0 before its first use.
    turn: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
}

impl Window {
    fn new() -> Window {
        Window { turn: AtomicU64::new(0), buckets: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

#[derive(Debug)]
pub(super) struct Latency {
    windows: Box<[Window; 2]>,
}

impl Latency {
    pub(super) fn new() -> Latency {
        Latency { windows: Box::new([Window::new(), Window::new()]) }
    }

    /// `seconds` since the lease was taken; `now` in nanoseconds of the epoch.
    pub(super) fn record(&self, seconds: f64, now: u64) {
        let turn = now / WINDOW_NANOS + 1;
        let [even, odd] = &*self.windows;
        let window = if turn.is_multiple_of(2) { even } else { odd };
        let stands = window.turn.load(Relaxed);
        if stands < turn && window.turn.compare_exchange(stands, turn, Relaxed, Relaxed).is_ok() {
            window.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        let index = ((seconds / SHORTEST).ln() / STEP) as usize;
        if let Some(bucket) = window.buckets.get(index.min(BUCKETS - 1)) {
            bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
        }
    }

    /// The given quantiles (each in 0..=1), or `None` when there was no call.
    pub(super) fn quantiles<const N: usize>(&self, wanted: [f64; N], now: u64) -> Option<[Duration; N]> {
        let turn = now / WINDOW_NANOS + 1;
        let mut counts = [0_u64; BUCKETS];
        for window in self.windows.iter().filter(|window| window.turn.load(Relaxed) + 1 >= turn) {
            for (count, bucket) in counts.iter_mut().zip(&window.buckets) {
                *count += u64::from(bucket.load(Relaxed));
            }
        }
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        Some(wanted.map(|quantile| {
            let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total);
            let mut seen = 0;
            let index = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            let middle = index.unwrap_or(BUCKETS - 1) as f64 + 0.5;
            Duration::from_secs_f64(SHORTEST * (middle * STEP).exp())
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_within_a_twentieth(mut micros in prop::collection::vec(1_u64..900_000_000, 1..300), quantile in 0.0_f64..=1.0) {
            let latency = Latency::new();
            for micros in &micros {
                latency.record(*micros as f64 / 1e6, 77);
            }
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
            let exact = micros[rank - 1] as f64 / 1e6;
            let [told] = latency.quantiles([quantile], 78).unwrap();
            prop_assert!((told.as_secs_f64() / exact - 1.0).abs() <= 0.0501, "{told:?} for {exact}");
        }
    }

    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten() {
        let latency = Latency::new();
        latency.record(1.0, 0);
        let told = |now| latency.quantiles([0.5], now).map(|[median]| median.as_secs_f64().round());
        assert_eq!(told(WINDOW_NANOS + 1), Some(1.0));
        assert_eq!(told(2 * WINDOW_NANOS + 1), None);
        latency.record(5.0, 2 * WINDOW_NANOS + 2);
        assert_eq!(told(2 * WINDOW_NANOS + 3), Some(5.0));
    }

    #[test]
    fn whatever_is_recorded_finds_a_bucket() {
        let latency = Latency::new();
        for seconds in [0.0, -1.0, 1e-12, 1e12, f64::INFINITY, f64::NAN] {
            latency.record(seconds, 1);
        }
        assert!(latency.quantiles([0.0, 0.5, 1.0], 1).is_some());
    }
}
