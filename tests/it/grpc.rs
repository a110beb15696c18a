//! gRPC to gRPC: nothing is added, lost or held back.

use bytes::Bytes;
use http::Request;

use crate::support::grpc::{Caller, read};
use crate::support::servlet::{self, talk, trailers};
use crate::support::{Call, Running, Servlet, framed};

const SAY: &str = "/echo.v1.Echo/Say";
const CHAT: &str = "/echo.v1.Echo/Chat";
const JOIN: &str = "/echo.v1.Echo/Join";

#[tokio::test]
async fn a_unary_call_arrives_as_it_was_sent_and_so_does_its_answer() {
    let servlet = Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        let mut send = call.begin();
        send.send_data(body.into(), false).unwrap();
        let mut end = trailers("0", Some("fine"));
        end.insert("x-trailer", "kept".parse().unwrap());
        end.insert("x-bin", "AAE".parse().unwrap());
        send.send_trailers(end).unwrap();
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut request = Caller::request(SAY);
    request.headers_mut().insert("x-metadata", "one".parse().unwrap());
    request.headers_mut().append("x-metadata", "two".parse().unwrap());
    request.headers_mut().insert("x-data-bin", "AAEC".parse().unwrap());
    let answer = caller.send(request, &[b"hello"]).await.unwrap();

    assert_eq!(answer.messages, [b"hello"]);
    assert_eq!((answer.grpc_status(), answer.grpc_message()), ("0", "fine"));
    assert_eq!(answer.trailers["x-trailer"], "kept");
    assert_eq!(answer.trailers["x-bin"], "AAE");
    let seen = &servlet.seen()[0];
    assert_eq!(seen.path, SAY);
    assert_eq!(seen.authority.as_deref(), Some("proxy.test"));
    assert_eq!(seen.headers.get_all("x-metadata").iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(seen.headers["x-data-bin"], "AAEC");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["content-type"], "application/grpc");
    assert_eq!(seen.body, framed(b"hello"));
    assert!(seen.whole);
}

#[tokio::test]
async fn an_error_keeps_its_code_message_and_details() {
    let servlet = Servlet::start(|mut call: Call| async move { call.refuse("5", Some("no such%20thing")) }).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!((answer.grpc_status(), answer.grpc_message()), ("5", "no such%20thing"));
    assert!(answer.messages.is_empty());
}

#[tokio::test]
async fn messages_of_a_conversation_pass_one_by_one() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(CHAT), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    for word in ["a", "b", "c"] {
        send.send_data(framed(word.as_bytes()).into(), false).unwrap();
        // The answer to one comes before the next is sent: nothing waits for more.
        let echoed = body.data().await.unwrap().unwrap();
        assert_eq!(echoed, framed(word.as_bytes()));
        body.flow_control().release_capacity(echoed.len()).unwrap();
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert!(body.data().await.is_none());
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_servlet_that_tells_no_status_is_unknown() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.begin().send_data(framed(b"half").into(), true).unwrap();
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!(answer.grpc_status(), "2");
}

#[tokio::test]
async fn an_unknown_service_is_unimplemented() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::connect(&proxy.address).await.call("/no.Such/Method", b"").await;
    assert_eq!(answer.grpc_status(), "12");
    assert_eq!(answer.status, 200);
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn a_caller_that_cancels_cancels_its_call() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Arc::new(std::sync::Mutex::new(Some(sender)));
    let servlet = Servlet::start(move |mut call: Call| {
        let sender = sender.lock().unwrap().take().unwrap();
        async move {
            call.read().await;
            call.reset().await;
            sender.send(()).unwrap();
        }
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(SAY), false).unwrap();
    send.send_data(framed(b"x").into(), true).unwrap();
    while servlet.calls() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    receiver.await.unwrap();
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0).await;
}

#[tokio::test]
async fn a_refused_stream_and_a_refused_connection_go_elsewhere_unseen() {
    let refusing =
        Servlet::start(|mut call: Call| async move { call.respond.send_reset(h2::Reason::REFUSED_STREAM) }).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let good = Servlet::start(servlet::echo).await;
    let proxy = Running::echo(&[(&refusing.address, 10), (&gone, 10), (&good.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..20 {
        let answer = caller.call(SAY, b"again").await;
        assert_eq!(answer.grpc_status(), "0");
        assert_eq!(answer.messages, [b"again"]);
    }
    assert!(refusing.calls() > 0);
    assert!(good.seen().iter().all(|seen| seen.body == framed(b"again") && seen.whole));
}

#[tokio::test]
async fn a_reset_that_may_have_been_acted_on_is_told_not_repeated() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.respond.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"once").await;
    assert_eq!(answer.grpc_status(), "14");
    assert_eq!(servlet.calls(), 1);
}

#[tokio::test]
async fn a_deadline_goes_upstream_shortened_and_is_kept_by_the_proxy() {
    let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut request = Caller::request(SAY);
    request.headers_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let answer = Caller::connect(&proxy.address).await.send(request, &[b""]).await.unwrap();
    assert_eq!(answer.grpc_status(), "4");
    let told = servlet.seen()[0].headers["grpc-timeout"].to_str().unwrap().to_owned();
    let left = telamon::model::parse_grpc_timeout(told.as_bytes()).unwrap();
    assert!(left <= std::time::Duration::from_millis(300) && left > std::time::Duration::ZERO, "{told}");
    while !servlet.seen()[0].reset {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_malformed_head_ends_its_stream_and_no_other() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let bad = Request::post("http://user@proxy.test/echo.v1.Echo/Say").body(()).unwrap();
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(bad, true).unwrap();
    let refused = read_status(response).await;
    assert_eq!(refused, Some(400));
    assert_eq!(caller.call(SAY, b"still here").await.grpc_status(), "0");
}

async fn read_status(response: h2::client::ResponseFuture) -> Option<u16> {
    response.await.ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn connections_are_shared_and_warm() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..50 {
        caller.call(SAY, b"x").await;
    }
    assert!(servlet.connections() <= 2, "one a worker, not one a call: {}", servlet.connections());
    let _ = read;
}

#[tokio::test]
async fn unknown_is_told_in_the_servlets_own_words() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[b"x"], "2", Some(&format!("%ff{}", "x".repeat(5000))));
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!((answer.grpc_status(), answer.grpc_message().len()), ("2", 5003));
    assert!(answer.grpc_message().starts_with("%ff"));
}

#[tokio::test]
async fn a_status_in_the_head_counts_only_when_nothing_follows_it() {
    for (said, messages, counts) in [("5", 0, "5"), ("0", 0, "0"), ("0", 1, "2")] {
        let servlet = Servlet::start(move |mut call: Call| async move {
            call.read().await;
            let head = http::Response::builder().header("content-type", "application/grpc").header("grpc-status", said);
            let mut send = call.respond.send_response(head.body(()).unwrap(), false).unwrap();
            send.send_data(framed(b"x").repeat(messages).into(), true).unwrap();
        })
        .await;
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
        assert_eq!((answer.grpc_status(), answer.messages.len()), (counts, messages), "{said} {messages}");
    }
}

#[tokio::test]
async fn a_call_is_made_by_post_alone() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    for method in ["GET", "HEAD", "PUT"] {
        let mut request = Caller::request(SAY);
        *request.method_mut() = method.parse().unwrap();
        let answer = caller.send(request, &[b""]).await.unwrap();
        assert_eq!(answer.grpc_status(), "12", "{method}");
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn many_small_messages_that_a_servlet_is_slow_to_take_cost_nobody_else_a_call() {
    use std::sync::Arc;
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let sign = Arc::clone(&go);
    let servlet = Servlet::start(move |mut call: Call| {
        let sign = Arc::clone(&sign);
        async move {
            if call.head.uri.path().ends_with("Join") {
                drop(sign.acquire().await.unwrap());
            }
            let body = call.read().await;
            call.reply(&[&crate::support::text_field(1, &body.len().to_string())], "0", None);
        }
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    // In lines, and as gRPC does it.
    for (path, content_type, message) in
        [("/v1/join", "application/x-ndjson", &b"{}\n"[..]), (JOIN, "application/grpc", &[0; 5])]
    {
        let calls = servlet.calls();
        let mut ready = caller.send.clone().ready().await.unwrap();
        let request = Request::post(format!("http://proxy.test{path}")).header("content-type", content_type);
        let (response, mut send) =
            ready.send_request(request.header("te", "trailers").body(()).unwrap(), false).unwrap();
        send.send_data(message.repeat(3000).into(), true).unwrap();
        servlet.called(calls + 1).await;
        assert_eq!(caller.call(SAY, b"").await.grpc_status(), "0");
        go.add_permits(1);
        let (parts, mut body) = response.await.unwrap().into_parts();
        let mut told = Vec::new();
        while let Some(data) = body.data().await {
            told.extend_from_slice(&data.unwrap());
        }
        assert!(parts.status == 200 && String::from_utf8_lossy(&told).contains("15000"), "{path}: {told:?}");
        go.forget_permits(1);
        // One a worker, and none in place of one that broke.
        assert!(servlet.connections() <= 2, "{path}");
    }
}
