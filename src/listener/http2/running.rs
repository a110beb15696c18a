//! A call among those of its connection: it can be found by its stream, and asked to look around.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

pin_project! {
    /// A call under way.
    pub(super) struct Running<F> {
        pub(super) stream: u32,
        // The same for as long as it is among the others.
        waker: Option<Waker>,
        #[pin]
        call: F,
    }
}

impl<F> Running<F> {
    pub(super) fn new(stream: u32, call: F) -> Running<F> {
        Running { stream, waker: None, call }
    }

    /// Has it polled again: something has changed that wakes nobody.
    pub(super) fn look_up(self: Pin<&mut Self>) {
        if let Some(waker) = self.project().waker {
            waker.wake_by_ref();
        }
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
pub(super) struct Ended {
    streams: [u32; 32],
    next: usize,
}

impl Ended {
    pub(super) fn note(&mut self, stream: u32) {
        if let Some(place) = self.streams.get_mut(self.next) {
            *place = stream;
        }
        self.next = (self.next + 1) % self.streams.len();
    }

    pub(super) fn has(&self, stream: u32) -> bool {
        self.streams.contains(&stream)
    }
}
