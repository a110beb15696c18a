//! Each fault that can be provoked, in each dialect: its status, its word in the access log, and nothing left in flight.

use std::time::Duration;

use crate::support::frames::{self, Frames};
use crate::support::grpc;
use crate::support::http1::Caller;
use crate::support::origin::{Origin, Wire};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::{Call, Running, Servlet, framed, http2, until};

const SAY: &str = "/echo.v1.Echo/Say";
const WIDE: &[(u16, u32)] = &[(4, 1 << 30)];

/// `echo` speaks gRPC and `new` HTTP/2 with one address, `old` HTTP/1 with another.
async fn proxy(http2: &[(&str, u32)], http1: &[(&str, u32)], more: &str, settings: &str) -> Running {
    let files = [
        ("protos/echo.proto", ECHO_PROTO.to_owned()),
        ("servlets/echo.yaml", format!("{ECHO}{more}")),
        ("servlets/new.yaml", format!("upstream: http2\nroutes: [{{ match: {{ path: \"/new/**\" }} }}]\n{more}")),
        ("servlets/old.yaml", format!("upstream: http1\nroutes: [{{ match: {{ path: \"/old/**\" }} }}]\n{more}")),
        ("endpoints/echo.yaml", table(http2)),
        ("endpoints/new.yaml", table(http2)),
        ("endpoints/old.yaml", table(http1)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Running::with(&files, &format!("access_log: access.log\n{settings}")).await
}

/// The words of the access log so far, without those of calls that went well.
fn flags(proxy: &Running) -> Vec<String> {
    let log = std::fs::read_to_string(proxy.path("access.log")).unwrap_or_default();
    log.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line["flag"].as_str().map(str::to_owned))
        .collect()
}

/// Waits for the words, and for nothing to be in flight.
async fn logged(proxy: &Running, expected: &[&str]) {
    let (mut expected, mut last) = (expected.to_vec(), Vec::new());
    expected.sort_unstable();
    while last != expected {
        tokio::time::sleep(Duration::from_millis(10)).await;
        last = flags(proxy);
        last.sort_unstable();
        assert!(last.len() <= expected.len(), "{last:?} instead of {expected:?}");
        if last.len() == expected.len() {
            assert_eq!(last, expected);
        }
    }
    for servlet in ["echo", "new", "old"] {
        proxy.at_rest(servlet).await;
    }
}

async fn get(proxy: &Running, path: &str) -> (u16, u64) {
    let answer = Caller::once(&proxy.address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    (answer.status, answer.json()["code"].as_u64().unwrap())
}

/// One call in each dialect over HTTP/2 upstream: gRPC's status, and the rest's status and code.
async fn three(proxy: &Running) -> [(u16, u64); 3] {
    let answer = grpc::Caller::connect(&proxy.address).await.call(SAY, b"").await;
    let grpc = (answer.status.as_u16(), answer.grpc_status().parse().unwrap());
    [grpc, get(proxy, "/v1/say/x").await, get(proxy, "/new/x").await]
}

#[tokio::test]
async fn a_servlet_that_fails_is_told_by_its_word_in_each_dialect() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hole_address = hole.local_addr().unwrap().to_string();
    let refusing = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(stream) = wire.call().await {
            wire.reset(stream, 7).await;
        }
    })
    .await;
    let leaving = frames::Server::start(WIDE, |mut wire: Frames| async move {
        wire.call().await;
        wire.go_away(0, 0).await;
        while wire.next().await.is_some() {}
    })
    .await;
    let resetting = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(stream) = wire.call().await {
            wire.reset(stream, 2).await;
        }
    })
    .await;
    let breaking =
        frames::Server::start(WIDE, |mut wire: Frames| async move { wire.call().await.map_or((), |_| ()) }).await;
    let malformed = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(stream) = wire.call().await {
            wire.head(stream, true, &[("content-type", "application/grpc")]).await;
        }
    })
    .await;
    let cases = [
        (&dead, "connect_failed", 503, 14),
        (&hole_address, "connect_timeout", 503, 14),
        (&refusing.address, "stream_refused", 503, 14),
        (&leaving.address, "gone_away", 503, 14),
        (&resetting.address, "stream_reset", 502, 14),
        (&breaking.address, "connection_lost", 502, 14),
        (&malformed.address, "malformed_reply", 502, 13),
    ];
    for (address, flag, status, code) in cases {
        let proxy = proxy(&[(address, 1)], &[], "connect_timeout: 100ms\n", "").await;
        assert_eq!(three(&proxy).await, [(200, code), (status, code), (status, code)], "{flag}");
        logged(&proxy, &[flag; 3]).await;
    }
}

#[tokio::test]
async fn an_origin_that_fails_is_told_by_its_word() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let breaking = Origin::start(|mut wire: Wire| async move { drop(wire.request().await) }).await;
    let garbage = Origin::once("what?\r\n\r\n").await;
    let cases = [
        (&dead, "connect_failed", 503, 14),
        (&breaking.address, "connection_lost", 502, 14),
        (&garbage.address, "malformed_reply", 502, 13),
    ];
    for (address, flag, status, code) in cases {
        let proxy = proxy(&[], &[(address, 1)], "", "").await;
        assert_eq!(get(&proxy, "/old/x").await, (status, code), "{flag}");
        logged(&proxy, &[flag]).await;
    }
}

#[tokio::test]
async fn without_endpoints_there_is_nobody_to_ask() {
    let proxy = proxy(&[], &[], "", "").await;
    assert_eq!(three(&proxy).await, [(200, 14), (503, 14), (503, 14)]);
    assert_eq!(get(&proxy, "/old/x").await, (503, 14));
    logged(&proxy, &["no_endpoint"; 4]).await;
}

#[tokio::test]
async fn late_calls_are_told_by_their_word() {
    let silent = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let origin = Origin::start(|mut wire: Wire| async move { while wire.request().await.is_some() {} }).await;
    let proxy = proxy(&[(&silent.address, 1)], &[(&origin.address, 1)], "timeout: 100ms\n", "").await;
    assert_eq!(three(&proxy).await, [(200, 4), (504, 4), (504, 4)]);
    assert_eq!(get(&proxy, "/old/x").await, (504, 4));
    logged(&proxy, &["deadline_exceeded"; 4]).await;
}

#[tokio::test]
async fn a_caller_that_leaves_is_told_by_its_word() {
    let silent = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let origin = Origin::start(|mut wire: Wire| async move { while wire.request().await.is_some() {} }).await;
    let proxy = proxy(&[(&silent.address, 1)], &[(&origin.address, 1)], "", "").await;
    for (count, path) in ["/v1/say/x", "/new/x", "/old/x"].into_iter().enumerate() {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        until(|| silent.calls() + origin.asked().len() == count + 1).await;
        drop(caller);
    }
    let mut ready = grpc::Caller::connect(&proxy.address).await.send.ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request(SAY), false).unwrap();
    send.send_data(framed(b"").into(), true).unwrap();
    until(|| silent.calls() == 3).await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    logged(&proxy, &["caller_gone"; 4]).await;
    assert!(silent.seen().iter().all(|seen| seen.reset || seen.whole || seen.body.is_empty()));
    for servlet in ["echo", "new", "old"] {
        assert_eq!(proxy.endpoints(servlet).await[0]["failures"], 0, "it says nothing about {servlet}");
    }
}

#[tokio::test]
async fn bodies_that_are_wrong_are_told_by_their_word() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[b""], "0", None);
    })
    .await;
    let origin = Origin::start(|mut wire: Wire| async move { while wire.request().await.is_some() {} }).await;
    let limits = "limits: { body_timeout: 150ms }\n";
    let proxy = proxy(&[(&servlet.address, 1)], &[(&origin.address, 1)], "body_size: 1KiB\n", limits).await;
    let large = "x".repeat(2000);
    let chunk = format!("7d0\r\n{large}\r\n0\r\n\r\n");
    let mut expected = Vec::new();
    for path in ["/v1/say", "/new/x", "/old/x"] {
        let cases = [
            (format!("Content-Length: 2000\r\n\r\n{large}"), "body_too_large", 413, 8),
            (format!("Transfer-Encoding: chunked\r\n\r\n{chunk}"), "body_too_large", 413, 8),
            ("Transfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(), "malformed_body", 400, 3),
            ("Content-Length: 10\r\n\r\n{".to_owned(), "body_timeout", 408, 4),
        ];
        for (rest, flag, status, code) in cases {
            let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{rest}");
            let answer = Caller::once(&proxy.address, &request).await;
            assert_eq!((answer.status, &answer.json()["code"]), (status, &serde_json::json!(code)), "{path} {flag}");
            expected.push(flag);
        }
    }
    // A gRPC caller's body has no length to tell; the limit holds all the same.
    let answer = grpc::Caller::connect(&proxy.address).await.call(SAY, large.as_bytes()).await;
    assert_eq!(answer.grpc_status(), "8");
    expected.push("body_too_large");
    logged(&proxy, &expected).await;
    for servlet in ["echo", "new", "old"] {
        assert_eq!(proxy.endpoints(servlet).await[0]["failures"], 0, "it says nothing about {servlet}");
    }
}

#[tokio::test]
async fn requests_that_no_servlet_takes_are_told_by_their_word() {
    let servlet = Servlet::start(crate::support::servlet::echo).await;
    let proxy = proxy(&[(&servlet.address, 1)], &[], "", "").await;
    let post = |path: &str, content_type: &str, body: &str| {
        format!("POST {path} HTTP/1.0\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let cases = [
        ("GET /nowhere HTTP/1.0\r\n\r\n".to_owned(), "no_route", 404, 5),
        ("DELETE /v1/say/x HTTP/1.0\r\n\r\n".to_owned(), "method_not_allowed", 405, 12),
        (post("/v1/say", "text/xml", "<x/>"), "unsupported_media_type", 415, 3),
        (post("/v1/say", "application/json", "{]"), "invalid_request", 400, 3),
        ("GET /v1/say/x?number=many HTTP/1.0\r\n\r\n".to_owned(), "invalid_request", 400, 3),
    ];
    let mut expected = Vec::new();
    for (request, flag, status, code) in cases {
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &serde_json::json!(code)), "{flag}");
        expected.push(flag);
    }
    let answer = grpc::Caller::connect(&proxy.address).await.call("/no.Such/Method", b"").await;
    assert_eq!(answer.grpc_status(), "12");
    expected.push("unknown_method");
    logged(&proxy, &expected).await;
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_translated_is_told_by_its_word() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[b"\xff\xff"], "0", None);
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], &[], "", "").await;
    assert_eq!(get(&proxy, "/v1/say/x").await, (502, 13));
    logged(&proxy, &["untranslatable_reply"]).await;
}

#[tokio::test]
async fn heads_that_are_wrong_are_refused_on_the_way_in() {
    let proxy = proxy(&[], &[], "", "limits: { header_timeout: 150ms, header_size: 4KiB }\n").await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(5000));
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        (long.as_str(), 431),
        ("GET / HTTP/1.1\r\nHo", 408),
        ("POST / HTTP/1.0\r\n\r\n", 411),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417),
    ];
    for (request, status) in cases {
        let answer = Caller::once(&proxy.address, request).await;
        assert_eq!(answer.status, status, "{request:.40?}: {}", answer.text());
    }
    let answer = http2::once(&proxy.address, http2::request("GET", "/nowhere").body(()).unwrap(), b"").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (404, &serde_json::json!(5)));
}
