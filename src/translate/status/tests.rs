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

/// A status with one detail: an Any of this type and value.
fn with_detail(name: &str, value: &[u8]) -> Status {
    let mut any = Vec::new();
    put_len(&mut any, 1, format!("type.googleapis.com/{name}").as_bytes());
    put_len(&mut any, 2, value);
    let mut details = Vec::new();
    put_len(&mut details, 3, &any);
    Status { details: Some(Bytes::from(details)), ..Status::new(Code::Unavailable, "later") }
}

fn len(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, number, content);
    out
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(&mut out, number, WireType::Varint);
    put_varint(&mut out, value);
    out
}

#[test]
fn the_standard_details_are_told_as_json_without_a_schema() {
    let entry = [len(1, b"shelf"), len(2, b"3")].concat();
    let inner = with_detail("google.rpc.Help", &len(1, &len(2, b"https://a"))).details.unwrap();
    let cases: Vec<(&str, Vec<u8>, serde_json::Value)> = vec![
        (
            "google.rpc.ErrorInfo",
            [len(1, b"FULL"), len(2, b"shelf.example"), len(3, &entry)].concat(),
            json!({"reason": "FULL", "domain": "shelf.example", "metadata": {"shelf": "3"}}),
        ),
        (
            "google.rpc.RetryInfo",
            len(1, &[varint(1, 1), varint(2, 500_000_000)].concat()),
            json!({"retryDelay": "1.500s"}),
        ),
        (
            "google.rpc.BadRequest",
            len(1, &[len(1, b"book.name"), len(2, b"is empty")].concat()),
            json!({"fieldViolations": [{"field": "book.name", "description": "is empty"}]}),
        ),
        ("google.rpc.DebugInfo", Vec::new(), json!({})),
        // An Any within: the type's own JSON, all the way down.
        (
            "google.rpc.Status",
            [varint(1, 5), inner.to_vec()].concat(),
            json!({"code": 5, "details": [{"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://a"}]}]}),
        ),
        ("google.protobuf.Duration", varint(1, 3), json!({"value": "3s"})),
        ("google.protobuf.StringValue", len(1, b"why"), json!({"value": "why"})),
        ("google.protobuf.Struct", Vec::new(), json!({"value": {}})),
        // Known by name, but not what it says it is: nothing of it is lost.
        ("google.rpc.ErrorInfo", vec![0x0a, 0x7f, 1], json!({"value": "Cn8B"})),
        // An Any within that nobody knows.
        (
            "google.rpc.Status",
            len(3, &[len(1, b"type.googleapis.com/acme.Unknown"), len(2, &[1])].concat()),
            json!({"value": "GiUKIHR5cGUuZ29vZ2xlYXBpcy5jb20vYWNtZS5Vbmtub3duEgEB"}),
        ),
        ("acme.Unknown", vec![1, 2, 255], json!({"value": "AQL/"})),
    ];
    for (name, value, mut expected) in cases {
        expected["@type"] = format!("type.googleapis.com/{name}").into();
        assert_eq!(json_of(&with_detail(name, &value))["details"], json!([expected]), "{name} {value:?}");
    }
}

#[test]
fn a_type_of_the_schema_comes_before_one_that_everybody_knows() {
    let source = |package: &str, name: &str| {
        let text = format!(
            "syntax = \"proto3\"; package {package}; import \"google/protobuf/any.proto\";
            message {name} {{ string mine = 1; google.protobuf.Any any = 2; }}"
        );
        crate::schema::Source::Proto { name: "own.proto".into(), text }
    };
    let schema = crate::schema::Schema::build(&[source("google.rpc", "ErrorInfo")], &mut |_| None).unwrap();
    let status = with_detail("google.rpc.ErrorInfo", &len(1, b"x"));
    let json: serde_json::Value = serde_json::from_slice(&status.to_json(Some(schema.messages()))).unwrap();
    assert_eq!(json["details"][0]["mine"], "x");
    assert_eq!(json_of(&status)["details"][0]["reason"], "x");
}

#[test]
fn retry_info_becomes_retry_after() {
    let of = |seconds: i64, nanos: i64| {
        let delay = [varint(1, seconds.cast_unsigned()), varint(2, nanos.cast_unsigned())].concat();
        let mut head = HeaderMap::new();
        with_detail("google.rpc.RetryInfo", &len(1, &delay)).put_retry_after(&mut head);
        head.get("retry-after").map(|value| value.to_str().unwrap().to_owned())
    };
    let cases = [
        (3, 0, Some("3")),
        (0, 1, Some("1")),
        (2, 999_999_999, Some("3")),
        (0, 0, Some("0")),
        (-1, 0, None),
        (-1, -500_000_000, None),
        (i64::MAX, 1, None),
        (i64::MIN, 0, None),
        (315_576_000_000, 0, Some("315576000000")),
    ];
    for (seconds, nanos, expected) in cases {
        assert_eq!(of(seconds, nanos).as_deref(), expected, "{seconds} {nanos}");
    }

    let mut said = trailers(&[("retry-after", "9")]);
    with_detail("google.rpc.RetryInfo", &len(1, &varint(1, 3))).put_retry_after(&mut said);
    assert_eq!(said, trailers(&[("retry-after", "9")]), "the servlet's own word stands");
    for status in [
        with_detail("google.rpc.RetryInfo", &[]),
        with_detail("google.rpc.RetryInfo", &[0x0a, 0x7f]),
        with_detail("google.rpc.ErrorInfo", &len(1, &varint(1, 3))),
        Status::new(Code::Unavailable, "later"),
    ] {
        let mut head = HeaderMap::new();
        status.put_retry_after(&mut head);
        assert!(head.is_empty(), "{status:?}");
    }
}

#[test]
fn joined_details_are_read_as_the_first() {
    let joined = trailers(&[("grpc-status", "8"), ("grpc-status-details-bin", "CAg=, CAk")]);
    assert_eq!(Status::from_trailers(&joined).details.as_deref(), Some(&[8, 8][..]));
}
