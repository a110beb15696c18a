//! What the HTTP/2 library resets by itself, seen as it leaves: it tells nobody of a stream that it refused before anybody else knew
//! of it. Our own resets have other reasons, so that theirs are told apart by that alone. What data is sent is counted as well, since
//! it is what a caller may say something of.

use std::cell::{Cell, RefCell};

use h2::Reason;

use super::guard::{DATA, FRAME_HEAD, Frame, RST_STREAM};
use crate::model::{Fault, Kind, Stage};

/// Resets kept until they are told, which is at the end of the same turn; more than these are not counted.
const MOST: usize = 256;

/// A stream that the library reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    pub(super) stream: u32,
    reason: Reason,
}

impl Unseen {
    /// What the stream's caller had done.
    pub(super) fn fault(&self) -> Fault {
        if self.reason == Reason::REFUSED_STREAM {
            return Fault::new(Kind::Overloaded, Stage::Head, "more streams at a time than the connection may have");
        }
        let told = format!("the stream breaks HTTP/2's rules: {}", self.reason.description());
        Fault::new(Kind::MalformedHead, Stage::Head, told)
    }
}

/// What the guard of a connection has seen; shared with whoever serves it.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// The peer wastes our time; nothing more is read.
    pub(super) flooded: Cell<bool>,
    resets: RefCell<Vec<Unseen>>,
}

impl Sight {
    /// What the library reset since this was last asked.
    pub(super) fn take(&self) -> Vec<Unseen> {
        if self.has_resets() { self.resets.take() } else { Vec::new() }
    }

    pub(super) fn has_resets(&self) -> bool {
        !self.resets.borrow().is_empty()
    }

    fn saw(&self, unseen: Unseen) {
        let mut resets = self.resets.borrow_mut();
        if resets.len() < MOST {
            resets.push(unseen);
        }
    }
}

/// Follows the frames that are written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Bytes to come that need no look: the rest of a frame.
    pass: usize,
    /// The beginning of a frame that is not whole.
    begun: Vec<u8>,
    upkeep: u32,
}

impl Outgoing {
    /// The windows that a caller may be expected to open for a frame of data, and for so many bytes in it. One a frame and one for the
    /// connection is usual; libraries are known that say so for each piece that is read of it.
    const UPDATES_EACH: usize = 10;
    const BYTES_EACH: usize = 256;

    /// What the data that was sent since this was last asked gives reason to say.
    pub(super) fn take_upkeep(&mut self) -> u32 {
        std::mem::take(&mut self.upkeep)
    }

    fn sent(&mut self, frame: &Frame) {
        if frame.kind == DATA {
            let more = Outgoing::UPDATES_EACH + frame.len / Outgoing::BYTES_EACH;
            self.upkeep = self.upkeep.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }

    /// Looks at the next bytes, wherever frames begin and end in them.
    pub(super) fn look(&mut self, mut bytes: &[u8], sight: &Sight) {
        while !bytes.is_empty() {
            let step = self.pass.min(bytes.len());
            self.pass -= step;
            bytes = bytes.get(step..).unwrap_or_default();
            if !self.begun.is_empty() {
                bytes = self.fill(bytes, sight);
            } else if let Some(frame) = Frame::of(bytes) {
                if frame.kind != RST_STREAM {
                    self.sent(&frame);
                    self.pass = frame.len;
                } else if let Some(whole) = bytes.get(..frame.len) {
                    self.pass = frame.len;
                    judge(&frame, whole, sight);
                } else {
                    self.begun.extend_from_slice(bytes);
                    return;
                }
            } else {
                self.begun.extend_from_slice(bytes);
                return;
            }
        }
    }

    /// Takes on what is missing of a frame's head, or of a whole reset. Gives back what follows.
    fn fill<'bytes>(&mut self, bytes: &'bytes [u8], sight: &Sight) -> &'bytes [u8] {
        let wanted = match Frame::of(&self.begun) {
            Some(frame) => frame.len,
            None => FRAME_HEAD,
        };
        let (taken, rest) = bytes.split_at(wanted.saturating_sub(self.begun.len()).min(bytes.len()));
        self.begun.extend_from_slice(taken);
        let Some(frame) = Frame::of(&self.begun) else { return rest };
        if frame.kind != RST_STREAM || self.begun.len() >= frame.len {
            judge(&frame, &self.begun, sight);
            self.sent(&frame);
            self.pass = frame.len.saturating_sub(self.begun.len());
            self.begun.clear();
        }
        rest
    }
}

fn judge(frame: &Frame, whole: &[u8], sight: &Sight) {
    let code = whole.get(FRAME_HEAD..).and_then(|code| <[u8; 4]>::try_from(code).ok());
    let (RST_STREAM, Some(code)) = (frame.kind, code) else { return };
    let reason = Reason::from(u32::from_be_bytes(code));
    // Ours: CANCEL, INTERNAL_ERROR, and NO_ERROR after an answer that did not wait. STREAM_CLOSED is about a stream that has ended.
    if ![Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::NO_ERROR, Reason::STREAM_CLOSED].contains(&reason) {
        sight.saw(Unseen { stream: u32::from_be_bytes(frame.stream) & 0x7fff_ffff, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn reset(stream: u32, reason: Reason) -> Vec<u8> {
        frame(RST_STREAM, stream, &u32::from(reason).to_be_bytes())
    }

    proptest::proptest! {
        #[test]
        fn resets_of_the_library_are_seen_however_they_are_written(
            steps in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let written = [
                frame(4, 0, &[]),
                reset(1, Reason::PROTOCOL_ERROR),
                frame(0, 3, &reset(99, Reason::PROTOCOL_ERROR)),
                reset(3, Reason::CANCEL),
                reset(5, Reason::REFUSED_STREAM),
                reset(7, Reason::NO_ERROR),
                frame(1, 9, b"x"),
                reset(9, Reason::INTERNAL_ERROR),
                reset(11, Reason::FLOW_CONTROL_ERROR),
            ]
            .concat();
            let (sight, mut outgoing) = (Sight::default(), Outgoing::default());
            let mut rest = &written[..];
            for step in steps.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*step).min(rest.len()));
                outgoing.look(piece, &sight);
                rest = after;
            }
            let seen: Vec<u32> = sight.take().iter().map(|unseen| unseen.stream).collect();
            proptest::prop_assert_eq!(seen, [1, 5, 11]);
            proptest::prop_assert!(sight.take().is_empty());
        }
    }

    #[test]
    fn a_caller_that_breaks_rules_and_one_that_asks_too_much_are_told_apart() {
        let kind = |reason| Unseen { stream: 1, reason }.fault().kind;
        assert_eq!(kind(Reason::PROTOCOL_ERROR), Kind::MalformedHead);
        assert_eq!(kind(Reason::REFUSED_STREAM), Kind::Overloaded);
    }

    #[test]
    fn what_is_kept_of_them_is_bounded() {
        let (sight, mut outgoing) = (Sight::default(), Outgoing::default());
        outgoing.look(&reset(1, Reason::PROTOCOL_ERROR).repeat(10 * MOST), &sight);
        assert_eq!(sight.take().len(), MOST);
    }
}
