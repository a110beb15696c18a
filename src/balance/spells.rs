//! How often something was against an endpoint, for how long in all, and when that ended last: what explains a share afterwards. Written at
//! its turns alone, never by a call between them. It leans towards saying nothing: what has not ended is for whoever tells of now.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The spells of one thing. Relaxed atomics; of two workers that see a turn at once, one counts it.
#[derive(Debug, Default)]
pub struct Spells {
    /// When the running one began, in nanoseconds of the epoch; 0 when none is.
    since: AtomicU64,
    /// Those that have ended: how many, how long in all, in nanoseconds, and when the last did.
    times: AtomicU64,
    total: AtomicU64,
    ended: AtomicU64,
}

/// Spells that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// At least 1.
    pub times: u64,
    /// How long they lasted in all.
    pub total: Duration,
    /// Since the end of the last one.
    pub ago: Duration,
}

impl Spells {
    /// It begins at `now`, in nanoseconds of the epoch, unless it has begun.
    pub fn begin(&self, now: u64) {
        if self.since.load(Relaxed) == 0 {
            // The loser saw the same turn.
            let _ = self.since.compare_exchange(0, now.max(1), Relaxed, Relaxed);
        }
    }

    /// It is over, if it had begun.
    pub fn end(&self, now: u64) {
        let since = self.since.swap(0, Relaxed);
        if since != 0 {
            self.times.fetch_add(1, Relaxed);
            self.total.fetch_add(now.saturating_sub(since), Relaxed);
            self.ended.store(now, Relaxed);
        }
    }

    /// What is over; `None` when nothing is, or when another has begun. `faded`: when one that has not been ended is over all the same.
    pub fn past(&self, now: u64, faded: Option<u64>) -> Option<Past> {
        let (times, total) = (self.times.load(Relaxed), self.total.load(Relaxed));
        let (times, total, ended) = match (self.since.load(Relaxed), faded) {
            (0, _) => (times, total, self.ended.load(Relaxed)),
            (since, Some(faded)) if faded <= now => (times + 1, total + faded.saturating_sub(since), faded),
            _ => return None,
        };
        let ago = now.saturating_sub(ended);
        (times > 0).then(|| Past { times, total: Duration::from_nanos(total), ago: Duration::from_nanos(ago) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_counted_once_and_added_up() {
        let (spells, second) = (Spells::default(), 1_000_000_000);
        spells.end(second);
        assert_eq!(spells.past(second, None), None, "nothing had begun");
        spells.begin(2 * second);
        spells.begin(3 * second);
        assert_eq!(spells.past(4 * second, None), None, "it is not over");
        spells.end(5 * second);
        spells.end(6 * second);
        let past =
            |times, total, ago| Some(Past { times, total: Duration::from_secs(total), ago: Duration::from_secs(ago) });
        assert_eq!(spells.past(7 * second, None), past(1, 3, 2));
        spells.begin(10 * second);
        assert_eq!(spells.past(11 * second, None), None, "another has begun");
        assert_eq!(spells.past(12 * second, Some(13 * second)), None, "it has not faded");
        assert_eq!(spells.past(14 * second, Some(13 * second)), past(2, 6, 1));
        spells.end(20 * second);
        assert_eq!(spells.past(60 * second, None), past(2, 13, 40));
    }
}
