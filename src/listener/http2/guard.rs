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
        let frames = Frames::after(PREFACE);
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
            self.frames.opened();
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
        self.frames.wrote(written);
        let mut left = written;
        for piece in pieces {
            let sent = piece.get(..left).unwrap_or(piece);
            self.outgoing.look(sent, &self.sight);
            left -= sent.len();
        }
        self.frames.upkeep.earn(self.outgoing.take_upkeep());
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

pub(super) const DATA: u8 = 0;
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
    /// For frames that bring nothing. Keep-alive pings, and the pings by which gRPC callers measure the bandwidth while they read
    /// answers, stay far within it.
    budget: Budget,
    bytes_written: usize,
    /// For frames that keep an exchange going: windows, as data is read, and resets.
    upkeep: Budget,
}

impl Frames {
    /// Bytes written that earn one more: well over the size of an acknowledgement, so that these earn nothing.
    const BYTES_EACH: usize = 64;

    /// A stream's one reset, and what some gRPC callers say of its window before an answer and as messages are wanted.
    const UPKEEP_OF_STREAM: u32 = 8;

    /// Each costs the library a look at every stream. Once or twice is lawful (RFC 9113 §6.8).
    const GOAWAY_PRICE: u32 = 100;

    /// `pass`: bytes before the first frame.
    fn after(pass: usize) -> Frames {
        Frames { pass, budget: Budget::new(Budget::FULL), bytes_written: 0, upkeep: Budget::new(u32::MAX) }
    }

    fn opened(&mut self) {
        self.budget.earn(1);
        self.upkeep.earn(Frames::UPKEEP_OF_STREAM);
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes_written = self.bytes_written.saturating_add(bytes);
        self.budget.earn(u32::try_from(self.bytes_written / Frames::BYTES_EACH).unwrap_or(u32::MAX));
        self.bytes_written %= Frames::BYTES_EACH;
    }

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
                    self.opened();
                }
                DATA => self.budget.earn(1),
                // The library does not take these.
                HEADERS | CONTINUATION => {}
                // Of streams that are no more they are passed over there, and so are without end.
                RST_STREAM | WINDOW_UPDATE => self.upkeep.spend(1),
                GOAWAY => self.budget.spend(Frames::GOAWAY_PRICE),
                // PRIORITY, SETTINGS, PING, PUSH_PROMISE, and what is unknown.
                _ => self.budget.spend(1),
            }
            if self.is_flooding() {
                return at;
            }
            self.pass = frame.len;
        }
    }

    fn is_flooding(&self) -> bool {
        self.budget.is_over || self.upkeep.is_over
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

/// Frames that only cost work, against what earns them.
#[derive(Debug)]
struct Budget {
    left: u32,
    most: u32,
    since: Option<Instant>,
    is_over: bool,
}

impl Budget {
    /// What it begins with.
    const FULL: u32 = 1_000;

    /// Given back in a second, whatever else happens.
    const PER_SECOND: f64 = 20.0;

    /// `most`: what can be saved up.
    fn new(most: u32) -> Budget {
        Budget { left: Budget::FULL.min(most), most, since: None, is_over: false }
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(self.most);
    }

    fn spend(&mut self, price: u32) {
        if self.left < price {
            let since = self.since.map_or(Duration::from_secs(60), |since| since.elapsed());
            self.since = Some(Instant::now());
            self.earn(((since.as_secs_f64() * Budget::PER_SECOND) as u32).min(Budget::FULL));
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        match self.left.checked_sub(price) {
            Some(left) => self.left = left,
            None => self.is_over = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn update(stream: u32) -> Vec<u8> {
        frame(WINDOW_UPDATE, stream, &1_u32.to_be_bytes())
    }

    /// Whether `many` of them are taken.
    fn are_taken(frames: &mut Frames, one: &[u8], many: usize) -> bool {
        (0..many).all(|_| frames.look(one) == one.len() && !frames.is_flooding())
    }

    #[tokio::test(start_paused = true)]
    async fn windows_and_resets_are_held_to_what_was_exchanged() {
        for one in [update(0), update(7), frame(RST_STREAM, 7, &[0; 4])] {
            assert!(are_taken(&mut Frames::after(0), &one, 1_000));
            assert!(!are_taken(&mut Frames::after(0), &one, 1_001));
        }
        // Each stream has its reset and more, however many there were at once.
        let mut frames = Frames::after(0);
        (0..10_000).for_each(|_| frames.opened());
        assert!(are_taken(&mut frames, &frame(RST_STREAM, 7, &[0; 4]), 10_000));
        assert!(are_taken(&mut frames, &update(7), 70_000));
        assert!(!are_taken(&mut frames, &update(7), 1_001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_may_say_so_for_each_piece_of_an_answer_now_or_later() {
        // Tiny messages, each in a frame of its own, and whole frames that are read in pieces of 1 KiB: a window for the stream and one
        // for the connection.
        for (length, updates) in [(7, 2), (16 * 1024, 2 * 16)] {
            let (mut frames, mut outgoing) = (Frames::after(0), Outgoing::default());
            let sent = frame(DATA, 1, &vec![0; length]);
            for _ in 0..5_000 {
                outgoing.look(&sent, &Sight::default());
                frames.wrote(sent.len());
            }
            frames.upkeep.earn(outgoing.take_upkeep());
            assert!(are_taken(&mut frames, &update(1), updates * 5_000), "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_farewell_may_be_said_twice_and_not_for_ever() {
        let farewell = frame(GOAWAY, 0, &[0; 8]);
        let mut frames = Frames::after(0);
        assert!(are_taken(&mut frames, &farewell, 2));
        assert!(!are_taken(&mut frames, &farewell, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_spent_comes_back_with_time() {
        let mut frames = Frames::after(0);
        assert!(are_taken(&mut frames, &update(0), 1_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(are_taken(&mut frames, &update(0), 100));
        assert!(!are_taken(&mut frames, &update(0), 1));
    }
}
