//! DATA (RFC 9113 §6.1), taken as it comes: no frame waits until it is whole. What nobody wants is dropped, and counts against the
//! windows like everything else.

use super::Reason;
use super::frame::{self, FrameHead, flag};
use super::input::Input;
use super::receive::{Heard, broken, violated};
use super::state::{State, Under};
use super::stream::{Key, Violation};

impl State {
    /// Bytes of `there` that come before the data; `None`: not all of them are there.
    pub(super) fn begin_data(&mut self, head: &FrameHead, there: &[u8]) -> Result<Option<usize>, Violation> {
        if head.stream == 0 || self.is_idle(head.stream) {
            return broken("data on a stream that nobody opened");
        }
        let (mut padding, mut begun) = (0, frame::HEAD);
        if head.has(flag::PADDED) {
            if head.len == 0 {
                return violated(Reason::FRAME_SIZE_ERROR, "a frame without what its flags promise");
            }
            let Some(first) = there.get(begun) else { return Ok(None) };
            (padding, begun) = (usize::from(*first), begun + 1);
        }
        let Some(left) = (frame::HEAD + head.len).checked_sub(begun + padding) else {
            return broken("padding that is longer than its frame");
        };
        let is_last = head.has(flag::END_STREAM);
        self.count_frame(head.len, left > 0 || is_last)?;
        let mut key = self.streams.find(head.stream);
        let is_taken = match key {
            Some(key) => self.count_data(key, head.len, left, is_last)?,
            None => {
                self.take_late(head.stream)?;
                false
            }
        };
        if !is_taken {
            key = None;
        }
        let overhead = begun - frame::HEAD + padding;
        if overhead > 0 {
            self.release_to(key, overhead);
        }
        self.data = Some(Under { key, left, padding, is_last });
        Ok(Some(begun))
    }

    /// Holds a frame of `size` bytes against the connection. `is_any`: it brings something.
    fn count_frame(&mut self, size: usize, is_any: bool) -> Heard {
        if !is_any {
            self.spend()?;
        } else if let Some(budgets) = &mut self.budgets {
            budgets.fed();
        }
        // RFC 9113 §6.9.1: the whole payload counts.
        self.window_in -= i64::try_from(size).unwrap_or(i64::MAX);
        if self.window_in < 0 {
            return violated(Reason::FLOW_CONTROL_ERROR, "more data than the connection's window allows");
        }
        Ok(())
    }

    /// Holds a frame against its stream: `size` bytes of the window, `len` of the body. Whether it is of the body.
    fn count_data(&mut self, key: Key, size: usize, len: usize, is_last: bool) -> Result<bool, Violation> {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.is_closed()) else {
            self.take_late(key.id)?;
            return Ok(false);
        };
        stream.window_in -= i64::try_from(size).unwrap_or(i64::MAX);
        let left = stream.left.map(|left| left.checked_sub(len as u64));
        stream.left = left.flatten();
        let (reason, told) = if stream.is_done_in {
            // What came before it stands.
            (Reason::STREAM_CLOSED, "data behind the end of a stream")
        } else if stream.awaits_head {
            (Reason::PROTOCOL_ERROR, "data in front of the head")
        } else if stream.window_in < 0 {
            (Reason::FLOW_CONTROL_ERROR, "more data than the stream's window allows")
        } else if left == Some(None) || (is_last && stream.left.is_some_and(|left| left > 0)) {
            (Reason::PROTOCOL_ERROR, "the body is not as long as its content-length")
        } else {
            return Ok(true);
        };
        self.malformed(key, reason, told);
        Ok(false)
    }

    /// Takes what there is of a DATA frame. Whether that was all of it.
    pub(super) fn take_data(&mut self, under: Under, input: &mut Input<'_>) -> bool {
        let step = under.left.min(input.peek().len());
        if step > 0 {
            let taker = under.key.and_then(|key| self.streams.get_mut(key));
            match taker.filter(|stream| stream.is_read && stream.error.is_none()) {
                Some(stream) => {
                    input.feed(step, |piece| stream.inbox.put(piece));
                    stream.wake_reader();
                }
                None => {
                    input.skip(step);
                    self.release_to(under.key, step);
                }
            }
        }
        let left = under.left - step;
        let padding = if left == 0 { under.padding.min(input.peek().len()) } else { 0 };
        input.skip(padding);
        let under = Under { left, padding: under.padding - padding, ..under };
        if under.left > 0 || under.padding > 0 {
            self.data = Some(under);
            return false;
        }
        self.data = None;
        if let Some(key) = under.key.filter(|_| under.is_last) {
            self.end_in(key);
        }
        true
    }

    fn release_to(&mut self, key: Option<Key>, len: usize) {
        match key {
            Some(key) => self.release_of(key, len),
            None => self.release(len),
        }
    }

    /// The peer has sent all of a stream.
    pub(super) fn end_in(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.error.is_none()) else { return };
        if stream.left.is_some_and(|left| left > 0) {
            return self.malformed(key, Reason::PROTOCOL_ERROR, "the body is not as long as its content-length");
        }
        stream.is_done_in = true;
        stream.wake_reader();
        self.ended(key);
    }
}
