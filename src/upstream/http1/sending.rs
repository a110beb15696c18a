//! A request on its way onto its HTTP/1 connection: head and first piece of the body in one write where they are there together, large
//! pieces without a copy, and no more of the body taken than the servlet takes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request};

use crate::model::{Body, Fault, Frame, Kind, Stage};
use crate::transport::{Follows, Stream};
use crate::wire::{BodyBroken, BodyLength, RequestEncoder};

/// Small pieces are gathered up to this before a write.
const GATHER: usize = 16 * 1024;

/// Pieces up to this are copied beside their framing; a system call with one buffer is cheaper than with three.
const COPY: usize = 2 * 1024;

#[derive(Debug)]
pub(super) struct Sending<B> {
    body: B,
    encoder: RequestEncoder,
    out: Outgoing,
    step: Step,
    begun: bool,
    /// The body's own, told whenever it is asked.
    fault: Option<Box<Fault>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// More of the body is to come.
    Body,
    /// All of it is on its way.
    Last,
    Sent,
    /// The servlet takes no more, or nothing more can be said. What it answers counts all the same.
    Stopped,
}

impl<B: Body + Unpin> Sending<B> {
    /// `upgrade`: the protocol that the caller asks for, whose bytes wait for the 101.
    pub(super) fn new(head: &Request<()>, upgrade: Option<&HeaderValue>, body: B) -> Sending<B> {
        let length = match body.exact_len() {
            _ if body.is_end() => BodyLength::Empty,
            Some(length) => BodyLength::Exact(length),
            None => BodyLength::Unknown,
        };
        let mut out = Outgoing::default();
        let encoder = RequestEncoder::start(head, length, upgrade, &mut out.staging);
        let step = if upgrade.is_some() || length == BodyLength::Empty { Step::Last } else { Step::Body };
        Sending { body, encoder, out, step, begun: false, fault: None }
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// All of it was written.
    pub(super) fn is_sent(&self) -> bool {
        self.step == Step::Sent
    }

    /// Some of it was written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// What broke the request off.
    pub(super) fn fault(&self) -> Fault {
        let unknown = || Fault::new(Kind::Internal, Stage::RequestBody, "the request broke off, and nobody knows why");
        self.fault.as_deref().map_or_else(unknown, Fault::clone)
    }

    /// Goes on as far as it can. The waker is called when it can go further.
    ///
    /// # Errors
    /// The body's own fault: the request cannot be brought to its end. What goes wrong with the connection is told by what is read.
    pub(super) fn poll(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Result<(), Fault> {
        while matches!(self.step, Step::Body | Step::Last) {
            let starved = self.gather(cx).inspect_err(|fault| {
                self.step = Step::Stopped;
                self.out = Outgoing::default();
                self.fault = Some(Box::new(fault.clone()));
            })?;
            while !self.out.is_empty() {
                match self.out.poll_write(stream, cx) {
                    Poll::Ready(Ok(written @ 1..)) => {
                        self.begun = true;
                        self.out.advance(written);
                    }
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.step = Step::Stopped;
                        self.out = Outgoing::default();
                    }
                    Poll::Pending => {
                        Pin::new(&mut self.body).poll_progress(cx);
                        return Ok(());
                    }
                }
            }
            if self.step == Step::Last {
                self.step = Step::Sent;
                self.out = Outgoing::default();
            }
            if starved {
                return Ok(());
            }
        }
        self.fault.as_deref().cloned().map_or(Ok(()), Err)
    }

    /// Takes what there is of the body, up to what is written at once. Whether it gave all that it has for now.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        while self.step == Step::Body && self.out.has_room() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Ok(true) };
            match frame.transpose()? {
                Some(Frame::Data(data)) => {
                    if !data.is_empty() {
                        let after = self.encoder.frame(data.len(), &mut self.out.staging).map_err(broken)?;
                        self.out.push(data, after);
                    }
                    if self.body.is_end() {
                        self.end(None)?;
                    }
                }
                Some(Frame::Trailers(trailers)) => self.end(Some(&trailers))?,
                None => self.end(None)?,
            }
        }
        Ok(false)
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Fault> {
        self.step = Step::Last;
        self.encoder.end(trailers, self.out.last()).map_err(broken)
    }
}

/// The body is not as long as its head says.
fn broken(why: BodyBroken) -> Fault {
    Fault::new(Kind::MalformedBody, Stage::RequestBody, why.to_string())
}

/// Bytes on their way to the socket, in this order.
#[derive(Debug, Default)]
struct Outgoing {
    staging: BytesMut,
    /// One that is not copied.
    piece: Bytes,
    after: BytesMut,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.staging.is_empty() && self.piece.is_empty() && self.after.is_empty()
    }

    fn has_room(&self) -> bool {
        self.piece.is_empty() && self.after.is_empty() && self.staging.len() < GATHER
    }

    fn push(&mut self, data: Bytes, after: &'static [u8]) {
        if data.len() <= COPY {
            self.staging.extend_from_slice(&data);
            self.staging.extend_from_slice(after);
        } else {
            self.piece = data;
            self.after.extend_from_slice(after);
        }
    }

    /// Where the next bytes belong.
    fn last(&mut self) -> &mut BytesMut {
        if self.piece.is_empty() { &mut self.staging } else { &mut self.after }
    }

    fn poll_write(&self, stream: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); 3];
        let mut used = 0;
        let pieces = [&*self.staging, &*self.piece, &*self.after];
        for (slot, piece) in slices.iter_mut().zip(pieces.into_iter().filter(|piece| !piece.is_empty())) {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        stream.poll_write_pieces(cx, slices.get(..used).unwrap_or_default(), Follows::Anything)
    }

    fn advance(&mut self, mut written: usize) {
        let step = written.min(self.staging.len());
        self.staging.advance(step);
        written -= step;
        let step = written.min(self.piece.len());
        self.piece.advance(step);
        written -= step;
        self.after.advance(written.min(self.after.len()));
    }
}
