//! When a connection is to take no more calls, and when it ends: by a drain, for having been idle, or for never having begun.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
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
    begun: Pin<Box<dyn Future<Output = ()>>>,
    is_asked: bool,
    /// It takes no more calls.
    is_leaving: bool,
    /// Draining has run out of time.
    is_cut: bool,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    /// `idle` runs, from the end of the last call or, before the caller's first word, to when that must be there.
    is_idle: bool,
    is_greeted: bool,
}

impl Watch {
    /// `head_until`: when the caller's settings must be there.
    pub(super) fn new(drain: Drain, idle_timeout: Duration, head_until: Instant) -> Watch {
        Watch {
            begun: Box::pin(drain.clone().into_begun()),
            drain,
            is_asked: false,
            is_leaving: false,
            is_cut: false,
            idle: Box::pin(tokio::time::sleep_until(head_until)),
            idle_timeout,
            is_idle: true,
            is_greeted: false,
        }
    }

    /// The caller has said its first word.
    pub(super) fn greet(&mut self) {
        if !self.is_greeted {
            self.is_greeted = true;
            self.is_idle = false;
        }
    }

    /// Ready, once, when draining begins.
    pub(super) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The waker that is registered stays the same: asked once, and again when there is something to hear.
        if self.is_leaving || (self.is_asked && !self.drain.is_draining()) {
            return Poll::Pending;
        }
        self.is_asked = true;
        self.begun.as_mut().poll(cx)
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
        if !self.is_idle {
            self.is_idle = true;
            self.restart();
        }
        // Asked to go; if it does not, the next time-out ends it.
        let ends = self.is_leaving || !self.is_greeted;
        self.idle.as_mut().poll(cx).map(|()| if ends { Advice::End } else { Advice::Leave })
    }

    pub(super) fn begin_call(&mut self) {
        self.is_idle = false;
    }

    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.restart();
    }

    fn restart(&mut self) {
        self.idle.as_mut().reset(Instant::now() + self.idle_timeout);
    }
}
