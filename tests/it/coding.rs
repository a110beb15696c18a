//! Content codings between caller and proxy, and compressed messages of servlets, over sockets.

use std::io::Write;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;
use telamon::translate::{Coding, Decoded, Decoder, Effort, Encoder};

use crate::support::http1::{Answer, Caller};
use crate::support::proxy::table;
use crate::support::servlet::trailers;
use crate::support::{Call, Running, Servlet, framed, http2, number_field, text_field};

const PROTO: &str = r#"
syntax = "proto3";
package notes.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Notes {
  rpc Put(Note) returns (Note) { option (google.api.http) = { put: "/v1/notes" body: "*" additional_bindings { get: "/v1/notes" } }; }
  rpc Watch(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Join(stream Note) returns (Note) { option (google.api.http) = { post: "/v1/join" body: "*" }; }
  rpc Keep(google.api.HttpBody) returns (Note) { option (google.api.http) = { post: "/v1/keep" body: "*" }; }
  rpc Say(Note) returns (Note);
  rpc Ask(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Tell(stream Note) returns (stream Note);
}
message Note { string text = 1; int64 number = 2; }
"#;

async fn notes(servlet: &str, more: &str) -> Running {
    let files = [
        ("protos/notes.proto", PROTO),
        ("servlets/notes.yaml", &format!("schema: ../protos/notes.proto\nservices: [notes.v1.Notes]\n{more}")),
        ("endpoints/notes.yaml", &table(&[(servlet, 1)])),
    ];
    Running::with(&files, "").await
}

/// `{"text": …}`, long enough to be worth a coding.
fn long_note() -> (Vec<u8>, String) {
    let text = "all work and no play ".repeat(400);
    let mut message = vec![1 << 3 | 2];
    let len = text.len();
    message.extend_from_slice(&[u8::try_from(len & 0x7f).unwrap() | 0x80, u8::try_from(len >> 7).unwrap()]);
    message.extend_from_slice(text.as_bytes());
    (message, format!("{{\"text\":\"{text}\"}}"))
}

/// Answers each call with a long note.
async fn long_notes() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[&long_note().0], "0", None);
    })
    .await
}

fn encoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    Encoder::new(coding, Effort::Small, None).unwrap().finish(bytes).unwrap().to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Coding::named(coding.as_bytes()).unwrap(), None);
    decoder.push(Bytes::copy_from_slice(bytes));
    decoder.finish();
    let mut all = Vec::new();
    while let Decoded::Piece(piece) = decoder.step().unwrap() {
        all.extend_from_slice(&piece);
    }
    all
}

/// A gRPC message as a sender marks it that compressed it.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut frame = framed(message);
    frame[0] = 1;
    frame
}

/// One request over HTTP/1, with a body if there is one.
async fn send(address: &str, version: &str, line: &str, fields: &str, body: &[u8]) -> Answer {
    let mut caller = Caller::connect(address).await;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    caller.write(format!("{line} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{fields}{length}\r\n")).await;
    caller.write(body).await;
    caller.answer_to(line.split(' ').next().unwrap()).await.unwrap()
}

#[tokio::test]
async fn bodies_come_in_any_coding_over_every_version() {
    let servlet = long_notes().await;
    let proxy = notes(&servlet.address, "").await;
    let message = [text_field(1, "it"), number_field(2, 7)].concat();
    let json = br#"{"text": "it", "number": 7}"#;
    let mut bodies: Vec<(&str, Vec<u8>)> =
        Coding::ALL.iter().map(|coding| (coding.name(), encoded(*coding, json))).collect();
    bodies.push(("x-gzip", gzip(json)));
    bodies.push(("identity", json.to_vec()));
    bodies.push(("deflate, gzip", gzip(&encoded(Coding::Deflate, json))));
    for (coding, body) in &bodies {
        for version in ["1.0", "1.1"] {
            let fields = format!("Content-Encoding: {coding}\r\n");
            let answer = send(&proxy.address, version, "PUT /v1/notes", &fields, body).await;
            assert_eq!(answer.status, 200, "{coding} {}", answer.text());
        }
        let request = http2::request("PUT", "/v1/notes").header("content-encoding", *coding).body(()).unwrap();
        assert_eq!(http2::once(&proxy.address, request, body).await.unwrap().status, 200, "{coding}");
        // A unary call of Connect is the same to the caller, and to the servlet.
        let fields =
            format!("Content-Type: application/json\r\nConnect-Protocol-Version: 1\r\nContent-Encoding: {coding}\r\n");
        let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Say", &fields, body).await;
        assert_eq!(answer.status, 200, "{coding} {}", answer.text());
    }
    for seen in servlet.seen() {
        assert_eq!(seen.body, framed(&message));
        assert!(!seen.headers.contains_key("content-encoding"));
        assert_eq!(seen.headers["grpc-accept-encoding"], "gzip,identity");
        assert!(!seen.headers.contains_key("grpc-encoding"), "requests go as they are");
    }
    // Byte by byte, and in chunks.
    let mut caller = Caller::connect(&proxy.address).await;
    let head = "PUT /v1/notes HTTP/1.1\r\nHost: a\r\nContent-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.write(head).await;
    for byte in encoded(Coding::Zstd, json) {
        caller.write([b"1\r\n", &[byte][..], b"\r\n"].concat()).await;
    }
    caller.write("0\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 200);
    // A stream of items, and a file, whose type is that of what was coded.
    let stream = encoded(Coding::Brotli, br#"[{"text": "it", "number": 7}]"#);
    let answer = send(&proxy.address, "1.1", "POST /v1/join", "Content-Encoding: br\r\n", &stream).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(servlet.seen().last().unwrap().body, framed(&message));
    let fields = "Content-Type: image/x\r\nContent-Encoding: gzip\r\n";
    assert_eq!(send(&proxy.address, "1.0", "POST /v1/keep", fields, &gzip(b"IMG")).await.status, 200);
    assert_eq!(servlet.seen().last().unwrap().body, framed(&[text_field(1, "image/x"), text_field(2, "IMG")].concat()));
    proxy.at_rest("notes").await;
}

#[tokio::test]
async fn a_coding_that_is_not_taken_is_told_with_those_that_are() {
    let servlet = long_notes().await;
    let proxy = notes(&servlet.address, "").await;
    for coding in ["compress", "gzip, gzip, gzip"] {
        for version in ["1.0", "1.1"] {
            let fields = format!("Content-Encoding: {coding}\r\n");
            let answer = send(&proxy.address, version, "PUT /v1/notes", &fields, b"{}").await;
            assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("zstd, br, gzip, deflate")));
            assert_eq!(answer.json()["code"], 12);
        }
        // Before a byte of it is sent.
        let mut caller = Caller::connect(&proxy.address).await;
        let head = "PUT /v1/notes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n";
        caller.write(format!("{head}Content-Encoding: {coding}\r\n\r\n")).await;
        assert_eq!(caller.answer().await.unwrap().status, 415);
        let fields = format!("Content-Type: application/proto\r\nContent-Encoding: {coding}\r\n");
        let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Say", &fields, b"x").await;
        assert_eq!((answer.status, &answer.json()["code"]), (501, &json!("unimplemented")));
        assert_eq!(answer.header("accept-encoding"), Some("zstd, br, gzip, deflate"));
    }
    // No body is in no coding.
    let answer = send(&proxy.address, "1.1", "GET /v1/notes", "Content-Encoding: compress\r\n", b"").await;
    assert_eq!(answer.status, 200);
    for body in [&b"{}"[..], &gzip(b"{}")[..9]] {
        let answer = send(&proxy.address, "1.1", "PUT /v1/notes", "Content-Encoding: gzip\r\n", body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)));
    }
    proxy.at_rest("notes").await;
}

#[tokio::test]
async fn a_bomb_is_413_and_counts_as_what_was_sent_for_the_bodys_own_limit() {
    let servlet = long_notes().await;
    // The body's limit is of bytes as they are sent, the message's of those that they stand for.
    let proxy = notes(&servlet.address, "message_size: 64KiB\nbody_size: 32KiB\n").await;
    for coding in Coding::ALL {
        let bomb = encoded(coding, &vec![b' '; 10 << 20]);
        assert!(bomb.len() < 32 << 10);
        let fields = format!("Content-Encoding: {}\r\n", coding.name());
        for line in ["PUT /v1/notes", "POST /v1/join", "POST /v1/keep"] {
            let answer = send(&proxy.address, "1.1", line, &fields, &bomb).await;
            assert_eq!((answer.status, &answer.json()["code"]), (413, &json!(8)), "{line} {fields}");
        }
        let fields = format!("{fields}Content-Type: application/proto\r\n");
        let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Say", &fields, &bomb).await;
        assert_eq!(answer.json()["code"], "resource_exhausted");
        let large = [br#"{"text": ""#, &vec![b'x'; 60 << 10][..], br#""}"#].concat();
        let fields = format!("Content-Encoding: {}\r\n", coding.name());
        let answer = send(&proxy.address, "1.1", "PUT /v1/notes", &fields, &encoded(coding, &large)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    proxy.at_rest("notes").await;
}

#[tokio::test]
async fn answers_are_coded_for_those_who_ask() {
    let servlet = long_notes().await;
    let proxy = notes(&servlet.address, "").await;
    let (_, json) = long_note();
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.8, br;q=0.2, *;q=0.1", "gzip"),
    ] {
        for version in ["1.0", "1.1"] {
            let fields = format!("Accept-Encoding: {accepted}\r\n");
            let answer = send(&proxy.address, version, "GET /v1/notes", &fields, b"").await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)), "{accepted}");
            assert_eq!(answer.header("content-length").unwrap(), answer.body.len().to_string());
            assert_eq!(
                (answer.header("vary"), answer.header("grpc-status")),
                (Some("accept, Accept-Encoding"), Some("0"))
            );
            assert!(answer.body.len() < json.len() / 10);
            assert_eq!(decoded(coding, &answer.body), json.as_bytes());
            // The head of an answer to HEAD is that of GET.
            let head = send(&proxy.address, version, "HEAD /v1/notes", &fields, b"").await;
            assert_eq!(head.header("content-length"), answer.header("content-length"));
            assert_eq!(head.header("content-encoding"), Some(coding));
        }
        let request = http2::request("GET", "/v1/notes").header("accept-encoding", accepted).body(()).unwrap();
        let answer = http2::once(&proxy.address, request, b"").await.unwrap();
        assert_eq!(answer.headers["content-encoding"], coding);
        assert_eq!(decoded(coding, &answer.body), json.as_bytes());
        let fields = format!("Accept-Encoding: {accepted}\r\nContent-Type: application/proto\r\n");
        let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Say", &fields, &text_field(1, "x")).await;
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(decoded(coding, &answer.body), long_note().0);
    }
    for accepted in
        ["", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: compress\r\n"]
    {
        let answer = send(&proxy.address, "1.1", "GET /v1/notes", accepted, b"").await;
        assert_eq!((answer.header("content-encoding"), answer.text()), (None, &*json));
        assert_eq!(answer.header("vary"), Some("accept, Accept-Encoding"));
    }
    proxy.at_rest("notes").await;
}

#[tokio::test]
async fn the_file_says_which_answers_are_coded() {
    let servlet = long_notes().await;
    let asked = "Accept-Encoding: gzip\r\n";
    let proxy = notes(&servlet.address, "compression: {enabled: false}\n").await;
    let answer = send(&proxy.address, "1.1", "GET /v1/notes", asked, b"").await;
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, Some("accept")));
    // Requests are read all the same.
    let answer = send(&proxy.address, "1.1", "PUT /v1/notes", "Content-Encoding: gzip\r\n", &gzip(b"{}")).await;
    assert_eq!(answer.status, 200);
    let proxy = notes(&servlet.address, "compression: {min_size: 16KiB}\n").await;
    let answer = send(&proxy.address, "1.1", "GET /v1/notes", asked, b"").await;
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, Some("accept, Accept-Encoding")));
    let proxy = notes(&servlet.address, "compression: {effort: small}\n").await;
    let answer = send(&proxy.address, "1.1", "GET /v1/notes", asked, b"").await;
    assert_eq!(decoded("gzip", &answer.body), long_note().1.as_bytes());
}

#[tokio::test]
async fn an_item_is_there_before_the_next_and_a_broken_stream_has_no_end() {
    let (told, tell) =
        (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::Arc::new(tokio::sync::Notify::new()));
    let (ours, breaks) = (std::sync::Arc::clone(&told), std::sync::Arc::clone(&tell));
    let servlet = Servlet::start(move |mut call: Call| {
        let (told, breaks) = (std::sync::Arc::clone(&ours), std::sync::Arc::clone(&breaks));
        async move {
            call.read().await;
            let mut send = call.begin();
            for text in ["one", "two"] {
                send.send_data(framed(&text_field(1, text)).into(), false).unwrap();
                told.notified().await;
            }
            if call.head.headers.contains_key("x-break") {
                breaks.notified().await;
                send.send_trailers(trailers("9", Some("no"))).unwrap();
            } else {
                send.send_trailers(trailers("0", None)).unwrap();
            }
        }
    })
    .await;
    let proxy = notes(&servlet.address, "").await;
    for broken in [false, true] {
        for coding in Coding::ALL {
            let mut request = http2::request("GET", "/v1/watch")
                .header("accept", "application/x-ndjson")
                .header("accept-encoding", coding.name());
            if broken {
                request = request.header("x-break", "1");
            }
            let mut send = http2::connect(&proxy.address).await.ready().await.unwrap();
            let (answer, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
            let mut answer = answer.await.unwrap();
            assert_eq!(answer.headers()["content-encoding"], coding.name());
            let mut decoder = Decoder::new(coding, None);
            for item in ["{\"text\":\"one\"}\n", "{\"text\":\"two\"}\n"] {
                let mut seen = Vec::new();
                while seen.len() < item.len() {
                    decoder.push(answer.body_mut().data().await.unwrap().unwrap());
                    while let Decoded::Piece(piece) = decoder.step().unwrap() {
                        seen.extend_from_slice(&piece);
                    }
                }
                assert_eq!(seen, item.as_bytes());
                told.notify_one();
            }
            tell.notify_one();
            let (mut rest, mut clean) = (Vec::new(), true);
            while let Some(data) = answer.body_mut().data().await {
                match data {
                    Ok(data) => rest.extend_from_slice(&data),
                    Err(_) => {
                        clean = false;
                        break;
                    }
                }
            }
            decoder.push(rest.into());
            decoder.finish();
            let mut last = Vec::new();
            let end = loop {
                match decoder.step() {
                    Ok(Decoded::Piece(piece)) => last.extend_from_slice(&piece),
                    end => break end,
                }
            };
            assert_eq!((clean, end.is_ok()), (!broken, !broken), "{coding:?}");
            assert_eq!(last.starts_with(b"{\"error\":{\"code\":9"), broken, "{coding:?}");
            if !broken {
                // The permit of `tell` was for nobody.
                tell.notified().await;
            }
        }
    }
    proxy.at_rest("notes").await;
}

/// A servlet that compresses what it answers with, in an encoding that it calls so.
async fn compressing(encoding: &'static str, message: Vec<u8>) -> Servlet {
    Servlet::start(move |mut call: Call| {
        let message = message.clone();
        async move {
            call.read().await;
            let head = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-encoding", encoding)
                .body(())
                .unwrap();
            let mut send = call.respond.send_response(head, false).unwrap();
            send.send_data(message.into(), false).unwrap();
            send.send_trailers(trailers("0", None)).unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn compressed_messages_of_a_servlet_are_read() {
    let servlet = compressing("gzip", compressed(&gzip(&text_field(1, "it")))).await;
    let proxy = notes(&servlet.address, "").await;
    assert_eq!(send(&proxy.address, "1.0", "GET /v1/notes", "", b"").await.json(), json!({"text": "it"}));
    assert_eq!(send(&proxy.address, "1.1", "GET /v1/watch", "", b"").await.json(), json!([{"text": "it"}]));
    let fields = "Content-Type: application/proto\r\n";
    let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Say", fields, b"").await;
    assert_eq!(answer.body, text_field(1, "it"));
    // A stream of JSON messages, whose own are compressed as well.
    let fields = "Content-Type: application/connect+json\r\nConnect-Content-Encoding: gzip\r\n";
    let asked = compressed(&gzip(br#"{"text":"asked"}"#));
    let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Tell", fields, &asked).await;
    assert_eq!((answer.status, answer.header("connect-content-encoding")), (200, None));
    assert!(answer.body.starts_with(&framed(br#"{"text":"it"}"#)), "{:?}", answer.body);
    assert_eq!(servlet.seen().last().unwrap().body, framed(&text_field(1, "asked")));
    let fields = "Content-Type: application/connect+json\r\nConnect-Content-Encoding: snappy\r\n";
    let answer = send(&proxy.address, "1.1", "POST /notes.v1.Notes/Tell", fields, &asked).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("unimplemented"), "{:?}", answer.body);
    proxy.at_rest("notes").await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_clear_fault() {
    let bomb = compressed(&gzip(&vec![0; 10 << 20]));
    let cases = [
        ("snappy", compressed(b"xxx"), "`snappy`"),
        ("identity", compressed(&gzip(b"")), "grpc-encoding"),
        ("gzip", compressed(b"xxx"), "not gzip"),
        ("gzip", bomb, "over the limit of 65536 bytes"),
    ];
    for (encoding, message, told) in cases {
        let servlet = compressing(encoding, message).await;
        let proxy = notes(&servlet.address, "message_size: 64KiB\n").await;
        let answer = send(&proxy.address, "1.1", "GET /v1/notes", "", b"").await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains(told), "{}", answer.text());
        proxy.at_rest("notes").await;
    }
}

#[tokio::test]
async fn a_get_of_connect_may_be_compressed() {
    use base64::Engine;
    let servlet = long_notes().await;
    let proxy = notes(&servlet.address, "").await;
    let message = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(gzip(br#"{"text":"it"}"#));
    for (compression, status) in [("gzip", 200), ("snappy", 501), ("identity", 400)] {
        let query = format!("connect=v1&encoding=json&base64=1&compression={compression}&message={message}");
        let line = format!("GET /notes.v1.Notes/Ask?{query}");
        let answer = send(&proxy.address, "1.1", &line, "", b"").await;
        assert_eq!(answer.status, status, "{compression} {}", answer.text());
    }
    assert_eq!(servlet.seen()[0].body, framed(&text_field(1, "it")));
}

/// Where messages are the same on both sides they pass as they are, whatever they are compressed with.
#[tokio::test]
async fn messages_pass_untouched_where_both_sides_speak_grpc() {
    let sent = [compressed(b"not even gzip"), framed(b"plain"), compressed(b"")].concat();
    let servlet = compressing("br", sent.clone()).await;
    let proxy = notes(&servlet.address, "").await;
    let unary = compressed(b"not even gzip");
    for (content_type, encoding) in [
        ("application/grpc", "grpc-encoding"),
        ("application/grpc-web+proto", "grpc-encoding"),
        ("application/connect+proto", "connect-content-encoding"),
    ] {
        let accepts =
            encoding.replace("content-encoding", "accept-encoding").replace("grpc-encoding", "grpc-accept-encoding");
        let request = http2::request("POST", "/notes.v1.Notes/Tell")
            .header("content-type", content_type)
            .header(encoding, "br")
            .header(&accepts, "br,snappy")
            .header("accept-encoding", "gzip")
            .body(())
            .unwrap();
        let answer = http2::once(&proxy.address, request, &unary).await.unwrap();
        assert!(answer.body.starts_with(&sent), "{content_type}");
        assert_eq!(answer.headers[encoding], "br");
        assert!(!answer.headers.contains_key("content-encoding"));
        let seen = servlet.seen().pop().unwrap();
        assert_eq!(seen.body, unary, "{content_type}");
        let val = HeaderValue::from_static;
        assert_eq!(
            (&seen.headers["grpc-encoding"], &seen.headers["grpc-accept-encoding"]),
            (&val("br"), &val("br,snappy"))
        );
    }
    proxy.at_rest("notes").await;
}
