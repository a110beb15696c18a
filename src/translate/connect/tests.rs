//! What the Connect protocol promises (connectrpc.com/docs/protocol), whatever pieces bodies come in.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::schema::{Schema, Source};
use crate::translate::conversation::{Fields, Told, framed, map, sent, told};
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};
use crate::translate::relay::Walker;

const LIMIT: usize = 64;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = "syntax = \"proto3\"; package t; message Words { string text = 1; int64 number = 2; repeated Long many = 3; } \
                enum Long { A_NAME_THAT_IS_LONGER_THAN_THE_MESSAGE_THAT_IT_STANDS_IN = 0; } \
                service S { rpc Say(Words) returns (Words); }";
    let source = Source::Proto { name: "t.proto".into(), text: text.into() };
    Schema::build(&[source], &mut |_| None).unwrap_or_else(|errors| panic!("{errors:?}"))
});

fn plan(form: Form, codec: Codec) -> ConnectPlan {
    let method = SCHEMA.method("t.S", "Say").unwrap();
    ConnectPlan { path: method.path.clone(), method: Some(method.clone()), codec, form, message_limit: LIMIT }
}

/// `{"text": …}` as protobuf.
fn words(text: &str) -> Vec<u8> {
    [&[10, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// What a request came to.
fn asked(form: Form, codec: Codec, body: &[u8], sizes: &[usize]) -> Result<Vec<u8>, (Kind, String)> {
    let request = ConnectRequest::new(&plan(form, codec), &HeaderMap::new());
    sent(request, body, sizes).map_err(|fault| (fault.kind, fault.message.into_owned()))
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref().unwrap().1.get(name).map(|value| value.to_str().unwrap())
    }
}

fn grpc() -> (StatusCode, HeaderMap) {
    (StatusCode::OK, map(&[("content-type", "application/grpc"), ("x-head", "1"), ("grpc-encoding", "identity")]))
}

fn ok() -> Result<Option<HeaderMap>, Kind> {
    Ok(Some(map(&[("grpc-status", "0"), ("x-cost", "3"), ("x-cost", "4")])))
}

/// The frames of a stream: flag and message.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((prefix, after)) = body.split_at_checked(5) {
        let (message, later) = after.split_at(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize);
        frames.push((prefix[0], message.to_vec()));
        body = later;
    }
    assert!(body.is_empty());
    frames
}

/// The last frame of a stream.
fn end_of(body: &[u8]) -> Value {
    let (flag, message) = frames(body).pop().unwrap();
    assert_eq!(flag, 2);
    serde_json::from_slice(&message).unwrap()
}

proptest! {
    #[test]
    fn requests_are_the_same_whatever_their_pieces(
        texts in proptest::collection::vec("[a-z]{0,12}", 0..4),
        sizes in proptest::collection::vec(1_usize..20, 1..6),
        cut in 0_usize..4,
    ) {
        let expected = framed(&texts.iter().map(|text| if text.is_empty() { Vec::new() } else { words(text) }).collect::<Vec<_>>());
        let body = framed(&texts.iter().map(|text| json!({"text": text}).to_string().into_bytes()).collect::<Vec<_>>());
        prop_assert_eq!(asked(Form::Stream, Codec::Json, &body, &sizes), Ok(expected));
        let part = &body[..body.len().saturating_sub(cut)];
        for (form, codec) in [(Form::Stream, Codec::Json), (Form::Post, Codec::Proto), (Form::Post, Codec::Json)] {
            prop_assert_eq!(asked(form, codec, part, &sizes), asked(form, codec, part, &[usize::MAX]));
        }
    }

    #[test]
    fn answers_are_the_same_whatever_their_pieces(
        texts in proptest::collection::vec("[a-z]{1,12}", 0..4),
        sizes in proptest::collection::vec(1_usize..20, 1..6),
        cut in 0_usize..9,
        junk in proptest::option::of(2_u8..),
        proto in any::<bool>(),
    ) {
        let codec = if proto { Codec::Proto } else { Codec::Json };
        let mut body = framed(&texts.iter().map(|text| words(text)).collect::<Vec<_>>());
        let answer = |body: &[u8], sizes: &[usize], end| told(StreamReply::new(&plan(Form::Stream, codec)), grpc(), body, sizes, end);
        let whole = answer(&body, &sizes, ok());
        prop_assert_eq!(&whole, &answer(&body, &[usize::MAX], ok()));
        let expected: Vec<(u8, Vec<u8>)> = texts
            .iter()
            .map(|text| (0, if proto { words(text) } else { json!({"text": text}).to_string().into_bytes() }))
            .collect();
        let mut all = frames(&whole.body);
        all.pop();
        prop_assert_eq!(all, expected);
        prop_assert_eq!(end_of(&whole.body), json!({"metadata": {"x-cost": ["3", "4"]}}));

        body.truncate(body.len().saturating_sub(cut));
        body.extend(junk);
        for end in [ok(), Err(Kind::DeadlineExceeded)] {
            prop_assert_eq!(answer(&body, &sizes, end.clone()), answer(&body, &[usize::MAX], end));
        }
        let unary = |sizes: &[usize]| told(UnaryReply::new(&plan(Form::Post, codec)), grpc(), &body, sizes, ok());
        prop_assert_eq!(unary(&sizes), unary(&[usize::MAX]));
    }

    #[test]
    fn a_query_is_read_however_it_is_written(text in "\\PC{0,20}", base64 in 0..3, plus in any::<bool>()) {
        let message = json!({"text": text}).to_string();
        let written = match base64 {
            0 if plus => percent_encoding::utf8_percent_encode(&message, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%20", "+"),
            0 => percent_encoding::utf8_percent_encode(&message, percent_encoding::NON_ALPHANUMERIC).to_string(),
            1 => URL_SAFE.encode(&message).replace('=', "%3D"),
            _ => URL_SAFE_NO_PAD.encode(&message),
        };
        let base64 = if base64 > 0 { "&base64=1" } else { "" };
        let query = format!("connect=v1&encoding=json{base64}&message={written}");
        let asked = get::read(&query).unwrap();
        prop_assert_eq!((get::codec(&query).unwrap(), asked.message), (Codec::Json, message.into_bytes()));
    }
}

#[test]
fn one_message_is_framed() {
    let one = words("hi");
    for sizes in [&[1][..], &[usize::MAX]] {
        assert_eq!(asked(Form::Post, Codec::Proto, &one, sizes), Ok(framed(std::slice::from_ref(&one))));
        let json = br#"{"text": "hi", "unknown": [1]}"#;
        assert_eq!(asked(Form::Post, Codec::Json, json, sizes), Ok(framed(std::slice::from_ref(&one))));
    }
    // A message of protobuf may be empty, and JSON may not.
    assert_eq!(asked(Form::Post, Codec::Proto, b"", &[1]), Ok(framed(&[b""])));
    assert_eq!(asked(Form::Post, Codec::Json, b"{}", &[1]), Ok(framed(&[b""])));
    assert_eq!(asked(Form::Post, Codec::Json, b"", &[1]).unwrap_err().0, Kind::InvalidRequest);
}

#[test]
fn what_is_wrong_with_a_body_is_told() {
    let long = vec![b'x'; LIMIT + 1];
    let json = |text: &str| framed(&[text.as_bytes().to_vec()]);
    let cases = [
        (Form::Post, Codec::Proto, long.clone(), Kind::BodyTooLarge),
        (Form::Post, Codec::Json, b"{\"text\": 1}".to_vec(), Kind::InvalidRequest),
        (Form::Post, Codec::Json, b"{} {}".to_vec(), Kind::InvalidRequest),
        (Form::Stream, Codec::Json, json("[]"), Kind::InvalidRequest),
        (Form::Stream, Codec::Json, json("{}")[..6].to_vec(), Kind::MalformedBody),
        (Form::Stream, Codec::Json, [json("{}"), vec![2, 0, 0, 0, 0]].concat(), Kind::MalformedBody),
        (Form::Stream, Codec::Json, framed(&[long]), Kind::BodyTooLarge),
        (Form::Stream, Codec::Json, vec![1, 0, 0, 0, 1, 7], Kind::MalformedBody),
    ];
    for (form, codec, body, kind) in cases {
        for sizes in [&[1][..], &[usize::MAX]] {
            assert_eq!(asked(form, codec, &body, sizes).unwrap_err().0, kind, "{form:?} {body:?}");
        }
    }
    let mut announced = ConnectRequest::new(&plan(Form::Post, Codec::Json), &HeaderMap::new());
    announced.expect_len(LIMIT as u64 + 1);
    assert_eq!(announced.step().unwrap_err().kind, Kind::BodyTooLarge);
    let mut stream = ConnectRequest::new(&plan(Form::Stream, Codec::Json), &HeaderMap::new());
    stream.expect_len(1 << 40);
    assert!(matches!(stream.step(), Ok(RequestStep::NeedInput)));
}

#[test]
fn queries_that_say_too_little_are_refused() {
    let cases = [
        ("connect=v1", Kind::InvalidRequest, "encoding"),
        ("connect=v1&message=%7B%7D", Kind::InvalidRequest, "encoding"),
        ("connect=v1&encoding=json", Kind::InvalidRequest, "message"),
        ("encoding=xml&message=x", Kind::UnsupportedMediaType, "encoding"),
        ("encoding=json&message=x&compression=snappy", Kind::UnsupportedCoding, "`snappy`"),
        ("encoding=proto&message=%25&base64=1", Kind::InvalidRequest, "base64"),
        ("encoding=proto&message=A&base64=1", Kind::InvalidRequest, "base64"),
    ];
    for (query, kind, word) in cases {
        let asked = get::codec(query).and_then(|codec| GetRequest::new(&plan(Form::Get, codec), query));
        let fault = asked.unwrap_err();
        assert!(fault.kind == kind && fault.message.contains(word), "{query}: {fault}");
    }
    assert!(get::is_connect("a=b&connect=v1") && !get::is_connect("connect=v2") && !get::is_connect(""));
    let empty = "encoding=proto&message=&compression=identity&base64=0";
    assert_eq!((get::codec(empty).unwrap(), get::read(empty).unwrap().message), (Codec::Proto, vec![]));

    let query = format!("encoding=proto&message={}", "x".repeat(LIMIT + 1));
    assert_eq!(GetRequest::new(&plan(Form::Get, Codec::Proto), &query).unwrap_err().kind, Kind::BodyTooLarge);
    let mut get =
        GetRequest::new(&plan(Form::Get, Codec::Json), "encoding=json&message=%7B%22text%22:%22a+b%22%7D").unwrap();
    assert!(matches!(get.step(), Ok(RequestStep::Frame(frame)) if frame == framed(&[words("a b")])));
    assert!(matches!(get.step(), Ok(RequestStep::End)) && get.is_end());
}

#[test]
fn heads_that_cannot_be_read_are_refused() {
    use Form::{Get, Post, Stream};
    let cases: [(Fields<'_>, Form, Codec, Option<Kind>); 16] = [
        (&[("content-type", "application/proto"), ("content-encoding", "gzip, br")], Post, Codec::Proto, None),
        (
            &[("content-type", "application/connect+json"), ("connect-content-encoding", "gzip")],
            Stream,
            Codec::Json,
            None,
        ),
        (&[("content-type", "application/json")], Post, Codec::Json, None),
        (&[("content-type", "application/json; charset=\"UTF-8\"")], Post, Codec::Json, None),
        (&[("content-type", "application/json;charset=latin1")], Post, Codec::Json, Some(Kind::UnsupportedMediaType)),
        (&[("content-type", "application/xml")], Post, Codec::Json, Some(Kind::UnsupportedMediaType)),
        (&[], Post, Codec::Json, Some(Kind::UnsupportedMediaType)),
        (&[("content-type", "application/connect+xml")], Stream, Codec::Json, Some(Kind::UnsupportedMediaType)),
        (&[("content-type", "application/proto"), ("connect-protocol-version", "1")], Post, Codec::Proto, None),
        (
            &[("content-type", "application/proto"), ("connect-protocol-version", "2")],
            Post,
            Codec::Proto,
            Some(Kind::InvalidRequest),
        ),
        (&[("content-type", "application/proto"), ("content-encoding", "identity")], Post, Codec::Proto, None),
        (
            &[("content-type", "application/proto"), ("content-encoding", "snappy")],
            Post,
            Codec::Proto,
            Some(Kind::UnsupportedCoding),
        ),
        (
            &[("content-type", "application/connect+json"), ("connect-content-encoding", "snappy")],
            Stream,
            Codec::Json,
            Some(Kind::UnsupportedCoding),
        ),
        (
            &[("content-type", "application/connect+proto"), ("connect-content-encoding", "gzip")],
            Stream,
            Codec::Proto,
            None,
        ),
        (&[], Get, Codec::Json, None),
        (&[("connect-protocol-version", "9")], Get, Codec::Json, Some(Kind::InvalidRequest)),
    ];
    for (fields, form, codec, expected) in cases {
        let kind = check_connect_head(&map(fields), form, codec).err().map(|fault| fault.kind);
        assert_eq!(kind, expected, "{fields:?}");
    }
}

#[test]
fn the_protocols_own_fields_end_here() {
    let from = map(&[
        ("connect-protocol-version", "1"),
        ("connect-timeout-ms", "5"),
        ("connect-content-encoding", "gzip"),
        ("connect-accept-encoding", "br"),
        ("x-mine", "1"),
    ]);
    let cases = [
        (Form::Post, Codec::Proto, None),
        (Form::Stream, Codec::Json, None),
        (Form::Stream, Codec::Proto, Some(("gzip", "br"))),
    ];
    for (form, codec, encodings) in cases {
        let mut to = crate::translate::request_metadata(from.clone());
        metadata(&from, form, codec, &mut to);
        let names: Vec<&str> = to.keys().map(HeaderName::as_str).filter(|name| name.starts_with("connect-")).collect();
        assert_eq!((names, &to["x-mine"]), (vec![], &HeaderValue::from_static("1")));
        let text = |name: &str| to.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(text("grpc-encoding").zip(text("grpc-accept-encoding")), encodings);
    }
}

#[test]
fn one_message_is_the_body_and_trailers_stand_in_the_head() {
    for (codec, content_type, body) in [
        (Codec::Proto, "application/proto", words("hi")),
        (Codec::Json, "application/json", br#"{"text":"hi"}"#.to_vec()),
    ] {
        let answer = told(UnaryReply::new(&plan(Form::Post, codec)), grpc(), &framed(&[words("hi")]), &[3], ok());
        let length = body.len().to_string();
        let expected = [
            ("x-head", "1"),
            ("trailer-x-cost", "3"),
            ("trailer-x-cost", "4"),
            ("content-type", content_type),
            ("content-length", &length),
        ];
        assert_eq!(answer, Told { head: Some((StatusCode::OK, map(&expected))), body, end: Ok(()) });
    }
}

#[test]
fn an_error_is_a_status_and_a_json_object() {
    // google.rpc.Status { code: 5, message: "x", details: [Any { type_url: "type.googleapis.com/t.Words", value: "\x0a\x02hi" }] }
    let any = [&[10, 27][..], b"type.googleapis.com/t.Words", &[18, 4, 10, 2, b'h', b'i']].concat();
    let details = [&[8, 5, 18, 1, b'x', 26, u8::try_from(any.len()).unwrap()][..], &any].concat();
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
    let failed = |code: &str, more: &[(&str, &str)]| {
        Ok(Some(map(&[&[("grpc-status", code), ("grpc-message", "caf%C3%A9 \"no\"")][..], more].concat())))
    };
    let names = [
        ("1", "canceled", 499),
        ("2", "unknown", 500),
        ("3", "invalid_argument", 400),
        ("4", "deadline_exceeded", 504),
        ("5", "not_found", 404),
        ("6", "already_exists", 409),
        ("7", "permission_denied", 403),
        ("8", "resource_exhausted", 429),
        ("9", "failed_precondition", 400),
        ("10", "aborted", 409),
        ("11", "out_of_range", 400),
        ("12", "unimplemented", 501),
        ("13", "internal", 500),
        ("14", "unavailable", 503),
        ("15", "data_loss", 500),
        ("16", "unauthenticated", 401),
    ];
    for (code, name, status) in names {
        let answer = told(UnaryReply::new(&plan(Form::Post, Codec::Proto)), grpc(), b"", &[1], failed(code, &[]));
        assert_eq!(answer.head.as_ref().unwrap().0, status);
        assert_eq!(answer.json(), json!({"code": name, "message": "caf\u{e9} \"no\""}));
    }
    let more = [("grpc-status-details-bin", &*details), ("x-cost", "3")];
    let error = json!({
        "code": "not_found", "message": "caf\u{e9} \"no\"",
        "details": [{"type": "t.Words", "value": "CgJoaQ", "debug": {"text": "hi"}}],
    });
    // A message beside an error is not the answer.
    let answer = told(
        UnaryReply::new(&plan(Form::Post, Codec::Json)),
        grpc(),
        &framed(&[words("hi")]),
        &[9],
        failed("5", &more),
    );
    assert_eq!(answer.json(), error);
    assert_eq!((answer.header("content-type"), answer.header("trailer-x-cost")), (Some("application/json"), Some("3")));
    let answer = told(StreamReply::new(&plan(Form::Stream, Codec::Json)), grpc(), b"", &[9], failed("5", &more));
    assert_eq!(end_of(&answer.body), json!({"error": error, "metadata": {"x-cost": ["3"]}}));
}

#[test]
fn whatever_a_servlet_answers_is_told() {
    let only = map(&[("content-type", "application/grpc"), ("grpc-status", "16"), ("x-why", "a")]);
    let html = || map(&[("content-type", "text/html")]);
    let cases = [
        ((StatusCode::OK, only), Ok(None), json!({"code": "unauthenticated"}), json!({"x-why": ["a"]})),
        ((StatusCode::OK, html()), Ok(None), json!({"code": "unknown"}), Value::Null),
        ((StatusCode::BAD_GATEWAY, html()), Ok(None), json!({"code": "unavailable"}), Value::Null),
        (grpc(), Ok(None), json!({"code": "unknown"}), Value::Null),
    ];
    for (head, trailers, error, metadata) in cases {
        let unary = told(UnaryReply::new(&plan(Form::Post, Codec::Json)), head.clone(), b"", &[1], trailers.clone());
        assert_eq!(unary.json()["code"], error["code"], "{head:?}");
        assert_eq!((unary.header("x-why"), unary.header("trailer-x-why").is_some()), (None, !metadata.is_null()));
        let stream = told(StreamReply::new(&plan(Form::Stream, Codec::Proto)), head, b"", &[1], trailers);
        assert_eq!(stream.head.as_ref().unwrap().0, StatusCode::OK);
        let end = end_of(&stream.body);
        assert_eq!((&end["error"]["code"], &end["metadata"]), (&error["code"], &metadata));
    }
}

#[test]
fn a_unary_answer_is_one_message() {
    let two = framed(&[words("a"), words("b")]);
    let cases = [
        (vec![], Kind::MalformedReply),
        (two, Kind::MalformedReply),
        (framed(&[words("a")])[..6].to_vec(), Kind::MalformedReply),
        (vec![1, 0, 0, 0, 0], Kind::MalformedReply),
        (framed(&[vec![0; LIMIT + 1]]), Kind::UntranslatableReply),
        (framed(&[vec![10, 9, 9]]), Kind::UntranslatableReply),
    ];
    for (body, kind) in cases {
        let answer = told(UnaryReply::new(&plan(Form::Post, Codec::Json)), grpc(), &body, &[4], ok());
        assert_eq!((answer.head, answer.end), (None, Err((kind, Farewell::Break(Bytes::new())))), "{body:?}");
    }
}

#[test]
fn a_stream_that_is_cut_tells_of_it_only_between_two_messages() {
    let body = framed(&[words("a"), words("b")]);
    for codec in [Codec::Proto, Codec::Json] {
        for end in 0..=body.len() {
            let reply = StreamReply::new(&plan(Form::Stream, codec));
            let answer = told(reply, grpc(), &body[..end], &[3], Err(Kind::DeadlineExceeded));
            let Err((_, farewell)) = answer.end else { panic!("it was cut") };
            let mut walker = Walker::default();
            walker.walk(&body[..end]).unwrap();
            // JSON goes out message by message, so that it is always between two.
            if walker.at_boundary() || codec == Codec::Json {
                let Farewell::End(words) = farewell else { panic!("{end}: {farewell:?}") };
                let error = json!({"error": {"code": "deadline_exceeded", "message": "cut"}});
                assert_eq!(end_of(&[answer.body, words.to_vec()].concat()), error);
            } else {
                assert_eq!(farewell, Farewell::Break(Bytes::new()), "{end}");
            }
        }
    }
}

#[test]
fn a_stream_tells_how_its_messages_are_compressed() {
    let head = map(&[("content-type", "application/grpc"), ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "br")]);
    let body = [1, 0, 0, 0, 1, 7];
    let answer =
        told(StreamReply::new(&plan(Form::Stream, Codec::Proto)), (StatusCode::OK, head.clone()), &body, &[2], ok());
    let expected = [
        ("connect-content-encoding", "gzip"),
        ("connect-accept-encoding", "br"),
        ("content-type", "application/connect+proto"),
    ];
    assert_eq!(answer.head, Some((StatusCode::OK, map(&expected))));
    assert_eq!(frames(&answer.body)[0], (1, vec![7]));
    let answer = told(StreamReply::new(&plan(Form::Stream, Codec::Json)), (StatusCode::OK, head), &body, &[2], ok());
    assert_eq!(answer.header("connect-content-encoding"), None);
    assert!(matches!(answer.end, Err((Kind::MalformedReply, Farewell::End(_)))));
}

#[test]
fn many_small_messages_go_on_together_up_to_the_one_that_cannot() {
    let body = framed(&[vec![words("a"); 3], vec![vec![10, 9, 9]], vec![words("b")]].concat());
    let mut reply = StreamReply::new(&plan(Form::Stream, Codec::Json));
    reply.head(StatusCode::OK, grpc().1);
    assert!(matches!(reply.step(), Ok(ReplyStep::Head(_))));
    reply.push(Bytes::from(body));
    let Ok(ReplyStep::Data(data)) = reply.step() else { panic!("three messages are there") };
    assert_eq!(frames(&data), vec![(0, words_json("a")); 3]);
    for _ in 0..2 {
        assert_eq!(reply.step().unwrap_err().kind, Kind::UntranslatableReply);
    }

    let mut reply = StreamReply::new(&plan(Form::Stream, Codec::Json));
    reply.head(StatusCode::OK, grpc().1);
    assert!(matches!(reply.step(), Ok(ReplyStep::Head(_))));
    reply.push(Bytes::from(framed(&vec![words("a"); 10_000])));
    let mut pieces = 0;
    while let Ok(ReplyStep::Data(data)) = reply.step() {
        assert!(data.len() < 9000);
        pieces += 1;
    }
    assert!((20..40).contains(&pieces), "{pieces}");
}

fn words_json(text: &str) -> Vec<u8> {
    json!({ "text": text }).to_string().into_bytes()
}

#[test]
fn the_json_of_an_answer_is_bounded() {
    let long = [&[26, 50][..], &[0; 50]].concat();
    let body = framed(&[words("a"), long.clone()]);
    let stream = told(StreamReply::new(&plan(Form::Stream, Codec::Json)), grpc(), &body, &[usize::MAX], ok());
    assert_eq!(frames(&stream.body), [(0, br#"{"text":"a"}"#.to_vec())], "nothing of what cannot be told");
    assert_eq!(stream.end.unwrap_err().0, Kind::UntranslatableReply);
    let unary = told(UnaryReply::new(&plan(Form::Post, Codec::Json)), grpc(), &framed(&[long]), &[9], ok());
    assert_eq!(unary.end.unwrap_err().0, Kind::UntranslatableReply);
}

#[test]
fn a_status_in_the_head_counts_only_when_nothing_follows_it() {
    let early = || (StatusCode::OK, map(&[("content-type", "application/grpc"), ("grpc-status", "0")]));
    for codec in [Codec::Proto, Codec::Json] {
        let stream = |body: &[u8]| told(StreamReply::new(&plan(Form::Stream, codec)), early(), body, &[4], Ok(None));
        assert_eq!(end_of(&stream(&framed(&[words("a")])).body)["error"]["code"], "unknown");
        assert_eq!(end_of(&stream(b"").body), json!({}));
    }
}
