//! One stream (RFC 9113 §5.1), and all of those that a connection has.
//!
//! ```text
//!   opened ──▶ both sides open ──▶ one side has ended ──▶ closed: both have, or an error
//! ```
//! A closed stream stays until nobody holds it any more.

use std::collections::HashMap;
use std::fmt;
use std::task::Waker;

use foldhash::fast::RandomState;
use http::HeaderMap;

use super::Reason;
use super::head::ReplyHead;
use super::inbox::Inbox;

/// Why a stream ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The peer reset it.
    Reset(Reason),
    /// The peer broke its rules, and it was reset.
    Malformed(&'static str),
    /// The peer goes away, and has not acted on it (RFC 9113 §6.8).
    GoneAway,
    /// Its connection is no more.
    Lost(Lost),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed it.
    Closed,
    Io(std::io::ErrorKind),
    /// The peer broke its rules.
    Violated(Violation),
    /// We did.
    Left,
}

/// What a peer did against the rules of a whole connection, and what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub reason: Reason,
    pub told: &'static str,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Reset(reason) => write!(f, "it was reset: {reason}"),
            StreamError::Malformed(told) => f.write_str(told),
            StreamError::GoneAway => f.write_str("the peer is going away"),
            StreamError::Lost(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Closed => f.write_str("it was closed"),
            Lost::Io(kind) => kind.fmt(f),
            Lost::Violated(violation) => f.write_str(violation.told),
            Lost::Left => f.write_str("it was given up"),
        }
    }
}

/// A stream's state.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    /// Those who hold it.
    pub(super) handles: u8,
    /// Somebody wants its data.
    pub(super) is_read: bool,
    /// The peer has sent all.
    pub(super) is_done_in: bool,
    /// We have sent all.
    pub(super) is_done_out: bool,
    /// It is among those that wait for the connection.
    pub(super) is_waiting: bool,
    /// When it was called or sent last, in rounds of the connection, and how much it has sent since that began.
    pub(super) round: u64,
    pub(super) sent: usize,
    /// Interim answers that were passed over.
    pub(super) interim: u8,
    /// The head of its answer is still to come.
    pub(super) awaits_head: bool,
    /// Its answer has no body, whatever its head promises.
    pub(super) is_bodiless: bool,
    pub(super) error: Option<StreamError>,
    /// What the peer may still send.
    pub(super) window_in: i64,
    /// What was taken, and the peer has not been told.
    pub(super) untold: u32,
    /// What the peer still takes.
    pub(super) window_out: i64,
    /// What is still to come of the body, if its head promised a length.
    pub(super) left: Option<u64>,
    pub(super) inbox: Inbox,
    pub(super) head: Option<ReplyHead>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Stream {
    pub(super) fn new(id: u32, window_in: u32, window_out: u32) -> Stream {
        Stream {
            id,
            handles: 0,
            is_read: true,
            is_done_in: false,
            is_done_out: false,
            is_waiting: false,
            round: 0,
            sent: 0,
            interim: 0,
            awaits_head: false,
            is_bodiless: false,
            error: None,
            window_in: window_in.into(),
            untold: 0,
            window_out: window_out.into(),
            left: None,
            inbox: Inbox::default(),
            head: None,
            trailers: None,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.error.is_some() || (self.is_done_in && self.is_done_out)
    }

    /// Whether all that the peer sends was taken.
    pub(super) fn is_read_out(&self) -> bool {
        self.is_done_in && self.inbox.is_empty() && self.trailers.is_none() && self.head.is_none()
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// The place of a stream among the others, for as long as it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    slot: u32,
    pub(super) id: u32,
}

/// Streams whose places are kept when there are none.
const FEW: usize = 1;

/// A connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    by_id: HashMap<u32, u32, RandomState>,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn insert(&mut self, stream: Stream) -> Key {
        let id = stream.id;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                if self.slots.is_empty() {
                    // A connection of one call at a time has one place.
                    self.slots.reserve_exact(1);
                }
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(stream);
        }
        self.by_id.insert(id, slot);
        Key { slot, id }
    }

    pub(super) fn remove(&mut self, key: Key) {
        if self.by_id.remove(&key.id).is_none() {
            return;
        }
        if let Some(place) = self.slots.get_mut(key.slot as usize) {
            *place = None;
            self.free.push(key.slot);
        }
        if self.by_id.is_empty() && self.slots.len() > FEW {
            // What a crowd took is not kept for ever.
            *self = Streams::default();
        }
    }

    pub(super) fn find(&self, id: u32) -> Option<Key> {
        self.by_id.get(&id).map(|slot| Key { slot: *slot, id })
    }

    pub(super) fn get(&self, key: Key) -> Option<&Stream> {
        self.slots.get(key.slot as usize)?.as_ref().filter(|stream| stream.id == key.id)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Stream> {
        self.slots.get_mut(key.slot as usize)?.as_mut().filter(|stream| stream.id == key.id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().flatten()
    }

    /// All of them, in no order.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.by_id.iter().map(|(id, slot)| Key { slot: *slot, id: *id }).collect()
    }
}
