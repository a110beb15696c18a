//! What the system tells a running process (design §3).

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A signal that means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: drain, and the second time end.
    Stop,
    /// SIGHUP: read the files again.
    Reload,
    /// SIGUSR1: open the access log again, since it was rotated.
    Reopen,
}

/// The signals, from the moment of its making: earlier ones have done what the system does by default.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hang_up: Stream,
    user1: Stream,
}

impl Signals {
    /// # Errors
    /// The system refuses the handlers.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::Reopen,
        }
    }
}
