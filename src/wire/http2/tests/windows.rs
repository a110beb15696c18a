//! Flow control (RFC 9113 §5.2, §6.9), both ways.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;

use super::super::frame::kind;
use super::super::{Carry, Options, Reason};
use super::raw::*;
use super::{SERVER, Woken, options};
use crate::model::{Body, Fault, Frame};

/// A stream that is answered, with its head.
fn answered(raw: &mut Raw, id: u32) -> Open {
    raw.say(&request(id, END));
    let mut open = raw.accept().unwrap();
    assert!(open.answer(false));
    open
}

#[test]
fn a_window_may_shrink_below_nothing() {
    let mut raw = Raw::server();
    raw.say(&window(0, 1 << 20));
    let mut open = answered(&mut raw, 1);
    assert_eq!(open.send(&[0; 100], false), 0);
    assert_eq!(open.room(), Some(Ok(65_435)));
    raw.say(&settings(&[(4, 10)]));
    // 90 are missing.
    let (woken, waker) = Woken::new();
    let mut cx = Context::from_waker(&waker);
    assert!(open.send.poll_room(&mut cx).is_pending());
    raw.say(&window(1, 90));
    assert!(!woken.take() && open.send.poll_room(&mut cx).is_pending());
    assert_eq!(open.send(b"x", false), 1);
    raw.say(&window(1, 1));
    assert!(woken.take());
    assert_eq!(open.room(), Some(Ok(1)));
    assert_eq!(open.send(b"xyz", true), 2, "what does not fit is left, and is not the end");
    assert!(open.send.poll_room(&mut cx).is_pending());
    raw.say(&settings(&[(4, 12)]));
    assert!(woken.take());
    assert_eq!(open.send(b"yz", true), 0);
    let sent: Vec<u8> =
        raw.frames().into_iter().filter(|(head, _)| head.kind == kind::DATA).flat_map(|(_, data)| data).collect();
    assert_eq!(sent[100..], *b"xyz");
    drop(open);
    raw.assert_at_rest();
}

#[test]
fn the_end_needs_no_window() {
    let mut raw = Raw::server();
    let (mut one, mut two) = (answered(&mut raw, 1), answered(&mut raw, 3));
    assert_eq!(one.send(&[0; 70_000], false), 70_000 - 65_535);
    assert_eq!(one.room(), None);
    assert_eq!((one.send(&[], true), two.room()), (0, None));
    assert!(two.send.send_trailers(&HeaderMap::new()));
    let frames = raw.frames();
    let ends: Vec<u32> = frames.iter().filter(|(head, _)| head.flags & END != 0).map(|(head, _)| head.stream).collect();
    assert_eq!(ends, [1, 3]);
    drop((one, two));
    raw.assert_at_rest();
}

struct Script(Vec<Option<Frame>>);

impl Body for Script {
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        self.0.remove(0).map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

#[test]
fn trailers_and_the_end_are_found_behind_a_full_window() {
    let full = || Some(Frame::Data(vec![0; 65_535].into()));
    let trailers = || Some(Frame::Trailers(HeaderMap::from_iter([(http::header::ETAG, "a".parse().unwrap())])));
    for (script, expected) in [
        (vec![full(), None, trailers()], kind::HEADERS),
        (vec![full(), None, None], kind::DATA),
        (vec![full(), None, Some(Frame::Data(Bytes::new())), trailers()], kind::HEADERS),
    ] {
        let mut raw = Raw::server();
        let mut open = answered(&mut raw, 1);
        let (mut carry, mut body) = (Carry::default(), Script(script));
        let mut cx = Context::from_waker(Waker::noop());
        let mut turns = 0;
        while carry.poll(&mut open.send, &mut body, &mut cx).map(Result::unwrap).is_pending() {
            raw.frames();
            assert!(!carry.lacks_room(), "there is nothing that needs it");
            turns += 1;
            assert!(turns < 5);
        }
        let frames = raw.frames();
        let (last, _) = frames.last().unwrap();
        assert_eq!((last.kind, last.flags & END), (expected, END));
    }
    // One frame is held meanwhile, and no more are taken.
    let mut raw = Raw::server();
    let mut open = answered(&mut raw, 1);
    let piece = || Some(Frame::Data(Bytes::from_static(b"x")));
    let (mut carry, mut body) = (Carry::default(), Script(vec![full(), None, piece(), piece(), piece()]));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..5 {
        assert!(carry.poll(&mut open.send, &mut body, &mut cx).is_pending());
        raw.frames();
    }
    assert_eq!((carry.lacks_room(), body.0.len()), (true, 2));
}

#[test]
fn what_nobody_reads_is_given_back() {
    let small = Options { stream_window: 100, ..options(SERVER) };
    let mut raw = Raw::new(small, Cut::Whole);
    raw.say(&request(1, 0));
    let open = raw.accept().unwrap();
    let Open { recv, send } = open;
    raw.say(&data(1, 0, &[0; 90]));
    assert!(raw.frames().is_empty(), "it may still be read");
    drop(recv);
    let mut given = 0;
    for _ in 0..5_000 {
        for (head, payload) in raw.frames() {
            assert_eq!(head.kind, kind::WINDOW_UPDATE);
            given += u64::from(u32::from_be_bytes(payload[..].try_into().unwrap()));
        }
        raw.say(&[data(1, 0, &[0; 30]), data(1, PADDED, &[9; 11]), data(1, PADDED, &[0; 9])].concat());
        assert!(raw.connection.lost().is_none());
    }
    assert!(given > 5_000 * 2 * 45, "on the stream and on the connection");
    drop(send);
    raw.assert_at_rest();
}

#[test]
fn padding_is_given_back_though_the_data_is_not_read() {
    let small = Options { stream_window: 100, ..options(SERVER) };
    let mut raw = Raw::new(small, Cut::Whole);
    raw.say(&request(1, 0));
    let mut open = raw.accept().unwrap();
    for _ in 0..30 {
        raw.say(&data(1, PADDED, &[60, 1].iter().copied().chain([0; 60]).collect::<Vec<_>>()));
    }
    raw.say(&data(1, END, b""));
    let heard = open.heard(false);
    assert_eq!((heard.body, heard.is_ended), (vec![1; 30], true));
    drop(open);
    raw.assert_at_rest();
}

#[test]
fn what_is_not_read_is_not_given_back() {
    let small = Options { stream_window: 100, ..options(SERVER) };
    let mut raw = Raw::new(small, Cut::Whole);
    raw.say(&[request(1, 0), data(1, 0, &[0; 100])].concat());
    let mut open = raw.accept().unwrap();
    assert!(raw.frames().is_empty());
    assert_eq!(open.heard(false).body.len(), 100);
    let told = raw.frames();
    assert_eq!((told.len(), &told[0].1[..]), (1, &[0, 0, 0, 100][..]));
    raw.say(&data(1, END, &[0; 100]));
    assert_eq!(open.heard(false).body.len(), 100);
    assert!(raw.frames().is_empty(), "it needs no window any more");
    drop(open);
    raw.assert_at_rest();
}

#[test]
fn those_who_are_gone_wait_for_nothing() {
    let mut raw = Raw::server();
    let mut first = answered(&mut raw, 1);
    assert_eq!(first.send(&[0; 65_535], false), 0);
    for id in (3..4_003).step_by(2) {
        let mut open = answered(&mut raw, id);
        assert_eq!(open.room(), None);
        if id % 4 == 1 {
            raw.say(&reset(id, Reason::CANCEL));
        }
        drop(open);
        raw.frames();
    }
    assert!(raw.connection.state().waiting.len() < 200);
    raw.say(&window(0, 10));
    assert!(raw.connection.state().waiting.is_empty());
    drop(first);
    raw.assert_at_rest();
}

#[test]
fn those_who_do_not_read_keep_nothing_from_those_who_do() {
    let mut raw = Raw::new(Options { stream_window: 20_000, ..options(SERVER) }, Cut::Whole);
    let mut stalled = Vec::new();
    for id in [1, 3, 5] {
        raw.say(&[request(id, 0), data(id, 0, &[0; 10_000]), data(id, 0, &[0; 10_000])].concat());
        stalled.push(raw.accept().unwrap());
    }
    raw.say(&request(7, 0));
    let mut read = raw.accept().unwrap();
    let (mut left, mut heard) = (65_535 - 60_000_usize, 0);
    for _ in 0..500 {
        let len = left.min(1_000);
        assert!(len > 0, "the window is closed after {heard} bytes, all of which were taken");
        raw.say(&data(7, 0, &vec![0; len]));
        heard += read.heard(false).body.len();
        left -= len;
        for (head, payload) in raw.frames().iter().filter(|(head, _)| head.stream == 0) {
            assert_eq!(head.kind, kind::WINDOW_UPDATE);
            left += u32::from_be_bytes(payload[..].try_into().unwrap()) as usize;
        }
    }
    drop((stalled, read));
    raw.frames();
    raw.assert_at_rest();
}
