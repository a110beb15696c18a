//! An upgraded connection to a servlet: after its 101, raw bytes both ways (RFC 9110 §7.8).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool::Open;
use crate::model::{Body, Fault, Frame, Kind, Stage};

/// One read's room, and so the most that waits in either direction.
const ROOM: usize = 16 * 1024;

/// Reads from the servlet as a body, and carries what the caller sends to the servlet while it is read.
#[derive(Debug)]
pub(super) struct Tunnel<B> {
    socket: Socket,
    caller: B,
    /// From the caller, on its way to the servlet.
    waiting: Bytes,
    caller_ended: bool,
    shut: bool,
    buf: BytesMut,
    _open: Rc<Open>,
}

#[derive(Debug)]
enum Socket {
    Coming(OnUpgrade),
    Open(Box<TokioIo<Upgraded>>),
}

impl<B: Body + Unpin> Tunnel<B> {
    pub(super) fn new(coming: OnUpgrade, caller: B, open: Rc<Open>) -> Tunnel<B> {
        Tunnel {
            socket: Socket::Coming(coming),
            caller,
            waiting: Bytes::new(),
            caller_ended: false,
            shut: false,
            buf: BytesMut::new(),
            _open: open,
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        if let Socket::Coming(coming) = &mut self.socket {
            let upgraded = ready!(Pin::new(coming).poll(cx));
            match upgraded {
                Ok(upgraded) => self.socket = Socket::Open(Box::new(TokioIo::new(upgraded))),
                Err(error) => return Poll::Ready(Some(Err(lost(&error)))),
            }
        }
        self.poll_progress(cx);
        let Socket::Open(socket) = &mut self.socket else { return Poll::Pending };
        self.buf.resize(ROOM, 0);
        let mut room = ReadBuf::new(&mut self.buf);
        match ready!(Pin::new(socket).poll_read(cx, &mut room)) {
            Ok(()) => {
                let filled = room.filled().len();
                let data = self.buf.split_to(filled).freeze();
                Poll::Ready((!data.is_empty()).then_some(Ok(Frame::Data(data))))
            }
            Err(error) => Poll::Ready(Some(Err(lost(&error)))),
        }
    }

    /// Carries the caller's bytes on. A failed write is told by the read that follows.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        let Socket::Open(socket) = &mut self.socket else { return };
        let mut socket = Pin::new(socket);
        loop {
            if !self.waiting.is_empty() {
                match socket.as_mut().poll_write(cx, &self.waiting) {
                    Poll::Ready(Ok(written @ 1..)) => self.waiting.advance(written),
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.waiting.clear();
                        self.caller_ended = true;
                    }
                    Poll::Pending => return,
                }
                continue;
            }
            if self.caller_ended {
                if !self.shut && socket.as_mut().poll_shutdown(cx).is_ready() {
                    self.shut = true;
                }
                return;
            }
            match Pin::new(&mut self.caller).poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => self.waiting = data,
                Poll::Ready(Some(Ok(Frame::Trailers(_)) | Err(_)) | None) => self.caller_ended = true,
                Poll::Pending => {
                    let _ = socket.as_mut().poll_flush(cx);
                    return;
                }
            }
        }
    }
}

fn lost(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(Kind::ConnectionLost, Stage::ReplyBody, format!("the tunnel to the servlet broke: {error}"))
}
