//! An answer's body on its way to an HTTP/2 caller, as far as the caller has room.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::model::{Body, Fault, Kind};
use crate::wire::http2::{Broken, Carry, Reason, SendStream};

pub(super) struct Writer {
    carry: Carry,
    /// Only while the caller takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// The answer breaks off behind what was sent.
    pub(super) last_words: bool,
}

impl Writer {
    pub(super) fn new(stall_timeout: Duration) -> Writer {
        Writer { carry: Carry::default(), stall: None, stall_timeout, last_words: false }
    }

    /// Carries the body while the caller has room; the error is what to reset the stream with. A caller that takes nothing for too long
    /// is given up.
    pub(super) fn poll_write<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        match self.carry.poll(send, body, cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(Broken::Stream(_))) => Poll::Ready(Err(Reason::CANCEL)),
            Poll::Ready(Err(Broken::Body { fault, has_sent })) => {
                self.last_words = has_sent;
                Poll::Ready(Err(reset_reason(&fault)))
            }
            Poll::Pending if self.carry.lacks_room() => {
                let timeout = self.stall_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                stall.as_mut().poll(cx).map(|()| Err(Reason::CANCEL))
            }
            Poll::Pending => {
                self.stall = None;
                Poll::Pending
            }
        }
    }
}

/// How a fault in the middle of an answer is told to an HTTP/2 caller.
fn reset_reason(fault: &Fault) -> Reason {
    match fault.kind {
        Kind::CallerGone | Kind::DeadlineExceeded => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}
