//! When a connection is to take no more calls, and when it ends: by a drain, or for having been idle.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{End, Next};
use crate::runtime::Drain;

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
    /// `idle` runs, from the end of the last call.
    is_idle: bool,
}

impl Watch {
    pub(super) fn new(drain: Drain, idle_timeout: Duration) -> Watch {
        Watch {
            begun: Box::pin(drain.clone().into_begun()),
            drain,
            is_asked: false,
            is_leaving: false,
            is_cut: false,
            idle: Box::pin(tokio::time::sleep(idle_timeout)),
            idle_timeout,
            is_idle: true,
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

    /// What is to be done with a connection without calls.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if self.is_cut {
            return Poll::Ready(Next::End(End::Cut));
        }
        if !self.is_idle {
            self.is_idle = true;
            self.restart();
        }
        // Asked to go; if it does not, the next time-out ends it.
        self.idle.as_mut().poll(cx).map(|()| if self.is_leaving { Next::End(End::Closed) } else { Next::Leave })
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
