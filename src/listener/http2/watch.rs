//! When a connection is to take no more calls, and when it ends: by a drain, for having been idle, or for never having begun.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::runtime::Drain;

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
    /// Set again when it has run out, not with each call: to when it had to end if nothing had been since.
    idle: Pin<Box<Sleep>>,
    is_set: bool,
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
            idle: Box::pin(tokio::time::sleep_until(head_until)),
            is_set: false,
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
        // What it wakes stays the same.
        if self.is_set && !self.idle.is_elapsed() && self.idle.deadline() <= until {
            return Poll::Pending;
        }
        self.is_set = true;
        loop {
            if self.idle.deadline() > until || self.idle.is_elapsed() {
                self.idle.as_mut().reset(until);
            }
            ready!(self.idle.as_mut().poll(cx));
            if self.idle.deadline() >= until {
                // Asked to go; if it does not, the next time-out ends it.
                let ends = self.is_leaving || !self.is_greeted;
                return Poll::Ready(if ends { Advice::End } else { Advice::Leave });
            }
        }
    }

    pub(super) fn begin_call(&mut self) {
        self.until = None;
    }

    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.until = None;
    }
}
