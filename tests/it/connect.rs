//! The Connect protocol: what a servlet sees of such calls, and what their callers are told.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use telamon::model::parse_grpc_timeout;

use crate::support::anywhere::{Answer, VERSIONS, ask, frames, head};
use crate::support::http1::Caller;
use crate::support::proxy::table;
use crate::support::servlet::{echo_marked, one_and_no_more, talk, trailers};
use crate::support::{Call, Running, Servlet, framed, http2, text_field, unframed, until};

const PROTO: &str = r#"
syntax = "proto3";
package echo.v1;

service Echo {
  rpc Say(Words) returns (Words);
  rpc Look(Words) returns (Words) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Count(Words) returns (stream Words);
  rpc Join(stream Words) returns (Words);
  rpc Chat(stream Words) returns (stream Words);
}
message Words { string text = 1; }
"#;

const SAY: &str = "/echo.v1.Echo/Say";
const COUNT: &str = "/echo.v1.Echo/Count";
const CODECS: [&str; 2] = ["proto", "json"];

async fn echo(servlet: &str, more: &str) -> Running {
    let files = [
        ("protos/echo.proto", PROTO),
        ("servlets/echo.yaml", &format!("schema: ../protos/echo.proto\nservices: [echo.v1.Echo]\n{more}")),
        ("endpoints/echo.yaml", &table(&[(servlet, 1)])),
    ];
    Running::with(&files, "").await
}

/// `{"text": …}` in a codec.
fn words(codec: &str, text: &str) -> Vec<u8> {
    if codec == "json" { json!({ "text": text }).to_string().into_bytes() } else { text_field(1, text) }
}

/// The messages of a stream, and its end.
fn opened(answer: &Answer) -> (Vec<Vec<u8>>, Value) {
    let mut frames = frames(&answer.body);
    let (flag, end) = frames.pop().expect("an end");
    assert_eq!((answer.status, flag), (200, 2), "{frames:?}");
    (frames.into_iter().map(|(_, message)| message).collect(), serde_json::from_slice(&end).unwrap())
}

#[tokio::test]
async fn a_unary_call_is_plain_http() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    for version in VERSIONS {
        for codec in CODECS {
            let content_type = format!("application/{codec}");
            let fields = [
                ("content-type", &*content_type),
                ("connect-protocol-version", "1"),
                ("connect-timeout-ms", "3000"),
                ("x-mine", "1"),
                ("x-mine-bin", "AAE"),
            ];
            let body = words(codec, "hello");
            let answer = ask(&proxy.address, version, "POST", SAY, &fields, &body).await;
            assert_eq!((answer.status, &answer.body), (200, &body), "{version}");
            let length = body.len().to_string();
            let expected = [
                ("content-type", &*content_type),
                ("content-length", &length),
                ("x-head", "1"),
                ("trailer-x-cost", "3"),
            ];
            for (name, value) in expected {
                assert_eq!(answer.header(name), Some(value), "{version} {name}");
            }

            let seen = servlet.seen().pop().unwrap();
            let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((&*seen.path, &seen.body, seen.whole), (SAY, &framed(&text_field(1, "hello")), true));
            assert_eq!((header("content-type"), header("te")), (Some("application/grpc"), Some("trailers")));
            assert_eq!((header("x-mine"), header("x-mine-bin")), (Some("1"), Some("AAE")));
            assert!(seen.headers.keys().all(|name| !name.as_str().starts_with("connect-")), "{:?}", seen.headers);
            let left = parse_grpc_timeout(header("grpc-timeout").unwrap().as_bytes()).unwrap().as_millis();
            assert!(left <= 3000 && left > 1000, "{left}");
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_call_without_side_effects_may_be_a_get() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    let proto = URL_SAFE_NO_PAD.encode(words("proto", "a b"));
    let queries = [
        ("json", "connect=v1&encoding=json&message=%7B%22text%22%3A%22a+b%22%7D".to_owned()),
        ("json", format!("message={}&base64=1&encoding=json&connect=v1", URL_SAFE_NO_PAD.encode(words("json", "a b")))),
        ("proto", format!("connect=v1&encoding=proto&base64=1&message={proto}")),
    ];
    for version in VERSIONS {
        for (codec, query) in &queries {
            let answer = ask(&proxy.address, version, "GET", &format!("/echo.v1.Echo/Look?{query}"), &[], b"").await;
            assert_eq!((answer.status, &answer.body), (200, &words(codec, "a b")), "{query}");
            assert_eq!(answer.header("content-type"), Some(&*format!("application/{codec}")));
            assert_eq!(servlet.seen().pop().unwrap().body, framed(&text_field(1, "a b")));
        }
        let asked = servlet.calls();
        let answer = ask(&proxy.address, version, "GET", &format!("{SAY}?{}", queries[0].1), &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
        for (query, status) in [
            ("connect=v1", 400),
            ("connect=v1&encoding=json", 400),
            ("connect=v1&encoding=json&message=%7B", 400),
            ("connect=v1&encoding=xml&message=x", 415),
            ("connect=v1&encoding=proto&base64=1&message=!", 400),
            ("connect=v1&encoding=json&message=%7B%7D&compression=snappy", 501),
        ] {
            let answer = ask(&proxy.address, version, "GET", &format!("/echo.v1.Echo/Look?{query}"), &[], b"").await;
            assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/json")), "{query}");
            assert!(answer.json()["code"].is_string(), "{query}");
        }
        assert_eq!(servlet.calls(), asked, "no servlet was asked");
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_told_before_a_servlet_is_asked() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "message_size: 1KiB\n").await;
    let long = json!({ "text": "x".repeat(2000) }).to_string();
    // Path, content type, a field more, the body, and what is answered.
    type Case<'c> = (&'c str, &'c str, (&'c str, &'c str), &'c str, u16, &'c str);
    let cases: [Case<'_>; 12] = [
        (SAY, "application/xml", ("x-a", "1"), "<a/>", 415, "invalid_argument"),
        (SAY, "application/json; charset=latin1", ("x-a", "1"), "{}", 415, "invalid_argument"),
        (SAY, "application/connect+xml", ("x-a", "1"), "", 415, "invalid_argument"),
        (SAY, "application/connect+json", ("x-a", "1"), "", 415, "invalid_argument"),
        (COUNT, "application/json", ("x-a", "1"), "{}", 415, "invalid_argument"),
        (COUNT, "application/proto", ("x-a", "1"), "", 415, "invalid_argument"),
        (SAY, "application/json", ("content-encoding", "snappy"), "{}", 501, "unimplemented"),
        (SAY, "application/json", ("connect-timeout-ms", "soon"), "{}", 400, "invalid_argument"),
        (SAY, "application/json", ("connect-timeout-ms", "12345678901"), "{}", 400, "invalid_argument"),
        (SAY, "application/json", ("x-a", "1"), "{\"text\": 1}", 400, "invalid_argument"),
        (SAY, "application/json", ("x-a", "1"), &long, 413, "resource_exhausted"),
        ("/no.such.Service/Method", "application/json", ("x-a", "1"), "{}", 404, "unimplemented"),
    ];
    for version in VERSIONS {
        for (path, content_type, field, body, status, code) in cases {
            let fields = [("content-type", content_type), ("connect-protocol-version", "1"), field];
            let answer = ask(&proxy.address, version, "POST", path, &fields, body.as_bytes()).await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (status, &json!(code)),
                "{content_type} {field:?} {body}"
            );
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
        let fields = [("content-type", "application/json"), ("connect-protocol-version", "2")];
        let answer = ask(&proxy.address, version, "POST", SAY, &fields, b"{}").await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("invalid_argument")));
        let fields = [("content-type", "application/connect+json"), ("connect-timeout-ms", "soon")];
        let answer = ask(&proxy.address, version, "POST", COUNT, &fields, b"").await;
        assert_eq!(opened(&answer).1["error"]["code"], "invalid_argument", "streams tell it in their end");
    }
    assert_eq!(servlet.calls(), 0);
}

/// Fails with details, after so many messages.
async fn failing(messages: usize) -> Servlet {
    // google.rpc.Status { code: 5, details: [Any { type_url: "type.googleapis.com/echo.v1.Words", value: { text: "hi" } }] }
    let any = [&[10, 33][..], b"type.googleapis.com/echo.v1.Words", &[18, 4, 10, 2, b'h', b'i']].concat();
    let details = STANDARD_NO_PAD.encode([&[8, 5, 26, u8::try_from(any.len()).unwrap()][..], &any].concat());
    Servlet::start(move |mut call: Call| {
        let details = details.clone();
        async move {
            call.read().await;
            let mut send = call.begin();
            for _ in 0..messages {
                send.send_data(framed(&text_field(1, "one")).into(), false).unwrap();
            }
            let mut last = trailers("5", Some("no such caf%C3%A9"));
            last.insert("grpc-status-details-bin", details.parse().unwrap());
            last.insert("x-cost", "3".parse().unwrap());
            send.send_trailers(last).unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn an_error_has_its_details_in_every_form() {
    let error = json!({
        "code": "not_found", "message": "no such caf\u{e9}",
        "details": [{"type": "echo.v1.Words", "value": "CgJoaQ", "debug": {"text": "hi"}}],
    });
    for messages in [0, 2] {
        let servlet = failing(messages).await;
        let proxy = echo(&servlet.address, "").await;
        for version in VERSIONS {
            for codec in CODECS {
                if messages == 0 {
                    let content_type = format!("application/{codec}");
                    let fields = [("content-type", &*content_type), ("connect-protocol-version", "1")];
                    let answer = ask(&proxy.address, version, "POST", SAY, &fields, &words(codec, "x")).await;
                    assert_eq!((answer.status, answer.json()), (404, error.clone()));
                    let told = (answer.header("content-type"), answer.header("trailer-x-cost"));
                    assert_eq!(told, (Some("application/json"), Some("3")));
                }
                let content_type = format!("application/connect+{codec}");
                let body = framed(&words(codec, "x"));
                let answer =
                    ask(&proxy.address, version, "POST", COUNT, &[("content-type", &content_type)], &body).await;
                assert_eq!(answer.header("content-type"), Some(&*content_type));
                let (told, end) = opened(&answer);
                assert_eq!(told, vec![words(codec, "one"); messages]);
                assert_eq!(end, json!({"error": error, "metadata": {"x-cost": ["3"]}}), "{version} {codec}");
            }
        }
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn streams_of_every_kind_end_with_their_metadata() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    for version in VERSIONS {
        for codec in CODECS {
            for (method, messages) in [("Count", 1), ("Join", 3), ("Chat", 2), ("Chat", 0)] {
                let content_type = format!("application/connect+{codec}");
                let fields = [("content-type", &*content_type), ("connect-timeout-ms", "3000"), ("x-mine", "1")];
                let body = framed(&words(codec, "x")).repeat(messages);
                let path = format!("/echo.v1.Echo/{method}");
                let answer = ask(&proxy.address, version, "POST", &path, &fields, &body).await;
                let (told, end) = opened(&answer);
                assert_eq!(told, vec![words(codec, "x"); messages], "{version} {codec} {method}");
                assert_eq!((end, answer.header("x-head")), (json!({"metadata": {"x-cost": ["3"]}}), Some("1")));

                let seen = servlet.seen().pop().unwrap();
                assert_eq!(unframed(&seen.body), vec![text_field(1, "x"); messages]);
                assert!(seen.whole && seen.headers.keys().all(|name| !name.as_str().starts_with("connect-")));
                assert!(seen.headers.contains_key("grpc-timeout"));
            }
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn both_sides_of_a_stream_speak_in_turn() {
    let servlet = Servlet::start(talk).await;
    let proxy = echo(&servlet.address, "").await;
    for codec in CODECS {
        let content_type = format!("application/connect+{codec}");
        let request = http2::request("POST", "/echo.v1.Echo/Chat").header("content-type", content_type);
        let mut send = http2::connect(&proxy.address).await.ready().await.unwrap();
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(framed(&words(codec, "0")).into(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for round in 0..3 {
            let expected = framed(&words(codec, &round.to_string()));
            let mut seen = Vec::new();
            while seen.len() < expected.len() {
                seen.extend_from_slice(&body.data().await.unwrap().unwrap());
            }
            assert_eq!(seen, expected);
            let next = framed(&words(codec, &(round + 1).to_string()));
            stream.send_data(if round < 2 { next.into() } else { bytes::Bytes::new() }, round == 2).unwrap();
        }
        let end = body.data().await.unwrap().unwrap();
        assert_eq!(&end[..], b"\x02\0\0\0\x02{}");
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_deadline_is_told_in_the_form_of_the_call() {
    let servlet = Servlet::start(one_and_no_more).await;
    let proxy = echo(&servlet.address, "").await;
    for version in VERSIONS {
        for codec in CODECS {
            let content_type = format!("application/connect+{codec}");
            let fields = [("content-type", &*content_type), ("connect-timeout-ms", "150")];
            let answer = ask(&proxy.address, version, "POST", COUNT, &fields, &framed(&words(codec, "x"))).await;
            let (told, end) = opened(&answer);
            assert_eq!((told, &end["error"]["code"]), (vec![words(codec, "one")], &json!("deadline_exceeded")));
            let content_type = format!("application/{codec}");
            let fields =
                [("content-type", &*content_type), ("connect-protocol-version", "1"), ("connect-timeout-ms", "150")];
            let answer = ask(&proxy.address, version, "POST", SAY, &fields, &words(codec, "x")).await;
            assert_eq!((answer.status, &answer.json()["code"]), (504, &json!("deadline_exceeded")));
        }
    }
    until(|| servlet.seen().len() == 12 && servlet.seen().iter().all(|seen| seen.reset)).await;
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_caller_that_goes_away_resets_its_call() {
    let servlet = Servlet::start(one_and_no_more).await;
    let proxy = echo(&servlet.address, "").await;
    for (number, version) in ["1.0", "1.1"].into_iter().enumerate() {
        let body = framed(b"{}");
        let mut caller = Caller::connect(&proxy.address).await;
        let fields = [("content-type", "application/connect+json")];
        caller.write(head(version, "POST", COUNT, &fields, body.len())).await;
        caller.write(&body).await;
        caller.until("one").await;
        caller.vanish();
        until(|| servlet.seen().len() == number + 1 && servlet.seen().iter().all(|seen| seen.reset)).await;
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn protobuf_needs_no_schema_and_json_does() {
    let servlet = Servlet::start(echo_marked).await;
    let files =
        [("servlets/bare.yaml", "services: [\"*\"]\n"), ("endpoints/bare.yaml", &table(&[(&servlet.address, 1)]))];
    let proxy = Running::with(&files, "").await;
    let post = async |content_type: &str, body: &[u8]| {
        let fields = [("content-type", content_type), ("connect-protocol-version", "1")];
        ask(&proxy.address, "1.1", "POST", "/any.Service/Method", &fields, body).await
    };
    assert_eq!(post("application/proto", b"anything").await.body, b"anything");
    assert_eq!(opened(&post("application/connect+proto", &framed(b"anything")).await).0, [b"anything"]);
    for content_type in ["application/json", "application/connect+json"] {
        let answer = post(content_type, b"").await;
        assert_eq!(answer.status, 415);
        assert!(answer.json()["message"].as_str().unwrap().contains("schema"));
    }
    proxy.at_rest("bare").await;
}
