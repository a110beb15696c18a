//! Limits with small values: what a slow, silent or greedy caller may ask of a connection.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::support::http1::Caller;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::raw_http2::{self, END_HEADERS, HEADERS, RST_STREAM, frame};
use crate::support::servlet::{echo, talk};
use crate::support::{Call, Running, Servlet, framed, grpc, text_field};

#[tokio::test]
async fn a_head_has_its_time_in_whole_however_its_bytes_come() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "header_timeout: 200ms").await;
    let kept = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    for (before, start, drips, told) in [
        ("", "GET /v1/say/x HTTP/1.1\r\nHost: a\r\n", true, "HTTP/1.1 408"),
        ("", "P", false, "HTTP/1.1 408"),
        // Not the whole preface of HTTP/2, so it is HTTP/1 of a version that there is not.
        ("", "PRI * HTTP/2.0\r\n", false, "HTTP/1.1 505"),
        (kept, "GET /v1/say/x HTTP/1.1\r\nHost: a\r\n", true, "HTTP/1.1 408"),
    ] {
        let mut caller = Caller::connect(&proxy.address).await;
        if !before.is_empty() {
            caller.write(before).await;
            assert_eq!(caller.answer().await.unwrap().status, 404);
        }
        let (mut read, mut write) = caller.socket.into_split();
        // A byte now and then buys nothing.
        let dripping = tokio::spawn(async move {
            let mut bytes = start;
            while write.write_all(bytes.as_bytes()).await.is_ok() {
                bytes = if drips { "X: y\r\n" } else { "" };
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let mut answer = [0; 12];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, told.as_bytes(), "{start:?}");
        dripping.abort();
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn a_connection_that_says_nothing_may_idle_longer_than_a_head_may_take() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "header_timeout: 50ms, idle_timeout: 30s").await;
    let mut silent = Caller::connect(&proxy.address).await;
    let mut slow = Caller::connect(&proxy.address).await;
    slow.write("GET").await;
    assert_eq!(slow.answer().await.unwrap().status, 408);
    silent.write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(silent.answer().await.unwrap().status, 404);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_without_a_word() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "idle_timeout: 100ms").await;
    let mut silent = Caller::connect(&proxy.address).await;
    assert_eq!(silent.rest().await, (Vec::new(), true));
    let mut once = Caller::connect(&proxy.address).await;
    once.write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(once.answer().await.unwrap().status, 404);
    assert_eq!(once.rest().await, (Vec::new(), true));
}

#[tokio::test]
async fn a_body_that_stalls_is_told_and_its_call_cancelled() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
    })
    .await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "body_timeout: 200ms").await;
    for request in [
        "POST /v1/say HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{\"te",
        "POST /v1/join HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{},\r\n",
        "POST /v1/join HTTP/1.0\r\nContent-Length: 14\r\n\r\n[{},",
    ] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(request).await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{request:?}");
    }
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0).await;
    // Over HTTP/2 its stream alone.
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    let json =
        raw_http2::block(&[(":method", "POST"), (":scheme", "http"), (":path", "/v1/join"), (":authority", "a")]);
    caller.write(&frame(HEADERS, END_HEADERS, 1, &json)).await;
    caller.write(&frame(raw_http2::DATA, 0, 1, b"[{},")).await;
    let told = caller.find(HEADERS, 1).await.unwrap();
    assert!(String::from_utf8_lossy(&told.payload).contains("408") || told.payload.len() > 4);
    assert!(caller.end_of(1).await.is_some());
    caller.write(&frame(HEADERS, END_HEADERS | raw_http2::END_STREAM, 3, &raw_http2::call("/no.Such/Method"))).await;
    assert_eq!(caller.end_of(3).await.unwrap().kind, HEADERS);
}

#[tokio::test]
async fn a_grpc_stream_may_rest_longer_than_a_body_may_stall() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "body_timeout: 50ms").await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(grpc::Caller::request("/echo.v1.Echo/Chat"), false).unwrap();
    // Meanwhile a body of another kind stalls to its end, twice over.
    for _ in 0..2 {
        let stalled = "POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n[{},";
        assert_eq!(Caller::once(&proxy.address, stalled).await.status, 408);
    }
    send.send_data(framed(b"x").into(), true).unwrap();
    assert_eq!(grpc::read(response).await.unwrap().messages, [b"x"]);
}

/// Streams messages until it is stopped; tells how many bytes it could send, and when it was stopped.
async fn fountain() -> (Servlet, Arc<Mutex<usize>>, oneshot::Receiver<()>) {
    let sent = Arc::new(Mutex::new(0));
    let (stopped, receiver) = oneshot::channel();
    let stopped = Arc::new(Mutex::new(Some(stopped)));
    let count = Arc::clone(&sent);
    let servlet = Servlet::start(move |mut call: Call| {
        let (count, stopped) = (Arc::clone(&count), Arc::clone(&stopped));
        async move {
            if call.head.uri.path() == "/echo.v1.Echo/Say" {
                return echo(call).await;
            }
            call.read().await;
            let mut stream = call.begin();
            let message = Bytes::from(framed(&text_field(1, &"x".repeat(120))));
            loop {
                stream.reserve_capacity(message.len());
                match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(Ok(_)) => stream.send_data(message.clone(), false).unwrap(),
                    _ => break,
                }
                *count.lock().unwrap() += message.len();
            }
            if let Some(stopped) = stopped.lock().unwrap().take() {
                stopped.send(()).unwrap();
            }
        }
    })
    .await;
    (servlet, sent, receiver)
}

#[tokio::test]
async fn a_slow_reader_holds_its_servlet_back() {
    for version in ["1.0", "1.1"] {
        let (servlet, sent, stopped) = fountain().await;
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut socket = socket.connect(proxy.address.parse().unwrap()).await.unwrap();
        let request = format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.read_exact(&mut [0; 1024]).await.unwrap();
        // Other calls pass by, until what the servlet could send has stood still for many of them.
        let mut before = 0;
        loop {
            for _ in 0..50 {
                let answer = Caller::once(&proxy.address, "GET /v1/say/y HTTP/1.0\r\n\r\n").await;
                assert_eq!(answer.status, 200);
            }
            let now = *sent.lock().unwrap();
            if now == before && now > 0 {
                break;
            }
            before = now;
        }
        // Windows of 512 KiB, what the kernel holds, and 64 KiB of our own.
        assert!(before < 8 << 20, "{before} bytes for a reader that reads none");
        // When it reads on, so does the servlet's stream go on.
        let mut taken = 0;
        while *sent.lock().unwrap() == before {
            taken += socket.read(&mut [0; 16 * 1024]).await.unwrap();
        }
        assert!(taken > 0);
        drop(socket);
        stopped.await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_for_too_long_is_cut_off() {
    let (servlet, _, stopped) = fountain().await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "body_timeout: 200ms").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stopped.await.unwrap();
    let (_, clean) = caller.rest().await;
    assert!(!clean, "a cut answer must not look whole");

    let (servlet, _, stopped) = fountain().await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "body_timeout: 200ms").await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    caller
        .write(&frame(HEADERS, END_HEADERS | raw_http2::END_STREAM, 1, &raw_http2::call("/echo.v1.Echo/Count")))
        .await;
    stopped.await.unwrap();
    assert_eq!(caller.end_of(1).await.unwrap().kind, RST_STREAM);
    // With room on the connection again, the next call is served.
    caller.write(&frame(raw_http2::WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes())).await;
    assert!(caller.lives(3, "/echo.v1.Echo/Say").await);
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_and_counted() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "connections: 3").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().status, 404);
        open.push(caller);
    }
    let mut over = Caller::connect(&proxy.address).await;
    let _ = over.socket.write_all(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(over.rest().await.0.is_empty());
    let refused = r#"telamon_connections_refused_total{listener="ingress",reason="connections"}"#;
    assert_eq!(proxy.metric(refused).await, Some(1.0));
    let count = r#"telamon_connections_open{listener="ingress"}"#;
    assert_eq!(proxy.metric(count).await, Some(3.0));
    // The open ones go on, and when one leaves another may come.
    open[0].write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(open[0].answer().await.unwrap().status, 404);
    drop(open.pop());
    while proxy.metric(count).await > Some(2.0) {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(Caller::once(&proxy.address, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn heads_are_limited_as_configured() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "header_size: 1KiB, header_fields: 8").await;
    let with = |fields: &str| format!("GET /v1/say/x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for (request, status) in [
        (with(&"X: y\r\n".repeat(7)), 200),
        (with(&"X: y\r\n".repeat(8)), 431),
        (with(&format!("X: {}\r\n", "y".repeat(900))), 200),
        (with(&format!("X: {}\r\n", "y".repeat(1024))), 431),
        (format!("GET /{} HTTP/1.1\r\n", "y".repeat(1100)), 431),
    ] {
        assert_eq!(Caller::once(&proxy.address, &request).await.status, status, "{request}");
    }
}

/// Before `servlet`, on a Unix socket at `path`.
async fn on_unix(servlet: &Servlet, path: &Path) -> Running {
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", ECHO),
        ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
    ];
    let listener = format!("  - {{ name: local, address: \"unix:{}\" }}\n", path.display());
    Running::with_listeners(&files, &listener, "").await
}

#[tokio::test]
async fn a_unix_socket_takes_all_three_versions() {
    let servlet = Servlet::start(echo).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in.sock");
    let proxy = on_unix(&servlet, &path).await;
    for _ in 0..4 {
        let mut old = UnixStream::connect(&path).await.unwrap();
        old.write_all(b"GET /v1/say/you HTTP/1.0\r\n\r\n").await.unwrap();
        // It may end its side and still be answered.
        old.shutdown().await.unwrap();
        let mut answer = String::new();
        old.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"text\":\"you\"}"),
            "{answer}"
        );

        let mut kept = UnixStream::connect(&path).await.unwrap();
        for _ in 0..2 {
            kept.write_all(b"GET /v1/say/you HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"{\"text\":\"you\"}") {
                assert!(kept.read_buf(&mut answer).await.unwrap() > 0);
            }
        }

        let socket = UnixStream::connect(&path).await.unwrap();
        let (send, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let caller = grpc::Caller { send };
        assert_eq!(caller.call("/echo.v1.Echo/Say", b"two").await.messages, [b"two"]);
    }
    drop(proxy);
    assert!(!path.exists(), "the socket's file is removed");
}

#[tokio::test]
async fn a_caller_on_a_unix_socket_that_vanishes_cancels_its_call() {
    let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in.sock");
    let proxy = on_unix(&servlet, &path).await;
    for (index, request) in
        ["GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /v1/say/x HTTP/1.0\r\n\r\n"].iter().enumerate()
    {
        for half_closes in [false, true] {
            let mut caller = UnixStream::connect(&path).await.unwrap();
            caller.write_all(request.as_bytes()).await.unwrap();
            servlet.called(index * 2 + usize::from(half_closes) + 1).await;
            if half_closes {
                caller.shutdown().await.unwrap();
            }
            drop(caller);
            proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0).await;
        }
    }
}
