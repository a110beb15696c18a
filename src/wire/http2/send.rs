//! What is said to a peer: heads, data as far as its windows go, trailers.

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use http::{HeaderMap, Request, Response};

use super::frame::{self, FrameHead, flag, kind};
use super::hpack::Encoder;
use super::outbox::Outbox;
use super::state::{OUT_ROOM, State};
use super::stream::{Key, Stream};

/// The largest frame that we send, whatever more a peer takes: others wait behind it.
const MOST_FRAME: usize = 64 * 1024;

/// Less than so much at a time is not worth a frame, however many wait.
const LEAST_SHARE: usize = 4 * 1024;

/// Places of streams that are no more among those who wait, which are not worth looking for.
const MOST_STALE: usize = 64;

/// A head's field-block, written as frames (RFC 9113 §4.3). `most`: of one frame.
fn put_block(
    outbox: &mut Outbox,
    encoder: &mut Encoder,
    stream: u32,
    is_last: bool,
    most: usize,
    write: impl FnOnce(&mut Encoder, &mut BytesMut),
) {
    let end = if is_last { flag::END_STREAM } else { 0 };
    let head = |len, kind, flags| FrameHead { len, kind, flags, stream };
    outbox.put(|out| {
        let at = out.len();
        head(0, kind::HEADERS, 0).put(out);
        encoder.begin(out);
        write(encoder, out);
        let len = out.len() - at - frame::HEAD;
        if len <= most {
            if let Some(place) = out.get_mut(at..at + frame::HEAD) {
                place.copy_from_slice(&head(len, kind::HEADERS, end | flag::END_HEADERS).bytes());
            }
            return;
        }
        let block = out.split_off(at + frame::HEAD);
        out.truncate(at);
        let mut pieces = block.chunks(most).peekable();
        let (mut kind, mut flags) = (kind::HEADERS, end);
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            head(piece.len(), kind, flags).put(out);
            out.extend_from_slice(piece);
            (kind, flags) = (kind::CONTINUATION, 0);
        }
    });
}

fn put_fields(encoder: &mut Encoder, fields: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in fields {
        encoder.header(name, value, out);
    }
}

impl State {
    /// How many streams the peer allows at a time; none before its first word.
    pub(super) fn allowed_streams(&self) -> usize {
        if self.has_heard { self.peer.streams as usize } else { 0 }
    }

    /// Whether it takes any more, now or later.
    pub(super) fn takes_streams(&self) -> bool {
        self.lost.is_none() && !self.is_left && self.next_out <= frame::HIGHEST
    }

    /// Sends a request. `is_last`: it has no body.
    pub(super) fn open_out(&mut self, request: &Request<()>, is_last: bool) -> Key {
        let mut stream = Stream::new(self.next_out, self.options.stream_window, self.peer.window);
        self.next_out += 2;
        stream.awaits_head = true;
        stream.is_bodiless = request.method() == http::Method::HEAD;
        stream.is_done_out = is_last;
        let (id, most) = (stream.id, self.peer.frame);
        put_block(&mut self.outbox, &mut self.encoder, id, is_last, most, |encoder, out| {
            let uri = request.uri();
            encoder.method(request.method(), out);
            encoder.scheme(uri.scheme().unwrap_or(&Scheme::HTTP), out);
            if let Some(authority) = uri.authority() {
                encoder.authority(authority.as_str().as_bytes(), out);
            }
            encoder.path(uri.path_and_query().map_or(&b"/"[..], |path| path.as_str().as_bytes()), out);
            put_fields(encoder, request.headers(), out);
        });
        self.touch();
        self.opened(stream)
    }

    /// Sends the head of an answer. False when its stream is no more.
    pub(super) fn answer(&mut self, key: Key, response: &Response<()>, is_last: bool) -> bool {
        self.put_head(key, is_last, |encoder, out| {
            encoder.status(response.status(), out);
            put_fields(encoder, response.headers(), out);
        })
    }

    /// Sends the end. False when its stream is no more.
    pub(super) fn put_trailers(&mut self, key: Key, trailers: &HeaderMap) -> bool {
        self.put_head(key, true, |encoder, out| put_fields(encoder, trailers, out))
    }

    fn put_head(&mut self, key: Key, is_last: bool, write: impl FnOnce(&mut Encoder, &mut BytesMut)) -> bool {
        let most = self.peer.frame;
        let sending = self.streams.get_mut(key).filter(|stream| stream.error.is_none() && !stream.is_done_out);
        let Some(stream) = sending else { return false };
        stream.is_done_out = is_last;
        put_block(&mut self.outbox, &mut self.encoder, key.id, is_last, most, write);
        self.touch();
        if is_last {
            self.ended(key);
        }
        true
    }

    /// The bytes of data that may be sent now.
    pub(super) fn room(&self, stream: &Stream) -> usize {
        let window = usize::try_from(stream.window_out.min(self.window_out)).unwrap_or(0);
        window.min(OUT_ROOM.saturating_sub(self.outbox.len())).min(self.share_of(stream))
    }

    /// What a stream may have while others wait: its share in its turn, and nothing out of it, but where nobody else comes.
    fn share_of(&self, stream: &Stream) -> usize {
        if self.share == usize::MAX || (stream.round != self.round && self.outbox.len() == 0) {
            self.share
        } else if stream.round == self.round {
            self.share.saturating_sub(stream.sent)
        } else {
            0
        }
    }

    /// Puts a stream among those that wait for the connection; in front, if it was its turn and others had taken the room.
    pub(super) fn wait(&mut self, key: Key) {
        let (round, is_shared) = (self.round, self.share < usize::MAX);
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.is_waiting) else { return };
        stream.is_waiting = true;
        self.is_taken_up = true;
        let was_passed_over = is_shared && stream.round == round && stream.sent == 0;
        if self.waiting.len() >= MOST_STALE && self.waiting.len() > 2 * self.streams.len() {
            // Those that are no more.
            let streams = &self.streams;
            self.waiting.retain(|key| streams.get(*key).is_some());
        }
        if was_passed_over { self.waiting.push_front(key) } else { self.waiting.push_back(key) }
    }

    /// Sends of `data` what may be sent now, and with all of it the end if it `is_last`. False when its stream is no more.
    pub(super) fn put_data(&mut self, key: Key, data: &mut Bytes, is_last: bool) -> bool {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.error.is_none() && !stream.is_done_out) else {
            return false;
        };
        let mut room = self.room(stream).min(data.len());
        let before = room;
        let is_all = room == data.len();
        let most = self.peer.frame.min(MOST_FRAME);
        let mut is_ended = false;
        while room > 0 || (is_all && is_last && !is_ended) {
            let len = room.min(most);
            room -= len;
            is_ended = is_all && is_last && room == 0;
            let flags = if is_ended { flag::END_STREAM } else { 0 };
            self.outbox.put(|out| FrameHead { len, kind: kind::DATA, flags, stream: key.id }.put(out));
            self.outbox.put_payload(data.split_to(len));
            if let Some(budgets) = &mut self.budgets {
                budgets.sent(len);
            }
        }
        let sent = i64::try_from(before).unwrap_or(i64::MAX);
        self.window_out -= sent;
        if let Some(stream) = self.streams.get_mut(key) {
            stream.window_out -= sent;
            stream.is_done_out = is_ended;
            if before > 0 {
                stream.sent = if stream.round == self.round { stream.sent.saturating_add(before) } else { before };
                stream.round = self.round;
            }
        }
        if before > 0 || is_ended {
            self.is_taken_up = true;
            self.touch();
        }
        if is_ended {
            self.ended(key);
        }
        true
    }

    /// Calls those who wait for the connection when there is room again, in turn, as many as there is room for: whoever comes first
    /// must not have all of it every time. Nobody waits in vain: while anything is in the outbox it will leave, which calls the next,
    /// and when there is nothing all are called, whosever turn it is.
    pub(super) fn wake_waiting(&mut self) {
        if self.window_out <= 0 || self.outbox.len() > OUT_ROOM / 2 {
            return;
        }
        // Else those who were called before have not come yet, and the room is theirs.
        if std::mem::take(&mut self.is_taken_up) {
            self.call_round();
        }
        if self.outbox.len() == 0 {
            for key in &self.waiting {
                if let Some(stream) = self.streams.get_mut(*key) {
                    stream.wake_writer();
                }
            }
        }
    }

    fn call_round(&mut self) {
        self.share = usize::MAX;
        let mut turns = 1;
        if self.waiting.len() > 1 {
            let window = usize::try_from(self.window_out).unwrap_or(usize::MAX);
            let room = window.min(OUT_ROOM.saturating_sub(self.outbox.len()));
            self.share = (room / self.waiting.len()).max(LEAST_SHARE);
            self.round += 1;
            turns = (room / self.share).max(1);
        }
        while turns > 0
            && let Some(key) = self.waiting.pop_front()
        {
            if let Some(stream) = self.streams.get_mut(key) {
                (stream.round, stream.sent) = (self.round, 0);
                stream.is_waiting = false;
                stream.wake_writer();
                turns -= 1;
            }
        }
    }

    /// Bytes have left.
    pub(super) fn wrote(&mut self, written: usize) {
        self.outbox.wrote(written);
        self.written += written as u64;
        if let Some(budgets) = &mut self.budgets {
            budgets.wrote(written);
        }
        self.wake_waiting();
    }
}
