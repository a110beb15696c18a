//! Carries a body onto a stream, as far as the peer has room. Small pieces that are there go on together: each frame has its cost, and
//! peers count those that their handlers have not read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::handle::SendStream;
use super::stream::StreamError;
use crate::model::{Body, Fault, Stop, gather};
use crate::wire::filter_trailers;

/// Where a body stands on its way.
#[derive(Debug, Default)]
pub struct Carry {
    /// What was taken from it and is still to be sent, in this order.
    held: Bytes,
    next: Bytes,
    then: Then,
    /// Some of it was sent.
    has_sent: bool,
}

/// What follows what is held.
#[derive(Debug, Default)]
enum Then {
    #[default]
    More,
    End,
    Trailers(Box<HeaderMap>),
    Fault(Box<Fault>),
    /// All is sent.
    Done,
}

/// Why a body did not get to its end.
#[derive(Debug)]
pub enum Broken {
    /// The body broke off; what there was of it is sent. `has_sent`: there was some.
    Body {
        fault: Box<Fault>,
        has_sent: bool,
    },
    Stream(StreamError),
}

impl Carry {
    /// Nothing is left to do: the head was the end.
    pub fn done() -> Carry {
        Carry { then: Then::Done, ..Carry::default() }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.then, Then::Done)
    }

    /// Goes on as far as it can. While there is no room the body is let go on with what needs none. After an error or the end it has
    /// nothing left to do.
    ///
    /// # Errors
    /// What broke off; the stream is as it was.
    pub fn poll<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let polled = self.poll_on(send, body, cx);
        if polled.is_ready() {
            self.then = Then::Done;
        }
        polled
    }

    fn poll_on<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.held.is_empty() {
                self.held = std::mem::take(&mut self.next);
            }
            if self.held.is_empty() {
                match std::mem::take(&mut self.then) {
                    Then::Done => {
                        self.then = Then::Done;
                        return Poll::Ready(Ok(()));
                    }
                    Then::End => return Poll::Ready(sent(send.send(&mut Bytes::new(), true), send, cx)),
                    Then::Trailers(trailers) => return Poll::Ready(sent(send.send_trailers(&trailers), send, cx)),
                    Then::Fault(fault) => {
                        return Poll::Ready(Err(Broken::Body { fault, has_sent: self.has_sent }));
                    }
                    Then::More => {}
                }
                // What needs no room must not wait for it; and what is there when there is none waits where it is.
                if send.poll_room(cx)?.is_pending() {
                    Pin::new(&mut *body).poll_progress(cx);
                    return Poll::Pending;
                }
                if !self.take(body, cx) {
                    return Poll::Pending;
                }
                continue;
            }
            if send.poll_room(cx)?.is_pending() {
                Pin::new(&mut *body).poll_progress(cx);
                return Poll::Pending;
            }
            let is_last = self.next.is_empty() && matches!(self.then, Then::End);
            sent(send.send(&mut self.held, is_last), send, cx)?;
            self.has_sent = true;
            if is_last && self.held.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes what of the body is there. Whether that was anything.
    fn take<B: Body + Unpin>(&mut self, body: &mut B, cx: &mut Context<'_>) -> bool {
        let (held, stop) = gather(body, cx);
        self.held = held;
        self.then = match stop {
            Stop::Full => Then::More,
            Stop::Starved => {
                if self.held.is_empty() {
                    return false;
                }
                Then::More
            }
            Stop::End => Then::End,
            Stop::Large(large, is_last) => {
                self.next = large;
                if is_last { Then::End } else { Then::More }
            }
            Stop::Trailers(mut trailers) => {
                filter_trailers(&mut trailers);
                Then::Trailers(Box::new(trailers))
            }
            Stop::Fault(fault) => Then::Fault(Box::new(fault)),
        };
        true
    }
}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Broken {
        Broken::Stream(error)
    }
}

/// What became of something that was sent.
fn sent(is_sent: bool, send: &mut SendStream, cx: &mut Context<'_>) -> Result<(), Broken> {
    if is_sent {
        return Ok(());
    }
    let error = match send.poll_reset(cx) {
        Poll::Ready(error) => error,
        Poll::Pending => StreamError::Malformed("a stream that was written behind its end"),
    };
    Err(Broken::Stream(error))
}
