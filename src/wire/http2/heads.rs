//! HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10): requests, answers and trailers.

use bytes::BytesMut;

use super::Reason;
use super::frame::{self, FrameHead, flag, unpadded};
use super::head::{Gathered, promised};
use super::receive::{Heard, broken, violated};
use super::state::{Arrived, Block, Side, State, Unserved};
use super::stream::{Key, Stream, Violation};

/// A header block in pieces may have so many bytes, or twice what a head may be, and so many pieces.
const BLOCK_BYTES: usize = 128 * 1024;
const BLOCK_PIECES: usize = 32;

/// Interim answers to one call. More are no help to anybody, and each is a head to parse.
const INTERIM_HEADS: u8 = 16;

impl State {
    pub(super) fn take_headers(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
        if head.stream == 0 {
            return broken("HEADERS on stream 0");
        }
        let block = unpadded(head, payload).map_err(|(reason, told)| Violation { reason, told })?;
        if head.has(flag::END_HEADERS) {
            return self.take_block(head, block);
        }
        self.block = Some(Box::new(Block { head: *head, bytes: BytesMut::from(block), pieces: 1 }));
        Ok(())
    }

    pub(super) fn take_continuation(&mut self, head: &FrameHead, payload: &[u8]) -> Heard {
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
        if self.is_idle(head.stream) {
            if self.is_server() && head.stream % 2 == 1 {
                return self.open_in(head, block);
            }
            return broken("a head on a stream that nobody opened");
        }
        match self.streams.find(head.stream) {
            Some(key) => self.take_more(key, head, block),
            None => self.take_late_block(head.stream, block),
        }
    }

    /// A head for a stream that is no more: trailers may have crossed its end, but no request has.
    fn take_late_block(&mut self, id: u32, block: &[u8]) -> Heard {
        let gathered = self.decode(block)?;
        if self.is_server() && gathered.is_request() && id <= self.last_in && !self.recent.contains(&id) {
            // RFC 9113 §5.1.1.
            return broken("a new stream whose number is not above those before it");
        }
        self.take_late(id)
    }

    /// Decodes a block, wanted or not: the table has to keep in step.
    fn decode(&mut self, block: &[u8]) -> Result<Gathered, Violation> {
        let mut gathered = Gathered::new(self.options.head);
        match self.decoder.decode(block, &mut |field| gathered.take(field)) {
            Ok(()) => Ok(gathered),
            Err(_) => violated(Reason::COMPRESSION_ERROR, "a header block that is no HPACK"),
        }
    }

    /// A request.
    fn open_in(&mut self, head: &FrameHead, block: &[u8]) -> Heard {
        self.last_in = head.stream;
        let gathered = self.decode(block)?;
        if let Some(budgets) = &mut self.budgets {
            budgets.opened();
        }
        if !self.has_place() {
            self.refuse(head.stream, Reason::REFUSED_STREAM, Unserved::Refused);
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
            Err(told) => self.refuse(head.stream, Reason::PROTOCOL_ERROR, Unserved::Malformed(told)),
        }
        Ok(())
    }

    /// Whether one more of the peer's streams may be opened. Those that it has reset are held until whoever serves them has let go, and
    /// a peer that opens and resets must not be faster than that.
    fn has_place(&self) -> bool {
        let Side::Server { streams } = self.options.side else { return false };
        let most = streams as usize;
        self.open < most && self.streams.len() < most.saturating_mul(2)
    }

    fn refuse(&mut self, id: u32, reason: Reason, unserved: Unserved) {
        self.tell(unserved);
        self.remember(id);
        self.provoked();
        self.put(|out| frame::put_reset(id, reason, out));
    }

    /// An answer's head, or trailers.
    fn take_more(&mut self, key: Key, head: &FrameHead, block: &[u8]) -> Heard {
        let gathered = self.decode(block)?;
        let is_last = head.has(flag::END_STREAM);
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.is_closed()) else {
            return self.take_late(key.id);
        };
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
            // What has no body promises the length of another's (RFC 9113 §8.1.1).
            Ok(left) => stream.left = if is_bodiless { Some(0) } else { left },
            Err(told) => return self.malformed(key, Reason::PROTOCOL_ERROR, told),
        }
        stream.awaits_head = false;
        stream.head = Some(reply);
        stream.wake_reader();
        if is_last {
            self.end_in(key);
        }
    }
}
