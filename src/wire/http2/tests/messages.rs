//! RFC 9113 §8: what makes a request or an answer malformed, which ends its stream alone.

use super::super::Reason;
use super::super::frame::kind;
use super::raw::*;
use super::script::*;
use super::{CLIENT, SERVER, options};

#[test]
fn a_request_is_well_formed() {
    let with = |more: &[(&str, &str)]| Say(request_with(1, 0, more));
    let of = |fields: &[(&str, &str)]| vec![Say(headers(1, HEADS | END, &block(fields)))];
    let body = |length: &str, parts: &[Vec<u8>]| {
        vec![Say([&[request_with(1, 0, &[("content-length", length)])], parts].concat().concat())]
    };
    let malformed = Stream(1, PROTOCOL);
    let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"));
    check(
        options(SERVER),
        vec![
            ("§8.1 trailers", vec![say(&[request(1, 0), data(1, 0, b"x"), trailers(1)])], Sound),
            (
                "§8.1 trailers that are not the end",
                vec![say(&[request(1, 0), headers(1, HEADS, &block(&[("a", "b")]))])],
                malformed,
            ),
            (
                "§8.1 data behind trailers",
                vec![say(&[request(1, 0), trailers(1), data(1, END, b"x")])],
                Stream(1, CLOSED),
            ),
            ("§8.1 a pseudo-field in trailers", vec![say(&[request(1, 0), request(1, END)])], malformed),
            ("§8.1.1 as long as it says", body("3", &[data(1, 0, b"ab"), data(1, END, b"c")]), Sound),
            ("§8.1.1 with trailers", body("3", &[data(1, 0, b"abc"), trailers(1)]), Sound),
            ("§8.1.1 padding does not count", body("3", &[data(1, PADDED | END, b"\x01abc_")]), Sound),
            ("§8.1.1 longer", body("3", &[data(1, 0, b"ab"), data(1, 0, b"cd")]), malformed),
            ("§8.1.1 shorter", body("3", &[data(1, END, b"ab")]), malformed),
            ("§8.1.1 shorter, with trailers", body("3", &[data(1, 0, b"ab"), trailers(1)]), malformed),
            ("§8.1.1 nothing", vec![Say(request_with(1, END, &[("content-length", "1")]))], malformed),
            ("§8.1.1 of nothing", vec![Say(request_with(1, END, &[("content-length", "0")]))], Sound),
            ("§8.2.1 an upper-case letter", vec![with(&[("Xyz", "1")])], malformed),
            ("§8.2.1 an empty name", vec![with(&[("", "1")])], malformed),
            ("§8.2.1 a space in a name", vec![with(&[("a b", "1")])], malformed),
            ("§8.2.1 a line's end in a value", vec![with(&[("a", "b\r\nc")])], malformed),
            ("§8.2.1 a zero in a value", vec![with(&[("a", "b\0c")])], malformed),
            ("§8.2.1 a space in front of a value, which is for others to judge", vec![with(&[("a", " b")])], Sound),
            (
                "§8.2.2 connection fields in trailers",
                vec![say(&[request(1, 0), headers(1, HEADS | END, &block(&[("connection", "close")]))])],
                malformed,
            ),
            ("§8.3 behind other fields", of(&[method, scheme, ("a", "b"), path]), malformed),
            ("§8.3 unknown", of(&[method, scheme, path, (":what", "x")]), malformed),
            ("§8.3 of an answer", of(&[method, scheme, path, (":status", "200")]), malformed),
            ("§8.3.1 a method twice", of(&[method, method, scheme, path]), malformed),
            ("§8.3.1 a path twice", of(&[method, scheme, path, path]), malformed),
            ("§8.3.1 no method", of(&[scheme, path]), malformed),
            ("§8.3.1 no scheme", of(&[method, path]), malformed),
            ("§8.3.1 no path", of(&[method, scheme]), malformed),
            ("§8.3.1 an empty path", of(&[method, scheme, (":path", "")]), malformed),
            ("§8.5 CONNECT", of(&[(":method", "CONNECT"), (":authority", "a:1")]), Sound),
            ("§8.5 CONNECT with a path", of(&[(":method", "CONNECT"), (":authority", "a:1"), scheme, path]), malformed),
        ],
    );
}

#[test]
fn an_answer_is_well_formed() {
    let (open, closed) = ([Request(false)], [Request(true)]);
    let malformed = Stream(1, PROTOCOL);
    let ok = |flags, more: &[(&str, &str)]| answer(1, flags, "200", more);
    let to = |parts: &[Vec<u8>]| after(&closed, &[say(parts)]);
    check(
        options(CLIENT),
        vec![
            ("§8.1 a whole one", to(&[ok(0, &[]), data(1, 0, b"x"), trailers(1)]), Sound),
            ("§8.1 before the request's end", after(&open, &[say(&[ok(0, &[]), data(1, END, b"x")])]), Sound),
            ("§8.1 its head is its end", to(&[ok(END, &[])]), Sound),
            ("§8.1 interim heads", to(&[answer(1, 0, "103", &[]), answer(1, 0, "100", &[]), ok(END, &[])]), Sound),
            ("§8.1 an interim head that is the end", to(&[answer(1, END, "103", &[])]), malformed),
            (
                "§8.1 interim heads without end",
                to(&vec![answer(1, 0, "103", &[]); 17]),
                Stream(1, Reason::ENHANCE_YOUR_CALM),
            ),
            ("§8.1 data in front of it", to(&[data(1, 0, b"x")]), malformed),
            ("§8.1 data behind an interim head", to(&[answer(1, 0, "103", &[]), data(1, 0, b"x")]), malformed),
            ("§8.1 two heads", to(&[ok(0, &[]), ok(0, &[])]), malformed),
            ("§8.1 a head for trailers", to(&[ok(0, &[]), ok(END, &[])]), malformed),
            ("§8.1 data behind the end", after(&open, &[say(&[ok(END, &[]), data(1, 0, b"x")])]), Stream(1, CLOSED)),
            ("§8.1 of a closed stream, of which we say no more", to(&[ok(END, &[]), data(1, 0, b"x")]), Sound),
            ("§8.1 trailers twice", after(&open, &[say(&[ok(0, &[]), trailers(1), trailers(1)])]), Stream(1, CLOSED)),
            ("§8.1.1 shorter than it says", to(&[ok(0, &[("content-length", "2")]), data(1, END, b"x")]), malformed),
            ("§8.1.1 longer", to(&[ok(0, &[("content-length", "2")]), data(1, 0, b"xyz")]), malformed),
            ("§8.1.1 nothing of it", to(&[ok(END, &[("content-length", "2")])]), malformed),
            (
                "§8.1.1 lengths that differ",
                to(&[ok(0, &[("content-length", "2"), ("content-length", "3")])]),
                malformed,
            ),
            ("§8.1.1 304 says another's length", to(&[answer(1, END, "304", &[("content-length", "2")])]), Sound),
            ("§8.1.1 304 has no body", to(&[answer(1, 0, "304", &[]), data(1, END, b"xy")]), malformed),
            ("§8.1.1 204 may end by itself", to(&[answer(1, 0, "204", &[]), data(1, END, b"")]), Sound),
            ("§8.2.2 connection fields", to(&[ok(END, &[("connection", "close")])]), malformed),
            ("§8.3.2 no status", to(&[headers(1, HEADS | END, &block(&[("a", "b")]))]), malformed),
            ("§8.3.2 a request's field", to(&[ok(END, &[(":path", "/")])]), malformed),
            ("§8.6 101", to(&[answer(1, 0, "101", &[])]), malformed),
            ("§5.1 idle: a head", vec![Say(answer(1, 0, "200", &[]))], Connection(PROTOCOL)),
            ("§5.1 idle: data", vec![Say(data(1, 0, b"x"))], Connection(PROTOCOL)),
            ("§5.1 a stream of the server's own", to(&[answer(2, 0, "200", &[])]), Connection(PROTOCOL)),
            ("§8.4 a push", to(&[frame(kind::PUSH_PROMISE, HEADS, 1, &[0, 0, 0, 2])]), Connection(PROTOCOL)),
            ("§6.4 of what nobody opened", to(&[reset(3, Reason::CANCEL)]), Connection(PROTOCOL)),
            ("§8.1 we gave it up", after(&open, &[Drop, say(&[ok(0, &[]), data(1, 0, b"x"), trailers(1)])]), Sound),
        ],
    );
}
