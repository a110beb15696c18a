//! The calls of a connection: all of them can be asked to look around.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_util::stream::{FuturesUnordered, StreamExt};
use pin_project_lite::pin_project;

/// All calls of a connection.
pub(super) struct Calls<F> {
    running: FuturesUnordered<Running<F>>,
}

impl<F: Future<Output = ()>> Calls<F> {
    pub(super) fn new() -> Calls<F> {
        Calls { running: FuturesUnordered::new() }
    }

    pub(super) fn push(&self, call: F) {
        self.running.push(Running { waker: None, call });
    }

    /// Carries them on as far as they go. Whether any is left.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(()) = ready!(self.running.poll_next_unpin(cx)) {}
        Poll::Ready(())
    }

    /// Has them polled again: something has changed that wakes nobody.
    pub(super) fn look_up(&mut self) {
        for call in Pin::new(&mut self.running).iter_pin_mut() {
            if let Some(waker) = call.project().waker {
                waker.wake_by_ref();
            }
        }
    }
}

pin_project! {
    /// A call under way.
    struct Running<F> {
        // The same for as long as it is among the others.
        waker: Option<Waker>,
        #[pin]
        call: F,
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.waker.get_or_insert_with(|| cx.waker().clone());
        this.call.poll(cx)
    }
}
