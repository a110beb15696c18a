//! The calls of a connection, under way and just ended: each can be found by its stream, and asked to look around.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_util::stream::{FuturesUnordered, StreamExt};
use pin_project_lite::pin_project;

/// All calls of a connection.
pub(super) struct Calls<F> {
    running: FuturesUnordered<Running<F>>,
    ended: Ended,
}

impl<F: Future<Output = ()>> Calls<F> {
    pub(super) fn new() -> Calls<F> {
        Calls { running: FuturesUnordered::new(), ended: Ended::default() }
    }

    pub(super) fn push(&self, stream: u32, call: F) {
        self.running.push(Running { stream, waker: None, call });
    }

    /// Carries them on as far as they go. Whether any is left.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(stream) = ready!(self.running.poll_next_unpin(cx)) {
            self.ended.note(stream);
        }
        Poll::Ready(())
    }

    /// Whether a stream is, or was just now, that of a call.
    pub(super) fn know(&self, stream: u32) -> bool {
        let mut running = Pin::new(&self.running).iter_pin_ref();
        self.ended.has(stream) || running.any(|call: Pin<&Running<F>>| call.stream == stream)
    }

    /// Remembers a stream that was answered at once.
    pub(super) fn refused(&mut self, stream: u32) {
        self.ended.note(stream);
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
        stream: u32,
        // The same for as long as it is among the others.
        waker: Option<Waker>,
        #[pin]
        call: F,
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    /// Its stream.
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let this = self.project();
        this.waker.get_or_insert_with(|| cx.waker().clone());
        this.call.poll(cx).map(|()| *this.stream)
    }
}

/// The streams of the calls that ended last: what the library says of one may leave a little after its call.
#[derive(Debug, Default)]
struct Ended {
    streams: [u32; 32],
    next: usize,
}

impl Ended {
    fn note(&mut self, stream: u32) {
        if let Some(place) = self.streams.get_mut(self.next) {
            *place = stream;
        }
        self.next = (self.next + 1) % self.streams.len();
    }

    fn has(&self, stream: u32) -> bool {
        self.streams.contains(&stream)
    }
}
