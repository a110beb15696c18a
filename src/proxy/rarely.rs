//! Which of many lines of the log to write: callers decide how often they come, and must not fill a disk.

use std::time::{Duration, Instant};

/// A line at most this often, on each worker and listener.
const EVERY: Duration = Duration::from_secs(10);

/// When a line was last written, and how many were not since.
#[derive(Debug, Default)]
pub(super) struct Rarely {
    said: Option<Instant>,
    unsaid: u64,
}

impl Rarely {
    /// Whether to write a line at `now`, with the number of those that were not written before it.
    pub(super) fn say(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|said| now.duration_since(said) < EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_while_tells_how_many_there_were() {
        let start = Instant::now();
        let mut rarely = Rarely::default();
        assert_eq!(rarely.say(start), Some(0));
        for _ in 0..5 {
            assert_eq!(rarely.say(start + EVERY / 2), None);
        }
        assert_eq!(rarely.say(start + EVERY), Some(5));
        assert_eq!(rarely.say(start + EVERY), None);
    }
}
