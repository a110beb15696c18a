//! Connections to endpoints: what nobody acted on goes elsewhere unseen, what may have been acted on is told once, and one bad
//! connection harms nothing beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::support::frames::{self, DATA, END_STREAM, Frames, HEADERS};
use crate::support::grpc::{Caller, read};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet::{self, trailers};
use crate::support::{Call, Running, Servlet, framed, until};

pub const SAY: &str = "/echo.v1.Echo/Say";
const COUNT: &str = "/echo.v1.Echo/Count";
/// A window that never runs out in a test.
pub const WIDE: &[(u16, u32)] = &[(4, 1 << 30)];

pub async fn proxy(endpoints: &[(&str, u32)], servlet: &str) -> Running {
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &format!("{ECHO}{servlet}")),
        ("endpoints/echo.yaml", &table(endpoints)),
    ];
    Running::with(&files, "").await
}

/// A servlet that takes `streams` calls a connection and holds each until it is let go. Counts those that it holds.
async fn holding(streams: u32) -> (Servlet, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (go, held) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sign, count) = (Arc::clone(&go), Arc::clone(&held));
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(streams);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servlet = Servlet::on(listener, builder, move |mut call: Call| {
        let (sign, count) = (Arc::clone(&sign), Arc::clone(&count));
        async move {
            count.fetch_add(1, SeqCst);
            call.read().await;
            sign.acquire().await.unwrap().forget();
            count.fetch_sub(1, SeqCst);
            call.reply(&[b"done"], "0", None);
        }
    });
    (servlet, go, held)
}

#[tokio::test]
async fn calls_beyond_the_streams_of_all_connections_wait_and_are_not_refused() {
    for (streams, connections) in [(4, 2), (1, 3)] {
        let (servlet, go, held) = holding(streams).await;
        let proxy = proxy(&[(&servlet.address, 1)], &format!("endpoint_connections: {connections}\n")).await;
        let caller = Caller::connect(&proxy.address).await;
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let caller = caller.clone();
                tokio::spawn(async move { caller.call(SAY, b"x").await })
            })
            .collect();
        let most = streams as usize * connections;
        until(|| held.load(SeqCst) == most).await;

        // One that cannot wait is told so, and the rest go on waiting.
        let mut hurried = Caller::request(SAY);
        hurried.headers_mut().insert("grpc-timeout", "100m".parse().unwrap());
        assert_eq!(caller.send(hurried, &[b"x"]).await.unwrap().grpc_status(), "4");
        assert_eq!(held.load(SeqCst), most, "never more than the connections allow");
        // The other worker has its warm connection.
        assert!(servlet.connections() <= connections + 1, "{}", servlet.connections());

        go.add_permits(1000);
        for call in calls {
            let answer = call.await.unwrap();
            assert_eq!(answer.grpc_status(), "0", "{}", answer.grpc_message());
        }
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn a_call_without_a_deadline_waits_for_a_stream_no_longer_than_it_may() {
    let (busy, go, held) = holding(1).await;
    let good = Servlet::start(servlet::echo).await;
    let options = "endpoint_connections: 1\nqueue_timeout: 50ms\n";
    for (endpoints, expected) in
        [(vec![(&*busy.address, 1)], "14"), (vec![(&*busy.address, 1000), (&*good.address, 1)], "0")]
    {
        let proxy = proxy(&endpoints, options).await;
        let caller = Caller::connect(&proxy.address).await;
        let first = {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call(SAY, b"x").await })
        };
        until(|| held.load(SeqCst) == 1).await;
        for _ in 0..3 {
            // A stream has no deadline of its own.
            let answer = caller.call("/echo.v1.Echo/Chat", b"x").await;
            assert_eq!(answer.grpc_status(), expected, "{}", answer.grpc_message());
            if expected == "14" {
                assert!(answer.grpc_message().contains("was free within 50ms"), "{}", answer.grpc_message());
            }
        }
        assert_eq!(held.load(SeqCst), 1);
        go.add_permits(1);
        assert_eq!(first.await.unwrap().grpc_status(), "0");
        until(|| held.load(SeqCst) == 0).await;
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn who_waits_is_served_when_the_servlet_allows_more_streams() {
    let raise = Arc::new(Semaphore::new(0));
    let sign = Arc::clone(&raise);
    // MAX_CONCURRENT_STREAMS.
    let servlet = frames::Server::start(&[(3, 1), (4, 1 << 30)], move |mut wire: Frames| {
        let sign = Arc::clone(&sign);
        async move {
            let Some(first) = wire.call().await else { return };
            sign.acquire().await.unwrap().forget();
            wire.write(frames::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]).await;
            let mut streams = vec![first];
            while streams.len() < 4 {
                let Some(stream) = wire.call().await else { return };
                streams.push(stream);
            }
            for stream in streams {
                wire.answer(stream, b"hi").await;
            }
            while wire.next().await.is_some() {}
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "endpoint_connections: 1\n").await;
    let caller = Caller::connect(&proxy.address).await;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call(SAY, b"x").await })
        })
        .collect();
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 4).await;
    raise.add_permits(1);
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(answer.grpc_status(), "0", "{}", answer.grpc_message());
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn few_streams_do_not_make_an_idle_proxy_connect_again_and_again() {
    let (servlet, go, _) = holding(1).await;
    go.add_permits(1000);
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..30 {
        assert_eq!(caller.call(SAY, b"x").await.grpc_status(), "0");
    }
    assert!(servlet.connections() <= 4, "one call at a time: {}", servlet.connections());
}

#[tokio::test]
async fn a_socket_that_is_accepted_and_never_answered_is_no_connection() {
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = black_hole.local_addr().unwrap().to_string();
    let alone = proxy(&[(&address, 1)], "connect_timeout: 100ms\n").await;
    let answer = Caller::connect(&alone.address).await.call(SAY, b"").await;
    assert_eq!(answer.grpc_status(), "14", "{}", answer.grpc_message());
    alone.at_rest("echo").await;

    let good = Servlet::start(servlet::echo).await;
    let both = proxy(&[(&address, 1000), (&good.address, 1)], "connect_timeout: 100ms\n").await;
    let caller = Caller::connect(&both.address).await;
    for _ in 0..5 {
        assert_eq!(caller.call(SAY, b"x").await.grpc_status(), "0");
    }
    both.at_rest("echo").await;
}

#[tokio::test]
async fn calls_on_a_connection_that_breaks_are_each_told_once() {
    let (servlet, _go, held) = holding(1000).await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call(SAY, b"x").await })
        })
        .collect();
    until(|| held.load(SeqCst) == 50).await;
    servlet.stop();
    for call in calls {
        assert_eq!(call.await.unwrap().grpc_status(), "14");
    }
    assert_eq!(servlet.calls(), 50, "nothing was sent twice");
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn many_tiny_messages_that_nobody_reads_harm_no_other_call() {
    const MANY: usize = 20_000;
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        if call.head.uri.path() == COUNT {
            for _ in 0..MANY {
                send.send_data(framed(b"twenty bytes, small.").into(), false).unwrap();
            }
        }
        send.send_trailers(trailers("0", None)).unwrap();
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let socket = tokio::net::TcpStream::connect(&proxy.address).await.unwrap();
    let (send, connection) = h2::client::Builder::new()
        .data_frame_budget(usize::MAX)
        .initial_connection_window_size(1 << 20)
        .handshake(socket)
        .await
        .unwrap();
    tokio::spawn(connection);
    let caller = Caller { send };
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(COUNT), false).unwrap();
    send.send_data(framed(b"").into(), true).unwrap();
    let (parts, mut body) = response.await.unwrap().into_parts();
    // While nothing of it is read, the same caller and another are served.
    let other = Caller::connect(&proxy.address).await;
    for _ in 0..20 {
        assert_eq!(caller.call(SAY, b"x").await.grpc_status(), "0");
        assert_eq!(other.call(SAY, b"x").await.grpc_status(), "0");
    }
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes += data.len();
    }
    assert_eq!((parts.status.as_u16(), bytes), (200, MANY * 25));
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    assert!(servlet.connections() <= 2);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn interim_heads_are_passed_over_and_a_flood_of_them_is_not() {
    for (interim, expected) in [(3, "0"), (10_000, "13")] {
        let servlet = frames::Server::start(WIDE, move |mut wire: Frames| async move {
            while let Some(stream) = wire.call().await {
                for _ in 0..interim {
                    wire.head(stream, false, &[(":status", "103"), ("link", "</a>")]).await;
                }
                wire.answer(stream, b"hi").await;
            }
        })
        .await;
        let proxy = proxy(&[(&servlet.address, 1)], "").await;
        let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
        assert_eq!(answer.grpc_status(), expected, "{}", answer.grpc_message());
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn answers_that_break_the_rules_are_told_and_the_connection_lives() {
    let long: &'static str = "v".repeat(15_000).leak();
    let servlet = frames::Server::start(WIDE, move |mut wire: Frames| async move {
        let mut calls = 0;
        while let Some(frame) = wire.next().await {
            if frame.kind != HEADERS {
                continue;
            }
            let stream = frame.stream;
            calls += 1;
            match calls % 5 {
                // No status at all.
                1 => wire.head(stream, true, &[("content-type", "application/grpc")]).await,
                // A field that speaks of the hop.
                2 => {
                    wire.head(stream, true, &[(":status", "200"), ("connection", "close"), ("grpc-status", "0")]).await
                }
                // An answer of some proxy.
                3 => wire.head(stream, true, &[(":status", "503"), ("content-type", "text/html")]).await,
                // Broken off by a reset.
                4 => {
                    wire.head(stream, false, &[(":status", "200"), ("content-type", "application/grpc")]).await;
                    wire.reset(stream, 2).await;
                }
                // Large fields, under the limit.
                _ => {
                    let head =
                        [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0"), ("x", long)];
                    wire.head(stream, true, &head).await;
                }
            }
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..3 {
        for expected in ["13", "13", "14", "14", "0"] {
            let answer = caller.call(SAY, b"").await;
            assert_eq!(answer.grpc_status(), expected, "{}", answer.grpc_message());
        }
    }
    assert!(servlet.connections() <= 2, "{}", servlet.connections());
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_head_over_the_limit_ends_its_call_alone() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        let mut end = trailers("0", None);
        if call.head.uri.path() == COUNT {
            for index in 0..40 {
                end.insert(
                    http::HeaderName::from_bytes(format!("x-{index}").as_bytes()).unwrap(),
                    "v".repeat(4096).parse().unwrap(),
                );
            }
        }
        let _ = send.send_data(framed(b"x").into(), false);
        let _ = send.send_trailers(end);
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..3 {
        let answer = caller.call(COUNT, b"").await;
        assert_ne!(answer.grpc_status(), "0");
        assert_eq!(caller.call(SAY, b"").await.grpc_status(), "0");
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_servlet_that_answers_early_is_heard_and_the_upload_ends() {
    for reset in [false, true] {
        let servlet = frames::Server::start(&[], move |mut wire: Frames| async move {
            while let Some(stream) = wire.call().await {
                // Not a byte of the body is taken: its window stays shut.
                wire.head(
                    stream,
                    true,
                    &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "9")],
                )
                .await;
                if reset {
                    // NO_ERROR: no more of the request is needed (RFC 9113 §8.1).
                    wire.reset(stream, 0).await;
                }
            }
        })
        .await;
        let proxy = proxy(&[(&servlet.address, 1)], "").await;
        let caller = Caller::connect(&proxy.address).await;
        for _ in 0..3 {
            let mut ready = caller.send.clone().ready().await.unwrap();
            let (response, mut send) = ready.send_request(Caller::request("/echo.v1.Echo/Join"), false).unwrap();
            send.send_data(Bytes::from(vec![0; 1024 * 1024]), false).unwrap();
            assert_eq!(read(response).await.unwrap().grpc_status(), "9", "reset: {reset}");
        }
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn a_crowd_of_callers_that_do_not_read_freezes_nobody() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        if call.head.uri.path() == COUNT {
            let mut send = call.begin();
            let flow = crate::support::flow::Flow::default();
            flow.carry(&mut send, &framed(&[0; 64 * 1024]).into(), 1000).await;
        } else {
            call.reply(&[b"done"], "0", None);
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let mut stalled = Vec::new();
    for _ in 0..40 {
        let caller = Caller::connect(&proxy.address).await;
        let mut ready = caller.send.clone().ready().await.unwrap();
        let (response, mut send) = ready.send_request(Caller::request(COUNT), false).unwrap();
        send.send_data(framed(b"").into(), true).unwrap();
        stalled.push((response.await.unwrap(), caller));
    }
    for _ in 0..20 {
        assert_eq!(Caller::connect(&proxy.address).await.call(SAY, &[1; 10_000]).await.grpc_status(), "0");
    }
    drop(stalled);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn uploads_that_a_servlet_does_not_read_freeze_no_later_call() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    // Windows as RFC 9113 begins with: one stream may take what the whole connection allows.
    let servlet = frames::Server::narrow(move |mut wire: Frames| {
        let count = Arc::clone(&count);
        async move {
            while let Some(frame) = wire.next().await {
                count.fetch_add(if frame.kind == DATA { frame.payload.len() } else { 0 }, SeqCst);
                if frame.flags & END_STREAM != 0 {
                    wire.answer(frame.stream, b"hi").await;
                }
            }
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let mut stuck = Vec::new();
    for uploads in 1..4 {
        let caller = Caller::connect(&proxy.address).await;
        let mut ready = caller.send.clone().ready().await.unwrap();
        let (response, mut send) = ready.send_request(Caller::request("/echo.v1.Echo/Join"), false).unwrap();
        send.send_data(Bytes::from(vec![0; 1024 * 1024]), false).unwrap();
        // A window, but for the few bytes of the calls before.
        until(|| taken.load(SeqCst) >= 65_000 * uploads).await;
        for _ in 0..5 {
            // Over the same connection, and so by the same worker.
            assert_eq!(caller.call(SAY, b"x").await.grpc_status(), "0");
        }
        stuck.push((caller, response, send));
    }
    assert!(servlet.connections() <= 5, "one for each upload, one for the rest: {}", servlet.connections());
    drop(stuck);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn endpoints_may_be_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("servlet.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut head =
                        http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    head.headers_mut().extend(trailers("0", Some("unix")));
                    respond.send_response(head, true).unwrap();
                }
            });
        }
    });
    let proxy = proxy(&[(&format!("unix:{}", path.display()), 1)], "").await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!((answer.grpc_status(), answer.grpc_message()), ("0", "unix"));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_http_status_without_grpc_becomes_a_code_and_a_garbled_status_is_unknown() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let case = call.head.headers["x-case"].to_str().unwrap().to_owned();
        match case.parse::<u16>() {
            Ok(status) => {
                let head =
                    http::Response::builder().status(status).header("content-type", "text/html").body(()).unwrap();
                let mut send = call.respond.send_response(head, false).unwrap();
                send.send_data("<h1>no</h1>".into(), true).unwrap();
            }
            Err(_) => {
                let mut send = call.begin();
                send.send_data(framed(b"x").into(), false).unwrap();
                let mut end = http::HeaderMap::new();
                if case != "missing" {
                    end.insert("grpc-status", case.parse().unwrap());
                }
                end.insert("x-kept", "yes".parse().unwrap());
                send.send_trailers(end).unwrap();
            }
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let cases = [
        ("400", "13"),
        ("401", "16"),
        ("403", "7"),
        ("404", "12"),
        ("429", "14"),
        ("502", "14"),
        ("503", "14"),
        ("504", "14"),
        ("200", "2"),
        ("302", "2"),
        ("500", "2"),
        ("missing", "2"),
        ("0x0", "2"),
        ("OK", "2"),
        ("-1", "2"),
    ];
    for (case, expected) in cases {
        let mut request = Caller::request(SAY);
        request.headers_mut().insert("x-case", case.parse().unwrap());
        let answer = caller.send(request, &[b""]).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, expected), "{case}");
        assert_eq!(answer.headers["content-type"], "application/grpc", "{case}");
        assert!(answer.trailers.get_all("grpc-status").iter().count() == 1);
    }
    proxy.at_rest("echo").await;
}
