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

const SAY: &str = "/echo.v1.Echo/Say";
const COUNT: &str = "/echo.v1.Echo/Count";
const REFUSED_STREAM: u32 = 7;
/// A window that never runs out in a test.
const WIDE: &[(u16, u32)] = &[(4, 1 << 30)];

async fn proxy(endpoints: &[(&str, u32)], servlet: &str) -> Running {
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &format!("{ECHO}{servlet}")),
        ("endpoints/echo.yaml", &table(endpoints)),
    ];
    Running::with(&files, "").await
}

#[tokio::test]
async fn a_call_above_the_last_stream_of_a_goaway_goes_elsewhere() {
    let leaving = frames::Server::start(WIDE, |mut wire: Frames| async move {
        if wire.call().await.is_some() {
            wire.go_away(0, 0).await;
            while wire.next().await.is_some() {}
        }
    })
    .await;
    let good = Servlet::start(servlet::echo).await;
    let proxy = proxy(&[(&leaving.address, 10), (&good.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..20 {
        let answer = caller.call(SAY, b"again").await;
        assert_eq!((answer.grpc_status(), &*answer.messages), ("0", &[b"again".to_vec()][..]));
    }
    assert_eq!(good.calls(), 20);
    assert!(leaving.connections() > 1);
    assert!(good.seen().iter().all(|seen| seen.body == framed(b"again") && seen.whole));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_body_is_sent_again_up_to_64_kib_and_told_beyond() {
    // Takes the call and all of its body, and says that it has not acted on it.
    let refusing = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(frame) = wire.next().await {
            if frame.kind == DATA && frame.flags & END_STREAM != 0 {
                wire.reset(frame.stream, REFUSED_STREAM).await;
            }
        }
    })
    .await;
    let good = Servlet::start(servlet::echo).await;
    let proxy = proxy(&[(&refusing.address, 1000), (&good.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let small = vec![7; 60 * 1024];
    let answer = caller.call(SAY, &small).await;
    assert_eq!(answer.grpc_status(), "0", "{}", answer.grpc_message());
    assert_eq!(answer.messages, [small.clone()]);
    assert_eq!(good.seen()[0].body, framed(&small));

    let large = vec![7; 200 * 1024];
    let answer = caller.call(SAY, &large).await;
    assert_eq!((answer.grpc_status(), answer.messages.len()), ("14", 0));
    assert_eq!(good.calls(), 1);
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn after_a_goaway_old_calls_end_where_they_are_and_new_ones_go_to_a_new_connection() {
    let go = Arc::new(Semaphore::new(0));
    let held = Arc::new(AtomicUsize::new(0));
    let (sign, count) = (Arc::clone(&go), Arc::clone(&held));
    let servlet = frames::Server::start(WIDE, move |mut wire: Frames| {
        let (sign, count) = (Arc::clone(&sign), Arc::clone(&count));
        async move {
            while let Some(stream) = wire.call().await {
                // The first call of all is held over the goodbye of its connection.
                if count.fetch_add(1, SeqCst) == 0 {
                    wire.go_away(stream, 0).await;
                    sign.acquire().await.unwrap().forget();
                    wire.answer(stream, b"old").await;
                } else {
                    wire.answer(stream, b"new").await;
                }
            }
        }
    })
    .await;
    let proxy = proxy(&[(&servlet.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let old = tokio::spawn({
        let caller = caller.clone();
        async move { caller.call(SAY, b"").await }
    });
    until(|| held.load(SeqCst) == 1).await;
    for _ in 0..5 {
        let answer = caller.call(SAY, b"").await;
        assert_eq!((answer.grpc_status(), &*answer.messages), ("0", &[b"new".to_vec()][..]));
    }
    assert!(!old.is_finished());
    go.add_permits(1);
    let old = old.await.unwrap();
    assert_eq!((old.grpc_status(), &*old.messages), ("0", &[b"old".to_vec()][..]));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_lone_replica_that_says_goodbye_every_few_calls_costs_no_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let goodbyes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&goodbyes);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                let mut calls = 0;
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    calls += 1;
                    if calls == 7 {
                        connection.graceful_shutdown();
                        count.fetch_add(1, SeqCst);
                    }
                    let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut send = respond.send_response(head, false).unwrap();
                    send.send_data(framed(b"hi").into(), false).unwrap();
                    send.send_trailers(trailers("0", None)).unwrap();
                }
            });
        }
    });
    let proxy = proxy(&[(&address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let answer = caller.call(SAY, b"x").await;
                    assert_eq!(answer.grpc_status(), "0", "{}", answer.grpc_message());
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(goodbyes.load(SeqCst) > 10);
    proxy.at_rest("echo").await;
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
