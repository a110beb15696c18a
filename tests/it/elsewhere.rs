//! What no servlet has acted on goes elsewhere, unseen by its caller and with its body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::support::frames::{self, DATA, END_STREAM, Frames, HEADERS};
use crate::support::grpc::{Caller, read};
use crate::support::proxy::table;
use crate::support::servlet::{self, trailers};
use crate::support::{Call, Servlet, framed, until};
use crate::upstream::{SAY, WIDE, proxy};

const REFUSED_STREAM: u32 = 7;

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
    assert_eq!(answer.messages, std::slice::from_ref(&small));
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

#[tokio::test]
async fn a_stream_that_is_refused_midway_starts_again_elsewhere_and_goes_on() {
    // Refuses when the first message is there.
    let refusing = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(frame) = wire.next().await {
            if frame.kind == DATA && !frame.payload.is_empty() {
                wire.reset(frame.stream, REFUSED_STREAM).await;
            }
        }
    })
    .await;
    let good = Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        let end = call.body.trailers().await.unwrap().unwrap();
        call.reply(&[&body, end["x-end"].as_bytes()], "0", None);
    })
    .await;
    let proxy = proxy(&[(&refusing.address, 1000), (&good.address, 1)], "").await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    send.send_data(framed(b"one").into(), false).unwrap();
    until(|| good.seen().first().is_some_and(|seen| seen.body == framed(b"one"))).await;
    send.send_data(framed(b"two").into(), false).unwrap();
    let mut end = http::HeaderMap::new();
    end.insert("x-end", "yes".parse().unwrap());
    send.send_trailers(end).unwrap();
    let answer = read(response).await.unwrap();
    assert_eq!(answer.messages, [[framed(b"one"), framed(b"two")].concat(), b"yes".to_vec()]);

    // All of it, trailers too, was there when it was refused.
    let refusing_late = frames::Server::start(WIDE, |mut wire: Frames| async move {
        while let Some(frame) = wire.next().await {
            if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
                wire.reset(frame.stream, REFUSED_STREAM).await;
            }
        }
    })
    .await;
    proxy.write("endpoints/echo.yaml", &table(&[(&refusing_late.address, 1000), (&good.address, 1)]));
    proxy.until("echo", |endpoints| endpoints[0]["address"] == refusing_late.address.as_str()).await;
    let (response, mut send) = ready.send_request(Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    send.send_data(framed(b"all").into(), false).unwrap();
    let mut end = http::HeaderMap::new();
    end.insert("x-end", "at once".parse().unwrap());
    send.send_trailers(end).unwrap();
    assert_eq!(read(response).await.unwrap().messages, [framed(b"all"), b"at once".to_vec()]);
    proxy.at_rest("echo").await;
}
