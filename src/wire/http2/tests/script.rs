//! Cases: what a peer says and what we do, and what comes of it. Each is said in one piece, in pieces and byte by byte, and must be
//! answered the same.

use super::super::frame::{FrameHead, kind};
use super::super::{Options, Reason};
use super::CLIENT;
use super::raw::*;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Say(Vec<u8>),
    /// The next stream of the peer's is served.
    Accept,
    /// A stream of ours is opened; its request has no body.
    Request(bool),
    /// Of the stream that was opened so many before.
    Answer(bool),
    Reset,
    Drop,
}
pub(super) use Step::{Accept, Answer, Drop, Request, Reset, Say};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expected {
    /// Nobody is reset, and the connection lives.
    Sound,
    /// This stream alone is.
    Stream(u32, Reason),
    /// It all ends.
    Connection(Reason),
}
pub(super) use Expected::{Connection, Sound, Stream};

pub(super) type Case = (&'static str, Vec<Step>, Expected);

/// What is said to the peer in the end, and what was heard of it.
#[derive(Debug, PartialEq)]
struct Told {
    frames: Vec<(FrameHead, Vec<u8>)>,
    heard: Vec<Heard>,
}

fn play(options: Options, steps: &[Step], cut: Cut) -> (Expected, Told) {
    let mut raw = Raw::new(options, cut);
    let is_client = options.side == CLIENT;
    let (mut open, mut frames) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Say(bytes) => raw.say(bytes),
            Accept => open.push(raw.accept().expect("a stream was opened")),
            Request(is_last) => open.push(raw.request(*is_last)),
            Answer(is_last) => assert!(open.last_mut().unwrap().answer(*is_last)),
            Reset => open.last_mut().unwrap().send.reset(Reason::CANCEL),
            Drop => drop(open.pop()),
        }
        if !matches!(step, Say(_)) {
            // What we do by ourselves is not what is asked about.
            raw.frames();
        } else {
            frames.extend(raw.frames());
        }
    }
    let expected = judged(&frames);
    assert_eq!(raw.connection.lost().is_some(), matches!(expected, Connection(_)));
    if !matches!(expected, Connection(_)) {
        raw.say(&frame(kind::PING, 0, 0, b"are you "));
        let pong = raw.frames();
        assert!(pong.iter().any(|(head, _)| head.kind == kind::PING && head.flags == ACK), "it lives: {pong:?}");
    }
    let mut heard: Vec<Heard> = open.iter_mut().map(|open| open.heard(is_client)).collect();
    while let Some(mut open) = raw.accept() {
        heard.push(open.heard(is_client));
    }
    drop(open);
    raw.assert_at_rest();
    (expected, Told { frames, heard })
}

fn judged(frames: &[(FrameHead, Vec<u8>)]) -> Expected {
    let number = |payload: &[u8], at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    let mut judged = Sound;
    for (head, payload) in frames {
        let next = match head.kind {
            kind::RST_STREAM => Stream(head.stream, Reason(number(payload, 0))),
            kind::GOAWAY => Connection(Reason(number(payload, 4))),
            _ => continue,
        };
        assert!(judged == Sound || judged == next, "one word is enough: {frames:?}");
        judged = next;
    }
    judged
}

pub(super) fn check(options: Options, cases: Vec<Case>) {
    for (name, steps, expected) in cases {
        let whole = play(options, &steps, Cut::Whole);
        assert_eq!(whole.0, expected, "{name}");
        for cut in CUTS {
            let (mut cut_up, mut all) = (play(options, &steps, cut), whole.1.heard.iter());
            // Bodies are compared whole; the windows that are opened meanwhile may be told in other pieces.
            assert_eq!(cut_up.0, expected, "{name}, {cut:?}");
            assert!(cut_up.1.heard.iter_mut().all(|heard| Some(&*heard) == all.next()), "{name}, {cut:?}");
            assert_eq!(cut_up.1.frames, whole.1.frames, "{name}, {cut:?}");
        }
    }
}

pub(super) fn say(parts: &[Vec<u8>]) -> Step {
    Say(parts.concat())
}

/// Two steps of a request that is served.
pub(super) fn served(flags: u8) -> [Step; 2] {
    [Say(request(1, flags)), Accept]
}

pub(super) fn after(first: &[Step], more: &[Step]) -> Vec<Step> {
    [first, more].concat()
}

pub(super) const PROTOCOL: Reason = Reason::PROTOCOL_ERROR;
pub(super) const SIZE: Reason = Reason::FRAME_SIZE_ERROR;
pub(super) const FLOW: Reason = Reason::FLOW_CONTROL_ERROR;
pub(super) const CLOSED: Reason = Reason::STREAM_CLOSED;
