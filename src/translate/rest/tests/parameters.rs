//! Query parameters: which fields they reach, and what they are refused for.

use serde_json::json;

use super::*;

#[test]
fn parameters_reach_every_kind_of_field() {
    let cases = [
        ("", json!({})),
        ("int32_field=5", json!({"int32Field": 5})),
        ("int32Field=5", json!({"int32Field": 5})),
        ("big=-9223372036854775808", json!({"big": "-9223372036854775808"})),
        ("flag=true", json!({"flag": true})),
        ("ratio=1.5e3", json!({"ratio": 1500})),
        ("ratio=NaN", json!({"ratio": "NaN"})),
        ("blob=AAEC", json!({"blob": "AAEC"})),
        ("blob=_-8", json!({"blob": "/+8="})),
        ("text=", json!({})),
        ("text=a%20b%26c%3Dd", json!({"text": "a b&c=d"})),
        ("text=a=b", json!({"text": "a=b"})),
        // As in Envoy: a plus is a plus.
        ("text=a+b", json!({"text": "a+b"})),
        ("text=%E4%B8%AD", json!({"text": "\u{4e2d}"})),
        ("text=100%", json!({"text": "100%"})),
        ("%74ext=x", json!({"text": "x"})),
        ("colour=RED", json!({"colour": "RED"})),
        ("colour=2", json!({"colour": "BLUE"})),
        ("colour=77", json!({"colour": 77})),
        ("colours=RED&colours=2&colours=RED", json!({"colours": ["RED", "BLUE", "RED"]})),
        ("numbers=1&text=x&numbers=0&numbers=3", json!({"numbers": [1, 0, 3], "text": "x"})),
        ("nested.name=a&nested.size=3", json!({"nested": {"name": "a", "size": 3}})),
        (
            "nested.nested.nested.tags=a&nested.size=1&nested.nested.nested.tags=b",
            json!({
                "nested": {"size": 1, "nested": {"nested": {"tags": ["a", "b"]}}}
            }),
        ),
        ("time=2024-02-29T12:34:56.789Z", json!({"time": "2024-02-29T12:34:56.789Z"})),
        ("time.seconds=60", json!({"time": "1970-01-01T00:01:00Z"})),
        (
            "times=1970-01-01T00:00:01Z&times=1970-01-01T00:00:02Z",
            json!({
                "times": ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]
            }),
        ),
        ("span=1.5s", json!({"span": "1.500s"})),
        ("mask=text,nested.name", json!({"mask": "text,nested.name"})),
        ("count=0", json!({"count": 0})),
        ("note=", json!({"note": ""})),
        ("note=x", json!({"note": "x"})),
        ("value=x", json!({"value": "x"})),
        ("maybe=0", json!({"maybe": 0})),
        ("veryOdd=x", json!({"veryOdd": "x"})),
        ("odd=x", json!({"veryOdd": "x"})),
        ("left=a", json!({"left": "a"})),
        ("inner.name=a&inner.size=2", json!({"inner": {"name": "a", "size": 2}})),
        // The last of two counts, whole.
        ("text=a&text=b", json!({"text": "b"})),
        ("time=2024-01-01T00:00:00.5Z&time=2025-01-01T00:00:00Z", json!({"time": "2025-01-01T00:00:00Z"})),
        ("nested.name=a&nested.size=1&nested.name=b", json!({"nested": {"name": "b", "size": 1}})),
        // What names nothing is passed over.
        ("&&text=x&", json!({"text": "x"})),
        ("flag&=5&text=x", json!({"text": "x"})),
    ];
    for (query, message) in cases {
        assert_eq!(one("GET", &format!("/find?{query}"), ""), message, "{query}");
    }
}

#[test]
fn what_is_no_parameter_is_told() {
    let cases = [
        ("nope=1", "has no field `nope`"),
        ("nested.nope=1", "library.Nested has no field `nope`"),
        ("Text=x", "has no field `Text`"),
        ("text.x=1", "no single message"),
        (".text=1", "no field ``"),
        ("text.=1", "no single message"),
        ("nested=x", "nested"),
        ("nested.nested={}", "nested"),
        ("many=x", "many"),
        ("many.name=x", "no single message"),
        ("labels=x", "labels"),
        ("labels.key=x", "no single message"),
        ("struct=x", "struct"),
        ("struct.fields.x=1", "no single message"),
        ("int32Field=", "int32Field"),
        ("int32Field=x", "int32Field"),
        ("int32Field=1.5", "int32Field"),
        ("int32Field=2147483648", "int32Field"),
        ("flag=maybe", "flag"),
        ("colour=GREEN", "colour"),
        ("blob=%21", "blob"),
        ("time=yesterday", "time"),
        ("text=%FF", "UTF-8"),
        ("left=a&right=b", "oneof"),
        ("inner.name=a&right=b", "oneof"),
    ];
    for (query, part) in cases {
        let fault = refused("GET", &format!("/find?{query}"), "");
        assert_eq!(fault.kind, Kind::InvalidRequest, "{query}");
        assert!(fault.message.contains(part), "{query}: {}", fault.message);
    }
}

#[test]
fn a_parameter_fills_only_what_path_and_body_leave() {
    let cases = [
        ("GET", "/find/1/x?int32_field=2", "the path gives"),
        ("GET", "/find/1/x?nested.name=2", "the path gives"),
        ("POST", "/find/1?nested.size=2", "the body gives"),
        ("PUT", "/v1/messages/1?text=x", "no parameter"),
        ("PUT", "/v1/messages/1?message_id=2", "the path gives"),
        ("POST", "/library.Messaging/Unruled?text=x", "no parameter"),
        ("POST", "/upload?content_type=x", "no parameter"),
        ("POST", "/inner?left=x", "oneof"),
    ];
    for (verb, url, part) in cases {
        let fault = refused(verb, url, "");
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(part), "{url}: {fault}");
    }
    assert_eq!(
        one("GET", "/find/1/x?nested.size=2&text=t", ""),
        json!({"int32Field": 1, "nested": {"name": "x", "size": 2}, "text": "t"})
    );
    assert_eq!(
        one("POST", "/find/1?text=t&numbers=1", r#"{"name":"x"}"#),
        json!({"int32Field": 1, "nested": {"name": "x"}, "text": "t", "numbers": [1]})
    );
}
