//! An upgraded connection to a servlet: after its 101, raw bytes both ways (RFC 9110 §7.8).
//!
//! ```text
//!   both open ──servlet ends: `Trailers`──▶ caller still sends ──it ends──▶ over: `None`
//!       │                                                                     ▲
//!       └──caller ends: our side is shut──▶ servlet still sends ──it ends─────┘
//! ```
//! Each way ends by itself, because protocols differ in who has the last word. What nobody uses any more ends by the idle limit. Whatever
//! else ends it is a reset on both sides, so that nothing that was cut looks whole.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};

use super::http1::Connection;
use crate::model::{Body, Fault, Frame, Kind, Stage};

/// One read's room, and so the most that waits in either direction.
const ROOM: usize = 16 * 1024;

/// Reads from the servlet as a body, and carries what the caller sends to the servlet while it is read.
#[derive(Debug)]
pub(super) struct Tunnel {
    connection: Connection,
    /// From the caller, on its way to the servlet.
    waiting: Bytes,
    caller_ended: bool,
    /// The servlet has all of what the caller sent, and its end.
    shut: bool,
    /// The caller's side broke off, or its bytes were lost: no end of this may look clean.
    broken: bool,
    /// What broke the caller's side off.
    fault: Option<Fault>,
    servlet_ended: bool,
    /// From the servlet, with its 101.
    first: Bytes,
    /// From the servlet.
    buf: BytesMut,
    idle: Idle,
}

/// Runs out when no byte has moved either way for so long.
#[derive(Debug)]
struct Idle {
    limit: Duration,
    moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(limit: Duration) -> Idle {
        Idle { limit, moved: Instant::now(), timer: Box::pin(tokio::time::sleep(limit)) }
    }

    fn moved(&mut self) {
        self.moved = Instant::now();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            // The timer is not set anew for each byte; most often it finds that some have moved.
            let due = self.moved + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

impl Tunnel {
    /// `first`: what came with the 101. `idle`: how long it may be without a byte in either direction.
    pub(super) fn new(connection: Connection, first: Bytes, idle: Duration) -> Tunnel {
        Tunnel {
            connection,
            waiting: Bytes::new(),
            caller_ended: false,
            shut: false,
            broken: false,
            fault: None,
            servlet_ended: false,
            first,
            buf: BytesMut::new(),
            idle: Idle::new(idle),
        }
    }

    /// The servlet's bytes; `Trailers`, which are empty, when it has ended its side and the caller has not; `None` when both have.
    pub(super) fn poll_frame<B: Body + Unpin>(
        &mut self,
        caller: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Fault>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::Data(std::mem::take(&mut self.first)))));
        }
        self.poll_progress(caller, cx);
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        if !self.servlet_ended
            && let Poll::Ready(read) = self.poll_read(cx)
        {
            match read {
                Ok(data) if data.is_empty() => self.servlet_ended = true,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::Data(data)))),
                Err(error) => return Poll::Ready(Some(Err(lost(&error)))),
            }
            if !self.shut {
                return Poll::Ready(Some(Ok(Frame::Trailers(HeaderMap::new()))));
            }
        }
        if self.servlet_ended && self.shut {
            if self.broken {
                let told = "the servlet took no more of what the caller sent";
                return Poll::Ready(Some(Err(Fault::new(Kind::ConnectionLost, Stage::RequestBody, told))));
            }
            return Poll::Ready(None);
        }
        ready!(self.idle.poll(cx));
        let told = format!("no byte went through the tunnel for {:?}", self.idle.limit);
        Poll::Ready(Some(Err(Fault::new(Kind::BodyTimeout, Stage::ReplyBody, told))))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
        ready!(self.connection.stream.poll_read_buf(cx, &mut self.buf, ROOM))?;
        self.idle.moved();
        Poll::Ready(Ok(self.buf.split().freeze()))
    }

    /// Carries the caller's bytes on. A failed write is told by the read that follows.
    pub(super) fn poll_progress<B: Body + Unpin>(&mut self, caller: &mut B, cx: &mut Context<'_>) {
        let mut socket = Pin::new(&mut self.connection.stream);
        while !self.shut {
            if !self.waiting.is_empty() {
                match socket.as_mut().poll_write(cx, &self.waiting) {
                    Poll::Ready(Ok(written @ 1..)) => {
                        self.waiting.advance(written);
                        self.idle.moved();
                    }
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.waiting.clear();
                        self.caller_ended = true;
                        self.shut = true;
                        self.broken = true;
                    }
                    Poll::Pending => return,
                }
                continue;
            }
            if self.caller_ended {
                self.shut = socket.as_mut().poll_shutdown(cx).is_ready();
                return;
            }
            match Pin::new(&mut *caller).poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => self.waiting = data,
                Poll::Ready(Some(Ok(Frame::Trailers(_))) | None) => self.caller_ended = true,
                Poll::Ready(Some(Err(fault))) => {
                    // It is gone, and with it both ways.
                    self.fault = Some(fault);
                    self.caller_ended = true;
                    self.shut = true;
                    self.broken = true;
                }
                Poll::Pending => return,
            }
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if self.broken || !(self.servlet_ended && self.shut) {
            self.connection.stream.reset();
        }
    }
}

fn lost(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(Kind::ConnectionLost, Stage::ReplyBody, format!("the tunnel to the servlet broke: {error}"))
}
