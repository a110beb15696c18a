//! How often files are looked at. It costs as much as there are files, so it is spaced by what it took last: a bounded share of one core,
//! however many servlets there are. Leans towards looking late: where the kernel tells of changes, looking only finds what it cannot see.

use std::time::Duration;

/// How often files are looked at when that is quick. A change acts within a second of the write: this, the wait for a writer and the reload
/// fit in it.
const LOOK: Duration = Duration::from_millis(500);
/// How often a change is supposed that nothing showed: a write of the same length in the same tick of the clock, or on a mount whose
/// attributes are cached.
const SWEEP: Duration = Duration::from_secs(10);

/// Between two looks lies so many times what one takes: 0.4 % of a core.
const LOOK_SPACING: u32 = 250;
/// Between two sweeps lies so many times what the reload took that followed: 0.1 % of a core.
const SWEEP_SPACING: u32 = 1000;
/// A machine that is too busy to look does so all the same.
const LATEST_LOOK: Duration = Duration::from_secs(10);
const LATEST_SWEEP: Duration = Duration::from_secs(300);

/// The least time between two looks, and between two sweeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) look: Duration,
    pub(super) sweep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { look: LOOK, sweep: SWEEP }
    }
}

impl Pace {
    /// When to look again after a look that took so long, without the time that it gave to others.
    pub(super) fn next_look(self, took: Duration) -> Duration {
        self.look.max(took.saturating_mul(LOOK_SPACING).min(LATEST_LOOK))
    }

    /// When to suppose a change again after one whose reload took so long.
    pub(super) fn next_sweep(self, took: Duration) -> Duration {
        self.sweep.max(took.saturating_mul(SWEEP_SPACING).min(LATEST_SWEEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quick_is_done_often_and_what_is_slow_takes_a_small_share() {
        let pace = Pace::default();
        let ms = Duration::from_millis;
        for (took, look, sweep) in [
            (Duration::ZERO, 500, 10_000),
            (ms(1), 500, 10_000),
            (ms(20), 5_000, 20_000),
            (ms(100), 10_000, 100_000),
            (Duration::from_secs(9), 10_000, 300_000),
        ] {
            assert_eq!((pace.next_look(took), pace.next_sweep(took)), (ms(look), ms(sweep)), "{took:?}");
        }
    }

    #[test]
    fn what_is_never_to_happen_does_not() {
        let never = Duration::from_secs(3600);
        let pace = Pace { look: never, sweep: never };
        assert_eq!((pace.next_look(Duration::MAX), pace.next_sweep(Duration::MAX)), (never, never));
    }
}
