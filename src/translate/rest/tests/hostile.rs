//! Any cut gives the same result, and no input panics or costs more than it should.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn outcome(url: &str, body: &[u8], sizes: &[usize]) -> Result<Vec<Vec<u8>>, (Kind, String)> {
    let sent = send("POST", url, &HeaderMap::new(), &pieces(body, sizes));
    sent.map(|(_, messages)| messages).map_err(|fault| (fault.kind, fault.message.into_owned()))
}

fn body() -> impl Strategy<Value = String> {
    let item = prop_oneof![
        Just(r#"{"text":"a"}"#),
        Just("{}"),
        Just(r#"{"nested":{"tags":["]","\"{"]}}"#),
        Just("[1]"),
        Just(r#"{"nope":1}"#),
        Just(","),
        Just("["),
        Just("]"),
        Just(" "),
        Just("\"\u{4e2d}\""),
        Just("12"),
    ];
    (proptest::collection::vec(item, 0..8), any::<bool>())
        .prop_map(|(items, array)| if array { format!("[{}]", items.join(",")) } else { items.concat() })
}

proptest! {
    #[test]
    fn any_cut_of_a_request_gives_the_same_messages(
        body in body(),
        url in prop_oneof![Just("/fill/p"), Just("/numbers"), Just("/find/1"), Just("/upload"), Just("/library.Messaging/Unruled")],
        sizes in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        prop_assert_eq!(outcome(url, body.as_bytes(), &sizes), outcome(url, body.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn any_cut_of_a_raw_stream_gives_the_same_bytes(
        body in proptest::collection::vec(any::<u8>(), 0..100),
        sizes in proptest::collection::vec(1_usize..40, 1..5),
    ) {
        let (method, messages) = send("POST", "/stream/a", &HeaderMap::new(), &pieces(&body, &sizes)).unwrap();
        let mut data = Vec::new();
        for message in &messages {
            let json = json_of(method.input, message);
            let piece = json["content"]["data"].as_str().unwrap_or_default().to_owned();
            data.extend(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, piece).unwrap());
        }
        prop_assert_eq!(data, body);
    }

    #[test]
    fn any_cut_of_a_reply_gives_the_same_answer(
        texts in proptest::collection::vec("[a-z]{0,12}", 0..5),
        lost in 0_usize..4,
        noise in proptest::collection::vec(0_u8..4, 0..8),
        sizes in proptest::collection::vec(1_usize..20, 1..5),
        route in prop_oneof![Just(("GET", "/watch")), Just(("GET", "/watch/text")), Just(("GET", "/v1/messages/1"))],
        fine in any::<bool>(),
    ) {
        let items: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
        let mut bytes = framed("library.Message", &items);
        bytes.truncate(bytes.len().saturating_sub(lost));
        bytes.extend_from_slice(&noise);
        let trailers: Option<&[(&str, &str)]> = if fine { OK } else { Some(&[("grpc-status", "9")]) };
        let cut = answer(route, 200, GRPC, &bytes, &sizes, trailers);
        prop_assert_eq!(cut, answer(route, 200, GRPC, &bytes, &[usize::MAX], trailers));
    }

    #[test]
    fn no_url_panics(query in "[a-z0-9_.=&%+]{0,40}|(nested\\.|name|=|&|[a-z]|%..){0,20}|\\PC{0,30}") {
        let result = call("GET", &format!("/find?{query}"), "");
        prop_assert!(result.is_ok() || result.is_err_and(|fault| fault.kind == Kind::InvalidRequest));
    }

    #[test]
    fn no_reply_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut body = crate::translate::frame_header(bytes.len() as u32).to_vec();
        body.extend_from_slice(&bytes);
        for path in ["/watch", "/watch/text", "/download", "/download/stream", "/only/nested", "/v1/messages/1"] {
            let answer = answer(("GET", path), 200, GRPC, &body, &[7], OK);
            prop_assert!(answer.head.is_some() || answer.fault.is_some());
        }
    }
}

#[test]
fn names_that_go_too_deep_are_refused() {
    let at_most = "nested.".repeat(99);
    assert!(call("GET", &format!("/find?{at_most}name=x"), "").is_ok());
    let deep = "nested.".repeat(10_000);
    let fault = refused("GET", &format!("/find?{deep}name=x"), "");
    assert!(fault.kind == Kind::InvalidRequest && fault.message.len() < 300, "{fault}");
}

#[test]
fn many_parameters_cost_their_number() {
    let repeated = vec!["numbers=1"; 20_000].join("&");
    assert_eq!(one("GET", &format!("/find?{repeated}"), "")["numbers"].as_array().unwrap().len(), 20_000);
    let same = vec!["nested.nested.name=x"; 20_000].join("&");
    let (_, messages) = send("GET", &format!("/find?{same}"), &HeaderMap::new(), &[]).unwrap();
    assert!(messages[0].len() < 20);
}

#[test]
fn a_refused_request_stays_refused_and_keeps_nothing() {
    let (plan, _) = plan(&Method::POST, "/library.Messaging/Unruled");
    let mut request = RestRequest::new(&plan, &[], None, &HeaderMap::new()).unwrap();
    for _ in 0..10 {
        request.push(Bytes::from(vec![b' '; LIMIT]));
    }
    for _ in 0..2 {
        assert_eq!(request.step().unwrap_err().kind, Kind::BodyTooLarge);
        request.finish();
    }
}

#[test]
fn a_length_told_beforehand_is_judged_beforehand() {
    let form = head(&[("content-type", "text/plain")]);
    for (path, headers, len, expected) in [
        ("/library.Messaging/Unruled", &HeaderMap::new(), LIMIT as u64, None),
        ("/library.Messaging/Unruled", &HeaderMap::new(), u64::MAX, Some(Kind::BodyTooLarge)),
        ("/upload", &HeaderMap::new(), LIMIT as u64 + 1, Some(Kind::BodyTooLarge)),
        ("/fill/x", &HeaderMap::new(), u64::MAX, None),
        ("/library.Messaging/Unruled", &form, 1, Some(Kind::UnsupportedMediaType)),
        ("/library.Messaging/Unruled", &form, 0, None),
    ] {
        let (plan, captures) = plan(&Method::POST, path);
        let captures: Vec<_> = captures.iter().map(|value| value.as_str().into()).collect();
        let mut request = RestRequest::new(&plan, &captures, None, headers).unwrap();
        request.expect_len(len);
        assert_eq!(request.step().err().map(|fault| fault.kind), expected, "{path} {len}");
    }
}
