//! What a peer says, frame by frame (RFC 9113 §6). A fault of one stream ends that stream; what makes the rest unreadable, or is said of
//! the whole connection, ends it all.

use bytes::BytesMut;

use super::Reason;
use super::frame::{self, DEFAULT_SIZE, FrameHead, HIGHEST, flag, kind, unpadded};
use super::head::{Gathered, promised};
use super::input::Input;
use super::state::{Arrived, Block, FAREWELL, Leaving, Ping, Side, State, Under, Unserved};
use super::stream::{Key, Stream, StreamError, Violation};

/// A header block in pieces may have so many bytes, or twice what a head may be, and so many pieces.
const BLOCK_BYTES: usize = 128 * 1024;
const BLOCK_PIECES: usize = 32;

/// Interim answers to one call. More are no help to anybody, and each is a head to parse.
const INTERIM_HEADS: u8 = 16;

type Heard = Result<(), Violation>;

fn violated<T>(reason: Reason, told: &'static str) -> Result<T, Violation> {
    Err(Violation { reason, told })
}

fn broken<T>(told: &'static str) -> Result<T, Violation> {
    violated(Reason::PROTOCOL_ERROR, told)
}

fn is_flooding<T>() -> Result<T, Violation> {
    violated(Reason::ENHANCE_YOUR_CALM, "too many frames that bring nothing")
}

impl State {
    /// Takes all that is whole in `input`; what is left is the beginning of a frame.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn receive(&mut self, input: &mut Input<'_>) -> Heard {
        while self.lost.is_none() {
            if self.preface > 0 {
                let (there, from) = (input.peek(), frame::PREFACE.len() - self.preface);
                let step = there.len().min(self.preface);
                if there.get(..step) != frame::PREFACE.get(from..from + step) {
                    return broken("no HTTP/2 preface");
                }
                self.preface -= step;
                input.skip(step);
            }
            if let Some(under) = self.data {
                if !self.take_data(under, input)? {
                    return Ok(());
                }
                continue;
            }
            let there = input.peek();
            let Some(head) = FrameHead::read(there) else { return Ok(()) };
            self.check(&head)?;
            if head.kind == kind::DATA {
                let Some(begun) = self.begin_data(&head, there)? else { return Ok(()) };
                input.skip(begun);
                continue;
            }
            let Some(payload) = there.get(frame::HEAD..frame::HEAD + head.len) else { return Ok(()) };
            self.take_frame(&head, payload)?;
            input.skip(frame::HEAD + head.len);
        }
        let rest = input.peek().len();
        input.skip(rest);
        Ok(())
    }

    /// What must hold of every frame.
    fn check(&mut self, head: &FrameHead) -> Heard {
        if head.len > DEFAULT_SIZE {
            return violated(Reason::FRAME_SIZE_ERROR, "a frame over 16 KiB");
        }
        // RFC 9113 §3.4.
        if !self.has_heard && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return broken("the first frame is not SETTINGS");
        }
        match &self.block {
            Some(block) if head.kind != kind::CONTINUATION || head.stream != block.head.stream => {
                broken("a frame in the middle of a header block")
            }
            None if head.kind == kind::CONTINUATION => broken("a CONTINUATION of nothing"),
            _ => Ok(()),
        }
    }

    fn take_frame(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        match head.kind {
            kind::HEADERS => self.take_headers(head, payload),
            kind::CONTINUATION => self.take_continuation(head, payload),
            kind::RST_STREAM => self.take_reset(head, payload),
            kind::WINDOW_UPDATE => self.take_window(head, payload),
            kind::SETTINGS => self.take_settings(head, payload),
            kind::PING => self.take_ping(head, payload),
            kind::GOAWAY => self.take_goaway(head, payload),
            kind::PUSH_PROMISE => broken("a push that nobody wanted"),
            kind::PRIORITY if head.stream == 0 => broken("PRIORITY on stream 0"),
            kind::PRIORITY if payload.len() != 5 => {
                self.spend()?;
                match self.streams.find(head.stream) {
                    Some(key) => self.malformed(key, Reason::FRAME_SIZE_ERROR, "a PRIORITY frame of a wrong length"),
                    None => self.put(|out| frame::put_reset(head.stream, Reason::FRAME_SIZE_ERROR, out)),
                }
                Ok(())
            }
            // PRIORITY, and what is unknown (RFC 9113 §5.5).
            _ => self.spend(),
        }
    }

    fn spend(&mut self) -> Heard {
        if self.budgets.as_mut().is_none_or(|budgets| budgets.spend()) { Ok(()) } else { is_flooding() }
    }

    fn spend_upkeep(&mut self) -> Heard {
        if self.budgets.as_mut().is_none_or(|budgets| budgets.spend_upkeep()) { Ok(()) } else { is_flooding() }
    }

    /// Whether a stream was never opened (RFC 9113 §5.1.1).
    fn is_idle(&self, id: u32) -> bool {
        let is_ours = (id % 2 == 1) != self.is_server();
        if is_ours { id >= self.next_out } else { id > self.last_in }
    }

    /// Ends a stream whose peer broke its rules.
    fn malformed(&mut self, key: Key, reason: Reason, told: &'static str) {
        if self.streams.get(key).is_some_and(|stream| stream.handles == 0) {
            self.tell(Unserved::Malformed(told));
        }
        self.reset(key, reason, StreamError::Malformed(told));
    }

    /// A frame came for a stream that is no more. Whoever goes on after we have reset it may not have heard of that.
    fn take_late(&mut self, id: u32) -> Heard {
        if self.recent.contains(&id) || self.leaving == Leaving::Told {
            return Ok(());
        }
        self.spend()?;
        self.put(|out| frame::put_reset(id, Reason::STREAM_CLOSED, out));
        Ok(())
    }

    // --- DATA (§6.1)

    /// Bytes of `there` that come before the data; `None`: not all of them are there.
    fn begin_data(&mut self, head: &FrameHead, there: &[u8]) -> Result<Option<usize>, Violation> {
        let mut padding = 0;
        let mut begun = frame::HEAD;
        if head.has(flag::PADDED) && head.len > 0 {
            let Some(first) = there.get(begun) else { return Ok(None) };
            (padding, begun) = (usize::from(*first), begun + 1);
        }
        let Some(left) = (frame::HEAD + head.len).checked_sub(begun + padding) else {
            return broken("padding that is longer than its frame");
        };
        if head.stream == 0 || self.is_idle(head.stream) {
            return broken("data on a stream that nobody opened");
        }
        if head.has(flag::PADDED) && head.len == 0 {
            return broken("padding that is longer than its frame");
        }
        let is_last = head.has(flag::END_STREAM);
        if left > 0 || is_last {
            if let Some(budgets) = &mut self.budgets {
                budgets.fed();
            }
        } else {
            self.spend()?;
        }
        // RFC 9113 §6.9.1: the whole payload counts.
        let size = i64::try_from(head.len).unwrap_or(i64::MAX);
        self.window_in -= size;
        if self.window_in < 0 {
            return violated(Reason::FLOW_CONTROL_ERROR, "more data than the connection's window allows");
        }
        match self.streams.find(head.stream) {
            Some(key) => self.count_data(key, size, left, is_last),
            None => self.take_late(head.stream)?,
        }
        let overhead = begun - frame::HEAD + padding;
        if overhead > 0 {
            match self.streams.find(head.stream) {
                Some(key) => self.release_of(key, overhead),
                None => self.release(overhead),
            }
        }
        self.data = Some(Under { stream: head.stream, left, padding, is_last });
        Ok(Some(begun))
    }

    /// Holds a frame against its stream: `size` bytes of the window, `len` of the body.
    fn count_data(&mut self, key: Key, size: i64, len: usize, is_last: bool) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.error.is_none()) else { return };
        stream.window_in -= size;
        let left = stream.left.map(|left| left.checked_sub(len as u64));
        stream.left = left.flatten();
        if stream.is_done_in {
            return self.malformed(key, Reason::STREAM_CLOSED, "data behind the end of a stream");
        }
        if stream.awaits_head {
            return self.malformed(key, Reason::PROTOCOL_ERROR, "data in front of the head");
        }
        if stream.window_in < 0 {
            return self.malformed(key, Reason::FLOW_CONTROL_ERROR, "more data than the stream's window allows");
        }
        if left == Some(None) || (is_last && stream.left.is_some_and(|left| left > 0)) {
            self.malformed(key, Reason::PROTOCOL_ERROR, "the body is not as long as its content-length");
        }
    }

    /// Takes what there is of a DATA frame. Whether that was all of it.
    fn take_data(&mut self, under: Under, input: &mut Input<'_>) -> Result<bool, Violation> {
        let step = under.left.min(input.peek().len());
        let key = self.streams.find(under.stream);
        if step > 0 {
            let taker = key.and_then(|key| self.streams.get_mut(key));
            match taker.filter(|stream| stream.is_read && stream.error.is_none()) {
                Some(stream) => {
                    input.feed(step, |piece| stream.inbox.put(piece));
                    stream.wake_reader();
                }
                None => {
                    input.skip(step);
                    match key {
                        Some(key) => self.release_of(key, step),
                        None => self.release(step),
                    }
                }
            }
        }
        let left = under.left - step;
        let padding = if left == 0 { under.padding.min(input.peek().len()) } else { 0 };
        input.skip(padding);
        let under = Under { left, padding: under.padding - padding, ..under };
        if under.left > 0 || under.padding > 0 {
            self.data = Some(under);
            return Ok(false);
        }
        self.data = None;
        if let Some(key) = key.filter(|_| under.is_last) {
            self.end_in(key);
        }
        Ok(true)
    }

    /// The peer has sent all of a stream.
    fn end_in(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.error.is_none()) else { return };
        if stream.left.is_some_and(|left| left > 0) {
            return self.malformed(key, Reason::PROTOCOL_ERROR, "the body is not as long as its content-length");
        }
        stream.is_done_in = true;
        stream.wake_reader();
        self.ended(key);
    }

    // --- HEADERS and CONTINUATION (§6.2, §6.10)

    fn take_headers(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        let Some(block) = unpadded(head, payload) else { return broken("padding that is longer than its frame") };
        if head.stream == 0 {
            return broken("HEADERS on stream 0");
        }
        if head.has(flag::END_HEADERS) {
            return self.take_block(head, block);
        }
        self.block = Some(Box::new(Block { head: *head, bytes: BytesMut::from(block), pieces: 1 }));
        Ok(())
    }

    fn take_continuation(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        let Some(block) = &mut self.block else { return broken("a CONTINUATION of nothing") };
        block.bytes.extend_from_slice(payload);
        block.pieces += 1;
        if block.bytes.len() > BLOCK_BYTES.max(2 * self.options.head.bytes) || block.pieces > BLOCK_PIECES {
            return violated(Reason::ENHANCE_YOUR_CALM, "a header block in too many pieces, or too large");
        }
        if head.has(flag::END_HEADERS)
            && let Some(block) = self.block.take()
        {
            return self.take_block(&block.head, &block.bytes);
        }
        Ok(())
    }

    fn take_block(&mut self, head: &FrameHead, block: &[u8]) -> Heard {
        if let Some(key) = self.streams.find(head.stream) {
            return self.take_more(key, head, block);
        }
        let is_server = self.is_server();
        if self.is_idle(head.stream) {
            if is_server && head.stream % 2 == 1 {
                return self.open_in(head, block);
            }
            return broken("a head on a stream that nobody opened");
        }
        if is_server && !head.has(flag::END_STREAM) && !self.recent.contains(&head.stream) {
            // RFC 9113 §5.1.1.
            return broken("a new stream whose number is not above those before it");
        }
        self.decode(block, None)?;
        self.take_late(head.stream)
    }

    /// Decodes a block, into nothing if nobody wants it: the table has to keep in step.
    fn decode(&mut self, block: &[u8], gathered: Option<&mut Gathered>) -> Heard {
        let decoded = match gathered {
            Some(gathered) => self.decoder.decode(block, &mut |field| gathered.take(field)),
            None => self.decoder.decode(block, &mut |_| {}),
        };
        decoded.or_else(|_| violated(Reason::COMPRESSION_ERROR, "a header block that is no HPACK"))
    }

    /// A request.
    fn open_in(&mut self, head: &FrameHead, block: &[u8]) -> Heard {
        if self.leaving == Leaving::Told {
            return self.decode(block, None);
        }
        self.last_in = head.stream;
        let mut gathered = Gathered::new(self.options.head);
        self.decode(block, Some(&mut gathered))?;
        if let Some(budgets) = &mut self.budgets {
            budgets.opened();
        }
        if let Side::Server { streams } = self.options.side
            && self.open >= streams as usize
        {
            self.tell(Unserved::Refused);
            self.put(|out| frame::put_reset(head.stream, Reason::REFUSED_STREAM, out));
            return Ok(());
        }
        let is_done = head.has(flag::END_STREAM);
        let request = gathered.into_request().and_then(|request| {
            // What is no length is refused by an answer, as any other field is.
            let left = promised(&request.fields).ok().flatten();
            let is_short = is_done && left.is_some_and(|left| left > 0);
            if is_short { Err("the body is not as long as its content-length") } else { Ok((request, left)) }
        });
        match request {
            Ok((request, left)) => {
                let mut stream = Stream::new(head.stream, self.options.stream_window, self.peer.window);
                (stream.left, stream.is_done_in) = (left, is_done);
                let key = self.opened(stream);
                self.arrived.push_back(Arrived { key, head: Box::new(request) });
            }
            Err(told) => {
                self.tell(Unserved::Malformed(told));
                self.put(|out| frame::put_reset(head.stream, Reason::PROTOCOL_ERROR, out));
            }
        }
        Ok(())
    }

    /// An answer's head, or trailers.
    fn take_more(&mut self, key: Key, head: &FrameHead, block: &[u8]) -> Heard {
        let mut gathered = Gathered::new(self.options.head);
        self.decode(block, Some(&mut gathered))?;
        let is_last = head.has(flag::END_STREAM);
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.error.is_none()) else { return Ok(()) };
        if stream.is_done_in {
            self.malformed(key, Reason::STREAM_CLOSED, "a head behind the end of a stream");
        } else if stream.awaits_head {
            self.take_answer(key, gathered, is_last);
        } else if !is_last {
            self.malformed(key, Reason::PROTOCOL_ERROR, "trailers that are not the end");
        } else {
            match gathered.into_trailers() {
                Ok(trailers) => {
                    stream.trailers = Some(trailers).filter(|trailers| !trailers.is_empty() && stream.is_read);
                    self.end_in(key);
                }
                Err(told) => self.malformed(key, Reason::PROTOCOL_ERROR, told),
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, key: Key, gathered: Gathered, is_last: bool) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let reply = match gathered.into_reply() {
            Ok(reply) => reply,
            Err(told) => return self.malformed(key, Reason::PROTOCOL_ERROR, told),
        };
        if reply.status.is_informational() {
            stream.interim += 1;
            if is_last {
                self.malformed(key, Reason::PROTOCOL_ERROR, "an interim answer that is the end");
            } else if stream.interim > INTERIM_HEADS {
                self.malformed(key, Reason::ENHANCE_YOUR_CALM, "more than 16 interim answers");
            }
            return;
        }
        let is_bodiless = stream.is_bodiless || matches!(reply.status.as_u16(), 204 | 304);
        match promised(&reply.fields) {
            Ok(left) => stream.left = left.filter(|_| !is_bodiless),
            Err(told) => return self.malformed(key, Reason::PROTOCOL_ERROR, told),
        }
        stream.awaits_head = false;
        stream.head = Some(reply);
        stream.wake_reader();
        if is_last {
            self.end_in(key);
        }
    }

    // --- the rest

    /// RST_STREAM (§6.4).
    fn take_reset(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        let Some(code) = number(payload) else {
            return violated(Reason::FRAME_SIZE_ERROR, "a RST_STREAM frame of a wrong length");
        };
        if head.stream == 0 || self.is_idle(head.stream) {
            return broken("a reset of a stream that nobody opened");
        }
        self.spend_upkeep()?;
        if let Some(key) = self.streams.find(head.stream) {
            self.fail(key, StreamError::Reset(Reason(code)));
        }
        Ok(())
    }

    /// WINDOW_UPDATE (§6.9).
    fn take_window(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        let Some(increment) = number(payload).map(|number| number & HIGHEST) else {
            return violated(Reason::FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame of a wrong length");
        };
        self.spend_upkeep()?;
        if head.stream == 0 {
            if increment == 0 {
                return broken("a window that is opened by nothing");
            }
            self.window_out += i64::from(increment);
            if self.window_out > HIGHEST.into() {
                return violated(Reason::FLOW_CONTROL_ERROR, "a window over its limit");
            }
            self.wake_waiting();
            return Ok(());
        }
        if self.is_idle(head.stream) {
            return broken("a window of a stream that nobody opened");
        }
        let Some(key) = self.streams.find(head.stream) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.error.is_none()) else { return Ok(()) };
        stream.window_out += i64::from(increment);
        if increment == 0 {
            self.malformed(key, Reason::PROTOCOL_ERROR, "a window that is opened by nothing");
        } else if stream.window_out > HIGHEST.into() {
            self.malformed(key, Reason::FLOW_CONTROL_ERROR, "a window over its limit");
        } else if stream.window_out > 0 {
            stream.wake_writer();
        }
        Ok(())
    }

    /// SETTINGS (§6.5).
    fn take_settings(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        if head.stream != 0 {
            return broken("SETTINGS on a stream");
        }
        self.spend()?;
        if head.has(flag::ACK) {
            return if payload.is_empty() {
                Ok(())
            } else {
                violated(Reason::FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that says something")
            };
        }
        let before = self.peer.window;
        let heard = self.peer.hear(payload, !self.is_server());
        heard.map_err(|(reason, told)| Violation { reason, told })?;
        if let Some(size) = self.peer.header_table {
            self.encoder.set_max_table(size);
        }
        // RFC 9113 §6.9.2: of every stream, and below nothing if need be.
        let more = i64::from(self.peer.window) - i64::from(before);
        if more != 0 {
            for stream in self.streams.iter_mut() {
                stream.window_out += more;
                if stream.window_out > HIGHEST.into() {
                    return violated(Reason::FLOW_CONTROL_ERROR, "a window over its limit");
                }
                if stream.window_out > 0 {
                    stream.wake_writer();
                }
            }
        }
        (self.has_heard, self.has_new_settings) = (true, true);
        self.put(|out| FrameHead { len: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.put(out));
        Ok(())
    }

    /// PING (§6.7).
    fn take_ping(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        if head.stream != 0 {
            return broken("PING on a stream");
        }
        let Ok(payload) = <[u8; 8]>::try_from(payload) else {
            return violated(Reason::FRAME_SIZE_ERROR, "a PING frame of a wrong length");
        };
        self.spend()?;
        if !head.has(flag::ACK) {
            self.put(|out| frame::put_ping(flag::ACK, payload, out));
        } else if payload == FAREWELL && self.leaving == Leaving::Announced {
            self.leaving = Leaving::Told;
            let last = self.last_in;
            self.put(|out| frame::put_goaway(last, Reason::NO_ERROR, out));
        } else if payload == super::state::ARE_YOU_THERE && self.ping == Ping::Sent {
            self.ping = Ping::Answered;
        }
        Ok(())
    }

    /// GOAWAY (§6.8).
    fn take_goaway(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        if head.stream != 0 {
            return broken("GOAWAY on a stream");
        }
        let Some(last) = payload.get(..4).filter(|_| payload.len() >= 8).and_then(number) else {
            return violated(Reason::FRAME_SIZE_ERROR, "a GOAWAY frame of a wrong length");
        };
        if !self.budgets.as_mut().is_none_or(|budgets| budgets.spend_goaway()) {
            return is_flooding();
        }
        self.is_left = true;
        if !self.is_server() {
            for key in self.streams.keys() {
                if key.id > last & HIGHEST {
                    self.fail(key, StreamError::GoneAway);
                }
            }
        }
        Ok(())
    }
}

/// A payload that is one number.
fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.try_into().ok()?))
}
