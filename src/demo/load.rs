//! Background calls, if they are asked for: an HTTP/1.0 client that calls at a steady rate.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client;

/// Callers: with 10 ms of work a call, and a connection each, enough for some thousand calls a second.
const CALLERS: u32 = 16;

/// The running callers.
pub(super) struct Load(Vec<(Sender<()>, JoinHandle<()>)>);

impl Load {
    /// Starts to make `rate` calls a second in all; none when it is 0.
    pub(super) fn start(proxy: SocketAddr, rate: u32) -> Load {
        let callers = CALLERS.min(rate);
        let Some(pause) = Duration::from_secs(1).checked_mul(callers).and_then(|all| all.checked_div(rate)) else {
            return Load(Vec::new());
        };
        let caller = |index: u32| {
            let (stop, stopped) = channel();
            let mut next = Instant::now() + pause * index / callers;
            let thread = thread::spawn(move || {
                while stopped.recv_timeout(next.saturating_duration_since(Instant::now()))
                    == Err(RecvTimeoutError::Timeout)
                {
                    // A failed call shows in the shares and in the metrics; here there is nothing to do about it.
                    let _ = client::get(proxy, "/v1/who");
                    next = (next + pause).max(Instant::now());
                }
            });
            (stop, thread)
        };
        Load((0..callers).map(caller).collect())
    }

    pub(super) fn stop(self) {
        let threads: Vec<_> = self.0.into_iter().map(|(stop, thread)| (drop(stop), thread)).collect();
        for ((), thread) in threads {
            let _ = thread.join();
        }
    }
}
