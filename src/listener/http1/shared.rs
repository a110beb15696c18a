//! What the reading and the writing side of an HTTP/1 connection share: the socket, the bytes read ahead, and where in the request
//! they stand. The call holds it as its body; the connection holds it to write the answer and to see the caller leave. Both are polled in
//! the connection's task, so that the socket, which wakes one task, wakes whoever waits.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::HeaderValue;
use tokio::time::{Instant, Sleep};

use crate::model::{Fault, Frame, Kind, Stage};
use crate::transport::{Follows, Stream};
use crate::wire::{self, BodyDecoder, Framing, Piece, RequestHead, RequestParser};

/// Room for one read: a head and a small body at once; large bodies grow by as much again.
const READ_ROOM: usize = 8 * 1024;
const BODY_READ_ROOM: usize = 64 * 1024;

/// Bytes read ahead of a request that is still being answered: pipelined requests, or the sign that the caller has left.
const READ_AHEAD: usize = 64 * 1024;

type Vanished = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Debug)]
pub(crate) struct Shared {
    stream: Rc<Stream>,
    incoming: RefCell<Incoming>,
    stall_timeout: Duration,
    may_half_close: Cell<bool>,
    /// Until then nobody looks whether the caller is still there, if that takes telling the runtime of its socket.
    patient_until: Instant,
}

struct Incoming {
    buf: BytesMut,
    decoder: BodyDecoder,
    /// The body's whole is read, or is none.
    read: bool,
    /// An anomaly: no byte after it is looked at.
    broken: bool,
    /// The peer has ended its side.
    ended: bool,
    /// It did so by a reset: nobody reads an answer.
    reset: bool,
    /// Bytes of `100 Continue` still owed before the body is read.
    owes_continue: &'static [u8],
    upgrade: Option<HeaderValue>,
    /// After a 101: raw bytes until the end.
    tunnel: bool,
    /// Only while a body stalls.
    stall: Option<Pin<Box<Sleep>>>,
    vanished: Option<Vanished>,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("buffered", &self.buf.len()).field("read", &self.read).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(stream: Stream, seen: BytesMut, stall_timeout: Duration, patient_until: Instant) -> Rc<Shared> {
        let incoming = Incoming {
            buf: seen,
            decoder: BodyDecoder::new(Framing::None),
            read: true,
            broken: false,
            ended: false,
            reset: false,
            owes_continue: &[],
            upgrade: None,
            tunnel: false,
            stall: None,
            vanished: None,
        };
        Rc::new(Shared {
            stream: Rc::new(stream),
            incoming: RefCell::new(incoming),
            stall_timeout,
            may_half_close: Cell::new(false),
            patient_until,
        })
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn parse_head(
        &self,
        parser: &mut RequestParser,
        default_host: Option<&HeaderValue>,
    ) -> Result<Option<RequestHead>, Fault> {
        parser.parse(&mut self.incoming.borrow_mut().buf, default_host)
    }

    /// Nothing of a further request has arrived.
    pub(super) fn is_idle(&self) -> bool {
        self.incoming.borrow().buf.is_empty()
    }

    /// The request's body is read to its end.
    pub(super) fn is_read(&self) -> bool {
        let incoming = self.incoming.borrow();
        incoming.read && !incoming.broken
    }

    /// No byte from here on is part of a request; whoever reads the body is told.
    pub(super) fn break_off(&self) {
        self.incoming.borrow_mut().broken = true;
    }

    /// Reads once. False at the end of the stream or on an error.
    pub(super) async fn read_some(&self) -> bool {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    pub(super) fn poll_some(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.incoming.borrow_mut().poll_fill(&self.stream, cx, READ_ROOM)
    }

    /// Reads and forgets up to `limit` bytes, until the peer ends its side.
    pub(super) async fn read_away(&self, limit: usize) {
        let mut left = limit;
        while left > 0 {
            self.incoming.borrow_mut().buf.clear();
            if !self.read_some().await {
                return;
            }
            left = left.saturating_sub(self.incoming.borrow().buf.len());
        }
    }

    pub(super) fn begin(
        &self,
        framing: Framing,
        expects_continue: bool,
        upgrade: Option<HeaderValue>,
        may_half_close: bool,
    ) {
        let mut incoming = self.incoming.borrow_mut();
        incoming.read = !framing.has_body();
        incoming.owes_continue = if expects_continue && !incoming.read { wire::CONTINUE } else { &[] };
        incoming.decoder = BodyDecoder::new(framing);
        incoming.upgrade = upgrade;
        self.may_half_close.set(may_half_close);
    }

    /// Between two requests: an idle connection holds no buffer.
    pub(super) fn next_message(&self) {
        let mut incoming = self.incoming.borrow_mut();
        if incoming.buf.is_empty() {
            incoming.buf = BytesMut::new();
        }
    }

    /// What is left of a `100 Continue` that was begun, now that the answer starts; one that was not begun is not owed any more.
    pub(super) fn settle_continue(&self) -> &'static [u8] {
        let owed = std::mem::take(&mut self.incoming.borrow_mut().owes_continue);
        if owed.len() == wire::CONTINUE.len() { &[] } else { owed }
    }

    pub(super) fn start_tunnel(&self) {
        let mut incoming = self.incoming.borrow_mut();
        incoming.tunnel = true;
        incoming.read = false;
    }

    pub(in crate::listener) fn upgrade(&self) -> Option<HeaderValue> {
        self.incoming.borrow().upgrade.clone()
    }

    pub(in crate::listener) fn is_end(&self) -> bool {
        self.incoming.borrow().read
    }

    pub(in crate::listener) fn exact_len(&self) -> Option<u64> {
        let incoming = self.incoming.borrow();
        if incoming.read { Some(0) } else { incoming.decoder.remaining() }
    }

    pub(in crate::listener) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let mut incoming = self.incoming.borrow_mut();
        let incoming = &mut *incoming;
        if incoming.broken && !incoming.read {
            let fault = Fault::new(Kind::CallerGone, Stage::RequestBody, "the caller's connection is closing");
            return Poll::Ready(Some(Err(fault)));
        }
        loop {
            match incoming.next_piece() {
                Ok(Some(Piece::Data(data))) => {
                    incoming.stall = None;
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                Ok(Some(Piece::Trailers(trailers))) => return Poll::Ready(Some(Ok(Frame::Trailers(trailers)))),
                Ok(Some(Piece::End)) => return Poll::Ready(None),
                Ok(None) => {}
                Err(fault) => {
                    incoming.broken = true;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
            if incoming.ended {
                incoming.broken = true;
                let fault =
                    Fault::new(Kind::CallerGone, Stage::RequestBody, "the caller left in the middle of the body");
                return Poll::Ready(Some(Err(fault)));
            }
            if incoming.poll_continue(&self.stream, cx).is_pending() {
                return Poll::Pending;
            }
            match incoming.poll_fill(&self.stream, cx, BODY_READ_ROOM) {
                Poll::Ready(_) => incoming.stall = None,
                // Who is silent may be listening: a tunnel has a limit for both ways together.
                Poll::Pending if incoming.tunnel => return Poll::Pending,
                Poll::Pending => {
                    ready!(incoming.poll_stalled(self.stall_timeout, cx));
                    incoming.broken = true;
                    let fault = Fault::new(
                        Kind::BodyTimeout,
                        Stage::RequestBody,
                        format!("no byte of the body came for {:?}", self.stall_timeout),
                    );
                    return Poll::Ready(Some(Err(fault)));
                }
            }
        }
    }

    /// Ready when nobody waits for the answer any more. A FIN after the whole of a request that said it is the last is a half-close:
    /// then only a reset counts.
    pub(super) fn poll_caller_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut incoming = self.incoming.borrow_mut();
        if incoming.tunnel {
            // Whoever carries the tunnel reads it, and sees its end.
            return Poll::Pending;
        }
        if !self.stream.is_known() && Instant::now() < self.patient_until {
            // Most calls are over by then. The connection is woken when it is no longer young.
            return Poll::Pending;
        }
        while !incoming.ended {
            if incoming.buf.len() >= READ_AHEAD {
                return Poll::Pending;
            }
            ready!(incoming.poll_fill(&self.stream, cx, READ_ROOM));
        }
        if incoming.reset {
            return Poll::Ready(());
        }
        // A body that waits in the buffer may be whole; if it is not, its reader finds out.
        let may_be_whole = incoming.read || !incoming.buf.is_empty();
        if !(self.may_half_close.get() && may_be_whole) {
            return Poll::Ready(());
        }
        let stream = &self.stream;
        let vanished = incoming.vanished.get_or_insert_with(|| {
            let stream = Rc::clone(stream);
            Box::pin(async move { stream.vanished().await })
        });
        vanished.as_mut().poll(cx)
    }
}

impl Incoming {
    /// Reads once into the buffer. False, and `ended`, at the end of the stream or on an error.
    fn poll_fill(&mut self, stream: &Stream, cx: &mut Context<'_>, room: usize) -> Poll<bool> {
        if self.ended {
            return Poll::Ready(false);
        }
        let read = ready!(stream.poll_read_buf(cx, &mut self.buf, room));
        self.ended = !matches!(read, Ok(1..));
        self.reset = read.is_err();
        Poll::Ready(!self.ended)
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, Fault> {
        if self.tunnel {
            if self.buf.is_empty() && self.reset {
                return Err(Fault::new(Kind::CallerGone, Stage::RequestBody, "the caller broke the tunnel off"));
            }
            if self.buf.is_empty() {
                return Ok(self.ended.then_some(Piece::End));
            }
            return Ok(Some(Piece::Data(self.buf.split().freeze())));
        }
        if self.read {
            return Ok(Some(Piece::End));
        }
        let piece = self.decoder.decode(&mut self.buf)?;
        self.read = self.decoder.is_done();
        Ok(piece)
    }

    /// Writes what is owed of `100 Continue`: the call has asked for the body, so the caller may send it.
    fn poll_continue(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<()> {
        if !self.buf.is_empty() {
            // The caller did not wait (RFC 9110 §10.1.1).
            self.owes_continue = &[];
        }
        while !self.owes_continue.is_empty() {
            match ready!(stream.poll_write_pieces(cx, &[IoSlice::new(self.owes_continue)], Follows::Anything)) {
                Ok(written) => self.owes_continue = self.owes_continue.get(written..).unwrap_or_default(),
                // The read that follows tells why.
                Err(_) => self.owes_continue = &[],
            }
        }
        Poll::Ready(())
    }

    fn poll_stalled(&mut self, timeout: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout))).as_mut().poll(cx)
    }
}
