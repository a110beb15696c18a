//! A servlet's reply in every form that callers are answered in: the same for any split of it, and half of it never looks whole.

use http::uri::PathAndQuery;
use telamon::translate::{Codec, ConnectPlan, Farewell, Form, Translation, UnaryPlan, WebPlan};

use super::calls::{LIMIT, framed, head, messages, method, reply, rest, words};
use super::draw::pieces;

fn forms() -> Vec<Translation> {
    let path = || PathAndQuery::from_static("/fuzz.v1.Fuzz/Any");
    let web = |text| Translation::Web(WebPlan::new(path(), &head("/", &[]).headers, text));
    let connect = |codec, form, name| {
        let plan = ConnectPlan { path: path(), method: Some(method(name)), codec, form, message_limit: LIMIT };
        Translation::Connect(plan)
    };
    let stream = |accept| rest("Many", &[("accept", accept)]).0;
    vec![
        web(false),
        web(true),
        connect(Codec::Proto, Form::Post, "One"),
        connect(Codec::Json, Form::Post, "One"),
        connect(Codec::Proto, Form::Stream, "Many"),
        connect(Codec::Json, Form::Stream, "Many"),
        Translation::Unary(UnaryPlan { path: path(), message_limit: LIMIT }),
        rest("One", &[]).0,
        rest("One", &[("accept", "application/x-protobuf")]).0,
        stream("application/json"),
        stream("application/x-ndjson"),
        stream("text/event-stream"),
    ]
}

/// A reply of one message is that message, as it is or in JSON, in the forms that have no frames of their own.
fn check_one(text: &str) {
    let (message, forms) = (words(text.as_bytes()), forms());
    let body = |form: usize| {
        let told = reply(&forms[form], framed(&message).chunks(3), Some("0"));
        assert_eq!(told.end, Ok(()), "form {form}");
        told.body
    };
    assert_eq!([body(2), body(8)], [message.clone(), message.clone()]);
    assert_eq!(body(6), framed(&message));
    for form in [3, 7] {
        let json: serde_json::Value = serde_json::from_slice(&body(form)).expect("JSON");
        assert_eq!(json["text"].as_str().unwrap_or_default(), text, "form {form}");
    }
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    for (form, translation) in forms().iter().enumerate() {
        for status in [Some("0"), Some("5"), None] {
            let whole = reply(translation, [bytes], status);
            assert_eq!(whole, reply(translation, parts.clone(), status), "form {form}");
            if whole.end.is_err() && form == 9 {
                assert!(serde_json::from_slice::<serde_json::Value>(&whole.body).is_err(), "half an array");
            }
            if let Err((_, Farewell::End(words))) = &whole.end {
                assert!(form < 6 && !words.is_empty(), "form {form} has no end that tells of errors");
            }
        }
    }
    check_one(&String::from_utf8_lossy(bytes).chars().take(5).collect::<String>());
    // The bytes as texts of good messages: each form has as many of them.
    let texts = String::from_utf8_lossy(bytes).chars().collect::<Vec<_>>();
    let texts: Vec<String> = texts.chunks(5).map(|text| text.iter().collect()).collect();
    let stream: Vec<u8> = texts.iter().flat_map(|text| framed(&words(text.as_bytes()))).collect();
    let body = |form: usize| {
        let told = reply(&forms()[form], stream.chunks(3), Some("0"));
        assert_eq!(told.end, Ok(()), "form {form}");
        told.body
    };
    let framed = |body: Vec<u8>| messages(&body).expect("whole frames").len();
    assert_eq!([framed(body(0)), framed(body(4)), framed(body(5))], [texts.len() + 1; 3]);
    let array: Vec<serde_json::Value> = serde_json::from_slice(&body(9)).expect("an array");
    let told = array.iter().map(|item| item["text"].as_str().unwrap_or_default());
    assert!(told.eq(texts.iter().map(String::as_str)));
    let lines = String::from_utf8(body(10)).expect("text");
    assert_eq!(lines.lines().count(), texts.len());
    let events = String::from_utf8(body(11)).expect("text");
    let data: String = events.split_inclusive('\n').filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data, lines);
}
