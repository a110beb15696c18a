//! HTTP/1.0 is a contract.

use crate::support::http1::Caller;
use crate::support::{Call, Running, Servlet, text_field};

async fn hello() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[&text_field(1, "hi")], "0", None);
    })
    .await
}

#[tokio::test]
async fn a_1_0_caller_without_host_is_answered_with_a_length_and_a_close() {
    let servlet = hello().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/say/you HTTP/1.0\r\n\r\n").await;
    let answer = caller.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, r#"{"text":"hi"}"#));
    assert_eq!(answer.header("content-length"), Some("13"));
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(caller.answer().await.is_none(), "the connection is closed");
    assert_eq!(servlet.seen()[0].body, crate::support::framed(&text_field(1, "you")));
}

#[tokio::test]
async fn a_connection_is_kept_when_asked() {
    let servlet = hello().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..3 {
        caller.write("GET /v1/say/you HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn a_caller_that_half_closes_gets_its_answer() {
    let servlet = hello().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST /v1/say HTTP/1.0\r\nContent-Length: 14\r\n\r\n{\"text\":\"you\"}").await;
    caller.half_close().await;
    assert_eq!(caller.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn what_1_0_cannot_say_is_refused() {
    let servlet = hello().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let cases = [
        ("POST /v1/say HTTP/1.0\r\n\r\n", 411),
        ("POST /v1/say HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET /v1/say/you\r\n", 400),
        ("GET /nowhere HTTP/1.0\r\n\r\n", 404),
        ("DELETE /v1/say/you HTTP/1.0\r\n\r\n", 405),
        ("GET /v1/say/you HTTP/1.1\r\n\r\n", 400),
    ];
    for (request, status) in cases {
        let answer = Caller::once(&proxy.address, request).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{request:?}");
        assert!(answer.json()["message"].is_string());
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn an_error_is_a_status_a_json_body_and_two_fields() {
    let servlet = Servlet::start(|mut call: Call| async move { call.refuse("5", Some("no such word")) }).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::once(&proxy.address, "GET /v1/say/you HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json(), serde_json::json!({"code": 5, "message": "no such word"}));
    assert_eq!(answer.header("grpc-status"), Some("5"));
    assert_eq!(answer.header("grpc-message"), Some("no such word"));
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_a_reset() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        send.send_data(crate::support::framed(&text_field(1, "one")).into(), false).unwrap();
        send.send_trailers(crate::support::servlet::trailers("13", Some("broken"))).unwrap();
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for version in ["1.0", "1.1"] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        let (bytes, clean) = caller.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(!clean || !text.contains("200 OK"), "a cut answer looks whole: {text:?}");
        assert!(!text.ends_with("]") && !text.contains("\r\n0\r\n"), "{text:?}");
    }
}
