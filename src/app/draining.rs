//! What the process log says of a drain: a line when it begins, with what is left to do, and one when it is over, with what came of it.

use std::time::{Duration, Instant};

use super::state::Shared;

/// A drain under way.
pub(super) struct Draining {
    begun: Instant,
    /// Calls cut before it began: none, unless a drain can be called off one day.
    cut_before: u64,
    /// A second signal has ended it before its time.
    cut_short: bool,
}

impl Draining {
    /// Tells that it begins.
    pub(super) fn begin(shared: &Shared, limit: Duration) -> Draining {
        let (calls, limit) = (calls(shared.in_flight()), seconds(limit));
        tracing::info!("draining: {calls} in flight, at most {limit}");
        Draining { begun: Instant::now(), cut_before: shared.metrics.cut(), cut_short: false }
    }

    /// A second signal: whatever is left ends now.
    pub(super) fn cut_short(&mut self) {
        if !std::mem::replace(&mut self.cut_short, true) {
            tracing::warn!("a second signal: ending at once");
        }
    }

    /// Tells how it went; when all workers have ended.
    pub(super) fn ended(&self, shared: &Shared) {
        let told = outcome(shared.metrics.cut().saturating_sub(self.cut_before), self.cut_short, self.begun.elapsed());
        match told {
            Ok(told) => tracing::info!("{told}"),
            Err(told) => tracing::warn!("{told}"),
        }
    }
}

/// What a drain came to: `Err` when calls were cut.
fn outcome(cut: u64, cut_short: bool, took: Duration) -> Result<String, String> {
    match (cut, cut_short) {
        (0, _) => Ok(format!("drained in {:.1} s", took.as_secs_f64())),
        (cut, true) => Err(format!("ended at once: {} cut", calls(cut))),
        (cut, false) => Err(format!("drain limit reached: {} cut", calls(cut))),
    }
}

fn calls(number: u64) -> String {
    format!("{number} call{}", if number == 1 { "" } else { "s" })
}

/// `30 s`, `0.5 s`.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_told_in_a_sentence() {
        let took = Duration::from_millis(1234);
        assert_eq!(outcome(0, false, took), Ok("drained in 1.2 s".into()));
        assert_eq!(outcome(0, true, took), Ok("drained in 1.2 s".into()), "nothing was lost by haste");
        assert_eq!(outcome(1, false, took), Err("drain limit reached: 1 call cut".into()));
        assert_eq!(outcome(3, true, took), Err("ended at once: 3 calls cut".into()));
        assert_eq!((calls(1), seconds(Duration::from_secs(30))), ("1 call".into(), "30 s".into()));
        assert_eq!(seconds(Duration::from_millis(250)), "0.25 s");
    }
}
