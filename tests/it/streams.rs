//! Streams: each item as soon as it is there, nothing held that nobody reads, and no half that looks whole.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::support::flow::Flow;
use crate::support::http1::Caller;
use crate::support::proxy::{ECHO, table};
use crate::support::servlet::{talk, three_words, trailers};
use crate::support::{Call, Running, Servlet, framed, grpc, http2, text_field, until};

const PROTO: &str = r#"
syntax = "proto3";
package echo.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Echo {
  rpc Count(Words) returns (stream Words) { option (google.api.http) = { get: "/v1/count/{text}" }; }
  rpc Join(stream Words) returns (Words) { option (google.api.http) = { post: "/v1/join" body: "*" }; }
  rpc Chat(stream Words) returns (stream Words) { option (google.api.http) = { post: "/v1/chat" body: "*" }; }
  rpc Pull(Words) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/pull" }; }
  rpc Push(stream google.api.HttpBody) returns (Words) { option (google.api.http) = { post: "/v1/push" body: "*" }; }
}
message Words { string text = 1; }
"#;

async fn echo(servlet: &Servlet) -> Running {
    let files = [
        ("protos/echo.proto", PROTO),
        ("servlets/echo.yaml", ECHO),
        ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
    ];
    Running::with(&files, "").await
}

/// Reads until the text seen so far ends so.
async fn read_to(socket: &mut tokio::net::TcpStream, text: &mut String, end: &str) {
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let count = socket.read(&mut buffer).await.unwrap();
        assert!(count > 0, "ended at {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
}

#[tokio::test]
async fn each_item_arrives_before_the_next_is_sent() {
    let (servlet, go) = Servlet::gated(three_words).await;
    let proxy = echo(&servlet).await;
    for version in ["1.0", "1.1"] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let mut text = String::new();
        for word in ["one", "two", "three"] {
            read_to(&mut caller.socket, &mut text, &format!("{{\"text\":\"{word}\"}}")).await;
            go.add_permits(1);
        }
        let (rest, clean) = caller.rest().await;
        text.push_str(std::str::from_utf8(&rest).unwrap());
        let chunked = text.to_ascii_lowercase().contains("transfer-encoding: chunked");
        assert_eq!((chunked, clean), (version == "1.1", true), "{text}");
        assert!(if chunked { text.ends_with("\r\n0\r\n\r\n") } else { text.ends_with("}]") }, "{text}");
    }
    let mut send = http2::connect(&proxy.address).await.ready().await.unwrap();
    let (response, _) = send.send_request(http2::request("GET", "/v1/count/x").body(()).unwrap(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut text = String::new();
    for word in ["one", "two", "three"] {
        while !text.contains(&format!("{{\"text\":\"{word}\"}}")) {
            text.push_str(std::str::from_utf8(&body.data().await.unwrap().unwrap()).unwrap());
        }
        go.add_permits(1);
    }
    while let Some(data) = body.data().await {
        text.push_str(std::str::from_utf8(&data.unwrap()).unwrap());
    }
    assert_eq!(text, r#"[{"text":"one"},{"text":"two"},{"text":"three"}]"#);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_error_before_the_first_item_is_an_http_error_and_one_after_it_breaks_the_answer() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let items = usize::from(call.head.headers["x-items"].as_bytes()[0] - b'0');
        let reset = call.head.headers.contains_key("x-reset");
        let mut send = call.begin();
        for _ in 0..items {
            send.send_data(framed(&text_field(1, "one")).into(), false).unwrap();
        }
        if reset {
            // Let the item go out first.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            send.send_reset(h2::Reason::INTERNAL_ERROR);
        } else {
            send.send_trailers(trailers("5", Some("none left"))).unwrap();
        }
    })
    .await;
    let proxy = echo(&servlet).await;
    for version in ["1.0", "1.1"] {
        let request = format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\nX-Items: 0\r\n\r\n");
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &serde_json::json!(5)));
        for reset in ["", "X-Reset: 1\r\n"] {
            let mut caller = Caller::connect(&proxy.address).await;
            caller.write(format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\nX-Items: 2\r\n{reset}\r\n")).await;
            let (bytes, clean) = caller.rest().await;
            let text = String::from_utf8(bytes).unwrap();
            assert!(!clean || !text.contains("200 OK"), "{version} {reset:?}: a cut answer looks whole: {text:?}");
            assert!(!text.contains(']') && !text.contains("\r\n0\r\n"), "{text:?}");
        }
    }
    for reset in [false, true] {
        let mut request = http2::request("GET", "/v1/count/x").header("x-items", "2");
        if reset {
            request = request.header("x-reset", "1");
        }
        let broken = http2::once(&proxy.address, request.body(()).unwrap(), b"").await;
        match broken {
            Err(error) => assert!(error.is_reset() && error.is_remote(), "{error:?}"),
            Ok(answer) => assert!(answer.status.is_server_error(), "{answer:?}"),
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn items_of_an_array_go_up_one_by_one() {
    let servlet = Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        call.reply(&[&text_field(1, &body.len().to_string())], "0", None);
    })
    .await;
    let proxy = echo(&servlet).await;
    let one = framed(&text_field(1, "one"));
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST /v1/join HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for index in 0..3 {
        let item = format!("{}{{\"text\":\"one\"}}", if index == 0 { "[" } else { "," });
        caller.write(format!("{:x}\r\n{item}\r\n", item.len())).await;
        until(|| servlet.seen().first().is_some_and(|seen| seen.body == one.repeat(index + 1))).await;
        assert!(!servlet.seen()[0].whole);
    }
    caller.write("1\r\n]\r\n0\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().json(), serde_json::json!({"text": "30"}));
    assert!(servlet.seen()[0].whole);

    // What is wrong in a later item ends the call, and the servlet never takes it for whole.
    let request = "POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n[{\"text\":\"one\"},{\"no\":\"1\"}]";
    let answer = Caller::once(&proxy.address, &request.replace("26", "27")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &serde_json::json!(3)));
    if servlet.calls() == 2 {
        until(|| servlet.seen()[1].reset).await;
        assert!(!servlet.seen()[1].whole);
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn json_talks_both_ways_over_http2() {
    let servlet = Servlet::start(talk).await;
    let proxy = echo(&servlet).await;
    let mut ready = http2::connect(&proxy.address).await.ready().await.unwrap();
    let request = http2::request("POST", "/v1/chat").header("content-type", "application/json").body(()).unwrap();
    let (response, mut send) = ready.send_request(request, false).unwrap();
    send.send_data("[{\"text\":\"a\"}".into(), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut text = String::new();
    for word in ["a", "b", "c"] {
        while !text.contains(&format!("{{\"text\":\"{word}\"}}")) {
            text.push_str(std::str::from_utf8(&body.data().await.unwrap().unwrap()).unwrap());
        }
        let next = char::from(word.as_bytes()[0] + 1);
        send.send_data(format!(",{{\"text\":\"{next}\"}}").into(), false).unwrap();
    }
    send.send_data("]".into(), true).unwrap();
    while let Some(data) = body.data().await {
        text.push_str(std::str::from_utf8(&data.unwrap()).unwrap());
    }
    assert_eq!(text, r#"[{"text":"a"},{"text":"b"},{"text":"c"},{"text":"d"}]"#);
    proxy.at_rest("echo").await;
}

const MIB: usize = 1024 * 1024;
const MANY: usize = 64;
/// What windows and socket buffers on the way may hold. Nobody holds the body.
const AHEAD: usize = 12 * MIB;

/// Sends 64 messages of 1 MiB, each with `prefix` before its bytes, as fast as it may; reads nothing ahead.
async fn pouring(flow: &Flow, prefix: &'static [u8]) -> Servlet {
    let flow = flow.clone();
    Servlet::start(move |mut call: Call| {
        let flow = flow.clone();
        async move {
            call.read().await;
            let mut send = call.begin();
            let message = [prefix, &vec![b'x'; MIB]].concat();
            if flow.carry(&mut send, &framed(&message).into(), MANY).await {
                send.send_trailers(trailers("0", None)).unwrap();
            }
        }
    })
    .await
}

/// `HttpBody.data` of 1 MiB: field 2, its length as a varint.
const HTTP_BODY_MIB: &[u8] = &[0x12, 0x80, 0x80, 0x40];

#[tokio::test]
async fn a_grpc_download_waits_for_its_reader() {
    let flow = Flow::default();
    let servlet = pouring(&flow, &[]).await;
    let proxy = echo(&servlet).await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request("/echo.v1.Echo/Count"), false).unwrap();
    send.send_data(framed(b"").into(), true).unwrap();
    let response = response.await.unwrap();
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= 2 * MIB, "{ahead} bytes sent that nobody read");
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        read += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(read, MANY * (MIB + 5));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_http_body_download_waits_for_its_reader() {
    let flow = Flow::default();
    let servlet = pouring(&flow, HTTP_BODY_MIB).await;
    let proxy = echo(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/pull HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= AHEAD, "{ahead} bytes sent that nobody read");
    let answer = caller.answer().await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, MANY * MIB));
    proxy.at_rest("echo").await;
}

/// Takes nothing until it is let, then all of it; tells its length.
async fn holding() -> (Servlet, Arc<Semaphore>) {
    Servlet::gated(|mut call, sign| async move {
        sign.acquire().await.unwrap().forget();
        let length = call.read().await.len();
        call.reply(&[&text_field(1, &length.to_string())], "0", None);
    })
    .await
}

#[tokio::test]
async fn a_grpc_upload_waits_for_the_servlet() {
    let (servlet, go) = holding().await;
    let proxy = echo(&servlet).await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    let flow = Flow::default();
    let sending = tokio::spawn({
        let flow = flow.clone();
        async move {
            assert!(flow.carry(&mut send, &Bytes::from(framed(&vec![1; MIB])), MANY).await);
            send.send_data(Bytes::new(), true).unwrap();
        }
    });
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= 2 * MIB, "{ahead} bytes taken that the servlet did not read");
    go.add_permits(1);
    let answer = grpc::read(response).await.unwrap();
    assert_eq!((answer.grpc_status(), &answer.messages[0]), ("0", &text_field(1, &(MANY * (MIB + 5)).to_string())));
    sending.await.unwrap();
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_http_body_upload_waits_for_the_servlet() {
    let (servlet, go) = holding().await;
    let proxy = echo(&servlet).await;
    let caller = Caller::connect(&proxy.address).await;
    let (mut read, mut write) = caller.socket.into_split();
    let flow = Flow::default();
    let sending = tokio::spawn({
        let flow = flow.clone();
        async move {
            let head = format!(
                "POST /v1/push HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                MANY * MIB
            );
            write.write_all(head.as_bytes()).await.unwrap();
            flow.pour(&mut write, 1, MANY * MIB).await;
            write
        }
    });
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= AHEAD, "{ahead} bytes taken that the servlet did not read");
    go.add_permits(1);
    let mut text = String::new();
    read.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(sending.await.unwrap());
    let body = &servlet.seen()[0].body;
    assert!(body.len() >= MANY * MIB && body.len() < MANY * MIB + MIB, "{}", body.len());
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_cancelled_upload_is_cancelled_at_the_servlet() {
    let (servlet, go) = holding().await;
    let proxy = echo(&servlet).await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    send.send_data(framed(b"half").into(), false).unwrap();
    until(|| servlet.calls() == 1).await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    go.add_permits(1);
    until(|| servlet.seen()[0].reset).await;
    assert!(!servlet.seen()[0].whole);

    // Over HTTP/1, a caller that leaves in the middle of its array.
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[{\"text\":\"one\"},").await;
    until(|| servlet.calls() == 2).await;
    drop(caller);
    go.add_permits(1);
    until(|| servlet.seen()[1].reset).await;
    assert!(!servlet.seen()[1].whole);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_servlet() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let trailers = call.body.trailers().await.unwrap().unwrap();
        let told = trailers.get("x-end").map_or("none", |value| value.to_str().unwrap()).to_owned();
        call.reply(&[told.as_bytes()], if trailers.contains_key("authorization") { "3" } else { "0" }, None);
    })
    .await;
    let proxy = echo(&servlet).await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    send.send_data(framed(b"x").into(), false).unwrap();
    let mut end = http::HeaderMap::new();
    end.insert("x-end", "yes".parse().unwrap());
    end.insert("authorization", "late".parse().unwrap());
    send.send_trailers(end).unwrap();
    let answer = grpc::read(response).await.unwrap();
    assert_eq!((answer.grpc_status(), &*answer.messages[0]), ("0", &b"yes"[..]));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn what_is_wrong_in_the_array_after_the_answer_began_breaks_the_answer() {
    let servlet = Servlet::start(talk).await;
    let proxy = echo(&servlet).await;
    let mut ready = http2::connect(&proxy.address).await.ready().await.unwrap();
    let request = http2::request("POST", "/v1/chat").header("content-type", "application/json").body(()).unwrap();
    let (response, mut send) = ready.send_request(request, false).unwrap();
    send.send_data("[{\"text\":\"a\"}".into(), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert!(body.data().await.unwrap().is_ok());
    send.send_data(",{\"text\":]".into(), false).unwrap();
    let broken = loop {
        match body.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a broken answer ended cleanly"),
        }
    };
    assert!(broken.is_reset(), "{broken}");
    until(|| servlet.seen()[0].reset).await;
    proxy.at_rest("echo").await;
    assert_eq!(proxy.endpoints("echo").await[0]["failures"], 0);
}
