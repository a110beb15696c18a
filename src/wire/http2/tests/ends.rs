//! How streams and connections end, and what of them is still heard.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;

use super::super::frame::{FrameHead, kind};
use super::super::{Connection, Input, Lost, Options, Reason, Side, StreamError, Unserved, Violation};
use super::raw::*;
use super::{CLIENT, SERVER, options, written};

fn kinds(frames: &[(FrameHead, Vec<u8>)]) -> Vec<(u8, u32, u8)> {
    frames.iter().map(|(head, _)| (head.kind, head.stream, head.flags)).collect()
}

fn resets(frames: &[(FrameHead, Vec<u8>)]) -> Vec<(u32, u32)> {
    let resets = frames.iter().filter(|(head, _)| head.kind == kind::RST_STREAM);
    resets.map(|(head, payload)| (head.stream, u32::from_be_bytes(payload[..].try_into().unwrap()))).collect()
}

#[test]
fn a_whole_answer_is_heard_whatever_becomes_of_the_request() {
    // RFC 9113 §8.1.
    for reason in [Reason::NO_ERROR, Reason::CANCEL] {
        let mut raw = Raw::client();
        let mut open = raw.request(false);
        raw.say(&[answer(1, 0, "200", &[]), data(1, 0, b"ab"), trailers(1), reset(1, reason)].concat());
        assert_eq!(open.room(), Some(Err(StreamError::Reset(reason))));
        assert_eq!(open.send(b"more", true), 4, "nothing of it was sent");
        let heard = open.heard(true);
        assert_eq!((&heard.body[..], heard.is_ended, heard.error), (&b"ab"[..], true, None));
        assert_eq!(heard.trailers.unwrap()["grpc-status"], "0");
        drop(open);
        raw.assert_at_rest();
    }
}

#[test]
fn what_came_before_a_reset_is_heard_first() {
    let mut raw = Raw::client();
    let mut open = raw.request(true);
    raw.say(&[answer(1, 0, "200", &[]), data(1, 0, b"ab"), reset(1, Reason::INTERNAL_ERROR)].concat());
    let heard = open.heard(true);
    assert_eq!((&heard.body[..], heard.is_ended), (&b"ab"[..], false));
    assert_eq!(heard.error, Some(StreamError::Reset(Reason::INTERNAL_ERROR)));
    drop(open);
    raw.assert_at_rest();
}

#[test]
fn nothing_is_heard_from_behind_the_end() {
    for (mut raw, is_client) in [(Raw::client(), true), (Raw::server(), false)] {
        let mut open = if is_client {
            let open = raw.request(true);
            raw.say(&[answer(1, 0, "200", &[]), data(1, END, b"ab")].concat());
            open
        } else {
            raw.say(&[request(1, 0), data(1, END, b"ab")].concat());
            let mut open = raw.accept().unwrap();
            assert!(open.answer(true));
            open
        };
        raw.say(&[data(1, 0, b"smuggled"), trailers(1)].concat());
        let heard = open.heard(is_client);
        assert_eq!((&heard.body[..], heard.is_ended, heard.trailers), (&b"ab"[..], true, None));
        drop(open);
        raw.assert_at_rest();
    }
}

#[test]
fn what_is_let_go_is_reset_unless_it_is_whole() {
    let mut raw = Raw::server();
    raw.say(&[request(1, 0), request(3, 0), request(5, END), request(7, 0)].concat());
    let mut opened: Vec<Open> = std::iter::from_fn(|| raw.accept()).collect();
    let seven = opened.pop().unwrap();
    opened[0].answer(true);
    opened[2].answer(true);
    drop(opened);
    assert_eq!(
        resets(&raw.frames()),
        [(1, 0), (3, 8)],
        "the first has its answer, the second has not, the third is done"
    );
    let Open { recv, mut send } = seven;
    drop(recv);
    assert!(send.answer(&http::Response::new(()), true));
    assert!(resets(&raw.frames()).is_empty(), "somebody holds it");
    drop(send);
    assert_eq!(resets(&raw.frames()), [(7, 0)]);
    raw.assert_at_rest();
}

#[test]
fn an_answer_to_head_has_no_body() {
    let head_of = |bytes: &[u8]| {
        let mut raw = Raw::client();
        let (recv, send) = raw.connection.request(&Request::head("http://a/").body(()).unwrap(), true).unwrap();
        raw.say(bytes);
        let heard = Open { recv, send }.heard(true);
        raw.assert_at_rest();
        (heard.is_ended, heard.error)
    };
    let length = |flags| answer(1, flags, "200", &[("content-length", "5")]);
    assert_eq!(head_of(&length(END)), (true, None));
    assert_eq!(head_of(&[length(0), data(1, END, b"")].concat()), (true, None));
    assert!(matches!(head_of(&[length(0), data(1, END, b"abcde")].concat()), (false, Some(StreamError::Malformed(_)))));
}

#[test]
fn streams_that_reach_nobody_are_told() {
    let options = Options { side: Side::Server { streams: 2 }, ..options(SERVER) };
    let mut raw = Raw::new(options, Cut::Whole);
    raw.say(&[request(1, 0), request(3, 0), request(5, 0)].concat());
    raw.say(&[reset(3, Reason::CANCEL), data(1, 0, b"x"), window(1, 0)].concat());
    raw.say(&headers(7, HEADS, &block(&[(":path", "/")])));
    let told: Vec<Unserved> = std::iter::from_fn(|| raw.connection.unserved()).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told.iter().filter(|told| **told == Unserved::Refused).count(), 1);
    assert!(raw.accept().is_none());
    raw.assert_at_rest();
}

#[test]
fn who_opens_and_resets_is_no_faster_than_those_who_serve() {
    let options = Options { side: Side::Server { streams: 3 }, ..options(SERVER) };
    let mut raw = Raw::new(options, Cut::Whole);
    let mut held = Vec::new();
    for id in (1..40).step_by(2) {
        raw.say(&[request(id, 0), reset(id, Reason::CANCEL)].concat());
        assert!(raw.accept().is_none(), "what is reset in the same breath reaches nobody");
        raw.say(&request(id + 40, 0));
        held.extend(raw.accept());
        raw.say(&reset(id + 40, Reason::CANCEL));
        if id < 21 {
            break;
        }
    }
    let mut id = 101;
    while held.len() < 6 {
        raw.say(&request(id, 0));
        held.extend(raw.accept());
        raw.say(&reset(id, Reason::CANCEL));
        id += 2;
    }
    raw.frames();
    raw.say(&request(id, 0));
    assert_eq!(resets(&raw.frames()), [(id, Reason::REFUSED_STREAM.0)]);
    held.pop();
    raw.say(&request(id + 2, 0));
    assert!(resets(&raw.frames()).is_empty());
    drop((held, raw.accept()));
    raw.assert_at_rest();
}

#[test]
fn a_peer_that_goes_away_ends_what_it_has_not_acted_on() {
    let mut raw = Raw::client();
    let (mut one, mut three) = (raw.request(true), raw.request(true));
    raw.say(&goaway(1, Reason::NO_ERROR));
    assert_eq!((one.error(), three.error()), (None, Some(StreamError::GoneAway)));
    assert!(!raw.connection.takes_requests());
    raw.say(&[answer(1, 0, "200", &[]), data(1, END, b"x")].concat());
    assert_eq!(one.heard(true).body, b"x");
    assert_eq!(three.heard(true).head, Some(Err(StreamError::GoneAway)));
    drop((one, three));
    raw.assert_at_rest();
}

#[test]
fn a_client_waits_for_the_first_word_and_keeps_to_what_is_allowed() {
    let connection = Connection::new(options(CLIENT));
    let request = Request::post("http://a/").body(()).unwrap();
    let settings = settings(&[(3, 2)]);
    for part in 0..settings.len() {
        assert!(connection.request(&request, true).is_none() && connection.allowed_streams() == 0);
        connection.receive(&mut Input::Borrowed(&settings[..part])).unwrap();
    }
    connection.receive(&mut Input::Borrowed(&settings)).unwrap();
    assert!(connection.has_news() && !connection.has_news());
    assert_eq!(connection.allowed_streams(), 2);
    let one = connection.request(&request, true);
    let two = connection.request(&request, true);
    assert!(one.is_some() && two.is_some() && connection.request(&request, true).is_none());
    drop(one);
    assert!(connection.request(&request, true).is_some());
}

#[test]
fn the_end_of_a_connection_ends_its_streams_but_not_what_was_heard() {
    let mut raw = Raw::client();
    let (mut whole, mut part, mut none) = (raw.request(true), raw.request(true), raw.request(false));
    raw.say(&[answer(1, 0, "200", &[]), data(1, END, b"x"), answer(3, 0, "200", &[]), data(3, 0, b"y")].concat());
    raw.frames();
    raw.connection.lose(Lost::Closed);
    let lost = Some(StreamError::Lost(Lost::Closed));
    let (whole_heard, part_heard) = (whole.heard(true), part.heard(true));
    assert_eq!((&whole_heard.body[..], whole_heard.is_ended), (&b"x"[..], true));
    assert_eq!((&part_heard.body[..], part_heard.error), (&b"y"[..], lost));
    assert_eq!((none.error(), none.send(b"z", true)), (lost, 1));
    assert!(raw.connection.request(&Request::new(()), true).is_none());
    drop((whole, part, none));
    raw.assert_at_rest();
    assert!(raw.frames().is_empty());
}

#[test]
fn no_frame_is_torn_by_the_last_word() {
    for taken in [0, 1, 9, 20, 40_000] {
        let raw = Raw::client();
        let mut open = raw.request(false);
        let mut first = raw.frames();
        assert_eq!(open.send(&[7; 60_000], false), 0);
        let mut out = Vec::new();
        let _ = raw.connection.write(|pieces| {
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            if !out.is_empty() || taken == 0 {
                return Poll::Pending;
            }
            out.extend_from_slice(&all[..taken.min(all.len())]);
            Poll::Ready(Ok(out.len()))
        });
        raw.connection.break_off(Reason::NO_ERROR);
        raw.connection.break_off(Reason::CANCEL);
        raw.connection.leave();
        out.extend(written(&raw.connection));
        let mut rest = &out[..];
        while let Some(head) = FrameHead::read(rest) {
            first.push((head, rest[9..9 + head.len].to_vec()));
            rest = &rest[9 + head.len..];
        }
        assert!(rest.is_empty(), "{taken}");
        let words: Vec<_> = kinds(&first).into_iter().filter(|(kind, ..)| *kind == kind::GOAWAY).collect();
        assert_eq!((words.len(), first.last().unwrap().0.kind), (1, kind::GOAWAY), "{taken}");
    }
}

#[test]
fn what_we_are_made_to_say_is_bounded() {
    let mut raw = Raw::server();
    let ping = frame(kind::PING, 0, 0, &[0; 8]).repeat(1000);
    let mut said = 0;
    while raw.connection.may_read() {
        raw.say(&ping);
        said += 1;
    }
    assert!(said < 40);
    raw.frames();
    assert!(raw.connection.may_read());
}

#[test]
fn who_says_anything_is_there() {
    for word in [frame(kind::PING, 1, 0, b"are you?"), settings(&[]), window(0, 1)] {
        let mut raw = Raw::client();
        raw.connection.ping();
        assert!(!raw.connection.is_ping_answered());
        assert!(raw.frames().iter().any(|(head, payload)| (head.kind, &payload[..]) == (kind::PING, b"are you?")));
        raw.say(&word);
        assert!(raw.connection.is_ping_answered());
        raw.connection.ping();
        assert!(!raw.connection.is_ping_answered(), "asked anew");
    }
}

#[test]
fn the_smallest_of_the_table_sizes_is_told() {
    let mut raw = Raw::client();
    drop(raw.request(true));
    raw.frames();
    raw.say(&settings(&[(1, 0), (1, 4096)]));
    drop(raw.request(true));
    let frames = raw.frames();
    let (_, block) = frames.iter().find(|(head, _)| head.kind == kind::HEADERS).unwrap();
    // RFC 7541 §4.2, §6.3.
    assert_eq!(block[..4], [0x20, 0x3f, 0xe1, 0x1f]);
}

#[test]
fn a_large_head_is_cut_into_frames_as_the_peer_takes_them() {
    let mut raw = Raw::client();
    let mut request = Request::post("http://a/").body(()).unwrap();
    request.headers_mut().insert("a", http::HeaderValue::from_bytes(&[b'x'; 40_000]).unwrap());
    let (_recv, _send) = raw.connection.request(&request, true).unwrap();
    let frames = raw.frames();
    let (heads, sizes): (Vec<_>, Vec<_>) = frames.iter().map(|(head, _)| ((head.kind, head.flags), head.len)).unzip();
    assert_eq!(heads, [(kind::HEADERS, END), (kind::CONTINUATION, 0), (kind::CONTINUATION, HEADS)]);
    assert!(sizes[..2].iter().all(|size| *size == 16_384) && sizes[2] < 16_384);
    raw.say(&settings(&[(5, 50_000)]));
    let (_recv, _send) = raw.connection.request(&request, true).unwrap();
    assert_eq!(kinds(&raw.frames())[1..], [(kind::HEADERS, 3, HEADS | END)]);
}

#[test]
fn who_is_at_it_is_not_woken_and_who_rests_is_once() {
    let (woken, waker) = super::Woken::new();
    let raw = Raw::client();
    raw.connection.attend(&waker);
    let mut open = raw.request(false);
    assert!(!woken.take());
    raw.connection.rest();
    assert_eq!(open.send(b"x", false), 0);
    assert!(woken.take());
    assert_eq!(open.send(b"x", false), 0);
    assert!(!woken.take(), "it is on its way");
    raw.frames();
    raw.connection.attend(&waker);
    raw.connection.rest();
    drop(open);
    assert!(woken.take(), "the reset has to leave");
}

#[test]
fn who_waits_for_the_peer_hears_of_every_end() {
    type Ends = fn(&mut Raw);
    let ends: [Ends; 5] = [
        |raw| raw.say(&reset(1, Reason::CANCEL)),
        |raw| raw.say(&goaway(0, Reason::NO_ERROR)),
        |raw| raw.say(&frame(kind::PING, 0, 0, b"")),
        |raw| raw.connection.lose(Lost::Closed),
        |raw| raw.connection.break_off(Reason::NO_ERROR),
    ];
    for (nth, end) in ends.into_iter().enumerate() {
        let mut raw = Raw::client();
        let Open { mut recv, mut send } = raw.request(false);
        let mut all = Bytes::from(vec![0; 65_535]);
        assert!(send.send(&mut all, false) && all.is_empty());
        let ((reader, reads), (writer, writes)) = (super::Woken::new(), super::Woken::new());
        assert!(recv.poll_head(&mut Context::from_waker(&reads)).is_pending());
        assert!(send.poll_room(&mut Context::from_waker(&writes)).is_pending());
        end(&mut raw);
        assert!(reader.take() && writer.take(), "{nth}");
        assert!(recv.poll_head(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(send.poll_room(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}

#[test]
fn a_peer_that_makes_us_reset_streams_without_end_is_flooding() {
    let mut raw = Raw::new(Options { is_guarded: true, ..options(SERVER) }, Cut::Whole);
    for id in (1..4_001).step_by(2) {
        raw.say(&request(id, 0));
        let open = raw.accept();
        raw.say(&window(id, 0));
        drop(open);
        if let Some(lost) = raw.connection.lost() {
            assert!(matches!(lost, Lost::Violated(Violation { reason: Reason::ENHANCE_YOUR_CALM, .. })), "{lost:?}");
            assert!(id > 1_900, "a thousand may be by mistake");
            return;
        }
    }
    panic!("2,000 streams were reset, and it goes on");
}

#[test]
fn a_peer_that_goes_away_is_news_and_its_connection_is_spent_without_calls() {
    let mut raw = Raw::client();
    assert!(raw.connection.has_news());
    let open = raw.request(true);
    raw.say(&goaway(1, Reason::NO_ERROR));
    assert!(raw.connection.has_news() && !raw.connection.takes_requests() && !raw.connection.is_spent());
    drop(open);
    assert!(raw.connection.is_spent());
}
