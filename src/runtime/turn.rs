//! Threads beside the workers, and how they leave the processor to them: a call comes first.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Lets this thread stand back when workers want the processor. Nothing is lost when it may not. That alone is not enough where it does much
/// at a time: see [`give_way`].
pub fn stand_back() {
    // For the calling thread alone, as Linux has it (setpriority(2), "C library/kernel differences").
    let _ = rustix::process::setpriority_process(None, STANDING_BACK);
    STATE.set(Some(Turn::from(Instant::now())));
}

/// To be called between the steps of what is long, each of microseconds: a thread that stands back lets others have the processor every
/// 250 µs, or up to every millisecond where they took much longer. The kernel would, but at its next tick, which may be 10 ms away. Does
/// nothing on any other thread.
pub fn give_way() {
    after(1);
}

/// [`give_way`] behind what took as long as many steps, as tens of kilobytes do that are read or hashed.
pub fn give_way_now() {
    after(STEPS_A_LOOK);
}

fn after(steps: u32) {
    let Some(mut turn) = STATE.get() else { return };
    if turn.is_over(steps, Instant::now) {
        let over = Instant::now();
        std::thread::yield_now();
        turn = turn.next(over, Instant::now());
    }
    STATE.set(Some(turn));
}

/// A third of a worker's weight (sched(7)).
const STANDING_BACK: i32 = 5;

/// How long a thread that stands back goes on at a stretch.
const TURN: Duration = Duration::from_micros(250);
/// Beside a worker that never rests, whoever gives way forfeits the rest of a slice each time (1 to 3 ms, EEVDF): its next turn is then
/// longer, so that a long reload still gets on, but no longer than this.
const LONGEST_TURN: Duration = Duration::from_millis(1);
/// What others had, to one's own part.
const SHARE: u32 = 2;

/// The clock is looked at once in so many steps: it takes as long as some of them.
const STEPS_A_LOOK: u32 = 16;

thread_local! {
    /// `None` on a thread that does not stand back.
    static STATE: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// What a thread that stands back has done since it last gave way.
#[derive(Clone, Copy)]
struct Turn {
    since: Instant,
    time: Duration,
    /// Since the clock was last looked at.
    steps: u32,
    /// How long others have had the processor for its giving way, in all.
    given: Duration,
}

impl Turn {
    fn from(since: Instant) -> Turn {
        Turn { since, time: TURN, steps: 0, given: Duration::ZERO }
    }

    /// The one that begins `now`, after others had the processor since this was `over`.
    fn next(self, over: Instant, now: Instant) -> Turn {
        let gave = now.saturating_duration_since(over);
        Turn { since: now, time: (gave / SHARE).clamp(TURN, LONGEST_TURN), steps: 0, given: self.given + gave }
    }

    fn is_over(&mut self, steps: u32, now: impl FnOnce() -> Instant) -> bool {
        self.steps = self.steps.saturating_add(steps);
        if self.steps < STEPS_A_LOOK {
            return false;
        }
        self.steps = 0;
        now().saturating_duration_since(self.since) >= self.time
    }
}

/// Times what this thread does, waits for disks included, but not what it gave to others.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    given: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { started: Instant::now(), given: given() }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(given().saturating_sub(self.given))
    }
}

/// How long others have had the processor since this thread stands back, for its giving way.
pub(crate) fn given() -> Duration {
    STATE.get().map_or(Duration::ZERO, |turn| turn.given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_after_its_time_as_far_as_the_clock_is_looked_at() {
        let since = Instant::now();
        let mut turn = Turn::from(since);
        let late = || since + TURN;
        for _ in 1..STEPS_A_LOOK {
            assert!(!turn.is_over(1, || panic!("the clock is not looked at")));
        }
        assert!(turn.is_over(1, late));
        assert!(!turn.is_over(STEPS_A_LOOK, || since + TURN / 2), "it was looked at, and is not over");
        assert!(!turn.is_over(1, || panic!("the steps begin anew")));
        assert!(turn.is_over(u32::MAX, late));
    }

    #[test]
    fn who_gave_much_has_a_longer_turn() {
        let over = Instant::now();
        let us = Duration::from_micros;
        let first = Turn::from(over);
        for (gave, time) in [(0, 250), (500, 250), (1_500, 750), (2_000, 1_000), (9_000, 1_000)] {
            let turn = first.next(over, over + us(gave));
            assert_eq!((turn.time, turn.given), (us(time), us(gave)));
        }
        assert_eq!(first.next(over, over + us(5)).next(over, over + us(7)).given, us(12), "in all");
    }

    #[test]
    fn only_a_thread_that_stands_back_gives_way() {
        give_way_now();
        assert!(STATE.get().is_none());
        stand_back();
        let since = STATE.get().unwrap().since;
        std::thread::sleep(TURN);
        let watch = Stopwatch::start();
        give_way_now();
        let turn = STATE.get().unwrap();
        assert!(turn.since > since && turn.given > Duration::ZERO);
        assert!(watch.elapsed() + turn.given <= watch.started.elapsed());
    }
}
