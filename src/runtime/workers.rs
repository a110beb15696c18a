//! A worker is a thread with a single-threaded runtime: futures need not be `Send`, and nothing on a request's path crosses threads
//! but atomics.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use std::time::Instant;

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

/// The time, by the clock that the runtime's timers follow (it stands still under paused time).
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
