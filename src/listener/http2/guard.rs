//! Stands between an HTTP/2 connection's socket and the library that speaks it, and mends what the library leaves open (h2 0.4):
//! frames that cost work and bring none are not bounded there, and a header field that it cannot hold ends the whole connection,
//! although it concerns one stream (RFC 9113 §8.1.1). What the library resets by itself is seen here as it leaves.
//!
//! Frames pass where they lie; only a header block that has not wholly arrived, or is malformed, is held and copied.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::header_block;
use super::resets::{Outgoing, Sight};
use crate::transport::Stream;

/// What precedes the first frame.
const PREFACE: usize = 24;

pub(super) const FRAME_HEAD: usize = 9;

/// The largest frame that we allow; the library ends a connection that sends a larger one.
const MAX_FRAME: usize = 16 * 1024;

/// A header block in pieces is held up to this; the library, which takes fewer, bounds it from there.
const MAX_BLOCK: usize = 128 * 1024;
const MAX_PIECES: usize = 32;

const HELD_READ: usize = 4 * 1024;

/// A connection's socket, watched.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: Stream,
    frames: Frames,
    /// Checked, and next to be given on.
    checked: BytesMut,
    /// From the first byte of a header block that is not whole.
    held: BytesMut,
    outgoing: Outgoing,
    sight: Rc<Sight>,
}

impl Guarded {
    /// `sight`: where what is seen is told.
    pub(super) fn new(stream: Stream, seen: BytesMut, sight: Rc<Sight>) -> Guarded {
        let frames = Frames { pass: PREFACE, budget: Budget::new() };
        let mut guarded =
            Guarded { stream, frames, checked: BytesMut::new(), held: seen, outgoing: Outgoing::default(), sight };
        guarded.sift();
        guarded
    }

    /// Moves what can go on from `held` to `checked`.
    fn sift(&mut self) {
        while !self.held.is_empty() && !self.frames.is_flooding() {
            let pass = self.frames.look(&self.held);
            self.checked.unsplit(self.held.split_to(pass));
            let Some(block) = Block::of(&self.held) else { break };
            if self.held.len() < block.len {
                break;
            }
            let frames = self.held.split_to(block.len);
            match block.mended(&frames) {
                Some(mended) => self.checked.extend_from_slice(&mended),
                None => self.checked.unsplit(frames),
            }
            self.frames.budget.earn(1);
        }
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        self.sight.flooded.set(self.frames.is_flooding());
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let step = self.checked.len().min(buf.remaining());
        buf.put_slice(self.checked.get(..step).unwrap_or_default());
        self.checked.advance(step);
        if self.checked.is_empty() {
            self.checked = BytesMut::new();
        }
    }

    /// The first `written` bytes of `pieces` have left.
    fn wrote(&mut self, pieces: &[io::IoSlice<'_>], written: usize) {
        self.frames.budget.wrote(written);
        let mut left = written;
        for piece in pieces {
            let sent = piece.get(..left).unwrap_or(piece);
            self.outgoing.look(sent, &self.sight);
            left -= sent.len();
        }
    }

    /// Reads straight into `buf`, and takes back what may not pass yet. False when nothing is left in it.
    fn poll_read_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let pass = self.frames.look(fresh);
        self.held.extend_from_slice(fresh.get(pass..).unwrap_or_default());
        buf.set_filled(before + pass);
        self.sift();
        Poll::Ready(Ok(pass > 0))
    }

    /// Reads more of what is held. False at the end of the stream, when all of it goes on as it is.
    fn poll_read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if ready!(self.stream.poll_read_buf(cx, &mut self.held, HELD_READ))? == 0 {
            self.checked = std::mem::take(&mut self.held);
            return Poll::Ready(Ok(!self.checked.is_empty()));
        }
        self.sift();
        Poll::Ready(Ok(true))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.checked.is_empty() {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if this.sight.flooded.get() {
                return Poll::Pending;
            }
            let is_there = if this.held.is_empty() {
                ready!(this.poll_read_through(cx, buf))?
            } else {
                let more = ready!(this.poll_read_held(cx))?;
                if !more {
                    return Poll::Ready(Ok(()));
                }
                false
            };
            if is_there {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data))?;
        self.wrote(&[io::IoSlice::new(data)], written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.wrote(pieces, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

/// The head of a frame (RFC 9113 §4.1).
pub(super) struct Frame {
    /// Of head and payload.
    pub(super) len: usize,
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: [u8; 4],
}

impl Frame {
    pub(super) fn of(bytes: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, s, t, r, m, ..] = *bytes else { return None };
        let payload = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Frame { len: FRAME_HEAD + payload, kind, flags, stream: [s, t, r, m] })
    }
}

/// Where in the stream of frames we stand.
#[derive(Debug)]
struct Frames {
    /// Bytes to come that need no look: the rest of a payload.
    pass: usize,
    budget: Budget,
}

impl Frames {
    /// How many of these bytes may go on as they are: all up to a frame whose head is not whole, or a header block that is not whole
    /// or is malformed.
    fn look(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let step = self.pass.min(bytes.len() - at);
            at += step;
            self.pass -= step;
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(frame) = Frame::of(rest) else { return at };
            match frame.kind {
                HEADERS if frame.len <= FRAME_HEAD + MAX_FRAME => {
                    let whole = rest.get(..frame.len).filter(|_| frame.flags & END_HEADERS != 0);
                    let is_sound = whole.and_then(|whole| fragment(&frame, whole)).map(header_block::is_sound);
                    if is_sound != Some(true) {
                        return at;
                    }
                    self.budget.earn(1);
                }
                DATA => self.budget.earn(1),
                // The library holds these to the streams that there are.
                HEADERS | RST_STREAM | GOAWAY | WINDOW_UPDATE | CONTINUATION => {}
                // PRIORITY, SETTINGS, PING, PUSH_PROMISE, and what is unknown.
                _ => self.budget.spend(),
            }
            if self.is_flooding() {
                return at;
            }
            self.pass = frame.len;
        }
    }

    fn is_flooding(&self) -> bool {
        self.budget.is_over
    }
}

/// The part of a HEADERS or CONTINUATION frame that is of the header block; `None` where its padding is wrong.
fn fragment<'frame>(frame: &Frame, whole: &'frame [u8]) -> Option<&'frame [u8]> {
    let mut part = whole.get(FRAME_HEAD..)?;
    if frame.kind != HEADERS {
        return Some(part);
    }
    let mut padding = 0;
    if frame.flags & PADDED != 0 {
        let (first, rest) = part.split_first()?;
        (padding, part) = (usize::from(*first), rest);
    }
    if frame.flags & WITH_PRIORITY != 0 {
        part = part.get(5..)?;
    }
    part.get(..part.len().checked_sub(padding)?)
}

/// A header block in its frames: HEADERS, and CONTINUATION up to the one that ends it.
struct Block {
    /// Of all its frames; more than there are bytes when it is not whole.
    len: usize,
}

impl Block {
    /// `None`: these bytes do not start with a header block that could be one.
    fn of(bytes: &[u8]) -> Option<Block> {
        let first = Frame::of(bytes).filter(|first| first.kind == HEADERS)?;
        let (mut at, mut flags) = (first.len, first.flags);
        let mut pieces = 1;
        while flags & END_HEADERS == 0 {
            let Some(next) = bytes.get(at..).and_then(Frame::of) else { return Some(Block { len: at + FRAME_HEAD }) };
            let belongs =
                next.kind == CONTINUATION && next.stream == first.stream && next.len <= FRAME_HEAD + MAX_FRAME;
            if !belongs || at > MAX_BLOCK || pieces == MAX_PIECES {
                // The library knows what to do with it.
                break;
            }
            (at, flags, pieces) = (at + next.len, next.flags, pieces + 1);
        }
        Some(Block { len: at })
    }

    /// The frames to give on in place of `frames`. What was in pieces is put together, since the library takes a fault in a piece for
    /// the connection's; a malformed field becomes what it refuses as one stream's fault, and what leaves its table of fields as it
    /// would be. `None`: give them on as they are.
    fn mended(&self, frames: &[u8]) -> Option<Vec<u8>> {
        let first = Frame::of(frames)?;
        let mut block = Vec::new();
        let mut rest = frames;
        let mut last = 0;
        let mut pieces = 0;
        while let Some(frame) = Frame::of(rest) {
            let (whole, after) = rest.split_at_checked(frame.len)?;
            block.extend_from_slice(fragment(&frame, whole)?);
            last = frame.flags;
            rest = after;
            pieces += 1;
        }
        if last & END_HEADERS == 0 {
            return None;
        }
        if !header_block::is_sound(&block) {
            block = header_block::mended(&block)?;
        } else if pieces == 1 {
            return None;
        }
        let mut out = Vec::with_capacity(block.len() + 2 * FRAME_HEAD);
        // An empty block is a frame too.
        let count = block.len().div_ceil(MAX_FRAME).max(1);
        for index in 0..count {
            let piece = block.chunks(MAX_FRAME).nth(index).unwrap_or_default();
            let kind = if index == 0 { HEADERS } else { CONTINUATION };
            let end_stream = if index == 0 { first.flags & END_STREAM } else { 0 };
            let end_headers = if index + 1 == count { END_HEADERS } else { 0 };
            let [_, a, b, c] = u32::try_from(piece.len()).ok()?.to_be_bytes();
            out.extend_from_slice(&[a, b, c, kind, end_stream | end_headers]);
            out.extend_from_slice(&first.stream);
            out.extend_from_slice(piece);
        }
        Some(out)
    }
}

/// Frames that bring nothing, against those that do. Keep-alive pings, and the pings by which gRPC callers measure the bandwidth
/// while they read answers, stay far within it.
#[derive(Debug)]
struct Budget {
    left: u32,
    bytes_written: usize,
    since: Option<Instant>,
    is_over: bool,
}

impl Budget {
    const FULL: u32 = 1_000;

    /// Given back in a second, whatever else happens.
    const PER_SECOND: f64 = 20.0;

    /// Bytes written that earn one more: well over the size of an acknowledgement, so that these earn nothing.
    const BYTES_EACH: usize = 64;

    fn new() -> Budget {
        Budget { left: Budget::FULL, bytes_written: 0, since: None, is_over: false }
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(Budget::FULL);
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes_written = self.bytes_written.saturating_add(bytes);
        self.earn(u32::try_from(self.bytes_written / Budget::BYTES_EACH).unwrap_or(u32::MAX));
        self.bytes_written %= Budget::BYTES_EACH;
    }

    fn spend(&mut self) {
        if self.left == 0 {
            let since = self.since.map_or(Duration::from_secs(60), |since| since.elapsed());
            self.since = Some(Instant::now());
            self.earn((since.as_secs_f64() * Budget::PER_SECOND) as u32);
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.is_over = true,
        }
    }
}
