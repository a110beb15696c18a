//! Streams for callers without gRPC, in lines of JSON and in server-sent events: each record as soon as it is there, an error as a
//! record, and no half that looks whole.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::http1::Caller;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet::{talk, trailers};
use crate::support::{Call, Running, Servlet, framed, http2, text_field, unframed, until};

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// A record of a form: one word.
fn record(form: &str, word: &str) -> String {
    let json = format!("{{\"text\":\"{word}\"}}");
    if form == LINES { format!("{json}\n") } else { format!("data: {json}\n\n") }
}

/// The record of an error.
fn error(form: &str, status: &str) -> String {
    if form == LINES { format!("{{\"error\":{status}}}\n") } else { format!("event: error\ndata: {status}\n\n") }
}

/// Sends words one by one as it is let, and then ends as the request says.
async fn telling() -> (Servlet, Arc<Semaphore>) {
    Servlet::gated(|mut call, sign| async move {
        call.read().await;
        let ending = call.head.headers["x-ending"].to_str().unwrap().to_owned();
        let mut send = call.begin();
        for word in ["one", "two"] {
            sign.acquire().await.unwrap().forget();
            send.send_data(framed(&text_field(1, word)).into(), false).unwrap();
        }
        sign.acquire().await.unwrap().forget();
        match ending.as_str() {
            "reset" => send.send_reset(h2::Reason::INTERNAL_ERROR),
            "silence" => {
                let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
                call.seen.lock().unwrap().reset = true;
            }
            status => send.send_trailers(trailers(status, Some("none left"))).unwrap(),
        }
    })
    .await
}

#[tokio::test]
async fn each_record_arrives_before_the_next_is_sent() {
    let (servlet, go) = telling().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for form in [LINES, EVENTS] {
        for version in ["1.0", "1.1"] {
            let mut caller = Caller::connect(&proxy.address).await;
            let fields = format!("Host: a\r\nAccept: {form}\r\nX-Ending: 0\r\nConnection: close");
            caller.write(format!("GET /v1/count/x HTTP/{version}\r\n{fields}\r\n\r\n")).await;
            let mut text = String::new();
            for word in ["one", "two"] {
                go.add_permits(1);
                text.push_str(&caller.until(&record(form, word)).await);
            }
            go.add_permits(1);
            let (rest, clean) = caller.rest().await;
            let head = text.to_ascii_lowercase();
            assert!(head.contains(&format!("content-type: {form}\r\n")) && clean, "{text}");
            assert_eq!(head.contains("cache-control: no-cache\r\n"), form == EVENTS, "{text}");
            // To HTTP/1.0 the end is that of the connection.
            assert_eq!(head.contains("transfer-encoding: chunked\r\n"), version == "1.1", "{text}");
            assert!(!head.contains("content-length"), "{text}");
            let expected = if version == "1.1" { "\r\n0\r\n\r\n" } else { "" };
            assert_eq!(String::from_utf8(rest).unwrap(), expected);
        }
        go.add_permits(3);
        let request = http2::request("GET", "/v1/count/x").header("accept", form).header("x-ending", "0");
        let answer = http2::once(&proxy.address, request.body(()).unwrap(), b"").await.unwrap();
        assert_eq!(answer.headers["content-type"], form);
        assert_eq!(answer.text(), format!("{}{}", record(form, "one"), record(form, "two")));
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_error_midway_is_a_record_and_then_a_break() {
    let (servlet, go) = telling().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for form in [LINES, EVENTS] {
        for (ending, told) in [("5", r#"{"code":5,"message":"none left"}"#), ("reset", "{\"code\":14,\"message\":")] {
            let last = error(form, told);
            let last = last.trim_end_matches(['}', '\n']);
            for version in ["1.0", "1.1"] {
                let mut caller = Caller::connect(&proxy.address).await;
                let fields = format!("Host: a\r\nAccept: {form}\r\nX-Ending: {ending}");
                caller.write(format!("GET /v1/count/x HTTP/{version}\r\n{fields}\r\n\r\n")).await;
                go.add_permits(2);
                caller.until(&record(form, "two")).await;
                go.add_permits(1);
                caller.until(last).await;
                let (rest, clean) = caller.rest().await;
                assert!(!clean && !rest.ends_with(b"0\r\n\r\n"), "{version} {form} {ending}: looks whole");
            }
            let request = http2::request("GET", "/v1/count/x").header("accept", form).header("x-ending", ending);
            let mut send = http2::connect(&proxy.address).await.ready().await.unwrap();
            let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
            go.add_permits(2);
            let mut body = response.await.unwrap().into_body();
            let mut text = String::new();
            while !text.contains(last) {
                if text.ends_with(&record(form, "two")) {
                    go.add_permits(1);
                }
                text.push_str(std::str::from_utf8(&body.data().await.unwrap().unwrap()).unwrap());
            }
            let broken = loop {
                match body.data().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => panic!("a broken answer ended cleanly"),
                }
            };
            assert!(broken.is_reset() && broken.is_remote(), "{broken}");
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_error_before_the_first_record_is_an_http_error() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[], "5", Some("none left"));
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for form in [LINES, EVENTS] {
        for version in ["1.0", "1.1"] {
            let fields = format!("Host: a\r\nAccept: {form}\r\nConnection: close");
            let answer =
                Caller::once(&proxy.address, &format!("GET /v1/count/x HTTP/{version}\r\n{fields}\r\n\r\n")).await;
            assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json")));
            assert_eq!(answer.json(), serde_json::json!({"code": 5, "message": "none left"}));
        }
    }
}

#[tokio::test]
async fn a_deadline_midway_is_told_in_a_record() {
    let (servlet, go) = telling().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for form in [LINES, EVENTS] {
        let mut caller = Caller::connect(&proxy.address).await;
        let fields = format!("Accept: {form}\r\nX-Ending: silence\r\nGrpc-Timeout: 1500m");
        go.add_permits(3);
        caller.write(format!("GET /v1/count/x HTTP/1.0\r\n{fields}\r\n\r\n")).await;
        caller.until(&record(form, "two")).await;
        caller.until(error(form, "{\"code\":4,").trim_end_matches(['}', '\n'])).await;
        assert!(!caller.rest().await.1);
    }
    until(|| servlet.seen().iter().all(|seen| seen.reset)).await;
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn lines_go_up_one_by_one() {
    let servlet = Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        call.reply(&[&text_field(1, &unframed(&body).len().to_string())], "0", None);
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let one = framed(&text_field(1, "one"));
    for name in [LINES, "application/jsonl; charset=utf-8"] {
        let calls = servlet.calls();
        let mut caller = Caller::connect(&proxy.address).await;
        let head = format!("POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Type: {name}\r\nTransfer-Encoding: chunked");
        caller.write(format!("{head}\r\n\r\n")).await;
        for (index, end) in ["\n", "\r\n", "\r\n\n"].into_iter().enumerate() {
            let line = format!("{{\"text\":\"one\"}}{end}");
            caller.write(format!("{:x}\r\n{line}\r\n", line.len())).await;
            until(|| servlet.seen().get(calls).is_some_and(|seen| seen.body == one.repeat(index + 1))).await;
            assert!(!servlet.seen()[calls].whole);
        }
        caller.write("e\r\n{\"text\":\"one\"}\r\n0\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().json(), serde_json::json!({"text": "4"}));
        assert_eq!(servlet.seen()[calls].body, one.repeat(4));
    }
    // HTTP/1.0, and a line that is wrong.
    let body = "{\"text\":\"one\"}\n\n{\"text\":\"one\"}";
    let request = |body: &str| {
        let fields = format!("Content-Type: {LINES}\r\nContent-Length: {}", body.len());
        format!("POST /v1/join HTTP/1.0\r\n{fields}\r\n\r\n{body}")
    };
    assert_eq!(Caller::once(&proxy.address, &request(body)).await.json(), serde_json::json!({"text": "2"}));
    let answer = Caller::once(&proxy.address, &request("{\"text\":\"one\"}\n{\"no\":1}\n")).await;
    let told = answer.json();
    assert!(answer.status == 400 && told["message"].as_str().unwrap().starts_with("line 2: "), "{told}");
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn lines_talk_both_ways_over_http2() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for form in [LINES, EVENTS] {
        let mut ready = http2::connect(&proxy.address).await.ready().await.unwrap();
        let request = http2::request("POST", "/v1/chat").header("content-type", LINES).header("accept", form);
        let (response, mut send) = ready.send_request(request.body(()).unwrap(), false).unwrap();
        send.send_data(record(LINES, "a").into(), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.headers()["content-type"], form);
        let mut body = response.into_body();
        let mut text = String::new();
        // Each reply is there before the next message is sent.
        for word in ["a", "b", "c"] {
            while !text.contains(&record(form, word)) {
                text.push_str(std::str::from_utf8(&body.data().await.unwrap().unwrap()).unwrap());
            }
            let next = char::from(word.as_bytes()[0] + 1).to_string();
            send.send_data(record(LINES, &next).into(), false).unwrap();
        }
        send.send_data(bytes::Bytes::new(), true).unwrap();
        while let Some(data) = body.data().await {
            text.push_str(std::str::from_utf8(&data.unwrap()).unwrap());
        }
        assert_eq!(text, ["a", "b", "c", "d"].map(|word| record(form, word)).concat());
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn over_http1_both_ways_are_one_after_the_other() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let body = [record(LINES, "a"), record(LINES, "b")].concat();
    for version in ["1.0", "1.1"] {
        let fields = format!("Host: a\r\nContent-Type: {LINES}\r\nAccept: {LINES}\r\nContent-Length: {}", body.len());
        let request = format!("POST /v1/chat HTTP/{version}\r\n{fields}\r\nConnection: close\r\n\r\n{body}");
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, answer.text()), (200, &*body));
    }
}

#[tokio::test]
async fn a_caller_that_takes_no_form_of_ours_gets_json() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for (path, accept, content_type) in [
        ("/v1/count/x", "image/png", "application/json"),
        ("/v1/count/x", "application/x-ndjson;q=0.5, application/json", "application/json"),
        ("/v1/count/x", "*/*;q=0.1, text/event-stream", EVENTS),
        // One message is JSON.
        ("/v1/say/x", LINES, "application/json"),
        ("/v1/say/x", EVENTS, "application/json"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path} {accept}");
    }
    assert!(servlet.seen().iter().all(|seen| !seen.headers.contains_key("accept")));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn one_side_of_a_conversation_may_rest_longer_than_a_body_may_stall() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "body_timeout: 50ms").await;
    let mut ready = http2::connect(&proxy.address).await.ready().await.unwrap();
    let request = http2::request("POST", "/v1/chat").header("content-type", LINES).header("accept", LINES);
    let (response, mut send) = ready.send_request(request.body(()).unwrap(), false).unwrap();
    send.send_data(record(LINES, "a").into(), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), record(LINES, "a"));
    // Bodies that began after this one rested stall, one after the other.
    for _ in 0..2 {
        let mut ready = ready.clone().ready().await.unwrap();
        let stalled = http2::request("POST", "/v1/say").header("content-type", "application/json");
        let (response, _send) = ready.send_request(stalled.body(()).unwrap(), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 408);
    }
    send.send_data(record(LINES, "b").into(), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), record(LINES, "b"));
    // An empty frame may end it.
    assert!(body.data().await.is_none_or(|last| last.unwrap().is_empty()));
    assert!(body.data().await.is_none());
}

#[tokio::test]
async fn a_stream_does_not_run_for_head() {
    let servlet = Servlet::start(talk).await;
    let routes = "routes:\n  - { match: { path: /any/stream }, call: echo.v1.Echo/Count }\n  - { match: { path: /any/one }, call: echo.v1.Echo/Say }\n";
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &format!("{ECHO}{routes}")),
        ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
    ];
    let proxy = Running::with(&files, "access_log: access.log\n").await;
    let ask = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let ask = async |path: &str| {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(ask(path)).await;
        String::from_utf8(caller.rest().await.0).unwrap().to_ascii_lowercase()
    };
    let refused = ask("/any/stream").await;
    assert!(
        refused.starts_with("http/1.1 405") && refused.contains("\r\nallow: get, post, put, patch, delete\r\n"),
        "{refused}"
    );
    assert_eq!(servlet.calls(), 0);
    assert!(ask("/any/one").await.starts_with("http/1.1 200"));
    // What HEAD is spared is not counted as sent.
    let log = || std::fs::read_to_string(proxy.path("access.log")).unwrap_or_default();
    until(|| log().lines().count() == 2).await;
    assert!(log().lines().all(|line| line.contains("\"bytes_out\":0")), "{}", log());
}
