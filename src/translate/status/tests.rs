use proptest::prelude::*;
use serde_json::json;

use super::super::protobuf::{WireType, put_len, put_tag, put_varint};
use super::*;

fn trailers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn json_of(status: &Status) -> serde_json::Value {
    serde_json::from_slice(&status.to_json(None)).unwrap()
}

#[test]
fn what_does_not_clearly_say_ok_is_unknown() {
    let cases: &[(&[(&str, &str)], Code)] = &[
        (&[("grpc-status", "0")], Code::Ok),
        (&[("grpc-status", "0"), ("grpc-status", "0")], Code::Ok),
        (&[("grpc-status", "5")], Code::NotFound),
        (&[("grpc-status", "16")], Code::Unauthenticated),
        (&[("grpc-status", "5"), ("grpc-status", "0")], Code::NotFound),
        (&[], Code::Unknown),
        (&[("grpc-status", "")], Code::Unknown),
        (&[("grpc-status", "17")], Code::Unknown),
        (&[("grpc-status", "-1")], Code::Unknown),
        (&[("grpc-status", "00")], Code::Unknown),
        (&[("grpc-status", "0x0")], Code::Unknown),
        (&[("grpc-status", "0"), ("grpc-status", "5")], Code::Unknown),
        (&[("grpc-message", "fine")], Code::Unknown),
    ];
    for (fields, code) in cases {
        assert_eq!(Status::from_trailers(&trailers(fields)).code, *code, "{fields:?}");
    }
}

#[test]
fn messages_decode_as_far_as_they_can() {
    let cases: &[(&[u8], &str)] = &[
        (b"plain text", "plain text"),
        (b"100%25 sure", "100% sure"),
        (b"caf%C3%A9", "caf\u{e9}"),
        (b"caf%c3%a9", "caf\u{e9}"),
        (b"50% off", "50% off"),
        (b"%", "%"),
        (b"%4", "%4"),
        (b"%zz", "%zz"),
        (b"%FF%FE", "\u{fffd}\u{fffd}"),
        (b"\xff", "\u{fffd}"),
        (b"%0A%00", "\n\0"),
        (b"a+b", "a+b"),
    ];
    for (value, message) in cases {
        assert_eq!(decode_message(value), *message);
    }
}

#[test]
fn messages_are_written_as_the_protocol_says() {
    let cases = [
        ("a b!~", "a b!~"),
        ("100%", "100%25"),
        ("two\r\nlines\t\u{7f}", "two%0D%0Alines%09%7F"),
        ("\u{4e2d}", "%E4%B8%AD"),
        (" x ", "%20x%20"),
        (" ", "%20"),
        ("", ""),
    ];
    for (message, value) in cases {
        assert_eq!(encode_message(message), value);
    }
    let long = encode_message(&"\u{4e2d}".repeat(5000));
    assert!(long.len() <= MESSAGE_HEADER_MOST && long.len() > MESSAGE_HEADER_MOST - 9 && long.len().is_multiple_of(9));
}

proptest! {
    #[test]
    fn a_message_survives_a_header(message in "\\PC{0,40}|[ -~]{0,40}|(.|\n){0,20}") {
        let value = encode_message(&message);
        prop_assert!(value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) && value.trim() == value);
        prop_assert_eq!(decode_message(value.as_bytes()), message);
    }

    #[test]
    fn no_details_panic(details in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut status = Status::new(Code::Aborted, "x");
        status.details = Some(Bytes::from(details));
        prop_assert!(json_of(&status).is_object());
    }
}

#[test]
fn a_status_goes_through_trailers_unchanged() {
    let status = Status {
        code: Code::ResourceExhausted,
        message: "quota \u{2260} %".into(),
        details: Some(Bytes::from_static(&[8, 8])),
    };
    let mut map = HeaderMap::new();
    status.to_trailers(&mut map);
    assert_eq!(map["grpc-status-details-bin"], "CAg");
    assert_eq!(Status::from_trailers(&map), status);
    for padded in ["CAg=", "CAg"] {
        let map = trailers(&[("grpc-status", "8"), ("grpc-status-details-bin", padded)]);
        assert_eq!(Status::from_trailers(&map).details.as_deref(), Some(&[8, 8][..]));
    }
    let garbled = trailers(&[("grpc-status", "8"), ("grpc-status-details-bin", "%%")]);
    assert_eq!(Status::from_trailers(&garbled).details, None);
}

#[test]
fn json_has_the_code_the_message_and_details_of_any_kind() {
    let mut status = Status::new(Code::NotFound, "no \"such\"\n\u{1}thing");
    assert_eq!(json_of(&status), json!({"code": 5, "message": "no \"such\"\n\u{1}thing"}));

    let mut any = Vec::new();
    put_len(&mut any, 1, b"type.googleapis.com/acme.Unknown");
    put_len(&mut any, 2, &[1, 2, 255]);
    let mut details = Vec::new();
    put_tag(&mut details, 1, WireType::Varint);
    put_varint(&mut details, 5);
    put_len(&mut details, 2, b"from details");
    put_len(&mut details, 3, &any);
    put_len(&mut details, 3, &any);
    let value = BINARY.encode(&details);
    let status_of = Status::from_trailers(&trailers(&[("grpc-status", "5"), ("grpc-status-details-bin", &value)]));
    let detail = json!({"@type": "type.googleapis.com/acme.Unknown", "value": "AQL/"});
    let expected = json!({"code": 5, "message": "from details", "details": [detail, detail]});
    assert_eq!(json_of(&status_of), expected);

    // What follows broken bytes is lost, what came before is told.
    details.extend_from_slice(&[0x1a, 0x7f]);
    status.details = Some(Bytes::from(details));
    assert_eq!(json_of(&status)["details"], json!([detail, detail]));
}

#[test]
fn a_rest_answer_has_the_status_three_times() {
    for code in Code::ALL.iter().filter(|code| **code != Code::Ok) {
        let response = Status::new(*code, "why").to_rest(None, None);
        assert_eq!(response.status(), code.http_status());
        assert_eq!(response.headers()["grpc-status"], code.digits());
        assert_eq!(response.headers()["grpc-message"], "why");
        assert_eq!(response.headers()["content-length"], response.body().len().to_string());
        assert_eq!(serde_json::from_slice::<serde_json::Value>(response.body()).unwrap()["code"], code.number());
    }
}
