//! Answers: what a servlet's reply becomes.

use serde_json::json;

use super::*;

const UNARY: (&str, &str) = ("GET", "/v1/messages/1");
const WATCH: (&str, &str) = ("GET", "/watch");

fn whole(route: (&str, &str), body: &[u8], trailers: Option<&[(&str, &str)]>) -> Answer {
    answer(route, 200, GRPC, body, &[usize::MAX], trailers)
}

#[test]
fn a_unary_reply_is_json_with_its_length_and_metadata() {
    let initial = [GRPC[0], ("x-initial", "1"), ("grpc-encoding", "identity")];
    let trailers = [("grpc-status", "0"), ("x-trailing", "2")];
    let body = framed("library.Message", &[json!({"text": "caf\u{e9}"})]);
    let answer = answer(UNARY, 200, &initial, &body, &[3], Some(&trailers));
    assert_eq!(answer.status(), 200);
    let expected = [
        ("x-initial", "1"),
        ("x-trailing", "2"),
        ("content-type", "application/json"),
        ("content-length", "16"),
        ("vary", "accept"),
        ("grpc-status", "0"),
    ];
    assert_eq!(answer.head.as_ref().unwrap().1, head(&expected));
    assert_eq!(answer.text(), "{\"text\":\"caf\u{e9}\"}");
    let empty = whole(UNARY, &framed("library.Message", &[json!({})]), OK);
    assert_eq!((empty.status(), empty.text()), (200, "{}"));
}

#[test]
fn an_error_is_a_plain_http_error_with_the_status_in_json() {
    let message = framed("library.Message", &[json!({"text": "x"})]);
    let trailers: &[(&str, &str)] = &[("grpc-status", "5"), ("grpc-message", "no caf%C3%A9"), ("retry-after", "3")];
    for (route, body) in [(UNARY, &b""[..]), (UNARY, &message), (UNARY, &message[..3]), (WATCH, b"")] {
        let answer = whole(route, body, Some(trailers));
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("grpc-status"), Some("5"));
        assert_eq!(answer.header("grpc-message"), Some("no caf%C3%A9"));
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert_eq!(answer.text(), "{\"code\":5,\"message\":\"no caf\u{e9}\"}");
    }
    // Trailers-Only: the status stands in the head.
    for route in [UNARY, WATCH] {
        let initial = [GRPC[0], ("grpc-status", "16"), ("www-authenticate", "Basic")];
        let answer = answer(route, 200, &initial, b"", &[1], None);
        assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("Basic")));
    }
}

#[test]
fn details_are_told_by_their_type() {
    let any = |url: &str, value: &[u8]| {
        let mut any = Vec::new();
        super::super::super::protobuf::put_len(&mut any, 1, url.as_bytes());
        super::super::super::protobuf::put_len(&mut any, 2, value);
        any
    };
    let mut details = Vec::new();
    let second = wire_of("google.protobuf.Duration", &json!("2s"));
    for any in [
        any("type.googleapis.com/library.Message", &wire_of("library.Message", &json!({"text": "x"}))),
        any("type.googleapis.com/library.Message", b""),
        any("type.googleapis.com/google.protobuf.Duration", &second),
        any("type.googleapis.com/acme.Unknown", &[1]),
        any("type.googleapis.com/library.Message", &[255]),
    ] {
        super::super::super::protobuf::put_len(&mut details, 3, &any);
    }
    let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, &details);
    let trailers = [("grpc-status", "9"), ("grpc-message", "m"), ("grpc-status-details-bin", value.as_str())];
    let answer = whole(UNARY, b"", Some(&trailers));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!([
        {"@type": "type.googleapis.com/library.Message", "text": "x"},
        {"@type": "type.googleapis.com/library.Message"},
        {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "2s"},
        {"@type": "type.googleapis.com/acme.Unknown", "value": "AQ=="},
        {"@type": "type.googleapis.com/library.Message", "value": "/w=="},
    ]);
    assert_eq!((answer.status(), &body["details"]), (400, &expected));
}

#[test]
fn a_unary_reply_of_other_than_one_message_is_malformed() {
    let message = framed("library.Message", &[json!({"text": "x"})]);
    let compressed = [&[1][..], &message[1..]].concat();
    let cases: &[(&[u8], Kind)] = &[
        (b"", Kind::MalformedReply),
        (&[&message[..], &message].concat(), Kind::MalformedReply),
        (&message[..message.len() - 1], Kind::MalformedReply),
        (&[&message[..], &[0]].concat(), Kind::MalformedReply),
        (&compressed, Kind::MalformedReply),
        (&[9, 0, 0, 0, 0], Kind::MalformedReply),
        (&[0, 0xff, 0, 0, 0], Kind::UntranslatableReply),
        (&[0, 0, 0, 0, 1, 0xff], Kind::UntranslatableReply),
    ];
    for (body, kind) in cases {
        let answer = whole(UNARY, body, OK);
        assert_eq!((answer.head, answer.fault), (None, Some(*kind)), "{body:?}");
    }
}

#[test]
fn what_is_no_grpc_answer_is_an_error_at_once() {
    let cases: &[(u16, Fields<'_>, u16, &str)] = &[
        (503, &[("content-type", "text/html")], 503, "14"),
        (429, &[], 503, "14"),
        (404, GRPC, 501, "12"),
        (401, &[], 401, "16"),
        (500, &[], 500, "2"),
        (302, &[], 500, "2"),
        (200, &[("content-type", "text/html")], 500, "2"),
        (200, &[], 500, "2"),
        (200, &[("content-type", "application/grpc-web")], 500, "2"),
        (503, &[("grpc-status", "7")], 403, "7"),
        (503, &[("grpc-status", "0")], 503, "14"),
    ];
    for route in [UNARY, WATCH] {
        for (status, initial, http, grpc) in cases {
            let answer = answer(route, *status, initial, b"<html>", &[2], None);
            assert_eq!((answer.status(), answer.header("grpc-status")), (*http, Some(*grpc)), "{status} {initial:?}");
        }
    }
    // And one that ends without a status is UNKNOWN.
    for trailers in [None, Some(&[("x", "y")][..]), Some(&[("grpc-status", "zero")])] {
        let message = framed("library.Message", &[json!({})]);
        let answer = whole(UNARY, &message, trailers);
        assert_eq!((answer.status(), answer.header("grpc-status")), (500, Some("2")));
    }
}

#[test]
fn a_stream_is_an_array_that_is_closed_only_when_it_is_whole() {
    let items = [json!({"text": "a"}), json!({}), json!({"text": "b"})];
    let body = framed("library.Message", &items);
    let done = whole(WATCH, &body, OK);
    assert_eq!((done.status(), done.text()), (200, r#"[{"text":"a"},{},{"text":"b"}]"#));
    assert_eq!(done.header("content-type"), Some("application/json"));
    assert_eq!((done.header("content-length"), done.fault), (None, None));

    let none = whole(WATCH, b"", OK);
    assert_eq!((none.status(), none.text(), none.header("content-length")), (200, "[]", Some("2")));
    let only = answer(WATCH, 200, &[GRPC[0], ("grpc-status", "0")], b"", &[1], None);
    assert_eq!((only.status(), only.text()), (200, "[]"));

    for (body, trailers, kind) in [
        (&body[..], Some(&[("grpc-status", "13")][..]), Kind::StreamReset),
        (&body, None, Kind::StreamReset),
        (&body[..body.len() - 1], OK, Kind::MalformedReply),
        (&[&body[..], &[7, 0, 0, 0, 0]].concat(), OK, Kind::MalformedReply),
        (&[&body[..], &[0, 0, 0, 0, 1, 0xff]].concat(), OK, Kind::UntranslatableReply),
    ] {
        let broken = whole(WATCH, body, trailers);
        assert_eq!((broken.status(), broken.fault), (200, Some(kind)));
        assert!(broken.text().starts_with(r#"[{"text":"a"}"#) && !broken.text().ends_with(']'));
    }
}

#[test]
fn response_body_is_one_field_of_any_kind() {
    let full = json!({"nested": {"name": "x"}, "numbers": [1, 2], "labels": {"a": "b"}, "text": "t", "big": 5});
    for (path, there, not_there) in [
        ("/only/nested", r#"{"name":"x"}"#, "{}"),
        ("/only/numbers", "[1,2]", "[]"),
        ("/only/labels", r#"{"a":"b"}"#, "{}"),
        ("/only/text", r#""t""#, r#""""#),
        ("/only/big", r#""5""#, r#""0""#),
    ] {
        for (message, expected) in [(&full, there), (&json!({}), not_there)] {
            let answer = whole(("GET", path), &framed("library.Everything", std::slice::from_ref(message)), OK);
            assert_eq!((answer.status(), answer.text()), (200, expected), "{path}");
        }
    }
    let items = [json!({"text": "a"}), json!({})];
    let answer = whole(("GET", "/watch/text"), &framed("library.Message", &items), OK);
    assert_eq!(answer.text(), r#"["a",""]"#);
}

#[test]
fn an_http_body_is_the_answer_itself() {
    let png = json!({"contentType": "image/png", "data": "iVBORwD/"});
    let reply = whole(("GET", "/download"), &framed("google.api.HttpBody", std::slice::from_ref(&png)), OK);
    assert_eq!((reply.status(), reply.header("content-type")), (200, Some("image/png")));
    assert_eq!((&reply.body[..], reply.header("content-length")), (&b"\x89PNG\0\xff"[..], Some("6")));

    let reply = whole(("POST", "/upload/a"), &framed("library.Parcel", &[json!({"name": "a", "content": png})]), OK);
    assert_eq!((reply.header("content-type"), &reply.body[..]), (Some("image/png"), &b"\x89PNG\0\xff"[..]));

    let reply = whole(("GET", "/download"), &framed("google.api.HttpBody", &[json!({})]), OK);
    assert_eq!((reply.status(), reply.header("content-type"), reply.header("content-length")), (200, None, Some("0")));

    let pieces = [
        json!({"contentType": "text/plain", "data": ""}),
        json!({"data": "b25l"}),
        json!({"contentType": "ignored", "data": "dHdv"}),
    ];
    let stream = framed("google.api.HttpBody", &pieces);
    let reply = whole(("GET", "/download/stream"), &stream, OK);
    assert_eq!((reply.header("content-type"), reply.text(), reply.fault), (Some("text/plain"), "onetwo", None));
    let broken = whole(("GET", "/download/stream"), &stream, None);
    assert_eq!((broken.status(), broken.text(), broken.fault), (200, "onetwo", Some(Kind::StreamReset)));
    let none = whole(("GET", "/download/stream"), b"", OK);
    assert_eq!((none.status(), none.header("content-length")), (200, Some("0")));

    let split = framed("google.api.HttpBody", &[json!({"contentType": "a\nset-cookie: b"})]);
    assert_eq!(whole(("GET", "/download"), &split, OK).fault, Some(Kind::UntranslatableReply));
}

#[test]
fn a_status_in_the_head_counts_only_when_nothing_follows_it() {
    let message = framed("library.Message", &[json!({"text": "x"})]);
    let early = [GRPC[0], ("grpc-status", "0")];
    let after = answer(UNARY, 200, &early, &message, &[3], None);
    assert_eq!((after.status(), after.header("grpc-status")), (500, Some("2")));
    let stream = answer(WATCH, 200, &early, &message, &[usize::MAX], None);
    assert_eq!((stream.text(), stream.fault), (r#"[{"text":"x"}"#, Some(Kind::StreamReset)));
    assert_eq!(answer(WATCH, 200, &early, b"", &[1], None).text(), "[]");
    assert_eq!(answer(UNARY, 200, &early, &message, &[3], OK).status(), 200);
}

#[test]
fn what_is_kept_says_that_it_hangs_on_accept() {
    let message = framed("library.Message", &[json!({"text": "x"})]);
    let none_left: Option<Fields<'_>> = Some(&[("grpc-status", "5")]);
    for (route, trailers) in [(UNARY, OK), (UNARY, none_left), (WATCH, OK)] {
        assert_eq!(whole(route, &message, trailers).header("vary"), Some("accept"), "{route:?} {trailers:?}");
    }
    assert_eq!(whole(WATCH, b"", OK).header("vary"), Some("accept"));
    // POST is not kept, and an HttpBody is what it is.
    assert_eq!(whole(("POST", "/library.Messaging/Unruled"), &message, OK).header("vary"), None);
    let raw = framed("google.api.HttpBody", &[json!({"contentType": "a/b", "data": "AQ=="})]);
    assert_eq!(whole(("GET", "/download"), &raw, OK).header("vary"), None);
    let own = answer(UNARY, 200, &[GRPC[0], ("vary", "Cookie, Accept")], &message, &[9], OK);
    assert_eq!(own.header("vary"), Some("Cookie, Accept"));
}

#[test]
fn raw_bytes_keep_what_is_said_of_them() {
    let said =
        [GRPC[0], ("content-encoding", "gzip"), ("repr-digest", "sha-256=:AA==:"), ("content-digest", "a=:AA==:")];
    let raw = framed("google.api.HttpBody", &[json!({"contentType": "text/css", "data": "AQ=="})]);
    let empty = framed("google.api.HttpBody", &[json!({})]);
    let message = framed("library.Message", &[json!({"text": "x"})]);
    let none_left: Option<Fields<'_>> = Some(&[("grpc-status", "5")]);
    for (route, body, trailers, kept) in [
        (("GET", "/download"), &raw, OK, true),
        (("GET", "/download/stream"), &raw, OK, true),
        (("GET", "/download"), &empty, OK, false),
        (("GET", "/download"), &raw, none_left, false),
        (UNARY, &message, OK, false),
        (WATCH, &message, OK, false),
    ] {
        let told = answer(route, 200, &said, body, &[usize::MAX], trailers);
        for (name, value) in &said[1..] {
            assert_eq!(told.header(name), kept.then_some(*value), "{route:?} {name}");
        }
    }
}

/// The pieces that a reply comes in when all of it is there, and what stopped it.
fn steps(route: (&str, &str), asked: Fields<'_>, body: Vec<u8>) -> (Vec<usize>, Option<Kind>) {
    let (plan, _) = plan_for(&route.0.parse().unwrap(), route.1, &head(asked));
    let mut reply = RestReply::new(&plan);
    reply.head(StatusCode::OK, head(GRPC));
    reply.push(body.into());
    let mut sizes = Vec::new();
    loop {
        match reply.step() {
            Ok(ReplyStep::Head(_)) => {}
            Ok(ReplyStep::Data(data)) => sizes.push(data.len()),
            Ok(ReplyStep::NeedInput | ReplyStep::End) => return (sizes, None),
            Err(fault) => return (sizes, Some(fault.kind)),
        }
    }
}

#[test]
fn items_that_are_there_go_on_together() {
    for asked in [&[][..], &[("accept", "application/x-ndjson")], &[("accept", "text/event-stream")]] {
        let tiny = framed("library.Message", &vec![json!({}); 6000]);
        let (sizes, fault) = steps(WATCH, asked, tiny.clone());
        assert!(sizes.len() < 10 && sizes.iter().all(|size| *size < 9000) && fault.is_none(), "{sizes:?}");
        // Those before one that cannot be told go on, and the fault stays.
        let (sizes, fault) = steps(WATCH, asked, [&tiny[..10], &[0, 0, 0, 0, 1, 0xff]].concat());
        assert_eq!((sizes.len(), fault), (1, Some(Kind::UntranslatableReply)));
        assert_eq!(steps(WATCH, asked, vec![0, 0, 0, 0, 1, 0xff]), (vec![], Some(Kind::UntranslatableReply)));
    }
    // Raw messages without bytes are no pieces.
    let empties = framed("google.api.HttpBody", &vec![json!({}); 500]);
    assert_eq!(steps(("GET", "/download/stream"), &[], empties), (vec![], None));
}
