//! When a connection is to take no more calls, and when it ends: by a drain, for having been idle, or for never having begun.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::{Drain, Timer};

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// It is to take no more calls.
    Leave,
    /// It is to end: it has no calls, and no time left for more.
    End,
}

pub(super) struct Watch {
    drain: Drain,
    /// It takes no more calls.
    is_leaving: bool,
    /// Draining has run out of time.
    is_cut: bool,
    idle: Timer,
    idle_timeout: Duration,
    /// When its time is over if no call begins: before the caller's first word, when that must be there.
    until: Option<Instant>,
    is_greeted: bool,
}

impl Watch {
    /// `head_until`: when the caller's settings must be there.
    pub(super) fn new(drain: Drain, idle_timeout: Duration, head_until: Instant) -> Watch {
        Watch {
            drain,
            is_leaving: false,
            is_cut: false,
            idle: Timer::default(),
            idle_timeout,
            until: Some(head_until),
            is_greeted: false,
        }
    }

    /// The caller has said its first word.
    pub(super) fn greet(&mut self) {
        if !self.is_greeted {
            self.is_greeted = true;
            self.until = None;
        }
    }

    /// Whether draining has begun, and the connection was not told yet. Whoever serves it is polled then.
    pub(super) fn is_to_leave(&self) -> bool {
        !self.is_leaving && self.drain.is_draining()
    }

    /// Whether draining has just run out of time.
    pub(super) fn runs_out(&mut self) -> bool {
        let runs_out = self.is_leaving && !self.is_cut && self.drain.is_over();
        self.is_cut |= runs_out;
        runs_out
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What is to be done with a connection without calls.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Advice> {
        if self.is_cut {
            return Poll::Ready(Advice::End);
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.idle_timeout);
        ready!(self.idle.poll(until, cx));
        // Asked to go; if it does not, the next time-out ends it.
        let ends = self.is_leaving || !self.is_greeted;
        Poll::Ready(if ends { Advice::End } else { Advice::Leave })
    }

    pub(super) fn begin_call(&mut self) {
        self.until = None;
    }

    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.until = None;
    }
}
