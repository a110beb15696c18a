//! What a caller is sent of an answer.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use proptest::prelude::*;
use serde_json::json;

use super::super::{EnvelopePlan, EnvelopeReply};
use super::{body, encoded, head, stream, trailers};
use crate::model::{Code, Fault, Kind, Stage};
use crate::translate::{Farewell, ReplyStep, ReplyTranslator};
use crate::wire::{BodyLength, ReplyEncoder, ReplyTerms};

/// All that became of an answer.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) head: Option<Response<()>>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    /// It is whole.
    pub(super) ended: bool,
    pub(super) fault: Option<Kind>,
    code: Option<Code>,
}

/// Takes steps; whether more input would help.
fn drain(reply: &mut EnvelopeReply, told: &mut Told) -> bool {
    loop {
        match reply.step() {
            Ok(ReplyStep::NeedInput) => return true,
            Ok(ReplyStep::Head(head)) => assert!(told.head.replace(head).is_none() && told.body.is_empty()),
            Ok(ReplyStep::Data(data)) => told.body.extend_from_slice(&data),
            Ok(ReplyStep::End) => {
                told.trailers = reply.trailers();
                told.ended = true;
            }
            Err(fault) => told.fault = Some(fault.kind),
        }
        told.code = reply.status().map(|status| status.code);
        if told.ended || told.fault.is_some() {
            return false;
        }
    }
}

/// An answer of these bytes in pieces of that size, and how it ended.
pub(super) fn answered(head_request: bool, bytes: &[u8], size: usize, status: &'static str) -> Told {
    let mut reply = EnvelopeReply::new(&EnvelopePlan::new(head_request, 1000));
    let mut told = Told::default();
    let mut initial = HeaderMap::new();
    initial.insert("content-type", HeaderValue::from_static("application/grpc"));
    reply.head(StatusCode::OK, initial);
    for piece in bytes.chunks(size) {
        reply.push(Bytes::copy_from_slice(piece));
        if !drain(&mut reply, &mut told) {
            return told;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("grpc-message", HeaderValue::from_static("sold out"));
    reply.finish(Some(trailers));
    assert!(!drain(&mut reply, &mut told), "an answer has an end");
    told
}

fn ok(messages: &[Vec<u8>]) -> Told {
    answered(false, &stream(messages), 7, "0")
}

/// A head as an HTTP/1.1 caller reads it.
fn written(head: Response<()>, length: BodyLength) -> String {
    let terms = ReplyTerms {
        version: Version::HTTP_11,
        head_request: false,
        keep_alive: true,
        accepts_trailers: false,
        title_case: false,
    };
    let mut out = BytesMut::new();
    let date = HeaderValue::from_static("now");
    ReplyEncoder::start(&terms, &head.into_parts().0, length, &date, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn an_answer_comes_out_as_it_was_put_in() {
    let fields = [
        ("Set-Cookie", "a=1"),
        ("X-B", " 2 "),
        ("SET-cookie", "b=2; Path=/"),
        ("Content-Type", "text/html"),
        ("x-e", ""),
    ];
    let told = ok(&[head(404, &fields), body(b"not "), body(b""), body(b"here")]);
    assert_eq!((told.ended, &told.body[..], told.code), (true, &b"not here"[..], Some(Code::Ok)));
    let head = told.head.unwrap();
    assert_eq!(head.status(), 404);
    let cookies: Vec<_> = head.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2; Path=/"]);
    let expected = "HTTP/1.1 404 Not Found\r\nSet-Cookie: a=1\r\nX-B: 2\r\nSET-cookie: b=2; Path=/\r\n\
        Content-Type: text/html\r\nx-e: \r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(written(head, BodyLength::Unknown), expected);
}

#[test]
fn a_reason_and_a_length_are_kept_and_the_hop_is_not() {
    let fields = [
        ("Connection", "close, X-Hop"),
        ("X-HOP", "1"),
        ("Content-LENGTH", "2"),
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "5"),
        ("Date", "then"),
        ("Upgrade", "h2c"),
        ("X-Last", "1"),
    ];
    let reply = json!({ "head": { "status": 299, "reason": "Just so", "fields": super::listed(&fields) } });
    let told = ok(&[encoded(reply), body(b"ab")]);
    assert!(told.ended);
    let text = written(told.head.unwrap(), BodyLength::Exact(2));
    assert_eq!(text, "HTTP/1.1 299 Just so\r\nContent-LENGTH: 2\r\nDate: then\r\nX-Last: 1\r\n\r\n");
}

#[test]
fn the_head_and_each_piece_go_out_at_once() {
    let mut reply = EnvelopeReply::new(&EnvelopePlan::new(false, 1000));
    let mut initial = HeaderMap::new();
    initial.insert("content-type", HeaderValue::from_static("application/grpc"));
    reply.head(StatusCode::OK, initial);
    assert!(matches!(reply.step(), Ok(ReplyStep::NeedInput)));
    reply.push(stream(&[head(200, &[("content-length", "3")])]).into());
    assert!(matches!(reply.step(), Ok(ReplyStep::Head(_))));
    assert_eq!((reply.promised(), reply.status()), (Some(3), None));
    reply.push(stream(&[body(b"ab")]).into());
    assert!(matches!(reply.step(), Ok(ReplyStep::Data(data)) if data == "ab"));
    assert_eq!(reply.promised(), Some(1));
    let fault = Fault::new(Kind::DeadlineExceeded, Stage::ReplyBody, "late");
    assert_eq!(reply.farewell(&fault), Farewell::Break(Bytes::new()), "never a clean end");
}

#[test]
fn an_error_before_the_head_is_told_and_after_it_breaks_the_answer() {
    let told = answered(false, &[], 1, "8");
    let head = told.head.unwrap();
    assert_eq!((head.status().as_u16(), told.ended, told.code), (429, true, Some(Code::ResourceExhausted)));
    assert_eq!(told.body, br#"{"code":8,"message":"sold out"}"#);
    assert!(!head.headers().keys().any(|name| name.as_str().starts_with("grpc-")));
    assert_eq!(head.headers()["content-type"], "application/json");

    for messages in [&[head_of(200)][..], &[head_of(200), body(b"half")], &[head_of(200), trailers(&[])]] {
        let told = answered(false, &stream(messages), 5, "8");
        assert_eq!((told.ended, told.fault), (false, Some(Kind::StreamReset)));
    }
    // The head of an answer without a body has not gone out yet.
    let told = answered(false, &stream(&[head_of(204)]), 5, "8");
    assert_eq!(told.head.unwrap().status(), 429);
}

fn head_of(status: u32) -> Vec<u8> {
    head(status, &[])
}

#[test]
fn an_answer_that_is_not_grpc_is_an_error() {
    let mut reply = EnvelopeReply::new(&EnvelopePlan::new(false, 1000));
    reply.head(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new());
    reply.push(Bytes::from_static(b"<html>"));
    let mut told = Told::default();
    drain(&mut reply, &mut told);
    assert_eq!(told.head.unwrap().status(), 503);
}

#[test]
fn what_breaks_the_contract_is_a_fault() {
    let length = |value| head(200, &[("content-length", value)]);
    let cases: &[(&str, &[Vec<u8>])] = &[
        ("no head", &[]),
        ("a body first", &[body(b"x"), head_of(200)]),
        ("trailers first", &[trailers(&[]), head_of(200)]),
        ("two heads", &[head_of(200), head_of(200)]),
        ("a head after the body", &[head_of(200), body(b"x"), head_of(200)]),
        ("more after trailers", &[head_of(200), trailers(&[("a", "b")]), body(b"x")]),
        ("nothing after trailers", &[head_of(200), trailers(&[("a", "b")]), body(b"")]),
        ("trailers twice", &[head_of(200), trailers(&[("a", "b")]), trailers(&[("a", "b")])]),
        ("no status", &[head_of(0)]),
        ("a status too low", &[head_of(99)]),
        ("a status too high", &[head_of(1000)]),
        ("a status far too high", &[head_of(65536 + 200)]),
        ("101", &[head_of(101), head_of(200)]),
        ("an interim head alone", &[head_of(103)]),
        ("an empty name", &[head(200, &[("", "x")])]),
        ("a name with a space", &[head(200, &[("a b", "x")])]),
        ("a name with a colon", &[head(200, &[("a:", "x")])]),
        ("a pseudo-field", &[head(200, &[(":status", "200")])]),
        ("a name that ends the line", &[head(200, &[("a\r\nb", "x")])]),
        ("a value that ends the line", &[head(200, &[("a", "b\r\nSet-Cookie: c")])]),
        ("a value with a bare LF", &[head(200, &[("a", "b\nc")])]),
        ("a value with a NUL", &[head(200, &[("a", "b\0")])]),
        ("a reason that ends the line", &[encoded(json!({ "head": { "status": 200, "reason": "a\r\nb: c" } }))]),
        ("a trailer that ends the line", &[head_of(200), trailers(&[("a", "b\r\n\r\n")])]),
        (
            "too many fields",
            &[encoded(json!({ "head": { "status": 200, "fields": super::listed(&[("a", ""); 501]) } }))],
        ),
        ("two lengths", &[head(200, &[("content-length", "1"), ("Content-Length", "1")])]),
        ("a list of lengths", &[length("1, 1")]),
        ("a signed length", &[length("+1")]),
        ("no number", &[length("")]),
        ("a length too large", &[length("99999999999999999999")]),
        ("too long", &[length("3"), body(b"ab"), body(b"cd")]),
        ("too short", &[length("3"), body(b"ab")]),
        ("too short, with trailers", &[length("3"), body(b"ab"), trailers(&[])]),
    ];
    for (name, messages) in cases {
        let mut reply = EnvelopeReply::new(&EnvelopePlan::new(false, 1 << 20));
        let mut initial = HeaderMap::new();
        initial.insert("content-type", HeaderValue::from_static("application/grpc"));
        reply.head(StatusCode::OK, initial);
        let mut told = Told::default();
        for message in *messages {
            reply.push(stream(std::slice::from_ref(message)).into());
            if !drain(&mut reply, &mut told) {
                break;
            }
        }
        if told.fault.is_none() {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            reply.finish(Some(trailers));
            drain(&mut reply, &mut told);
        }
        assert_eq!((told.ended, told.fault), (false, Some(Kind::MalformedReply)), "{name}");
    }
    let too_large = ok(&[head_of(200), body(&[b'x'; 1001])]);
    assert_eq!(too_large.fault, Some(Kind::UntranslatableReply));
    let half = stream(&[head_of(200), body(b"abc")]);
    assert_eq!(answered(false, &half[..half.len() - 1], 9, "0").fault, Some(Kind::MalformedReply));
    let mut compressed = stream(&[head_of(200)]);
    compressed[0] = 1;
    assert_eq!(answered(false, &compressed, 9, "0").fault, Some(Kind::MalformedReply));
}

#[test]
fn interim_heads_and_parts_of_tomorrow_are_passed_over() {
    // Field 9, a string.
    let unknown = vec![9 << 3 | 2, 1, b'x'];
    let told = ok(&[unknown.clone(), head_of(103), head_of(100), head_of(200), unknown, body(b"x"), Vec::new()]);
    assert_eq!((told.ended, &told.body[..], told.head.unwrap().status().as_u16()), (true, &b"x"[..], 200));
}

#[test]
fn a_message_that_comes_in_parts_merges() {
    let parts = [head(200, &[("a", "1")]), head(201, &[("b", "2")])].concat();
    let told = ok(&[parts]);
    let head = told.head.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["a"], &head.headers()["b"]),
        (201, &"1".parse().unwrap(), &"2".parse().unwrap())
    );
    // The last of a oneof counts.
    let told = ok(&[[body(b"x"), head_of(200)].concat()]);
    assert_eq!((told.ended, told.body.len()), (true, 0));
}

#[test]
fn trailers_are_filtered_and_told_at_the_end() {
    let fields = [("X-Sum", "1"), ("Content-Length", "5"), ("Host", "a")];
    let told = ok(&[head_of(200), body(b"x"), trailers(&fields)]);
    let trailers = told.trailers.unwrap();
    assert_eq!((told.ended, trailers.len(), &trailers["x-sum"]), (true, 1, &"1".parse().unwrap()));
}

#[test]
fn what_has_no_body_waits_for_the_end_and_not_for_a_body() {
    for (head_request, status) in [(true, 200), (false, 204), (false, 304)] {
        let fields = [("Content-Length", "5"), ("ETag", "\"a\"")];
        let whole = stream(&[head(status, &fields)]);
        let told = answered(head_request, &whole, 3, "0");
        let head = told.head.unwrap();
        assert_eq!((told.ended, told.body.len(), head.status().as_u16() as u32), (true, 0, status));
        assert_eq!(head.headers().contains_key("content-length"), status != 204);
        let told = answered(head_request, &whole, 3, "0");
        assert_eq!(told.code, Some(Code::Ok));

        let ignorant = stream(&[super::head(status, &fields), body(b"never"), body(b" seen")]);
        let told = answered(head_request, &ignorant, 3, "13");
        assert_eq!((told.ended, told.body.len(), told.code), (true, 0, Some(Code::Ok)), "nobody waits for its end");
        assert_eq!(told.head.unwrap().status().as_u16() as u32, status);
    }
}

proptest! {
    #[test]
    fn an_answer_is_the_same_whatever_the_pieces(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        promised in proptest::option::of(0_usize..200),
        status in 198_u32..210,
        size in 1_usize..50,
        fault in 0_usize..400,
        flip in any::<u8>(),
    ) {
        let length = promised.map(|length| length.to_string());
        let fields: Vec<(&str, &str)> = length.iter().map(|length| ("Content-Length", length.as_str())).collect();
        let mut messages = vec![head(status, &fields)];
        messages.extend(pieces.iter().map(|piece| body(piece)));
        let mut bytes = stream(&messages);
        if let Some(byte) = bytes.get_mut(fault) {
            *byte ^= flip;
        }
        let (one, other) = (answered(false, &bytes, bytes.len().max(1), "0"), answered(false, &bytes, size, "0"));
        let summary = |told: Told| {
            let head = told.head.map(|head| (head.status(), head.headers().clone()));
            (head, told.body, told.trailers, told.ended, told.fault, told.code)
        };
        prop_assert_eq!(summary(one), summary(other));
    }
}
