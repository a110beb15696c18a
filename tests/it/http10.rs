//! HTTP/1.0 is a contract.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http1::Caller;
use crate::support::proxy::{PLAIN, table};
use crate::support::{Call, Origin, Running, Servlet, text_field};

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

/// An HTTP/1.1 servlet that reads a head and writes these bytes, and then closes or waits.
async fn scripted(reply: String, closes: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if socket.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let _ = socket.write_all(reply.as_bytes()).await;
                if !closes {
                    let _ = socket.read(&mut [0]).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_reply_that_fits_the_buffer_has_a_length_and_a_longer_one_ends_by_closing() {
    let pieces = |size: usize| format!("{:x}\r\n{}\r\n", size, "x".repeat(size)).repeat(4) + "0\r\nX-Sum: 1\r\n\r\n";
    for (size, fits) in [(256, true), (257, false), (4096, false)] {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        let address = scripted(format!("{head}{}", pieces(size)), false).await;
        let files = [("servlets/plain.yaml", PLAIN), ("endpoints/plain.yaml", &table(&[(&address, 1)]))];
        let proxy = Running::with(&files, "limits: { reply_buffer: 1KiB }\n").await;
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write("GET /x HTTP/1.0\r\nConnection: keep-alive\r\nTE: trailers\r\n\r\n").await;
        let answer = caller.answer().await.unwrap();
        let length = (4 * size).to_string();
        assert_eq!(answer.header("content-length"), fits.then_some(length.as_str()), "{size}");
        assert_eq!(answer.header("connection"), Some(if fits { "keep-alive" } else { "close" }), "{size}");
        assert_eq!((answer.body.len(), answer.header("transfer-encoding")), (4 * size, None));
        assert_eq!((answer.header("trailer"), answer.trailers.len()), (None, 0), "no trailers to 1.0");
    }
}

#[tokio::test]
async fn an_untranslated_reply_that_breaks_ends_with_a_reset() {
    let head = "HTTP/1.1 200 OK\r\n";
    let long = "x".repeat(200 * 1024);
    for reply in [
        format!("{head}Content-Length: 10\r\n\r\nhalf"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n5\r\nhal", long.len()),
    ] {
        let address = scripted(reply, true).await;
        let proxy = Running::plain(&address).await;
        for version in ["1.0", "1.1"] {
            let mut caller = Caller::connect(&proxy.address).await;
            caller.write(format!("GET /x HTTP/{version}\r\nHost: a\r\n\r\n")).await;
            let (bytes, clean) = caller.rest().await;
            let told = bytes.starts_with(b"HTTP/1.1 502");
            assert!(!clean || told, "a cut answer looks whole to {version}: {}", bytes.len());
            assert!(!bytes.ends_with(b"0\r\n\r\n"));
        }
    }
}

#[tokio::test]
async fn a_stream_flows_item_by_item() {
    let (servlet, send) = Servlet::prompted().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/count/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    send.send("one").unwrap();
    let head = caller.until("\r\n\r\n").await;
    for never in ["transfer-encoding", "content-length", "trailer", "keep-alive"] {
        assert!(!head.to_lowercase().contains(never), "{head}");
    }
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(caller.until("}").await, "[{\"text\":\"one\"}");
    send.send("two").unwrap();
    assert_eq!(caller.until("}").await, ",{\"text\":\"two\"}");
    drop(send);
    assert_eq!(caller.rest().await, (b"]".to_vec(), true));
}

#[tokio::test]
async fn whatever_follows_a_whole_request_a_fin_is_a_half_close() {
    let servlet = hello().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for request in [
        "GET /v1/say/you HTTP/1.0\r\n\r\n",
        "GET /v1/say/you HTTP/1.0\r\nConnection: close\r\n\r\n",
        "GET /v1/say/you HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        "GET /v1/say/you HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /v1/say HTTP/1.0\r\nContent-Length: 14\r\n\r\n{\"text\":\"you\"}",
        "POST /v1/say HTTP/1.0\r\nContent-Length: 14\r\n\r\n{\"text\":\"you\"}\r\n",
        "POST /v1/say HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         e\r\n{\"text\":\"you\"}\r\n0\r\n\r\n",
    ] {
        for in_pieces in [false, true] {
            let mut caller = Caller::connect(&proxy.address).await;
            if in_pieces {
                for byte in request.as_bytes() {
                    caller.write([*byte]).await;
                }
            } else {
                caller.write(request).await;
            }
            caller.half_close().await;
            let answer = caller.answer().await.unwrap_or_else(|| panic!("{request:?} was not answered"));
            assert_eq!((answer.status, answer.text()), (200, r#"{"text":"hi"}"#), "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_half_closed_and_then_vanishes_cancels_its_call_as_does_one_that_just_leaves() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Leaves {
        Reset,
        ResetAfterFin,
        Fin,
    }
    use Leaves::{Fin, Reset, ResetAfterFin};
    let post = "POST /v1/join HTTP/1.0\r\nContent-Length: 9\r\n\r\n[{},{";
    let kept = "GET /v1/say/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for (request, leaves) in [
        ("GET /v1/say/x HTTP/1.0\r\n\r\n", Reset),
        ("GET /v1/say/x HTTP/1.0\r\n\r\n", ResetAfterFin),
        (kept, Reset),
        (kept, Fin),
        (post, Reset),
        (post, Fin),
    ] {
        let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(request).await;
        servlet.called(1).await;
        if leaves == ResetAfterFin {
            caller.half_close().await;
            // Still there: its call goes on while others are answered.
            for _ in 0..20 {
                assert_eq!(Caller::once(&proxy.address, "GET /nowhere HTTP/1.0\r\n\r\n").await.status, 404);
            }
            assert!(!servlet.seen()[0].reset);
        }
        if leaves == Fin {
            drop(caller)
        } else {
            caller.vanish()
        }
        while !servlet.seen()[0].reset {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0).await;
    }
}

#[tokio::test]
async fn a_request_without_host_is_for_the_default_host() {
    let origin = Origin::start().await;
    let plain = "upstream: http1\nroutes:\n  - { match: { host: legacy.internal, path: \"/**\" } }\n";
    let files = [("servlets/plain.yaml", plain), ("endpoints/plain.yaml", &table(&[(&origin.address, 1)]))];
    let listeners = "  - { name: ingress, address: 127.0.0.1:0, default_host: Legacy.internal }\n";
    let proxy = Running::with_listeners(&files, listeners, "").await;
    assert_eq!(Caller::once(&proxy.address, "GET /x HTTP/1.0\r\n\r\n").await.status, 200);
    assert_eq!(Caller::once(&proxy.address, "GET /x HTTP/1.0\r\nHost: \r\n\r\n").await.status, 200);
    assert_eq!(Caller::once(&proxy.address, "GET /x HTTP/1.0\r\nHost: other\r\n\r\n").await.status, 404);
    assert_eq!(Caller::once(&proxy.address, "GET /x HTTP/1.1\r\n\r\n").await.status, 400);
    assert!(origin.taken().iter().all(|taken| taken.field("host") == Some("legacy.internal")));
}
