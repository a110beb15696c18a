//! An answer's body on its way to an HTTP/2 caller, as far as the caller has room.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use tokio::time::Sleep;

use crate::model::{Body, Fault, Kind, Stop, gather};
use crate::wire;

/// Bytes of one answer that may wait for the socket: two of the largest usual frames.
pub(super) const SEND_BUFFER: usize = 64 * 1024;

pub(super) struct Writer {
    /// The rest of a piece that is larger than what may wait for the socket.
    held: Bytes,
    /// Nothing follows what is held.
    is_last: bool,
    /// Some of the body was sent.
    has_sent: bool,
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// The answer breaks off behind what was sent.
    pub(super) last_words: bool,
}

impl Writer {
    pub(super) fn new(stall_timeout: Duration) -> Writer {
        Writer { held: Bytes::new(), is_last: false, has_sent: false, stall: None, stall_timeout, last_words: false }
    }

    /// Carries the body while the caller has room; the error is what to reset the stream with.
    pub(super) fn poll_write<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream<Bytes>,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        loop {
            ready!(self.poll_room(send, body, cx))?;
            if self.held.is_empty() {
                let (data, stop) = gather(body, cx);
                if data.is_empty() && matches!(stop, Stop::Starved) {
                    return Poll::Pending;
                }
                if self.hand_on(send, data, stop)? {
                    return Poll::Ready(Ok(()));
                }
            } else if self.send_held(send)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Until the caller takes more. Meanwhile the request goes on; a caller that takes nothing for too long is given up.
    fn poll_room<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream<Bytes>,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        loop {
            if send.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Reason::CANCEL));
            }
            if send.capacity() > 0 {
                self.stall = None;
                return Poll::Ready(Ok(()));
            }
            send.reserve_capacity(1);
            match send.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Reason::CANCEL)),
                Poll::Pending => {
                    Pin::new(&mut *body).poll_progress(cx);
                    let timeout = self.stall_timeout;
                    let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                    return stall.as_mut().poll(cx).map(|()| Err(Reason::CANCEL));
                }
            }
        }
    }

    /// Sends what was gathered. Whether that was all of the body.
    fn hand_on(&mut self, send: &mut SendStream<Bytes>, data: Bytes, stop: Stop) -> Result<bool, Reason> {
        self.has_sent |= !data.is_empty();
        match stop {
            Stop::Full | Stop::Starved => self.hold(send, data, false),
            Stop::End => self.hold(send, data, true),
            Stop::Large(large, end) => {
                send.send_data(data, false).map_err(|_| Reason::CANCEL)?;
                (self.held, self.is_last) = (large, end);
                Ok(false)
            }
            Stop::Trailers(mut trailers) => {
                wire::filter_trailers(&mut trailers);
                let sent = if data.is_empty() { Ok(()) } else { send.send_data(data, false) };
                sent.and_then(|()| send.send_trailers(trailers)).map(|()| true).map_err(|_| Reason::CANCEL)
            }
            Stop::Fault(fault) => {
                if !data.is_empty() {
                    let _ = send.send_data(data, false);
                }
                self.last_words = self.has_sent;
                Err(reset_reason(&fault))
            }
        }
    }

    fn hold(&mut self, send: &mut SendStream<Bytes>, data: Bytes, is_last: bool) -> Result<bool, Reason> {
        (self.held, self.is_last) = (data, is_last);
        self.send_held(send)
    }

    /// Sends of what is held no more than may wait for the socket. Whether that was all of the body.
    fn send_held(&mut self, send: &mut SendStream<Bytes>) -> Result<bool, Reason> {
        let piece = self.held.split_to(self.held.len().min(SEND_BUFFER));
        let end = self.is_last && self.held.is_empty();
        send.send_data(piece, end).map(|()| end).map_err(|_| Reason::CANCEL)
    }
}

/// How a fault in the middle of an answer is told to an HTTP/2 caller.
fn reset_reason(fault: &Fault) -> Reason {
    match fault.kind {
        Kind::CallerGone | Kind::DeadlineExceeded => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}
