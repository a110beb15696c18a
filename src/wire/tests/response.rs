//! Answers of servlets: each rule with what passes it and what does not, and that they are read the same however they arrive.

use bytes::BytesMut;
use http::Version;
use proptest::prelude::*;

use super::answers::check_any;
use crate::model::{Fault, Kind, Stage};
use crate::wire::{HeadLimits, Piece, ResponseHead, ResponseParser};

/// To a request that was HEAD, or was not.
fn parse_to(to_head: bool, text: &str) -> Result<Option<ResponseHead>, Fault> {
    ResponseParser::new(HeadLimits::default(), to_head).parse(&mut BytesMut::from(text))
}

/// A head that is whole and good.
fn head_to(to_head: bool, text: &str) -> ResponseHead {
    let head = parse_to(to_head, text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
    head.unwrap_or_else(|| panic!("{text:?}: not whole"))
}

fn head(text: &str) -> ResponseHead {
    head_to(false, text)
}

fn fields(head: &ResponseHead) -> Vec<(&str, &str)> {
    head.response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn a_head_has_one_shape() {
    let head = head(
        "HTTP/1.1 200 OK\r\nDate: now\r\nX-A: 1 \r\nx-a:\t2\r\nX-B:\r\nContent-Length: 7\r\nConnection: X-Hop, Keep-Alive\r\n\
         X-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: h2\r\nTE: x\r\n\r\n",
    );
    assert_eq!((head.response.status().as_u16(), head.response.version()), (200, Version::HTTP_11));
    assert_eq!(fields(&head), [("date", "now"), ("x-a", "1"), ("x-a", "2"), ("x-b", ""), ("content-length", "7")]);
    assert!(head.keep_alive && head.body.remaining() == Some(7));
}

#[test]
fn only_the_head_is_taken_and_interim_ones_come_one_by_one() {
    let mut buf = BytesMut::from(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 Gone\r\n\r\nHTTP/1.1 200",
    );
    let mut parser = ResponseParser::new(HeadLimits::default(), false);
    for status in [100, 103, 204] {
        assert_eq!(parser.parse(&mut buf).unwrap().unwrap().response.status(), status);
    }
    assert!(parser.parse(&mut buf).unwrap().is_none());
    assert_eq!(buf, "HTTP/1.1 200");
}

#[test]
fn a_status_line_may_lack_its_phrase() {
    for line in ["HTTP/1.1 299", "HTTP/1.1 299 ", "HTTP/1.1 299 A B", "HTTP/1.1 299 caf\u{e9}", "HTTP/1.1 299 a\tb"] {
        assert_eq!(head(&format!("{line}\r\n\r\n")).response.status(), 299, "{line}");
    }
    assert_eq!(head("HTTP/1.0 200 OK\r\n\r\n").response.version(), Version::HTTP_10);
}

#[test]
fn syntax_is_strict_and_bad_bytes_are_told_where_they_stand() {
    let cases = [
        "garbage\r\n\r\n",
        "x",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA B: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x7f\r\n\r\n",
    ];
    for text in cases {
        let fault = parse_to(false, text).expect_err(text);
        assert_eq!((fault.kind, fault.stage), (Kind::MalformedReply, Stage::Wait), "{text:?}");
    }
}

/// How a body is read: so many bytes, in chunks, or until the end.
#[derive(Debug, PartialEq)]
enum Reads {
    Length(u64),
    Chunks,
    UntilClose,
}

fn reads(head: ResponseHead) -> Reads {
    let mut body = head.body;
    match body.remaining() {
        Some(length) => Reads::Length(length),
        None if body.close().is_ok() => Reads::UntilClose,
        None => Reads::Chunks,
    }
}

#[test]
fn the_length_of_a_body_can_be_told_in_one_way() {
    use Reads::{Chunks, Length, UntilClose};
    let cases = [
        (false, "1.1", 200, "", UntilClose),
        (false, "1.0", 200, "", UntilClose),
        (false, "1.1", 200, "Content-Length: 5\r\n", Length(5)),
        (false, "1.0", 200, "Content-Length: 5\r\n", Length(5)),
        (false, "1.1", 200, "Content-Length: 0\r\n", Length(0)),
        (false, "1.1", 200, "Content-Length: 18446744073709551615\r\n", Length(u64::MAX)),
        // The same, said twice.
        (false, "1.1", 200, "Content-Length: 5\r\nContent-Length: 5\r\n", Length(5)),
        (false, "1.1", 200, "Content-Length: 5, 5 ,05\r\n", Length(5)),
        (false, "1.1", 500, "Transfer-Encoding: Chunked\r\n", Chunks),
        // Those have none, whatever they say (RFC 9112 §6.3).
        (true, "1.1", 200, "Content-Length: 5\r\n", Length(0)),
        (true, "1.1", 200, "Transfer-Encoding: chunked\r\n", Length(0)),
        (true, "1.1", 200, "", Length(0)),
        (false, "1.1", 204, "", Length(0)),
        (false, "1.1", 204, "Content-Length: 5\r\n", Length(0)),
        (false, "1.1", 304, "Content-Length: 5\r\n", Length(0)),
        (false, "1.1", 304, "Transfer-Encoding: chunked\r\n", Length(0)),
        (false, "1.1", 100, "Content-Length: 5\r\n", Length(0)),
    ];
    for (to_head, version, status, fields, expected) in cases {
        let text = format!("HTTP/{version} {status} X\r\n{fields}\r\n");
        assert_eq!(reads(head_to(to_head, &text)), expected, "{text:?}");
    }
    let refused = [
        ("1.1", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("1.1", "Content-Length: 5, 6\r\n"),
        ("1.1", "Content-Length: 5,\r\n"),
        ("1.1", "Content-Length:\r\n"),
        ("1.1", "Content-Length: -1\r\n"),
        ("1.1", "Content-Length: +1\r\n"),
        ("1.1", "Content-Length: 1 1\r\n"),
        ("1.1", "Content-Length: 0x1\r\n"),
        ("1.1", "Content-Length: 18446744073709551616\r\n"),
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("1.1", "Transfer-Encoding: gzip\r\n"),
        ("1.1", "Transfer-Encoding: gzip, chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked, identity\r\n"),
        ("1.1", "Transfer-Encoding: xchunked\r\n"),
        ("1.1", "Transfer-Encoding:\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\n"),
    ];
    for (version, fields) in refused {
        for status in [200, 304] {
            let text = format!("HTTP/{version} {status} X\r\n{fields}\r\n");
            assert_eq!(parse_to(false, &text).expect_err(&text).kind, Kind::MalformedReply);
        }
    }
}

#[test]
fn a_length_goes_on_where_it_means_something() {
    let length = |to_head, status: u16| {
        let head = head_to(to_head, &format!("HTTP/1.1 {status} X\r\nContent-Length: 5, 5\r\n\r\n"));
        head.response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned())
    };
    for (to_head, status, expected) in [
        (false, 200, Some("5")),
        (true, 200, Some("5")),
        (false, 304, Some("5")),
        (false, 204, None),
        (false, 103, None),
    ] {
        assert_eq!(length(to_head, status).as_deref(), expected, "{status}");
    }
}

#[test]
fn a_connection_is_kept_when_both_could_and_the_head_does_not_say_otherwise() {
    let cases = [
        ("1.1", 200, "Content-Length: 1\r\n", true),
        ("1.1", 200, "Content-Length: 1\r\nConnection: close\r\n", false),
        ("1.1", 200, "Content-Length: 1\r\nConnection: x, CLOSE\r\n", false),
        ("1.1", 200, "Content-Length: 1\r\nConnection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", 200, "Transfer-Encoding: chunked\r\n", true),
        ("1.1", 200, "", false),
        ("1.1", 200, "Connection: keep-alive\r\n", false),
        ("1.1", 204, "", true),
        ("1.1", 304, "", true),
        ("1.1", 101, "Connection: upgrade\r\nUpgrade: x\r\n", false),
        ("1.0", 200, "Content-Length: 1\r\n", false),
        ("1.0", 200, "Content-Length: 1\r\nConnection: Keep-Alive\r\n", true),
        ("1.0", 304, "Connection: keep-alive\r\n", true),
        ("1.0", 304, "", false),
    ];
    for (version, status, fields, keep_alive) in cases {
        let text = format!("HTTP/{version} {status} X\r\n{fields}\r\n");
        assert_eq!(head(&text).keep_alive, keep_alive, "{text:?}");
    }
}

#[test]
fn what_connection_names_goes_but_for_what_must_arrive() {
    let named = head(
        "HTTP/1.1 200 X\r\nConnection: X-A, content-length, grpc-status, upgrade\r\nX-A: 1\r\ngrpc-status: 0\r\nContent-Length: 3\r\nUpgrade: x\r\n\r\n",
    );
    assert_eq!(fields(&named), [("grpc-status", "0"), ("content-length", "3")]);
    let switch = head("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\nKeep-Alive: 5\r\n\r\n");
    assert_eq!(fields(&switch), [("upgrade", "x")]);
    assert!(switch.body.is_done());
}

#[test]
fn a_head_is_bounded() {
    let limits = HeadLimits { bytes: 100, fields: 3 };
    let parse = |text: &str| ResponseParser::new(limits, false).parse(&mut BytesMut::from(text));
    let of = |fields: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(fields));
    assert!(parse(&of(3)).unwrap().is_some());
    assert_eq!(parse(&of(4)).unwrap_err().kind, Kind::MalformedReply);
    let long = |bytes: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(bytes - 24));
    assert!(parse(&long(100)).unwrap().is_some());
    assert_eq!(parse(&long(101)).unwrap_err().kind, Kind::MalformedReply);
    assert!(parse(&long(101)[..99]).unwrap().is_none());
    assert_eq!(parse(&long(200)[..100]).unwrap_err().kind, Kind::MalformedReply, "before its end");
    // More fields than are parsed without an allocation.
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(head(&many).response.headers().len(), 100);
    assert!(parse_to(false, &many.replacen("A: b", "C: d\r\nA: b", 1)).is_err());
}

#[test]
fn a_fault_is_the_last_word() {
    let mut parser = ResponseParser::new(HeadLimits::default(), false);
    let told = parser.parse(&mut BytesMut::from("nonsense")).unwrap_err().to_string();
    let mut good = BytesMut::from("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(parser.parse(&mut good).unwrap_err().to_string(), told);
    assert_eq!(good.len(), 19);
}

#[test]
fn a_body_ends_where_its_framing_says_and_nowhere_else() {
    let cases: [(&str, &str, Option<&str>); 6] = [
        ("Content-Length: 5\r\n", "hello", Some("hello")),
        ("Content-Length: 5\r\n", "hell", None),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", Some("hello")),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", None),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n", None),
        ("", "hello", Some("hello")),
    ];
    for (fields, sent, whole) in cases {
        let mut body = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).body;
        let (mut buf, mut read) = (BytesMut::from(sent), Vec::new());
        while let Some(Piece::Data(data)) = body.decode(&mut buf).unwrap() {
            read.extend_from_slice(&data);
        }
        match (body.close(), whole) {
            (Ok(()), Some(whole)) => {
                assert_eq!(read, whole.as_bytes());
                assert!(body.is_done() && body.remaining() == Some(0));
                assert_eq!(body.decode(&mut buf).unwrap(), Some(Piece::End));
            }
            (Err(fault), None) => assert_eq!((fault.kind, fault.stage), (Kind::ConnectionLost, Stage::ReplyBody)),
            (closed, _) => panic!("{fields:?} {sent:?}: {closed:?}"),
        }
    }
    let mut body = head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").body;
    let fault = body.decode(&mut BytesMut::from("zz\r\n")).unwrap_err();
    assert_eq!((fault.kind, fault.stage), (Kind::MalformedReply, Stage::ReplyBody));
}

/// Parts of answers, good and bad, so that every rule is met in many places.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let texts: &[&str] = &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 204 None\r\n",
        "HTTP/1.1 304 Same\r\n",
        "HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 6\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Connection: close, x\r\n",
        "Connection: keep-alive\r\n",
        "X: y\r\n",
        "X : y\r\n",
        " fold\r\n",
        "\r\n",
        "\r\n",
        "hello",
        "5;ext=1\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\nHost: z\r\n\r\n",
        "\n",
        "\0",
    ];
    prop_oneof![
        20 => prop::sample::select(texts).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
        1 => (1_usize..200).prop_map(|len| vec![b'a'; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_split_says_the_same_and_what_was_taken_has_one_way_to_be_written(
        first in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n"]),
        parts in prop::collection::vec(fragment(), 0..8),
        to_head in any::<bool>(),
        step in 1_usize..40,
    ) {
        let bytes = [first.as_bytes(), &parts.concat()].concat();
        check_any(to_head, &bytes, bytes.chunks(step));
    }
}
