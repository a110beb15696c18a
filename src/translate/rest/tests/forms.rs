//! Forms, with and without files.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const FORM: Fields<'_> = &[("content-type", "application/x-www-form-urlencoded")];
const MULTIPART: Fields<'_> = &[("content-type", "multipart/form-data; boundary=b")];

/// The messages that a body becomes, as JSON.
fn messages(url: &str, headers: Fields<'_>, body: &[u8]) -> Result<Vec<Value>, Fault> {
    let sent = if body.is_empty() { &[][..] } else { &[body][..] };
    let (method, messages) = send("POST", url, &head(headers), sent)?;
    Ok(messages.iter().map(|message| json_of(method.input, message)).collect())
}

/// A part: its name, more of its disposition and other headers, its content.
fn part(name: &str, more: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
}

const FILE: &str = "; filename=\"f\"\r\nContent-Type: image/png";

#[test]
fn a_form_binds_like_query_parameters() {
    let url = "/library.Messaging/Unruled";
    let cases = [
        (url, "text=a+b%2Bc&message_id=1", json!({"text": "a b+c", "messageId": "1"})),
        (url, "messageId=%C3%A9&text=", json!({"messageId": "é"})),
        (url, "text=a&text=b", json!({"text": "b"})),
        (url, "te%78t=a=b&&=ignored", json!({"text": "a=b"})),
        (url, "text=%zz%", json!({"text": "%zz%"})),
        (url, "text=\u{e9}", json!({"text": "é"})),
        (url, "text", json!({})),
        (url, "", json!({})),
        (
            "/choices/p",
            "numbers=1&numbers=-2&flag=true&colours=RED&colours=2&blob=AQI",
            json!({
                "left": "p", "numbers": [1, -2], "flag": true, "colours": ["RED", "BLUE"], "blob": "AQI=",
            }),
        ),
        (
            "/choices/p",
            "nested.name=x&nested.nested.tags=a&nested.nested.tags=b&time=2024-01-01T00:00:00Z",
            json!({
                "left": "p", "nested": {"name": "x", "nested": {"tags": ["a", "b"]}}, "time": "2024-01-01T00:00:00Z",
            }),
        ),
        // The path wins, as over any body.
        ("/choices/p", "left=x", json!({"left": "p"})),
        ("/find/1", "name=x&nested.size=2", json!({"int32Field": 1, "nested": {"name": "x", "nested": {"size": 2}}})),
        ("/find/1", "", json!({"int32Field": 1, "nested": {}})),
        // One message of a stream.
        ("/fill/p", "big=1", json!({"text": "p", "big": "1"})),
    ];
    for (url, body, message) in cases {
        let found = messages(url, FORM, body.as_bytes()).unwrap_or_else(|fault| panic!("{url} {body}: {fault}"));
        assert_eq!(found, [message], "{url} {body}");
    }
}

#[test]
fn a_form_that_does_not_fit_is_told_with_its_key() {
    let url = "/library.Messaging/Unruled";
    for (url, body, part) in [
        (url, "nope=1", "form field `nope`: library.Message has no field `nope`"),
        (url, "nope", "form field `nope`"),
        (url, "text.x=1", "no single message"),
        (url, "text=%ff", "form field `text`: its value is not UTF-8"),
        ("/choices/p", "big=x", "form field `big`"),
        ("/choices/p", "labels.a=b", "form field `labels.a`"),
        ("/choices/p", "left=a&right=b", "oneof"),
        ("/find/1", "nested.nope=1", "has no field `nope`"),
        ("/find/1?text=a", "text=b", "library.Nested has no field `text`"),
    ] {
        let fault = messages(url, FORM, body.as_bytes()).expect_err(body);
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(part), "{url} {body}: {fault}");
    }
    assert_eq!(messages(url, FORM, b"text=\xff").unwrap_err().kind, Kind::InvalidRequest);
    let fault = messages(url, FORM, br#" {"text":"a"}"#).unwrap_err();
    assert!(fault.kind == Kind::UnsupportedMediaType && fault.message.contains("application/json"), "{fault}");
    let long = format!("text={}", "x".repeat(LIMIT));
    assert_eq!(messages(url, FORM, long.as_bytes()).unwrap_err().kind, Kind::BodyTooLarge);
    for url in ["/numbers", "/labels", "/texts"] {
        let fault = messages(url, FORM, b"1=1").unwrap_err();
        assert!(fault.kind == Kind::UnsupportedMediaType && fault.message.contains("no message"), "{url}: {fault}");
    }
}

#[test]
fn parts_bind_like_fields_and_files_into_bytes_and_http_bodies() {
    let cases = [
        ("/library.Messaging/Unruled", part("text", "", "a+b%20c"), json!({"text": "a+b%20c"})),
        ("/library.Messaging/Unruled", String::new(), json!({})),
        ("/library.Messaging/Unruled", part("text", FILE, "é"), json!({"text": "é"})),
        ("/choices/p", part("blob", FILE, "\u{0}-"), json!({"left": "p", "blob": "AC0="})),
        (
            "/choices/p",
            part("blob", "\r\nContent-Type: application/octet-stream", "ab"),
            json!({"left": "p", "blob": "YWI="}),
        ),
        ("/choices/p", part("blob", "", "YWI"), json!({"left": "p", "blob": "YWI="})),
        (
            "/choices/p",
            part("nested.tags", "", "a") + &part("nested.tags", "", "b"),
            json!({"left": "p", "nested": {"tags": ["a", "b"]}}),
        ),
        // The field of a file that nobody chose.
        (
            "/choices/p",
            part("blob", "; filename=\"\"\r\nContent-Type: application/octet-stream", ""),
            json!({"left": "p"}),
        ),
        (
            "/parcel/whole",
            part("name", "", "n") + &part("content", FILE, "\u{89}PN"),
            json!({"name": "n", "content":
            {"contentType": "image/png", "data": "wolQTg=="}}),
        ),
        ("/parcel/whole", part("content", "", "x"), json!({"content": {"data": "eA=="}})),
        // The body is the file, and fields are the rest.
        (
            "/upload/p",
            part("anything", FILE, "\u{9}"),
            json!({"name": "p", "content": {"contentType": "image/png", "data": "CQ=="}}),
        ),
        (
            "/parcel",
            part("content", "\r\nContent-Type: text/csv", "a,b") + &part("name", "", "n"),
            json!({"name": "n", "content": {"contentType": "text/csv", "data": "YSxi"}}),
        ),
        ("/upload", part("f", FILE, "x"), json!({"contentType": "image/png", "data": "eA=="})),
        ("/upload", part("f", FILE, ""), json!({"contentType": "image/png"})),
        ("/upload", String::new(), json!({})),
    ];
    for (url, body, message) in cases {
        let body = if body.is_empty() { body } else { body + "--b--\r\n" };
        let found = messages(url, MULTIPART, body.as_bytes()).unwrap_or_else(|fault| panic!("{url} {body}: {fault}"));
        assert_eq!(found, [message], "{url} {body}");
    }
}

#[test]
fn a_form_with_files_that_does_not_fit_is_refused() {
    let file = part("f", FILE, "x");
    for (url, body, told) in [
        ("/library.Messaging/Unruled", part("nope", "", ""), "form field `nope`: library.Message has no field"),
        ("/choices/p", part("big", "", "x"), "form field `big`"),
        ("/choices/p", part("nested", FILE, "x"), "form field `nested`"),
        ("/upload", part("f", "", "x"), "form field `f`: the body is a file"),
        ("/upload", format!("{file}{file}"), "another"),
        ("/parcel", part("content.data", "", "x"), "the body is a file"),
        ("/pour", format!("{file}{file}"), "the file comes last"),
        ("/deliver", part("content", FILE, "x") + &part("name", "", "n"), "the file comes last"),
        ("/fill/p", part("nope", FILE, "x"), "form field `nope`"),
    ] {
        let fault = messages(url, MULTIPART, format!("{body}--b--").as_bytes()).expect_err(&body);
        assert!(fault.kind == Kind::InvalidRequest && fault.message.contains(told), "{url} {body}: {fault}");
        // Cut off.
        let fault = messages(url, MULTIPART, body.as_bytes()).expect_err(&body);
        assert_eq!(fault.kind, Kind::InvalidRequest);
    }
    let long = format!("{}--b--", part("text", "", &"x".repeat(LIMIT)));
    for url in ["/library.Messaging/Unruled", "/fill/p"] {
        assert_eq!(messages(url, MULTIPART, long.as_bytes()).unwrap_err().kind, Kind::BodyTooLarge, "{url}");
    }
    let many = format!("{}--b--", part("name", "", "").repeat(40));
    assert_eq!(messages("/deliver", MULTIPART, many.as_bytes()).unwrap_err().kind, Kind::BodyTooLarge);
    let none = head(&[("content-type", "multipart/form-data")]);
    for url in ["/upload", "/pour", "/library.Messaging/Unruled"] {
        assert_eq!(send("POST", url, &none, &[b"x"]).unwrap_err().kind, Kind::InvalidRequest, "{url}");
        send("POST", url, &none, &[]).unwrap();
    }
}

#[test]
fn a_file_is_streamed_behind_the_fields_before_it() {
    let large = "x".repeat(2 * LIMIT + 1);
    let data = |value: &Value| value["data"].as_str().unwrap_or_default().len();
    for (url, name, fields) in [
        ("/pour", "f", json!({})),
        ("/deliver", "content", json!({"name": "n"})),
        ("/stream/n", "f", json!({"name": "n"})),
    ] {
        let text = if url == "/deliver" { part("name", "", "n") } else { String::new() };
        let body = format!("{text}{}--b--", part(name, FILE, &large));
        let found = messages(url, MULTIPART, body.as_bytes()).unwrap();
        assert_eq!(found.len(), 3, "{url}");
        let content = |message: &Value| message.get("content").unwrap_or(message).clone();
        assert_eq!(content(&found[0])["contentType"], "image/png");
        assert_eq!(found[0].get("name"), fields.get("name"));
        assert!(
            found[1..]
                .iter()
                .all(|message| content(message).get("contentType").is_none() && message.get("name").is_none())
        );
        assert!(found.iter().all(|message| (1..=LIMIT * 4 / 3 + 4).contains(&data(&content(message)))));
        let body = format!("{text}{}--b--", part(name, FILE, ""));
        let found = messages(url, MULTIPART, body.as_bytes()).unwrap();
        assert_eq!((found.len(), &content(&found[0])["contentType"]), (1, &json!("image/png")), "{url}");
    }
    let body = format!("{}{}--b--", part("big", "", "5"), part("blob", FILE, &large));
    let found = messages("/fill/p", MULTIPART, body.as_bytes()).unwrap();
    assert_eq!((found.len(), &found[0]["big"], &found[0]["text"]), (3, &json!("5"), &json!("p")));
    assert!(found[1..].iter().all(|message| message.as_object().unwrap().keys().eq(["blob"])));
    // No file: one message.
    let body = format!("{}--b--", part("name", "", "n"));
    assert_eq!(messages("/deliver", MULTIPART, body.as_bytes()).unwrap(), [json!({"name": "n"})]);
}

proptest! {
    #[test]
    fn any_cut_of_a_form_gives_the_same_message(
        body in "(text|big|numbers|nope|&|=|\\+|%2|%41|1|\u{e9}){0,12}",
        sizes in proptest::collection::vec(1_usize..5, 1..4),
    ) {
        let cut = |sizes: &[usize]| {
            let sent = send("POST", "/choices/p", &head(FORM), &pieces(body.as_bytes(), sizes));
            sent.map(|(_, messages)| messages).map_err(|fault| (fault.kind, fault.message))
        };
        prop_assert_eq!(cut(&sizes), cut(&[usize::MAX]));
    }

    #[test]
    fn any_cut_of_a_form_with_a_file_gives_the_same_message_or_bytes(
        content in "[-\r\nx]{0,80}",
        sizes in proptest::collection::vec(1_usize..50, 1..4),
        whole in any::<bool>(),
    ) {
        let body = format!("{}{}{}", part("name", "", "n"), part("content", FILE, &content), if whole { "--b--" } else { "" });
        for url in ["/parcel/whole", "/deliver"] {
            let sent = send("POST", url, &head(MULTIPART), &pieces(body.as_bytes(), &sizes));
            prop_assert_eq!(sent.is_ok(), whole);
            let Ok((method, messages)) = sent else { continue };
            let mut data = Vec::new();
            for (message, first) in messages.iter().zip(std::iter::once(true).chain(std::iter::repeat(false))) {
                let json = json_of(method.input, message);
                prop_assert_eq!(json["name"] == "n", first);
                prop_assert_eq!(json["content"]["contentType"] == "image/png", first);
                let piece = json["content"]["data"].as_str().unwrap_or_default().to_owned();
                data.extend(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, piece).unwrap());
            }
            prop_assert_eq!(data, content.as_bytes());
        }
    }
}

#[test]
fn a_files_name_counts_as_its_content_does() {
    let many: String =
        (0..20).map(|_| part("nested.tags", &format!("; filename=\"{}\"", "x".repeat(100)), "a")).collect();
    let fault = messages("/fill/p", MULTIPART, (many + "--b--\r\n").as_bytes()).unwrap_err();
    assert_eq!(fault.kind, Kind::BodyTooLarge, "{fault}");
}
