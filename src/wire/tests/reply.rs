//! Replies: what each version is sent, and that a broken promise is told.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use proptest::prelude::*;

use crate::wire::{BodyBroken, BodyDecoder, BodyLength, Framing, Piece, ReplyEncoder, ReplyTerms, Spelling};

const HTTP11: ReplyTerms = ReplyTerms {
    version: Version::HTTP_11,
    head_request: false,
    keep_alive: true,
    accepts_trailers: false,
    title_case: false,
};
const HTTP10: ReplyTerms = ReplyTerms { version: Version::HTTP_10, ..HTTP11 };
const CLOSING: ReplyTerms = ReplyTerms { keep_alive: false, ..HTTP11 };
const HEAD: ReplyTerms = ReplyTerms { head_request: true, ..HTTP11 };

fn start_with(
    terms: &ReplyTerms,
    status: u16,
    fields: &[(&'static str, &'static str)],
    length: BodyLength,
) -> (ReplyEncoder, String) {
    let mut reply = Response::new(());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in fields {
        reply.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    let mut out = BytesMut::new();
    let date = HeaderValue::from_static("now");
    let encoder = ReplyEncoder::start(terms, &reply.into_parts().0, length, &date, &mut out);
    (encoder, String::from_utf8(out.to_vec()).unwrap())
}

/// The lines of a head after its status line and `Date`.
fn start(terms: &ReplyTerms, status: u16, length: BodyLength) -> (ReplyEncoder, Vec<String>) {
    let (encoder, text) = start_with(terms, status, &[], length);
    let lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").skip(1).filter(|line| *line != "date: now");
    let lines = lines.map(str::to_owned).collect();
    (encoder, lines)
}

#[test]
fn a_spelling_is_kept_but_for_what_is_the_connections() {
    let names = ["X-One", "CONTENT-length", "Connection", "x-ONE", "Trailer", "X-Gone", "Keep-Alive", "Set-Cookie"];
    let mut spelling = Spelling::default();
    for name in names {
        spelling.push(name.parse().unwrap(), name.into());
    }
    assert!(spelling.set_reason("Very Fine".into()));
    let mut reply = Response::new(());
    for (name, value) in [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-one", "1"),
        ("x-one", "2"),
        ("trailer", "x"),
        ("keep-alive", "5"),
        ("content-length", "9"),
        ("vary", "x"),
    ] {
        reply.headers_mut().append(name, HeaderValue::from_static(value));
    }
    reply.extensions_mut().insert(spelling);
    let (parts, ()) = reply.into_parts();
    let written = |terms: &ReplyTerms, length| {
        let mut out = BytesMut::new();
        ReplyEncoder::start(terms, &parts, length, &HeaderValue::from_static("now"), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let own = "Set-Cookie: a=1\r\n";
    assert_eq!(
        written(&HTTP11, BodyLength::Exact(5)),
        format!(
            "HTTP/1.1 200 Very Fine\r\nX-One: 1\r\nCONTENT-length: 5\r\nx-ONE: 2\r\n{own}set-cookie: b=2\r\nvary: x\r\ndate: now\r\n\r\n"
        )
    );
    let chunked = written(&HTTP11, BodyLength::Unknown);
    assert!(!chunked.contains("ontent-") && !chunked.contains("CONTENT") && chunked.contains("chunked"), "{chunked}");
    let trailing = ReplyTerms { accepts_trailers: true, ..HTTP11 };
    assert!(written(&trailing, BodyLength::Unknown).contains("\r\nTrailer: x\r\n"));
    assert!(written(&HEAD, BodyLength::Empty).contains("\r\nCONTENT-length: 9\r\n"));
}

#[test]
fn framing_by_version_and_length() {
    use BodyLength::{Empty, Exact, Unknown};
    let legacy_closing = ReplyTerms { keep_alive: false, ..HTTP10 };
    let legacy_head = ReplyTerms { head_request: true, ..HTTP10 };
    /// Terms, status, length; lines, keeps alive, sends a body.
    type Case<'a> = (&'a ReplyTerms, u16, BodyLength, &'a [&'a str], bool, bool);
    let cases: &[Case<'_>] = &[
        (&HTTP11, 200, Exact(5), &["content-length: 5"], true, true),
        (&HTTP11, 200, Empty, &["content-length: 0"], true, true),
        (&HTTP11, 200, Unknown, &["transfer-encoding: chunked"], true, true),
        (&CLOSING, 200, Exact(5), &["content-length: 5", "connection: close"], false, true),
        (&CLOSING, 200, Unknown, &["transfer-encoding: chunked", "connection: close"], false, true),
        (&HTTP10, 200, Exact(5), &["content-length: 5", "connection: keep-alive"], true, true),
        (&HTTP10, 200, Unknown, &["connection: close"], false, true),
        (&legacy_closing, 200, Exact(5), &["content-length: 5", "connection: close"], false, true),
        (&legacy_closing, 404, Empty, &["content-length: 0", "connection: close"], false, true),
        (&HTTP11, 204, Unknown, &[], true, false),
        (&HTTP11, 204, Empty, &[], true, false),
        (&HTTP11, 304, Unknown, &[], true, false),
        (&HTTP11, 304, Exact(5), &[], true, false),
        (&HTTP10, 204, Unknown, &["connection: keep-alive"], true, false),
        (&HEAD, 200, Unknown, &[], true, false),
        (&HEAD, 200, Empty, &[], true, false),
        (&HEAD, 200, Exact(5), &["content-length: 5"], true, false),
        (&HEAD, 204, Exact(5), &[], true, false),
        (&legacy_head, 200, Unknown, &["connection: keep-alive"], true, false),
    ];
    for (terms, status, length, expected, keep_alive, sends_body) in cases {
        let (encoder, lines) = start(terms, *status, *length);
        assert_eq!(lines, *expected, "{terms:?} {status} {length:?}");
        assert_eq!(
            (encoder.keep_alive(), encoder.sends_body()),
            (*keep_alive, *sends_body),
            "{terms:?} {status} {length:?}"
        );
    }
}

#[test]
fn a_head_on_the_wire() {
    let fields = [("content-type", "a/b"), ("set-cookie", "a"), ("set-cookie", "b"), ("date", "then")];
    let (_, text) = start_with(&HTTP11, 200, &fields, BodyLength::Exact(1));
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nset-cookie: a\r\nset-cookie: b\r\ndate: then\r\ncontent-length: 1\r\n\r\n"
    );
    let title = ReplyTerms { title_case: true, ..HTTP10 };
    let (_, text) = start_with(&title, 499, &[("x-a-bc", "d-e")], BodyLength::Empty);
    assert_eq!(
        text,
        "HTTP/1.1 499 Unknown\r\nX-A-Bc: d-e\r\nDate: now\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn the_length_of_what_is_not_sent_is_the_replys_own() {
    let given = [("content-length", "42")];
    for (terms, status, expected) in
        [(&HEAD, 200, true), (&HTTP11, 304, true), (&HEAD, 304, true), (&HTTP11, 204, false), (&HEAD, 204, false)]
    {
        let (_, text) = start_with(terms, status, &given, BodyLength::Empty);
        assert_eq!(text.contains("content-length: 42\r\n"), expected, "{status}");
        assert_eq!(text.matches("content-length").count(), usize::from(expected), "{status}");
    }
    let (_, text) = start_with(&HTTP11, 200, &given, BodyLength::Exact(7));
    assert_eq!(text.matches("content-length").count(), 1);
    assert!(text.contains("content-length: 7\r\n"));
    for bad in [&[("content-length", "x")][..], &[("content-length", "1"), ("content-length", "2")]] {
        assert!(!start_with(&HEAD, 200, bad, BodyLength::Empty).1.contains("content-length"));
    }
}

#[test]
fn the_replys_hop_ends_here() {
    let fields = [
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-connection", "x"),
        ("trailer", "x-sum"),
        ("x-mine", "1"),
        ("x-stays", "2"),
    ];
    let (_, text) = start_with(&HTTP11, 200, &fields, BodyLength::Exact(1));
    assert_eq!(text, "HTTP/1.1 200 OK\r\nx-stays: 2\r\ndate: now\r\ncontent-length: 1\r\n\r\n");
    let (_, text) = start_with(&HTTP11, 200, &fields[1..6], BodyLength::Exact(1));
    assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 1\r\n\r\n");
}

#[test]
fn trailers_go_to_those_who_accept_them() {
    let accepting = ReplyTerms { accepts_trailers: true, ..HTTP11 };
    let accepting_10 = ReplyTerms { accepts_trailers: true, ..HTTP10 };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("content-length", HeaderValue::from_static("9"));
    for (terms, length, announced, ending) in [
        (&accepting, BodyLength::Unknown, true, "0\r\ngrpc-status: 0\r\n\r\n"),
        (&HTTP11, BodyLength::Unknown, false, "0\r\n\r\n"),
        (&accepting, BodyLength::Exact(0), false, ""),
        (&accepting_10, BodyLength::Unknown, false, ""),
    ] {
        let (mut encoder, text) = start_with(terms, 200, &[("trailer", "grpc-status")], length);
        assert_eq!(text.contains("trailer: grpc-status"), announced, "{terms:?}");
        let mut out = BytesMut::new();
        encoder.end(Some(&trailers), &mut out).unwrap();
        assert_eq!(out, ending, "{terms:?}");
    }
}

#[test]
fn chunks_are_framed_around_the_callers_bytes() {
    let (mut encoder, _) = start(&HTTP11, 200, BodyLength::Unknown);
    for (len, before) in [(1, "1\r\n"), (0xabc, "abc\r\n"), (0x10, "10\r\n"), (usize::MAX, "ffffffffffffffff\r\n")] {
        let mut out = BytesMut::new();
        assert_eq!(encoder.frame(len, &mut out), Ok(&b"\r\n"[..]));
        assert_eq!(out, before);
    }
    let mut out = BytesMut::new();
    assert_eq!(encoder.frame(0, &mut out), Ok(&b""[..]), "an empty piece is not the last chunk");
    assert!(out.is_empty());
    assert!(encoder.keep_alive());
}

#[test]
fn a_promised_length_is_kept_or_told() {
    let mut out = BytesMut::new();
    let (mut encoder, _) = start(&HTTP11, 200, BodyLength::Exact(5));
    assert_eq!(encoder.frame(3, &mut out), Ok(&b""[..]));
    assert_eq!(encoder.frame(3, &mut out), Err(BodyBroken::TooLong));
    assert!(!encoder.keep_alive());

    let (mut encoder, _) = start(&HTTP11, 200, BodyLength::Exact(5));
    encoder.frame(4, &mut out).unwrap();
    assert_eq!(encoder.end(None, &mut out), Err(BodyBroken::TooShort));
    assert!(!encoder.keep_alive());

    let (mut encoder, _) = start(&HTTP11, 200, BodyLength::Exact(5));
    encoder.frame(5, &mut out).unwrap();
    assert_eq!(encoder.end(None, &mut out), Ok(()));
    assert!(encoder.keep_alive());
    assert_eq!(encoder.frame(1, &mut out), Err(BodyBroken::Ended));
    assert_eq!(encoder.end(None, &mut out), Err(BodyBroken::Ended));

    let (mut encoder, _) = start(&HEAD, 200, BodyLength::Exact(5));
    assert_eq!(encoder.frame(1, &mut out), Err(BodyBroken::NoBody));
    let (mut encoder, _) = start(&HEAD, 200, BodyLength::Exact(5));
    assert_eq!(encoder.end(None, &mut out), Ok(()), "what is promised to HEAD is not sent");
    assert!(out.is_empty());
}

#[test]
fn switching_protocols_ends_http() {
    let fields = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")];
    let (encoder, text) = start_with(&HTTP11, 101, &fields, BodyLength::Unknown);
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    assert!(!encoder.keep_alive() && !encoder.sends_body());
}

#[test]
fn an_interim_reply_is_never_the_last_word() {
    for (terms, status) in [(&HTTP11, 100), (&HTTP11, 103), (&HTTP10, 101), (&HTTP10, 100)] {
        let (mut encoder, text) = start_with(terms, status, &[("upgrade", "websocket")], BodyLength::Unknown);
        assert_eq!(text, "HTTP/1.1 502 Bad Gateway\r\ndate: now\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(!encoder.keep_alive());
        assert_eq!(encoder.frame(1, &mut BytesMut::new()), Err(BodyBroken::TooLong));
    }
}

proptest! {
    #[test]
    fn chunks_written_are_chunks_read(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
        sum in prop::option::of("[!-~]{1,20}"),
    ) {
        let terms = ReplyTerms { accepts_trailers: true, ..HTTP11 };
        let (mut encoder, _) = start(&terms, 200, BodyLength::Unknown);
        let mut wire = BytesMut::new();
        for piece in &pieces {
            let after = encoder.frame(piece.len(), &mut wire).unwrap();
            wire.extend_from_slice(piece);
            wire.extend_from_slice(after);
        }
        let trailers = sum.map(|sum| HeaderMap::from_iter([("x-sum".parse().unwrap(), sum.parse().unwrap())]));
        encoder.end(trailers.as_ref(), &mut wire).unwrap();
        wire.extend_from_slice(b"NEXT");

        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let (mut data, mut read_trailers) = (Vec::new(), None);
        loop {
            match decoder.decode(&mut wire).unwrap().unwrap() {
                Piece::Data(piece) => data.extend_from_slice(&piece),
                Piece::Trailers(fields) => read_trailers = Some(fields),
                Piece::End => break,
            }
        }
        prop_assert_eq!(data, pieces.concat());
        prop_assert_eq!(read_trailers, trailers);
        prop_assert_eq!(&wire[..], b"NEXT");
    }
}
