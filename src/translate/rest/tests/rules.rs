//! The examples in the comments of google/api/http.proto, and what its rules say beside them.

use serde_json::json;

use super::*;

#[test]
fn the_examples_of_http_proto() {
    let cases = [
        ("GET", "/v1/messages/123456", "", "GetMessage", json!({"name": "messages/123456"})),
        (
            "GET",
            "/v2/messages/123456/foo",
            "",
            "GetMessageParts",
            json!({"messageId": "123456", "sub": {"subfield": "foo"}}),
        ),
        (
            "GET",
            "/v3/messages/123456?revision=2&sub.subfield=foo",
            "",
            "GetMessageById",
            json!({"messageId": "123456", "revision": "2", "sub": {"subfield": "foo"}}),
        ),
        ("GET", "/v3/messages/123456", "", "GetMessageById", json!({"messageId": "123456"})),
        ("GET", "/v3/users/me/messages/123456", "", "GetMessageById", json!({"userId": "me", "messageId": "123456"})),
        (
            "PATCH",
            "/v1/messages/123456",
            r#"{ "text": "Hi!" }"#,
            "UpdateMessage",
            json!({"messageId": "123456", "message": {"text": "Hi!"}}),
        ),
        (
            "PUT",
            "/v1/messages/123456",
            r#"{ "text": "Hi!" }"#,
            "UpdateWhole",
            json!({"messageId": "123456", "text": "Hi!"}),
        ),
        ("PING", "/v1/a/b:ping", "", "Ping", json!({"messageId": "a/b"})),
        ("BREW", "/v1/any?text=x", "", "Ping", json!({"text": "x"})),
        ("POST", "/library.Messaging/Unruled", r#"{"text":"x"}"#, "Unruled", json!({"text": "x"})),
        ("POST", "/library.Messaging/Unruled", "", "Unruled", json!({})),
    ];
    for (verb, url, body, method, message) in cases {
        assert_eq!(call(verb, url, body).unwrap(), (method.to_owned(), vec![message]), "{verb} {url}");
    }
}

#[test]
fn the_path_wins_over_the_body_whatever_the_type() {
    let cases = [
        ("/v1/messages/path", r#"{"messageId":"body","text":"t"}"#, "PUT", json!({"messageId": "path", "text": "t"})),
        ("/find/0", r#"{"name":"n"}"#, "POST", json!({"nested": {"name": "n"}})),
        (
            "/times/2024-01-01T00:00:00Z",
            r#"{"time":"2020-02-02T02:02:02.5Z","text":"t"}"#,
            "POST",
            json!({"time": "2024-01-01T00:00:00Z", "text": "t"}),
        ),
        ("/counts/0", r#"{"count":7,"text":"t"}"#, "POST", json!({"count": 0, "text": "t"})),
        ("/choices/l", r#"{"right":"r"}"#, "POST", json!({"left": "l"})),
        ("/choices/l", r#"{"inner":{"name":"r"}}"#, "POST", json!({"left": "l"})),
    ];
    for (url, body, verb, message) in cases {
        assert_eq!(one(verb, url, body), message, "{verb} {url} {body}");
    }
    // A zero from the path is a zero, not nothing.
    let (_, messages) = send("POST", "/find/0", &HeaderMap::new(), &[br#"{}"#]).unwrap();
    assert!(messages[0].ends_with(&[8, 0]), "{messages:?}");
}

#[test]
fn captures_are_read_by_their_field() {
    assert_eq!(one("GET", "/find/-5/x%20y%2Fz", ""), json!({"int32Field": -5, "nested": {"name": "x y/z"}}));
    for (url, part) in
        [("/find/five/x", "`int32_field`"), ("/find/2147483648/x", "`int32_field`"), ("/find/1.5/x", "`int32_field`")]
    {
        let fault = refused("GET", url, "");
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(part), "{url}: {fault}");
    }
}
