//! Raw protobuf: bodies as they are on the wire, answered in kind.

use serde_json::json;

use super::super::super::protobuf::{WireType, put_len, put_tag};
use super::*;

const PROTOBUF: Fields<'_> = &[("content-type", "application/x-protobuf")];

fn sent(verb: &str, url: &str, headers: Fields<'_>, body: &[u8]) -> Result<Value, Fault> {
    let pieces = body.chunks(3).collect::<Vec<_>>();
    let (method, messages) = send(verb, url, &head(headers), &pieces)?;
    assert_eq!(messages.len(), 1);
    Ok(json_of(method.input, &messages[0]))
}

#[test]
fn a_body_is_the_message_or_one_of_its_fields_and_the_path_is_added() {
    let message = wire_of("library.Message", &json!({"messageId": "1", "text": "t"}));
    let nested = wire_of("library.Nested", &json!({"name": "x"}));
    let everything =
        wire_of("library.Everything", &json!({"time": "2024-01-01T00:00:01Z", "flag": true, "right": "r"}));
    for (verb, url, body, expected) in [
        ("POST", "/library.Messaging/Unruled", &message, json!({"messageId": "1", "text": "t"})),
        ("POST", "/library.Messaging/Unruled", &vec![], json!({})),
        ("PUT", "/v1/messages/2", &message, json!({"messageId": "2", "text": "t"})),
        ("POST", "/find/1?text=q", &nested, json!({"int32Field": 1, "text": "q", "nested": {"name": "x"}})),
        // The path replaces what it gives, and does not merge with it.
        (
            "POST",
            "/times/2025-01-01T00:00:00Z",
            &everything,
            json!({"time": "2025-01-01T00:00:00Z", "flag": true, "right": "r"}),
        ),
        ("POST", "/choices/p", &everything, json!({"time": "2024-01-01T00:00:01Z", "flag": true, "left": "p"})),
    ] {
        for name in ["application/x-protobuf", "application/protobuf", "Application/vnd.google.protobuf; a=b"] {
            assert_eq!(sent(verb, url, &[("content-type", name)], body).unwrap(), expected, "{verb} {url}");
        }
    }
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let nested = |content: &[u8]| {
        let mut message = Vec::new();
        put_len(&mut message, 10, content);
        message
    };
    let mut deep = Vec::new();
    for _ in 0..120 {
        let inner = std::mem::take(&mut deep);
        put_len(&mut deep, if inner.is_empty() { 1 } else { 4 }, &inner);
    }
    let mut group = Vec::new();
    put_tag(&mut group, 99, WireType::StartGroup);
    let labels = |entry: &[u8]| {
        let mut message = Vec::new();
        put_len(&mut message, 12, entry);
        message
    };
    let cases: Vec<Vec<u8>> = vec![
        b"{}".to_vec(),
        vec![0x08],
        vec![0x0a, 5, 0],
        vec![0, 0],
        vec![0x07],
        group,
        nested(&[0x0a]),
        nested(&nested(&[])[..1]),
        nested(&deep),
        labels(&[0x0a]),
        // Packed numbers.
        vec![0x4a, 1, 0x80],
    ];
    for body in cases {
        let fault = sent("POST", "/choices/p", PROTOBUF, &body).expect_err(&format!("{body:x?}"));
        assert_eq!(fault.kind, Kind::InvalidRequest, "{body:x?}");
        assert!(fault.message.contains("library."), "{fault}");
    }
    // Unknown fields, and known ones of another wire type, are the servlet's to pass over.
    for body in [&[0x98, 0x06, 1][..], &[0x0d, 1, 2, 3, 4], &[0x50, 1]] {
        sent("POST", "/choices/p", PROTOBUF, body).unwrap();
    }
    let large = wire_of("library.Message", &json!({"text": "x".repeat(LIMIT)}));
    assert_eq!(sent("POST", "/library.Messaging/Unruled", PROTOBUF, &large).unwrap_err().kind, Kind::BodyTooLarge);
}

#[test]
fn what_has_no_protobuf_form_says_what_to_use() {
    for (verb, url, headers, body, kind, part) in [
        ("POST", "/fill/p", PROTOBUF, &b"\x08\x01"[..], Kind::UnsupportedMediaType, "lines of JSON"),
        ("POST", "/numbers", PROTOBUF, b"\x08\x01", Kind::UnsupportedMediaType, "no message"),
        ("GET", "/watch", &[("accept", "application/x-protobuf")], b"", Kind::NotAcceptable, "application/x-ndjson"),
        ("GET", "/only/text", &[("accept", "application/protobuf")], b"", Kind::NotAcceptable, "application/json"),
        (
            "GET",
            "/only/numbers",
            &[("accept", "application/protobuf")],
            b"",
            Kind::NotAcceptable,
            "no protobuf message",
        ),
    ] {
        let fault = sent(verb, url, headers, body).expect_err(url);
        assert!(fault.kind == kind && fault.message.contains(part), "{url}: {fault}");
    }
    send("GET", "/download/stream", &head(&[("accept", "application/x-protobuf")]), &[]).unwrap();
    sent("GET", "/only/nested", &[("accept", "application/x-protobuf")], b"").unwrap();
}

fn reply(path: &str, headers: Fields<'_>, body: &[u8], trailers: Fields<'_>) -> Answer {
    answer_to(("GET", path), &head(headers), 200, GRPC, body, &[5], Some(trailers))
}

#[test]
fn an_answer_is_the_message_in_kind() {
    let ok = &[("grpc-status", "0"), ("x-more", "1")];
    let message = json!({"text": "t"});
    let body = framed("library.Message", std::slice::from_ref(&message));
    for name in ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"] {
        let answer = reply("/v1/messages/1", &[("accept", name)], &body, ok);
        assert_eq!((answer.status(), answer.header("content-type")), (200, Some(name)));
        assert_eq!((&answer.body, answer.header("x-more")), (&wire_of("library.Message", &message), Some("1")));
        assert_eq!(answer.header("grpc-status"), Some("0"));
    }
    let full = [json!({"nested": {"name": "x"}, "text": "t"})];
    let answer = reply("/only/nested", &[("accept", "application/protobuf")], &framed("library.Everything", &full), ok);
    assert_eq!(answer.body, wire_of("library.Nested", &json!({"name": "x"})));
    let answer =
        reply("/only/nested", &[("accept", "application/protobuf")], &framed("library.Everything", &[json!({})]), ok);
    assert_eq!((answer.status(), &*answer.body), (200, &b""[..]));
    // What is raw stays so.
    let raw = framed("google.api.HttpBody", &[json!({"contentType": "image/png", "data": "AQ=="})]);
    let answer = reply("/download", &[("accept", "application/protobuf")], &raw, ok);
    assert_eq!((answer.header("content-type"), &*answer.body), (Some("image/png"), &b"\x01"[..]));
}

#[test]
fn an_error_is_a_serialized_status() {
    let details = [&[8, 9, 18, 1, b'x', 26, 2, 10, 0][..], &[26, 4, 10, 2, b'a', b'b']].concat();
    let encoded = super::super::super::metadata::BINARY;
    let encoded = base64::Engine::encode(&encoded, &details);
    let trailers = &[("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", &encoded)];
    let answer = reply("/v1/messages/1", &[("accept", "application/x-protobuf")], b"", trailers);
    assert_eq!((answer.status(), answer.header("content-type")), (400, Some("application/x-protobuf")));
    assert_eq!((answer.header("grpc-status"), answer.header("grpc-message")), (Some("9"), Some("no")));
    assert_eq!(answer.body, [&[8, 9, 18, 2, b'n', b'o', 26, 2, 10, 0][..], &[26, 4, 10, 2, b'a', b'b']].concat());
}
