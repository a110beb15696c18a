//! Setting an endpoint aside after a failed connection, and trying it again.
//!
//! ```text
//! fine ── failed ──► aside until T ── T passes, one call ──► on trial ── connected ──► fine
//!                        ▲                                      │
//!                        └────────────── failed, twice as long ─┘ (unanswered: anyone may try again)
//! ```
//! Until the one call that tries it comes back, no other is sent there. It leans towards trying again soon: the first wait
//! is short, since most endpoints that refuse a connection are restarting.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::balance::SplitMix;

/// The first wait; doubled with each failure in a row.
const FIRST: u64 = 100_000_000;
const LONGEST: u64 = 10_000_000_000;
/// Waits are longer or shorter by up to this part, so that those who failed together do not come back together.
const JITTER: f64 = 0.1;
/// How long a call that tries it keeps others away: a little more than the connect time-out.
const TRIAL: u64 = 1_500_000_000;
/// The lowest bit: a call is trying it.
const ON_TRIAL: u64 = 1;
/// The bits above it count the failures. At ten seconds each they last for days; the time above them is right to 65 µs.
const FAILURES: u64 = 0xfffe;
const TIME: u64 = !(FAILURES | ON_TRIAL);

/// What a failed connection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// How long nothing is sent there.
    pub wait: Duration,
    /// Connections that failed in a row, this one included.
    pub failures: u32,
}

/// What a failed connection led to, and whether nothing was wrong before.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) told: SetAside,
    pub(super) was_fine: bool,
}

/// Where in the picture above an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Fine,
    /// Nothing is sent there.
    Waiting,
    /// The wait is over: the next call tries it.
    Due,
    OnTrial,
}

/// All of it is one number: 0 when nothing is wrong, else the time from which on it may be tried, the failures in a row, and
/// whether a call is trying it.
#[derive(Debug, Default)]
pub(super) struct Aside(AtomicU64);

impl Aside {
    /// In nanoseconds of the epoch; 0 when nothing is wrong.
    pub(super) fn until(&self) -> u64 {
        self.0.load(Relaxed) & TIME
    }

    pub(super) fn failures(&self) -> u32 {
        failures(self.0.load(Relaxed))
    }

    /// How things stand at `now`.
    pub(super) fn standing(&self, now: u64) -> Standing {
        let stands = self.0.load(Relaxed);
        match stands & TIME {
            0 => Standing::Fine,
            until if until <= now => Standing::Due,
            _ if stands & ON_TRIAL != 0 => Standing::OnTrial,
            _ => Standing::Waiting,
        }
    }

    /// `None` when it was aside already: calls that had been sent before failed too, which says nothing new.
    pub(super) fn failed(&self, now: u64, salt: u64) -> Option<Failed> {
        let stands = self.0.load(Relaxed);
        if stands & TIME > now && stands & ON_TRIAL == 0 {
            return None;
        }
        let before = failures(stands);
        let wait = FIRST.saturating_mul(1 << before.min(20)).min(LONGEST);
        let chance = SplitMix::new(salt ^ u64::from(before)).unit();
        let wait = (wait as f64 * (1.0 + JITTER * (2.0 * chance - 1.0))) as u64;
        let failures = (before + 1).min((FAILURES >> 1) as u32);
        let next = word(now.saturating_add(wait), failures);
        self.0.compare_exchange(stands, next, Relaxed, Relaxed).ok()?;
        Some(Failed { told: SetAside { wait: Duration::from_nanos(wait), failures }, was_fine: stands == 0 })
    }

    /// Tells whether it had been aside.
    pub(super) fn clear(&self) -> bool {
        self.0.load(Relaxed) != 0 && self.0.swap(0, Relaxed) != 0
    }

    /// The call that has just chosen it is the one that tries it, if one may.
    pub(super) fn begin_trial(&self, now: u64) -> bool {
        let stands = self.0.load(Relaxed);
        if stands == 0 || stands & TIME > now {
            return false;
        }
        let hold = word(now.saturating_add(TRIAL), failures(stands)) | ON_TRIAL;
        self.0.compare_exchange(stands, hold, Relaxed, Relaxed).is_ok()
    }
}

fn failures(word: u64) -> u32 {
    ((word & FAILURES) >> 1) as u32
}

fn word(until: u64, failures: u32) -> u64 {
    // Never all zero in the time, which would mean that nothing is wrong.
    (until & TIME).max(!TIME + 1) | (u64::from(failures) << 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn waits_double_up_to_ten_seconds_and_a_success_forgets_them() {
        let aside = Aside::default();
        let mut now = 5;
        for (failures, wait) in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].into_iter().enumerate() {
            let Failed { told, was_fine } = aside.failed(now, 9).unwrap();
            assert_eq!(was_fine, failures == 0);
            assert_eq!(told.failures as usize, failures + 1);
            let close = (wait * 9 / 10 - 1)..=(wait * 11 / 10 + 1);
            assert!(close.contains(&(told.wait.as_millis() as u64)), "{told:?}");
            assert!(aside.failed(now + 1, 9).is_none(), "a second call that fails at the same time says nothing new");
            now = aside.until();
        }
        assert!(aside.clear());
        assert!(!aside.clear());
        assert!(matches!(aside.failed(now, 9), Some(Failed { told: SetAside { failures: 1, .. }, was_fine: true })));
    }

    #[test]
    fn one_call_tries_it() {
        let aside = Aside::default();
        assert!(!aside.begin_trial(1), "nothing is wrong");
        assert_eq!(aside.standing(1), Standing::Fine);
        aside.failed(1, 3);
        assert!(!aside.begin_trial(50 * MS), "too early");
        let now = aside.until();
        assert_eq!((aside.standing(now - 1), aside.standing(now)), (Standing::Waiting, Standing::Due));
        assert!(aside.begin_trial(now));
        assert_eq!(aside.standing(now), Standing::OnTrial);
        assert!(!aside.begin_trial(now + MS) && aside.until() > now + 1000 * MS, "others are kept away");
        assert_eq!(aside.failed(now + 5, 3).unwrap().told.failures, 2, "its failure counts");
        let now = aside.until();
        assert!(aside.begin_trial(now));
        let later = aside.until();
        assert!(aside.begin_trial(later), "one that never came back does not keep others away for ever");
    }
}
