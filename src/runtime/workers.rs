//! A worker is a thread with a single-threaded runtime: futures need not be `Send`, and nothing on a request's path crosses threads
//! but atomics.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Which worker this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    pub index: usize,
    pub of: usize,
}

/// The threads, in one hand.
#[derive(Debug, Default)]
pub struct Workers {
    threads: Vec<(String, JoinHandle<()>)>,
}

impl Workers {
    /// Starts a thread called `name` and runs what `main` makes there to its end.
    ///
    /// # Errors
    /// The system has no thread or no descriptor left.
    pub fn start<F, T>(&mut self, name: String, main: F) -> io::Result<()>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = ()> + 'static,
    {
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || match runtime() {
            Ok(runtime) => runtime.block_on(async move { main().await }),
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        })?;
        self.threads.push((name, thread));
        Ok(())
    }

    /// Waits for all of them; tells which ended by a panic.
    pub fn join(&mut self) -> Vec<String> {
        self.threads.drain(..).filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect()
    }
}

/// What a worker runs on.
///
/// # Errors
/// The system has no descriptor left.
pub fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        // Fairness among connections: a socket is looked at again after at most so many polls of ready tasks.
        .event_interval(31)
        .build_local(LocalOptions::default())
}

/// Lets this thread stand back when workers want the processor: whatever it does, a call comes first. Nothing is lost when it may not.
/// That alone is not enough where it does much at a time: see [`give_way`].
pub fn stand_back() {
    // For the calling thread alone, as Linux has it (setpriority(2), "C library/kernel differences").
    let _ = rustix::process::setpriority_process(None, STANDING_BACK);
    TURN.set(Some(Turn { since: Instant::now(), steps: 0 }));
}

/// To be called between the steps of what is long, each of microseconds: a thread that stands back lets others have the processor every
/// [`TURN_TIME`]. The kernel would, but at its next tick, which may be 10 ms away. Does nothing on any other thread.
pub fn give_way() {
    let Some(mut turn) = TURN.get() else { return };
    turn.steps += 1;
    if turn.steps >= STEPS_A_LOOK {
        turn.steps = 0;
        if turn.since.elapsed() >= TURN_TIME {
            std::thread::yield_now();
            turn.since = Instant::now();
        }
    }
    TURN.set(Some(turn));
}

/// What a thread that stands back has done since it last gave way.
#[derive(Clone, Copy)]
struct Turn {
    since: Instant,
    /// Steps since the clock was last looked at, which takes as long as some of them.
    steps: u32,
}

thread_local! {
    /// `None` on a thread that does not stand back.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// How long a thread that stands back goes on at a stretch. It forfeits the rest of a slice (1 to 3 ms, EEVDF) each time, so that much
/// shorter turns would make a reload long where a worker never rests.
const TURN_TIME: Duration = Duration::from_micros(250);
const STEPS_A_LOOK: u32 = 16;

/// A third of a worker's weight (sched(7)): on one core with a worker that never rests, a reload of 30 ms still ends in a quarter of a second.
const STANDING_BACK: i32 = 5;

/// The time, by the clock that the runtime's timers follow (it stands still under paused time).
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_stands_back_gives_way_and_does_so_again_and_again() {
        give_way();
        assert!(TURN.get().is_none());
        stand_back();
        for _ in 0..3 {
            let since = TURN.get().unwrap().since;
            while TURN.get().unwrap().since == since {
                give_way();
            }
            assert!(TURN.get().unwrap().since - since >= TURN_TIME);
        }
    }
}
