//! Request bodies: JSON, arrays of it, and raw bytes.

use serde_json::json;

use super::*;

#[test]
fn a_body_fills_the_message_or_one_field_of_any_kind() {
    let cases = [
        ("/library.Messaging/Unruled", r#" {"message_id":"a","text":"b"} "#, json!({"messageId": "a", "text": "b"})),
        (
            "/find/1",
            r#"{"name":"x","nested":{"size":2}}"#,
            json!({"int32Field": 1, "nested": {"name": "x", "nested": {"size": 2}}}),
        ),
        ("/find/1", "{}", json!({"int32Field": 1, "nested": {}})),
        // No body stands for `{}`.
        ("/find/1", "", json!({"int32Field": 1, "nested": {}})),
        ("/numbers", "[1, 2, 3]", json!({"numbers": [1, 2, 3]})),
        ("/numbers", "", json!({})),
        ("/labels", r#"{"a":"b"}"#, json!({"labels": {"a": "b"}})),
        ("/texts", r#""x""#, json!({"text": "x"})),
        ("/texts", "", json!({})),
    ];
    for (url, body, message) in cases {
        assert_eq!(one("POST", url, body), message, "{url} {body}");
    }
}

#[test]
fn a_body_that_does_not_fit_is_told_with_its_place() {
    let cases = [
        ("/library.Messaging/Unruled", r#"{"nope":1}"#, "nope"),
        ("/library.Messaging/Unruled", r#"{"text":1}"#, "$.text"),
        ("/library.Messaging/Unruled", r#"{"text":"a"}{"text":"b"}"#, "at byte 12"),
        ("/library.Messaging/Unruled", r#"{"text":"a""#, "at byte"),
        ("/library.Messaging/Unruled", "text=a", "at byte 0"),
        ("/library.Messaging/Unruled", "[]", "at byte 0"),
        ("/library.Messaging/Unruled", " ", "at byte"),
        ("/numbers", "[1,2", "at byte"),
        ("/numbers", r#"1],"text":"x""#, "at byte"),
        ("/texts", r#""a","int32Field":1"#, "at byte 3"),
        ("/find/1", r#"{"int32Field":2}"#, "int32Field"),
    ];
    for (url, body, part) in cases {
        let fault = refused("POST", url, body);
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(part), "{url} {body}: {fault}");
    }
}

#[test]
fn a_rule_without_a_body_takes_none() {
    assert_eq!(one("GET", "/v1/messages/1", " \r\n"), json!({"name": "messages/1"}));
    let fault = refused("GET", "/v1/messages/1", "{}");
    assert!(fault.kind == Kind::InvalidRequest && fault.message.contains("takes none"), "{fault}");
}

#[test]
fn the_media_type_counts_when_there_is_a_body() {
    let form = head(&[("content-type", "application/x-www-form-urlencoded")]);
    let xml = head(&[("content-type", "text/xml")]);
    let url = "/library.Messaging/Unruled";
    let fault = send("POST", url, &xml, &[b"{}"]).unwrap_err();
    assert_eq!(fault.kind, Kind::UnsupportedMediaType);
    let fault = send("POST", "/fill/x", &xml, &[b"[]"]).unwrap_err();
    assert_eq!(fault.kind, Kind::UnsupportedMediaType);
    send("POST", url, &xml, &[]).unwrap();
    send("POST", url, &HeaderMap::new(), &[b"{}"]).unwrap();
    // What is raw has any type.
    send("POST", "/upload", &form, &[b"a=b"]).unwrap();
}

#[test]
fn a_stream_of_requests_is_a_json_array() {
    let cases: &[(&str, &str, &[Value])] = &[
        ("/fill/p", "[]", &[]),
        ("/fill/p", r#" [ {"big":1} ] "#, &[json!({"big": "1", "text": "p"})]),
        // The path goes into the first message alone, as in Envoy.
        (
            "/fill/p",
            r#"[{},{"big":2},{"text":"own"}]"#,
            &[json!({"text": "p"}), json!({"big": "2"}), json!({"text": "own"})],
        ),
        (
            "/fill-nested?text=q",
            r#"[{"name":"a"},{"name":"b"}]"#,
            &[json!({"nested": {"name": "a"}, "text": "q"}), json!({"nested": {"name": "b"}})],
        ),
    ];
    for (url, body, messages) in cases {
        assert_eq!(call("POST", url, body).unwrap(), ("Fill".to_owned(), messages.to_vec()), "{url} {body}");
    }
    assert_eq!(call("GET", "/fill-once/p?big=3", "").unwrap().1, [json!({"text": "p", "big": "3"})]);
    for body in ["", "{}", r#"{"big":1}"#, "[{}", "[{},]", "[1]", "[{}]x", "[{}][{}]", "null", r#"[{"nope":1}]"#] {
        assert_eq!(refused("POST", "/fill/p", body).kind, Kind::InvalidRequest, "{body}");
    }
}

#[test]
fn raw_bytes_become_an_http_body() {
    let headers = head(&[("content-type", "image/png")]);
    let (method, messages) = send("POST", "/upload", &headers, &[b"\x89PNG", b"\0\xff"]).unwrap();
    assert_eq!(json_of(method.input, &messages[0]), json!({"contentType": "image/png", "data": "iVBORwD/"}));
    let (method, messages) = send("POST", "/upload/a", &headers, &[b"abc"]).unwrap();
    assert_eq!(
        json_of(method.input, &messages[0]),
        json!({"name": "a", "content": {"contentType": "image/png", "data": "YWJj"}})
    );
    let (method, messages) = send("POST", "/upload", &HeaderMap::new(), &[]).unwrap();
    assert_eq!(json_of(method.input, &messages[0]), json!({}));
}

#[test]
fn a_raw_stream_goes_on_as_it_comes_with_its_type_first() {
    let headers = head(&[("content-type", "text/csv")]);
    let (method, messages) = send("POST", "/stream/a", &headers, &[b"one,", b"", b"two"]).unwrap();
    let messages: Vec<_> = messages.iter().map(|message| json_of(method.input, message)).collect();
    let first = json!({"name": "a", "content": {"contentType": "text/csv", "data": "b25lLA=="}});
    assert_eq!(messages, [first, json!({"content": {"data": "dHdv"}})]);
    // An empty upload still tells its type.
    let (method, messages) = send("POST", "/stream/a", &headers, &[]).unwrap();
    let messages: Vec<_> = messages.iter().map(|message| json_of(method.input, message)).collect();
    assert_eq!(messages, [json!({"name": "a", "content": {"contentType": "text/csv"}})]);
    // A large piece is cut.
    let large = vec![7; 3 * LIMIT + 1];
    let (_, messages) = send("POST", "/stream/a", &headers, &[&large]).unwrap();
    assert_eq!(messages.len(), 4);
    assert!(messages.iter().all(|message| message.len() <= LIMIT + 64));
}

#[test]
fn a_message_over_the_limit_is_refused_and_a_stream_over_it_is_not() {
    let long = "x".repeat(LIMIT);
    let body = format!(r#"{{"text":"{long}"}}"#);
    for url in ["/library.Messaging/Unruled", "/upload"] {
        assert_eq!(refused("POST", url, &body).kind, Kind::BodyTooLarge, "{url}");
    }
    assert_eq!(refused("POST", "/fill/p", &format!("[{{}},{body}]")).kind, Kind::BodyTooLarge);
    let items = vec![r#"{"text":"0123456789"}"#; 500].join(",");
    assert_eq!(call("POST", "/fill/p", &format!("[{items}]")).unwrap().1.len(), 500);
}
