//! How long good calls took until the head of the answer, over the last five to ten minutes.
//!
//! Buckets grow by a tenth from 1 µs to a quarter of an hour, so that a quantile is within 5 % of the truth. Two windows of five
//! minutes take turns. Whoever finds a window over clears it. The last few samples wait in one word beside the endpoint's counts: the
//! long arrays are seldom in the cache, and fetching them would cost more than all the rest of a finish. Samples that two workers
//! take at once may be lost, which a quantile forgives.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const BUCKETS: usize = 217;
/// In seconds.
const SHORTEST: f64 = 1e-6;
/// ln 1e-6
const LOG_SHORTEST: f64 = -13.815_510_557_964_274;
/// ln 1.1
const STEP: f64 = 0.095_310_179_804_324_87;
const WINDOW_NANOS: u64 = 300_000_000_000;

/// A waiting sample is the number of its bucket and one, in so many bits.
const SAMPLE_BITS: u32 = 8;
const SAMPLE: u64 = (1 << SAMPLE_BITS) - 1;
/// Above five of them stands their turn: 24 bits are 159 years.
const TURN_SHIFT: u32 = 5 * SAMPLE_BITS;

/// The last few samples, none of them in the windows yet.
#[derive(Debug, Default)]
pub(super) struct Recent(AtomicU64);

impl Recent {
    /// `log` is the logarithm of the seconds since the lease was taken; `now` in nanoseconds of the epoch.
    pub(super) fn record(&self, latency: &Latency, log: f64, now: u64) {
        let turn = now / WINDOW_NANOS + 1;
        let bucket = (((log - LOG_SHORTEST) * (1.0 / STEP)) as u64).min(BUCKETS as u64 - 1);
        let waiting = self.0.load(Relaxed);
        let full = waiting >> (TURN_SHIFT - SAMPLE_BITS) & SAMPLE != 0;
        let before = if full || waiting >> TURN_SHIFT != turn {
            latency.take_in(waiting);
            0
        } else {
            waiting << SAMPLE_BITS & !(u64::MAX << TURN_SHIFT)
        };
        self.0.store((turn << TURN_SHIFT) | before | (bucket + 1), Relaxed);
    }
}

/// The buckets of the samples that wait in `word`.
fn waiting(word: u64) -> impl Iterator<Item = usize> {
    let samples = (0..TURN_SHIFT).step_by(SAMPLE_BITS as usize).map(move |shift| (word >> shift & SAMPLE) as usize);
    samples.filter_map(|sample| sample.checked_sub(1))
}

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

/// Nothing before the first samples: two kilobytes for each of ten thousand endpoints count.
#[derive(Debug, Default)]
pub(super) struct Latency {
    windows: OnceLock<Box<[Window; 2]>>,
}

impl Latency {
    fn take_in(&self, word: u64) {
        let turn = word >> TURN_SHIFT;
        let [even, odd] = &**self.windows.get_or_init(|| Box::new([Window::new(), Window::new()]));
        let window = if turn.is_multiple_of(2) { even } else { odd };
        let stands = window.turn.load(Relaxed);
        if stands < turn && window.turn.compare_exchange(stands, turn, Relaxed, Relaxed).is_ok() {
            window.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        if stands > turn {
            return;
        }
        for bucket in waiting(word).filter_map(|bucket| window.buckets.get(bucket)) {
            bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
        }
    }

    /// The given quantiles (each in 0..=1), or `None` when there was no call.
    pub(super) fn quantiles<const N: usize>(
        &self,
        recent: &Recent,
        wanted: [f64; N],
        now: u64,
    ) -> Option<[Duration; N]> {
        let turn = now / WINDOW_NANOS + 1;
        let mut counts = [0_u64; BUCKETS];
        let windows = self.windows.get().into_iter().flat_map(|windows| windows.iter());
        for window in windows.filter(|window| window.turn.load(Relaxed) + 1 >= turn) {
            for (count, bucket) in counts.iter_mut().zip(&window.buckets) {
                *count += u64::from(bucket.load(Relaxed));
            }
        }
        let word = recent.0.load(Relaxed);
        for bucket in waiting(word).filter(|_| (word >> TURN_SHIFT) + 1 >= turn) {
            if let Some(count) = counts.get_mut(bucket) {
                *count += 1;
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
            let (latency, recent) = (Latency::default(), Recent::default());
            for micros in &micros {
                recent.record(&latency, (*micros as f64 / 1e6).ln(), 77);
            }
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
            let exact = micros[rank - 1] as f64 / 1e6;
            let [told] = latency.quantiles(&recent, [quantile], 78).unwrap();
            prop_assert!((told.as_secs_f64() / exact - 1.0).abs() <= 0.0501, "{told:?} for {exact}");
        }
    }

    /// Whether the samples still wait or are in the windows already.
    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten() {
        for times in [1, 5, 6, 20] {
            let (latency, recent) = (Latency::default(), Recent::default());
            let record = |seconds: f64, now| (0..times).for_each(|_| recent.record(&latency, seconds.ln(), now));
            let told = |now| {
                let told = latency.quantiles(&recent, [0.0, 1.0], now);
                told.map(|both| both.map(|quantile| quantile.as_secs_f64().round()))
            };
            record(1.0, 0);
            assert_eq!(told(WINDOW_NANOS + 1), Some([1.0, 1.0]));
            assert_eq!(told(2 * WINDOW_NANOS + 1), None);
            record(5.0, WINDOW_NANOS + 2);
            assert_eq!(told(WINDOW_NANOS + 3), Some([1.0, 5.0]));
            assert_eq!(told(2 * WINDOW_NANOS + 1), Some([5.0, 5.0]));
            record(9.0, 4 * WINDOW_NANOS + 2);
            assert_eq!(told(4 * WINDOW_NANOS + 3), Some([9.0, 9.0]));
        }
    }

    #[test]
    fn whatever_is_recorded_finds_a_bucket() {
        let (latency, recent) = (Latency::default(), Recent::default());
        for seconds in [0.0, -1.0, 1e-12, 1e12, f64::INFINITY, f64::NAN] {
            recent.record(&latency, f64::ln(seconds), 1);
        }
        assert!(latency.quantiles(&recent, [0.0, 0.5, 1.0], 1).is_some());
    }
}
