//! What a peer says, frame by frame (RFC 9113 §6). A fault of one stream ends that stream; what makes the rest unreadable, or is said of
//! the whole connection, ends it all.

use super::Reason;
use super::frame::{self, DEFAULT_SIZE, FrameHead, HIGHEST, flag, kind};
use super::input::Input;
use super::state::{FAREWELL, Leaving, State, Unserved};
use super::stream::{Key, StreamError, Violation};

pub(super) type Heard = Result<(), Violation>;

pub(super) fn violated<T>(reason: Reason, told: &'static str) -> Result<T, Violation> {
    Err(Violation { reason, told })
}

pub(super) fn broken<T>(told: &'static str) -> Result<T, Violation> {
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
        // It is there, whatever it says: our question may stand behind much that it has not taken yet.
        self.awaits_word = false;
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
                if !self.take_data(under, input) {
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
            if self.is_flooded {
                return is_flooding();
            }
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
                    None if self.is_idle(head.stream) => {
                        // RFC 9113 §6.4: what is idle is not reset.
                        return violated(Reason::FRAME_SIZE_ERROR, "a PRIORITY frame of a wrong length");
                    }
                    None => self.put(|out| frame::put_reset(head.stream, Reason::FRAME_SIZE_ERROR, out)),
                }
                Ok(())
            }
            // PRIORITY, and what is unknown (RFC 9113 §5.5).
            _ => self.spend(),
        }
    }

    pub(super) fn spend(&mut self) -> Heard {
        if self.budgets.as_mut().is_none_or(|budgets| budgets.spend()) { Ok(()) } else { is_flooding() }
    }

    fn spend_upkeep(&mut self) -> Heard {
        if self.budgets.as_mut().is_none_or(|budgets| budgets.spend_upkeep()) { Ok(()) } else { is_flooding() }
    }

    /// Whether a stream was never opened (RFC 9113 §5.1.1). What a client opens that was told which streams are the last is not
    /// looked at, and counts as closed.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        let is_server = self.is_server();
        let is_ours = (id % 2 == 1) != is_server;
        if is_ours { id >= self.next_out } else { id > self.last_in && !(is_server && self.leaving == Leaving::Told) }
    }

    /// Ends a stream whose peer broke its rules.
    pub(super) fn malformed(&mut self, key: Key, reason: Reason, told: &'static str) {
        if self.streams.get(key).is_some_and(|stream| stream.handles == 0) {
            self.tell(Unserved::Malformed(told));
        }
        self.provoked();
        self.reset(key, reason, StreamError::Malformed(told));
    }

    /// The peer made us reset a stream, which frees its place for another: more of them than can be by mistake are a flood (RFC 9113
    /// §10.5).
    pub(super) fn provoked(&mut self) {
        if let Some(budgets) = &mut self.budgets {
            self.is_flooded |= !budgets.spend_reset();
        }
    }

    /// A frame came for a stream that is no more. Whoever goes on after we have reset it may not have heard of that.
    pub(super) fn take_late(&mut self, id: u32) -> Heard {
        // Our own are reset by the thousand when callers leave, and servers count what they hear of it.
        let is_ours = (id % 2 == 1) != self.is_server();
        if is_ours || self.recent.contains(&id) || self.leaving == Leaving::Told {
            return Ok(());
        }
        self.spend()?;
        self.remember(id);
        self.put(|out| frame::put_reset(id, Reason::STREAM_CLOSED, out));
        Ok(())
    }

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
        if let Some(sizes) = self.peer.header_table {
            // RFC 7541 §4.2: the smallest counts as well, however short it held.
            self.encoder.set_max_table(sizes.smallest);
            self.encoder.set_max_table(sizes.last);
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
        (self.has_heard, self.has_news) = (true, true);
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
        (self.is_left, self.has_news) = (true, true);
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
