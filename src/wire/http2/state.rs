//! A connection's state, whichever side of it we are: its streams, its windows, its tables, and what is to be written.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;

use super::Reason;
use super::budget::Budgets;
use super::frame::{self, FrameHead, HIGHEST};
use super::head::{HeadRoom, RequestHead};
use super::hpack::{Decoder, Encoder};
use super::outbox::Outbox;
use super::settings::{self, DEFAULT_WINDOW, Peer};
use super::stream::{Key, Lost, Stream, StreamError, Streams, Violation};

/// Of the table of fields that a peer's encoder may use (RFC 9113 §6.5.2): what holds before a word.
const FIELD_TABLE: usize = 4096;

/// What may wait for the socket before data has to wait: less is more writes, and each wakes the peer.
pub(super) const OUT_ROOM: usize = 512 * 1024;

/// Streams that never reached anybody, kept until they are told; more than these in one turn are not counted.
const MOST_TOLD: usize = 256;

/// The ping that asks whether the first word of going away has arrived.
pub(super) const FAREWELL: [u8; 8] = *b"farewell";

/// Ours, that ask whether the peer is there.
pub(super) const ARE_YOU_THERE: [u8; 8] = *b"are you?";

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `streams`: how many the peer may have open.
    Server {
        streams: u32,
    },
    Client,
}

/// How a connection is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub side: Side,
    /// What the peer may send of one stream before it is taken, from 65,535 bytes.
    pub stream_window: u32,
    /// The same of all of them.
    pub connection_window: u32,
    /// What may be of one head.
    pub head: HeadRoom,
    /// The head's bytes as the peer is told of them, by a setting that only advises.
    pub told_head_bytes: u32,
    /// The peer's frames that bring nothing are bounded.
    pub is_guarded: bool,
    /// What the time is.
    pub clock: fn() -> Instant,
}

/// A stream that was ended before it reached anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// There are too many at a time.
    Refused,
    Malformed(&'static str),
}

/// A stream that the peer has opened.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) key: Key,
    pub(super) head: Box<RequestHead>,
}

/// A DATA frame that is not all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Under {
    /// `None`: nobody wants it.
    pub(super) key: Option<Key>,
    pub(super) left: usize,
    pub(super) padding: usize,
    pub(super) is_last: bool,
}

/// A header block that is not all there.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) head: FrameHead,
    pub(super) bytes: BytesMut,
    pub(super) pieces: usize,
}

/// How far we are in going away (RFC 9113 §6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// The peer was told that we will, and may not have heard it.
    Announced,
    /// It was told which streams are the last.
    Told,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) peer: Peer,
    /// The peer has said its first word.
    pub(super) has_heard: bool,
    /// Since this was last asked it has said how many streams it takes: by settings, or by going away.
    pub(super) has_news: bool,
    pub(super) preface: usize,
    pub(super) data: Option<Under>,
    pub(super) block: Option<Box<Block>>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) streams: Streams,
    /// Those that are not closed.
    pub(super) open: usize,
    /// The highest that the peer opened.
    pub(super) last_in: u32,
    /// The next that we open.
    pub(super) next_out: u32,
    pub(super) arrived: VecDeque<Arrived>,
    pub(super) unserved: Vec<Unserved>,
    pub(super) window_in: i64,
    pub(super) untold: u32,
    pub(super) window_out: i64,
    pub(super) outbox: Outbox,
    /// Streams that wait for the connection's window, or for room in the outbox.
    pub(super) waiting: VecDeque<Key>,
    /// How often those who wait were called, and what each may send until they are again.
    pub(super) round: u64,
    pub(super) share: usize,
    /// Whether anybody has sent or waited since the streams of this round were called.
    pub(super) is_taken_up: bool,
    /// Bytes that have left.
    pub(super) written: u64,
    /// Streams that we reset last: what is said of them crossed our reset.
    pub(super) recent: [u32; 32],
    pub(super) next_recent: usize,
    pub(super) leaving: Leaving,
    /// The peer takes no more streams.
    pub(super) is_left: bool,
    /// Nothing has come since we asked whether the peer is there.
    pub(super) awaits_word: bool,
    pub(super) lost: Option<Lost>,
    pub(super) budgets: Option<Box<Budgets>>,
    /// They are used up.
    pub(super) is_flooded: bool,
    /// Whoever reads and writes.
    pub(super) driver: Option<Waker>,
    /// The driver is at it, or is on its way.
    pub(super) is_attended: bool,
}

impl State {
    pub(super) fn new(mut options: Options) -> State {
        // RFC 9113 §6.9.1, and what a peer may take for granted before our first word.
        options.stream_window = options.stream_window.min(HIGHEST);
        options.connection_window = options.connection_window.clamp(DEFAULT_WINDOW, HIGHEST);
        let is_server = matches!(options.side, Side::Server { .. });
        let mut outbox = Outbox::default();
        outbox.put(|out| {
            let streams = match options.side {
                Side::Server { streams } => Some(streams),
                Side::Client => {
                    out.extend_from_slice(frame::PREFACE);
                    None
                }
            };
            settings::put(streams, options.stream_window, options.told_head_bytes, out);
            if let Some(more) = options.connection_window.checked_sub(DEFAULT_WINDOW).filter(|more| *more > 0) {
                frame::put_window_update(0, more, out);
            }
        });
        State {
            peer: Peer::default(),
            has_heard: false,
            has_news: false,
            preface: if is_server { frame::PREFACE.len() } else { 0 },
            data: None,
            block: None,
            decoder: Decoder::new(FIELD_TABLE),
            encoder: Encoder::new(),
            streams: Streams::default(),
            open: 0,
            last_in: 0,
            next_out: 1,
            arrived: VecDeque::new(),
            unserved: Vec::new(),
            window_in: options.connection_window.into(),
            untold: 0,
            window_out: DEFAULT_WINDOW.into(),
            outbox,
            waiting: VecDeque::new(),
            round: 0,
            share: usize::MAX,
            is_taken_up: true,
            written: 0,
            recent: [0; 32],
            next_recent: 0,
            leaving: Leaving::No,
            is_left: false,
            awaits_word: false,
            lost: None,
            budgets: options.is_guarded.then(|| Box::new(Budgets::new(options.clock))),
            is_flooded: false,
            driver: None,
            is_attended: false,
            options,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self.options.side, Side::Server { .. })
    }

    /// Lets the driver know that there is something to write, or to see.
    pub(super) fn touch(&mut self) {
        if !self.is_attended {
            self.is_attended = true;
            if let Some(driver) = &self.driver {
                driver.wake_by_ref();
            }
        }
    }

    pub(super) fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.outbox.put(write);
        self.touch();
    }

    pub(super) fn tell(&mut self, unserved: Unserved) {
        if self.unserved.len() < MOST_TOLD {
            self.unserved.push(unserved);
        }
    }

    /// A stream is held by nobody any more.
    pub(super) fn let_go(&mut self, key: Key) {
        let is_server = self.is_server();
        let Some(stream) = self.streams.get_mut(key) else { return };
        if !stream.is_closed() {
            // RFC 9113 §8.1: a whole answer needs no more of the request.
            let reason = if is_server && stream.is_done_out { Reason::NO_ERROR } else { Reason::CANCEL };
            self.reset(key, reason, StreamError::Reset(reason));
        }
        if let Some(stream) = self.streams.get_mut(key) {
            let left = stream.inbox.clear();
            self.streams.remove(key);
            self.release(left);
        }
        if self.leaving != Leaving::No || self.is_left {
            self.touch();
        }
    }

    /// Ends a stream by our own will, with `error` for those who hold it.
    pub(super) fn reset(&mut self, key: Key, reason: Reason, error: StreamError) {
        if self.fail(key, error) {
            self.remember(key.id);
            self.put(|out| frame::put_reset(key.id, reason, out));
        }
    }

    /// A stream is about to be reset.
    pub(super) fn remember(&mut self, id: u32) {
        if let Some(place) = self.recent.get_mut(self.next_recent) {
            *place = id;
        }
        self.next_recent = (self.next_recent + 1) % self.recent.len();
    }

    /// Closes a stream. False when it was closed.
    pub(super) fn fail(&mut self, key: Key, error: StreamError) -> bool {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.is_closed()) else { return false };
        stream.error = Some(error);
        stream.wake_reader();
        stream.wake_writer();
        // If it was called, it does not come any more.
        self.is_taken_up = true;
        let is_held = stream.handles > 0;
        self.open = self.open.saturating_sub(1);
        if !is_held {
            self.arrived.retain(|arrived| arrived.key != key);
            let left = self.streams.get_mut(key).map_or(0, |stream| stream.inbox.clear());
            self.streams.remove(key);
            self.release(left);
        }
        true
    }

    /// One side of a stream has ended well.
    pub(super) fn ended(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.is_closed() {
            self.open = self.open.saturating_sub(1);
        }
    }

    /// The connection is no more.
    pub(super) fn lose(&mut self, lost: Lost) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(lost);
        for key in self.streams.keys() {
            self.fail(key, StreamError::Lost(lost));
        }
        self.arrived.clear();
        self.waiting.clear();
        self.touch();
    }

    /// The peer broke the rules: it is told, and the connection ends.
    pub(super) fn accuse(&mut self, violation: Violation) {
        let last = self.last_in;
        self.put(|out| frame::put_goaway(last, violation.reason, out));
        self.lose(Lost::Violated(violation));
    }

    /// Tells the peer to open no more streams: first that it will be so, and which are the last when it must have heard that.
    pub(super) fn leave(&mut self) {
        if self.leaving == Leaving::No && self.lost.is_none() {
            self.leaving = Leaving::Announced;
            self.put(|out| {
                frame::put_goaway(HIGHEST, Reason::NO_ERROR, out);
                frame::put_ping(0, FAREWELL, out);
            });
        }
    }

    /// Ends it now, behind what waits.
    pub(super) fn break_off(&mut self, reason: Reason) {
        if self.lost.is_some() {
            return;
        }
        let last = self.last_in;
        self.put(|out| frame::put_goaway(last, reason, out));
        self.lose(Lost::Left);
    }

    /// `len` bytes of data were taken, or dropped: the peer may send as many more on the connection.
    pub(super) fn release(&mut self, len: usize) {
        self.untold = self.untold.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        // Half of what is left, not of all: what others hold unread must not keep the rest from those who read. Not for each crumb,
        // as long as a frame still goes in.
        let frame = i64::try_from(frame::DEFAULT_SIZE).unwrap_or(i64::MAX);
        let is_due =
            i64::from(self.untold) >= (self.window_in / 2).max(frame) || (self.untold > 0 && self.window_in < frame);
        if is_due && self.lost.is_none() {
            let untold = std::mem::take(&mut self.untold);
            self.window_in += i64::from(untold);
            self.put(|out| frame::put_window_update(0, untold, out));
        }
    }

    /// The same on a stream.
    pub(super) fn release_of(&mut self, key: Key, len: usize) {
        self.release(len);
        let half = self.options.stream_window / 2;
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.is_done_in && stream.error.is_none())
        else {
            return;
        };
        stream.untold = stream.untold.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        if stream.untold >= half {
            let untold = std::mem::take(&mut stream.untold);
            stream.window_in += i64::from(untold);
            self.put(|out| frame::put_window_update(key.id, untold, out));
        }
    }

    pub(super) fn opened(&mut self, stream: Stream) -> Key {
        self.open += 1;
        self.streams.insert(stream)
    }
}
