//! RFC 9113 §4 to §6: frames, header blocks, settings, and the states and windows of streams.

use super::super::frame::kind;
use super::super::{Options, Reason, Side};
use super::raw::*;
use super::script::*;
use super::{CLIENT, SERVER, options};

#[test]
fn frames_are_of_their_size_and_kind() {
    let unknown = |stream| frame(99, 0xff, stream, b"what?");
    let mut reserved = frame(kind::PING, 0, 0, &[0; 8]);
    reserved[5] |= 0x80;
    check(
        options(SERVER),
        vec![
            ("§4.1 an unknown kind", vec![say(&[unknown(0), unknown(1), unknown(2)])], Sound),
            ("§4.1 a reserved bit", vec![Say(reserved)], Sound),
            ("§4.1 unknown flags", vec![Say(frame(kind::PING, 0xfe, 0, &[0; 8]))], Sound),
            ("§4.2 a large frame", vec![say(&[request(1, 0), data(1, 0, &[0; 16_384])])], Sound),
            ("§4.2 a too large one", vec![say(&[request(1, 0), data(1, 0, &[0; 16_385])])], Connection(SIZE)),
            ("§4.2 of no known kind", vec![Say(frame(99, 0, 0, &[0; 16_385]))], Connection(SIZE)),
            ("§6.3 PRIORITY", vec![Say(frame(kind::PRIORITY, 0, 1, &[0; 5]))], Sound),
            ("§6.3 on stream 0", vec![Say(frame(kind::PRIORITY, 0, 0, &[0; 5]))], Connection(PROTOCOL)),
            ("§6.3 of 4 bytes", vec![say(&[request(1, 0), frame(kind::PRIORITY, 0, 1, &[0; 4])])], Stream(1, SIZE)),
            ("§6.3 of 4 bytes, idle", vec![Say(frame(kind::PRIORITY, 0, 1, &[0; 4]))], Connection(SIZE)),
            (
                "§6.4 RST_STREAM of 3 bytes",
                vec![say(&[request(1, 0), frame(kind::RST_STREAM, 0, 1, &[0; 3])])],
                Connection(SIZE),
            ),
            ("§6.4 of 5 bytes", vec![say(&[request(1, 0), frame(kind::RST_STREAM, 0, 1, &[0; 5])])], Connection(SIZE)),
            ("§6.4 on stream 0", vec![Say(reset(0, Reason::CANCEL))], Connection(PROTOCOL)),
            (
                "§6.6 PUSH_PROMISE",
                vec![say(&[request(1, 0), frame(kind::PUSH_PROMISE, HEADS, 1, &[0, 0, 0, 2])])],
                Connection(PROTOCOL),
            ),
            ("§6.7 PING on a stream", vec![Say(frame(kind::PING, 0, 1, &[0; 8]))], Connection(PROTOCOL)),
            ("§6.7 of 7 bytes", vec![Say(frame(kind::PING, 0, 0, &[0; 7]))], Connection(SIZE)),
            ("§6.7 of 9 bytes", vec![Say(frame(kind::PING, 0, 0, &[0; 9]))], Connection(SIZE)),
            ("§6.7 an answer to nothing", vec![Say(frame(kind::PING, ACK, 0, &[0; 8]))], Sound),
            ("§6.8 GOAWAY", vec![Say([goaway(0, Reason::NO_ERROR), request(1, END)].concat())], Sound),
            ("§6.8 with more to say", vec![Say(frame(kind::GOAWAY, 0, 0, &[0; 30]))], Sound),
            ("§6.8 on a stream", vec![Say(frame(kind::GOAWAY, 0, 1, &[0; 8]))], Connection(PROTOCOL)),
            ("§6.8 of 7 bytes", vec![Say(frame(kind::GOAWAY, 0, 0, &[0; 7]))], Connection(SIZE)),
            ("§6.9 WINDOW_UPDATE of 3 bytes", vec![Say(frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3]))], Connection(SIZE)),
            ("§6.9 of 5 bytes", vec![Say(frame(kind::WINDOW_UPDATE, 0, 0, &[0; 5]))], Connection(SIZE)),
        ],
    );
}

#[test]
fn settings_have_their_ranges() {
    let ack = |stream, payload| Say(frame(kind::SETTINGS, ACK, stream, payload));
    check(
        options(SERVER),
        vec![
            ("§6.5 none", vec![Say(settings(&[]))], Sound),
            ("§6.5 an acknowledgement", vec![ack(0, &[])], Sound),
            ("§6.5 one that says something", vec![ack(0, &[0; 6])], Connection(SIZE)),
            ("§6.5 on a stream", vec![Say(frame(kind::SETTINGS, 0, 1, &[]))], Connection(PROTOCOL)),
            ("§6.5 of 5 bytes", vec![Say(frame(kind::SETTINGS, 0, 0, &[0; 5]))], Connection(SIZE)),
            ("§6.5.2 unknown ones, and one twice", vec![Say(settings(&[(99, 1), (4, 1), (4, 2), (8, 1)]))], Sound),
            ("§6.5.2 pushes are 0 or 1", vec![Say(settings(&[(2, 0), (2, 1)]))], Sound),
            ("§6.5.2 and not 2", vec![Say(settings(&[(2, 2)]))], Connection(PROTOCOL)),
            ("§6.5.2 a window over its limit", vec![Say(settings(&[(4, 1 << 31)]))], Connection(FLOW)),
            ("§6.5.2 frames too small", vec![Say(settings(&[(5, 16_383)]))], Connection(PROTOCOL)),
            ("§6.5.2 frames too large", vec![Say(settings(&[(5, 1 << 24)]))], Connection(PROTOCOL)),
            (
                "§6.9.2 a stream's window goes over its limit",
                vec![say(&[request(1, 0), window(1, 1 << 30), settings(&[(4, (1 << 31) - 1)])])],
                Connection(FLOW),
            ),
        ],
    );
    check(
        options(CLIENT),
        vec![
            ("§6.5.2 a server takes no pushes", vec![Say(settings(&[(2, 0)]))], Sound),
            ("§6.5.2 and must not say so", vec![Say(settings(&[(2, 1)]))], Connection(PROTOCOL)),
        ],
    );
}

#[test]
fn a_header_block_is_one_piece_of_the_connection() {
    let whole = block(REQUEST);
    let (first, last) = whole.split_at(9);
    let begun = || headers(1, END, first);
    let ended = || continuation(1, HEADS, last);
    let between = |between: Vec<u8>| vec![say(&[begun(), between, ended()])];
    check(
        options(SERVER),
        vec![
            ("§4.3 in two frames", vec![say(&[begun(), ended()])], Sound),
            (
                "§4.3 in four",
                vec![say(&[
                    begun(),
                    continuation(1, 0, b""),
                    continuation(1, 0, &last[..5]),
                    continuation(1, HEADS, &last[5..]),
                ])],
                Sound,
            ),
            ("§4.3 no HPACK", vec![Say(headers(1, HEADS, &[0x80]))], Connection(Reason::COMPRESSION_ERROR)),
            ("§4.3 cut off", vec![Say(headers(1, HEADS, &whole[..7]))], Connection(Reason::COMPRESSION_ERROR)),
            ("§6.10 PING between", between(frame(kind::PING, 0, 0, &[0; 8])), Connection(PROTOCOL)),
            ("§6.10 an unknown frame between", between(frame(99, 0, 0, &[])), Connection(PROTOCOL)),
            ("§6.10 data between", between(data(1, 0, b"x")), Connection(PROTOCOL)),
            ("§6.10 another head between", between(request(3, 0)), Connection(PROTOCOL)),
            ("§6.10 another stream's", vec![say(&[begun(), continuation(3, HEADS, last)])], Connection(PROTOCOL)),
            ("§6.10 on stream 0", vec![say(&[begun(), continuation(0, HEADS, last)])], Connection(PROTOCOL)),
            ("§6.10 of nothing", vec![Say(continuation(1, HEADS, last))], Connection(PROTOCOL)),
            ("§6.10 of what has ended", vec![say(&[request(1, 0), continuation(1, HEADS, b"")])], Connection(PROTOCOL)),
            (
                "§6.10 without end",
                vec![say(&vec![begun(); 1]), say(&vec![continuation(1, 0, b""); 40])],
                Connection(Reason::ENHANCE_YOUR_CALM),
            ),
            ("§6.2 on stream 0", vec![Say(headers(0, HEADS, &whole))], Connection(PROTOCOL)),
            (
                "§6.2 with padding",
                vec![Say(headers(1, HEADS | PADDED | END, &[&[2], &whole[..], b"xx"].concat()))],
                Sound,
            ),
            ("§6.2 with too much of it", vec![Say(headers(1, HEADS | PADDED, &[5, 1, 2, 3, 4]))], Connection(PROTOCOL)),
            ("§6.2 without its length", vec![Say(headers(1, HEADS | PADDED, &[]))], Connection(SIZE)),
            (
                "§6.2 with a priority",
                vec![Say(headers(1, HEADS | PRIORITY | END, &[&[0, 0, 0, 1, 9], &whole[..]].concat()))],
                Sound,
            ),
            ("§6.2 with less than that", vec![Say(headers(1, HEADS | PRIORITY, &[0, 0, 0, 1]))], Connection(SIZE)),
        ],
    );
}

#[test]
fn a_stream_goes_from_state_to_state() {
    let done = || after(&served(END), &[Answer(true)]);
    let gone = || after(&done(), &[Drop]);
    let we_reset = || after(&served(0), &[Reset]);
    let they_reset = || after(&served(0), &[Say(reset(1, Reason::CANCEL))]);
    let mut cases = vec![
        ("§5.1 idle: data", vec![Say(data(1, 0, b"x"))], Connection(PROTOCOL)),
        ("§5.1 idle: a reset", vec![Say(reset(1, Reason::CANCEL))], Connection(PROTOCOL)),
        ("§5.1 idle: a window", vec![Say(window(1, 1))], Connection(PROTOCOL)),
        ("§5.1 idle: a window of ours", vec![Say(window(2, 1))], Connection(PROTOCOL)),
        ("§5.1 half-closed: data", after(&served(END), &[Say(data(1, 0, b"x"))]), Stream(1, CLOSED)),
        ("§5.1 half-closed: a head", after(&served(END), &[Say(trailers(1))]), Stream(1, CLOSED)),
        (
            "§5.1 half-closed: the rest",
            after(
                &served(END),
                &[say(&[window(1, 1), frame(kind::PRIORITY, 0, 1, &[0; 5]), reset(1, Reason::CANCEL)])],
            ),
            Sound,
        ),
        (
            "§5.1 we have reset",
            after(&we_reset(), &[say(&[data(1, 0, b"x"), window(1, 1), trailers(1), reset(1, Reason::CANCEL)])]),
            Sound,
        ),
        (
            "§5.1 and let go",
            after(&after(&we_reset(), &[Drop]), &[say(&[data(1, 0, b"x"), window(1, 1), trailers(1)])]),
            Sound,
        ),
        ("§5.1.1 an even number", vec![Say(request(2, END))], Connection(PROTOCOL)),
        ("§5.1.1 a lower number", vec![say(&[request(5, END), request(3, END)])], Connection(PROTOCOL)),
        (
            "§5.1.1 the same number",
            vec![say(&[request(5, 0), reset(5, Reason::CANCEL), request(5, END)])],
            Connection(PROTOCOL),
        ),
        ("§5.1.1 numbers may be left out", vec![say(&[request(5, END), request(91, END)])], Sound),
        ("§5.1.1 and are closed then", vec![say(&[request(5, END), data(3, 0, b"x")])], Stream(3, CLOSED)),
        (
            "§5.3 PRIORITY of what is idle, and its own",
            vec![say(&[frame(kind::PRIORITY, 0, 7, &[0, 0, 0, 7, 0]), request(1, END)])],
            Sound,
        ),
    ];
    for closed in [done(), gone(), they_reset(), after(&they_reset(), &[Drop])] {
        cases.push(("§5.1 closed: data", after(&closed, &[Say(data(1, END, b"x"))]), Stream(1, CLOSED)));
        cases.push(("§5.1 closed: trailers", after(&closed, &[Say(trailers(1))]), Stream(1, CLOSED)));
        let rest = say(&[window(1, 1), frame(kind::PRIORITY, 0, 1, &[0; 5]), reset(1, Reason::CANCEL)]);
        cases.push(("§5.1 closed: the rest", after(&closed, &[rest]), Sound));
    }
    cases.push(("§5.1.1 closed: a request", after(&gone(), &[Say(request(1, END))]), Connection(PROTOCOL)));
    check(options(SERVER), cases);
    let few = Options { side: Side::Server { streams: 2 }, ..options(SERVER) };
    let three = || vec![say(&[request(1, 0), request(3, 0), request(5, 0)])];
    check(
        few,
        vec![
            ("§5.1.2 too many", three(), Stream(5, Reason::REFUSED_STREAM)),
            (
                "§5.1.2 with a body",
                after(&three(), &[say(&[data(5, 0, b"x"), trailers(5)])]),
                Stream(5, Reason::REFUSED_STREAM),
            ),
            (
                "§5.1.2 one has ended",
                vec![say(&[request(1, 0), request(3, 0), reset(1, Reason::CANCEL), request(5, 0)])],
                Sound,
            ),
        ],
    );
}

#[test]
fn windows_hold() {
    let small = Options { stream_window: 10, ..options(SERVER) };
    check(
        small,
        vec![
            ("§6.9.1 all of a stream's window", vec![say(&[request(1, 0), data(1, 0, &[0; 10])])], Sound),
            (
                "§6.9.1 more than that",
                vec![say(&[request(1, 0), data(1, 0, &[0; 10]), data(1, 0, &[0])])],
                Stream(1, FLOW),
            ),
            ("§6.9.1 padding counts", vec![say(&[request(1, 0), data(1, PADDED, &[5; 11])])], Stream(1, FLOW)),
            (
                "§6.1 all of it padding",
                vec![say(&[request(1, 0), data(1, PADDED, &[9; 10]), data(1, PADDED, &[9; 10])])],
                Sound,
            ),
            ("§6.1 more than there is", vec![say(&[request(1, 0), data(1, PADDED, &[10; 10])])], Connection(PROTOCOL)),
            ("§6.1 padding without its length", vec![say(&[request(1, 0), data(1, PADDED, &[])])], Connection(SIZE)),
            ("§6.1 data on stream 0", vec![Say(data(0, 0, b"x"))], Connection(PROTOCOL)),
        ],
    );
    let full = || (0..3).map(|_| data(1, 0, &[0; 16_384])).collect::<Vec<_>>().concat();
    check(
        options(SERVER),
        vec![
            (
                "§6.9.1 all of the connection's window",
                vec![say(&[request(1, 0), full(), data(1, 0, &[0; 16_383])])],
                Sound,
            ),
            ("§6.9.1 more than that", vec![say(&[request(1, 0), full(), data(1, 0, &[0; 16_384])])], Connection(FLOW)),
            ("§6.9 nothing on the connection", vec![Say(window(0, 0))], Connection(PROTOCOL)),
            ("§6.9 nothing, beside a reserved bit", vec![Say(window(0, 1 << 31))], Connection(PROTOCOL)),
            ("§6.9 nothing on a stream", vec![say(&[request(1, 0), window(1, 0)])], Stream(1, PROTOCOL)),
            (
                "§6.9.1 up to the limit",
                vec![say(&[request(1, 0), window(0, (1 << 31) - 65_536), window(1, (1 << 31) - 65_536)])],
                Sound,
            ),
            ("§6.9.1 over the connection's", vec![Say(window(0, (1 << 31) - 65_535))], Connection(FLOW)),
            ("§6.9.1 over a stream's", vec![say(&[request(1, 0), window(1, (1 << 31) - 65_535)])], Stream(1, FLOW)),
        ],
    );
}

#[test]
fn what_comes_after_the_last_word_is_passed_over() {
    let mut raw = Raw::server();
    raw.say(&request(1, 0));
    raw.connection.leave();
    let first = raw.frames();
    assert_eq!((first[0].0.kind, &first[0].1[..]), (kind::GOAWAY, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0][..]));
    assert_eq!((first[1].0.kind, first.len()), (kind::PING, 2));
    // It crossed our word: still served.
    raw.say(&request(3, 0));
    raw.say(&frame(kind::PING, ACK, 0, b"farewell"));
    assert_eq!(raw.frames()[0].1, [0, 0, 0, 3, 0, 0, 0, 0]);
    raw.say(&[request(5, 0), data(5, 0, b"x"), window(5, 1), trailers(5), reset(5, Reason::CANCEL)].concat());
    assert!(raw.frames().is_empty() && raw.connection.lost().is_none());
    let (mut one, mut three) = (raw.accept().unwrap(), raw.accept().unwrap());
    assert!(raw.accept().is_none());
    raw.say(&[data(1, END, b"1"), data(3, END, b"3")].concat());
    assert_eq!((one.heard(false).body, three.heard(false).body), (b"1".to_vec(), b"3".to_vec()));
    assert!(one.answer(true) && three.answer(true) && !raw.connection.is_finished());
    drop((one, three));
    assert!(!raw.connection.is_finished());
    raw.frames();
    assert!(raw.connection.is_finished());
    raw.assert_at_rest();
}
