//! Streams in lines and in events, both ways.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::Stage;

const WATCH: (&str, &str) = ("GET", "/watch");
const LINES: Fields<'_> = &[("accept", "application/x-ndjson")];
const EVENTS: Fields<'_> = &[("accept", "text/event-stream")];
const NDJSON: Fields<'_> = &[("content-type", "application/x-ndjson")];

fn whole(route: (&str, &str), asked: Fields<'_>, initial: Fields<'_>, body: &[u8], trailers: Fields<'_>) -> Answer {
    answer_to(route, &head(asked), 200, initial, body, &[usize::MAX], Some(trailers))
}

fn items() -> Vec<u8> {
    framed("library.Message", &[json!({"text": "a\nb"}), json!({})])
}

#[test]
fn a_stream_in_lines_or_events_is_a_record_a_message() {
    let ok = &[("grpc-status", "0")];
    let lines = whole(WATCH, LINES, GRPC, &items(), ok);
    assert_eq!((lines.status(), lines.header("content-type")), (200, Some("application/x-ndjson")));
    assert_eq!((lines.text(), lines.fault), ("{\"text\":\"a\\nb\"}\n{}\n", None));
    assert_eq!(lines.header("cache-control"), None);
    let named = whole(WATCH, &[("accept", "application/jsonl")], GRPC, &items(), ok);
    assert_eq!((named.header("content-type"), named.text()), (Some("application/jsonl"), lines.text()));

    let events = whole(WATCH, EVENTS, GRPC, &items(), ok);
    assert_eq!((events.status(), events.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!((events.text(), events.fault), ("data: {\"text\":\"a\\nb\"}\n\ndata: {}\n\n", None));
    assert_eq!(events.header("cache-control"), Some("no-cache"));
    let own = whole(WATCH, EVENTS, &[GRPC[0], ("cache-control", "no-store")], &items(), ok);
    assert_eq!(own.header("cache-control"), Some("no-store"));

    for (asked, path, text) in
        [(LINES, "/watch/text", "\"a\\nb\"\n\"\"\n"), (EVENTS, "/watch/text", "data: \"a\\nb\"\n\ndata: \"\"\n\n")]
    {
        assert_eq!(whole(("GET", path), asked, GRPC, &items(), ok).text(), text);
    }
    // No message at all is an empty answer of the same type.
    for (asked, content_type) in [(LINES, "application/x-ndjson"), (EVENTS, "text/event-stream")] {
        let none = whole(WATCH, asked, GRPC, b"", ok);
        assert_eq!((none.status(), none.text(), none.header("content-length")), (200, "", Some("0")));
        assert_eq!(none.header("content-type"), Some(content_type));
        assert_eq!(none.header("cache-control").is_some(), asked == EVENTS);
    }
}

#[test]
fn one_message_is_json_and_raw_bytes_stay_raw() {
    let ok = &[("grpc-status", "0")];
    let one = framed("library.Message", &[json!({"text": "a"})]);
    let png = framed("google.api.HttpBody", &[json!({"contentType": "image/png", "data": "AQ=="})]);
    for asked in [LINES, EVENTS] {
        let answer = whole(("GET", "/v1/messages/1"), asked, GRPC, &one, ok);
        assert_eq!((answer.header("content-type"), answer.text()), (Some("application/json"), r#"{"text":"a"}"#));
        for path in ["/download", "/download/stream"] {
            let answer = whole(("GET", path), asked, GRPC, &png, ok);
            assert_eq!((answer.header("content-type"), &*answer.body), (Some("image/png"), &b"\x01"[..]), "{path}");
            assert_eq!(answer.header("cache-control"), None);
        }
        let broken = whole(("GET", "/download/stream"), asked, GRPC, &png, &[("grpc-status", "9")]);
        assert_eq!((&*broken.body, broken.fault), (&b"\x01"[..], Some(Kind::StreamReset)));
    }
}

#[test]
fn an_error_is_an_http_error_before_the_first_item_and_a_record_after_it() {
    let none_left = &[("grpc-status", "5"), ("grpc-message", "none left")];
    let status = r#"{"code":5,"message":"none left"}"#;
    for (asked, record) in [
        (LINES, format!("{{\"error\":{status}}}\n")),
        (EVENTS, format!("event: error\ndata: {status}\n\n")),
        (&[], String::new()),
    ] {
        let before = whole(WATCH, asked, GRPC, b"", none_left);
        assert_eq!((before.status(), before.header("content-type")), (404, Some("application/json")));
        assert_eq!((before.text(), before.fault), (status, None));
        let after = whole(WATCH, asked, GRPC, &items(), none_left);
        let fine = whole(WATCH, asked, GRPC, &items(), &[("grpc-status", "0")]);
        assert_eq!((after.status(), after.fault), (200, Some(Kind::StreamReset)));
        assert_eq!(after.text(), format!("{}{record}", fine.text().trim_end_matches(']')));
    }
    // The details as well.
    let details = [&[26, 41, 10, 35][..], b"type.googleapis.com/library.Message", &[18, 2, 18, 0]].concat();
    let encoded = base64::Engine::encode(&super::super::super::metadata::BINARY, details);
    let trailers = &[("grpc-status", "5"), ("grpc-status-details-bin", &encoded)];
    let told = whole(WATCH, LINES, GRPC, &items(), trailers);
    let record: Value = serde_json::from_str(told.text().lines().last().unwrap()).unwrap();
    assert_eq!(record["error"]["details"][0]["@type"], "type.googleapis.com/library.Message");
}

#[test]
fn a_fault_from_outside_is_told_in_the_same_record() {
    let (plan, _) = plan_for(&Method::GET, "/watch", &head(EVENTS));
    let mut reply = RestReply::new(&plan);
    reply.head(StatusCode::OK, head(GRPC));
    reply.push(Bytes::from(items()));
    assert!(matches!(reply.step(), Ok(ReplyStep::Head(_))));
    let fault = Fault::new(Kind::DeadlineExceeded, Stage::ReplyBody, "too late");
    let words = "event: error\ndata: {\"code\":4,\"message\":\"too late\"}\n\n";
    assert_eq!(reply.farewell(&fault), Farewell::Break(words.into()));
}

#[test]
fn a_stream_of_requests_may_be_lines() {
    let cases: &[(&str, &str, &[Value])] = &[
        ("/fill/p", "", &[]),
        ("/fill/p", "\r\n \n", &[]),
        ("/fill/p", "{\"big\":1}", &[json!({"big": "1", "text": "p"})]),
        (
            "/fill/p",
            "{}\n\r\n {\"big\":2} \r\n{\"text\":\"own\"}\n",
            &[json!({"text": "p"}), json!({"big": "2"}), json!({"text": "own"})],
        ),
        (
            "/fill-nested?text=q",
            "{\"name\":\"a\"}\n{\"name\":\"b\"}",
            &[json!({"nested": {"name": "a"}, "text": "q"}), json!({"nested": {"name": "b"}})],
        ),
    ];
    for (url, body, expected) in cases {
        let (method, messages) = send("POST", url, &head(NDJSON), &[body.as_bytes()]).unwrap();
        let messages: Vec<_> = messages.iter().map(|message| json_of(method.input, message)).collect();
        assert_eq!(messages, *expected, "{body:?}");
    }
    for (body, part) in [
        ("[]", "line 1: the body does not fit"),
        ("{}\n\n{\"nope\":1}\n", "line 3: the body does not fit: $.nope"),
        ("{}{}", "line 1"),
        ("{\n}", "line 1"),
        ("{}\nnull", "line 2"),
    ] {
        let fault = send("POST", "/fill/p", &head(NDJSON), &[body.as_bytes()]).unwrap_err();
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(part), "{body:?}: {fault}");
    }
    let long = format!("{{}}\n{{\"text\":\"{}\"}}", "x".repeat(LIMIT));
    assert_eq!(send("POST", "/fill/p", &head(NDJSON), &[long.as_bytes()]).unwrap_err().kind, Kind::BodyTooLarge);
    let many = "{\"text\":\"0123456789\"}\n".repeat(500);
    assert_eq!(send("POST", "/fill/p", &head(NDJSON), &[many.as_bytes()]).unwrap().1.len(), 500);
    let fault = send("POST", "/library.Messaging/Unruled", &head(NDJSON), &[b"{}"]).unwrap_err();
    assert!(fault.kind == Kind::UnsupportedMediaType && fault.message.contains("take a stream"), "{fault}");
}

proptest! {
    #[test]
    fn any_cut_of_lines_gives_the_same_messages(
        body in proptest::collection::vec(
            prop_oneof![Just("{}"), Just("{\"big\":1}"), Just("\n"), Just("\r\n"), Just(" "), Just("{"), Just("{\"text\":\"\u{4e2d}\"}\n")],
            0..12,
        ),
        sizes in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        let body = body.concat();
        let cut = |sizes: &[usize]| {
            let sent = send("POST", "/fill/p", &head(NDJSON), &pieces(body.as_bytes(), sizes));
            sent.map(|(_, messages)| messages).map_err(|fault| (fault.kind, fault.message))
        };
        prop_assert_eq!(cut(&sizes), cut(&[usize::MAX]));
    }

    #[test]
    fn any_cut_of_a_reply_gives_the_same_records(
        texts in proptest::collection::vec("[a-z\r\n\u{2028}]{0,12}", 0..5),
        lost in 0_usize..4,
        sizes in proptest::collection::vec(1_usize..20, 1..5),
        asked in prop_oneof![Just(LINES), Just(EVENTS)],
        fine in any::<bool>(),
    ) {
        let items: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
        let mut bytes = framed("library.Message", &items);
        bytes.truncate(bytes.len().saturating_sub(lost));
        let trailers: Fields<'_> = if fine { &[("grpc-status", "0")] } else { &[("grpc-status", "9")] };
        let cut = answer_to(WATCH, &head(asked), 200, GRPC, &bytes, &sizes, Some(trailers));
        prop_assert_eq!(&cut, &whole(WATCH, asked, GRPC, &bytes, trailers));
        if lost == 0 && fine {
            let end = if asked == LINES { "\n" } else { "\n\n" };
            let records: Vec<_> = cut.text().split_terminator(end).collect();
            prop_assert_eq!(records.len(), items.len());
            for (record, item) in records.iter().zip(&items) {
                let told: Value = serde_json::from_str(record.trim_start_matches("data: ")).unwrap();
                prop_assert_eq!(told["text"].as_str().unwrap_or_default(), item["text"].as_str().unwrap());
            }
        }
    }
}
