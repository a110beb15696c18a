//! Deadlines: the shorter of what caller and servlet say, minus the time that is spent, told to the servlet and kept by the proxy.

use std::time::Duration;

use telamon::model::parse_grpc_timeout;

use crate::support::grpc::{Caller, read};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet::{self, one_and_no_more, trailers};
use crate::support::{Call, Running, Servlet, framed, http1, http2, text_field, until};

const SAY: &str = "/echo.v1.Echo/Say";
const COUNT: &str = "/echo.v1.Echo/Count";

async fn proxy(servlet: &str, more: &str) -> Running {
    Running::echo_with(&[(servlet, 1)], more, "").await
}

/// What the last call was told that it had left.
fn told(servlet: &Servlet) -> Option<Duration> {
    let seen = servlet.seen().pop().unwrap();
    seen.headers.get("grpc-timeout").map(|value| parse_grpc_timeout(value.as_bytes()).unwrap())
}

fn with_timeout(path: &str, timeout: &str) -> http::Request<()> {
    let mut request = Caller::request(path);
    request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

#[tokio::test]
async fn the_servlet_is_told_the_shorter_of_both() {
    let hours = Duration::from_secs(99_999_999 * 3600);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    // The servlet's file, the method, the caller's word, and what may be left at most.
    let cases = [
        ("", SAY, None, seconds(15)),
        ("", SAY, Some("60S"), seconds(15)),
        ("", SAY, Some("5S"), seconds(5)),
        ("timeout: 30s\n", SAY, None, seconds(30)),
        ("timeout: 30s\n", SAY, Some("20S"), seconds(20)),
        ("timeout: 30s\n", SAY, Some("1M"), seconds(30)),
        ("timeout: 30s\n", COUNT, None, seconds(30)),
        ("", COUNT, None, None),
        ("", COUNT, Some("7000m"), seconds(7)),
        ("", COUNT, Some("99999999H"), Some(hours)),
        ("", SAY, Some("99999999H"), seconds(15)),
    ];
    for (file, method, caller, most) in cases {
        let servlet = Servlet::start(servlet::echo).await;
        let proxy = proxy(&servlet.address, file).await;
        let request = caller.map_or_else(|| Caller::request(method), |timeout| with_timeout(method, timeout));
        let answer = Caller::connect(&proxy.address).await.send(request, &[b""]).await.unwrap();
        assert_eq!(answer.grpc_status(), "0");
        let told = told(&servlet);
        assert_eq!(told.is_some(), most.is_some(), "{file:?} {method} {caller:?}");
        if let (Some(told), Some(most)) = (told, most) {
            let least = most.mul_f64(0.9);
            assert!(told <= most && told > least, "{file:?} {method} {caller:?}: {told:?} of {most:?}");
        }
    }
}

#[tokio::test]
async fn json_callers_have_the_default_and_may_ask_for_less() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = proxy(&servlet.address, "").await;
    for (field, most) in [("", 15), ("grpc-timeout: 3S\r\n", 3)] {
        let request = format!("GET /v1/say/x HTTP/1.0\r\n{field}\r\n");
        assert_eq!(http1::Caller::once(&proxy.address, &request).await.status, 200);
        let told = told(&servlet).unwrap();
        assert!(told <= Duration::from_secs(most) && told > Duration::from_secs(most - 1), "{told:?}");
    }
}

#[tokio::test]
async fn a_malformed_timeout_is_refused() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = proxy(&servlet.address, "").await;
    for bad in ["999999999S", "1", "S", "-1S", "1.5S", "1s", "soon"] {
        let answer = Caller::connect(&proxy.address).await.send(with_timeout(SAY, bad), &[b""]).await.unwrap();
        assert_eq!(answer.grpc_status(), "3", "{bad}");
        let request = format!("GET /v1/say/x HTTP/1.1\r\nHost: a\r\ngrpc-timeout: {bad}\r\nConnection: close\r\n\r\n");
        let answer = http1::Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &serde_json::json!(3)), "{bad}");
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn time_that_was_spent_is_not_promised_again() {
    // The first endpoint takes a connection and says nothing for 300 ms.
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hole = black_hole.local_addr().unwrap().to_string();
    let good = Servlet::start(servlet::echo).await;
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &format!("{ECHO}connect_timeout: 300ms\ntimeout: 10s\n")),
        ("endpoints/echo.yaml", &table(&[(&hole, 1000), (&good.address, 1)])),
    ];
    let proxy = Running::with(&files, "").await;
    let started = std::time::Instant::now();
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"x").await;
    let spent = started.elapsed();
    assert_eq!(answer.grpc_status(), "0");
    // Some of the wait may have been over when the call came: warming begins before.
    let told = told(&good).unwrap();
    let left = Duration::from_secs(10).saturating_sub(spent);
    assert!(told <= Duration::from_secs(10) && told >= left, "{told:?} of {left:?}");
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_call_that_is_late_is_told_and_reset() {
    let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let proxy = proxy(&servlet.address, "timeout: 150ms\n").await;
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, "4"));
    for version in ["1.0", "1.1"] {
        let request = format!("GET /v1/say/x HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = http1::Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, &answer.json()["code"]), (504, &serde_json::json!(4)), "{version}");
    }
    let answer =
        http2::once(&proxy.address, http2::request("GET", "/v1/count/x").body(()).unwrap(), b"").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (504, &serde_json::json!(4)));
    until(|| servlet.seen().len() == 4 && servlet.seen().iter().all(|seen| seen.reset)).await;
    proxy.at_rest("echo").await;
}

/// Sends one item, then holds the stream until it is reset.
/// Whose fault a deadline is: an endpoint's that has the whole request, a caller's that keeps the rest back.
#[tokio::test]
async fn a_deadline_that_passes_while_the_caller_sends_is_not_held_against_the_endpoint() {
    for (answers, reads) in [(false, true), (true, true), (false, false)] {
        let servlet = Servlet::start(move |mut call: Call| async move {
            let mut begun = answers.then(|| call.begin());
            if reads {
                call.read().await;
            }
            match &mut begun {
                Some(send) => drop(std::future::poll_fn(|cx| send.poll_reset(cx)).await),
                None => call.reset().await,
            }
        })
        .await;
        let proxy = proxy(&servlet.address, "").await;
        let caller = Caller::connect(&proxy.address).await;
        let failures = async || proxy.endpoints("echo").await[0]["failures"].as_u64().unwrap();

        let mut ready = caller.send.clone().ready().await.unwrap();
        let (response, mut send) = ready.send_request(with_timeout("/echo.v1.Echo/Join", "150m"), false).unwrap();
        // More than the servlet's window: one that reads takes all, and waits.
        send.send_data(vec![0; 100_000].into(), false).unwrap();
        assert_eq!(read(response).await.unwrap().grpc_status(), "4");
        proxy.at_rest("echo").await;
        assert_eq!(failures().await, u64::from(!reads), "answers: {answers}, reads: {reads}");

        let answer = caller.send(with_timeout("/echo.v1.Echo/Join", "150m"), &[b"all"]).await.unwrap();
        assert_eq!(answer.grpc_status(), "4");
        proxy.at_rest("echo").await;
        assert_eq!(failures().await, u64::from(!reads) + 1, "answers: {answers}, reads: {reads}");
        drop(send);
    }
}

async fn one_item() -> Servlet {
    Servlet::start(one_and_no_more).await
}

#[tokio::test]
async fn a_deadline_in_the_middle_of_a_stream_is_told_in_trailers_or_breaks_it() {
    let servlet = one_item().await;
    let proxy = proxy(&servlet.address, "timeout: 200ms\n").await;
    let answer = Caller::connect(&proxy.address).await.call(COUNT, b"").await;
    assert_eq!((answer.grpc_status(), &*answer.messages), ("4", &[text_field(1, "one")][..]));
    for version in ["1.0", "1.1"] {
        let mut caller = http1::Caller::connect(&proxy.address).await;
        caller.write(format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        let (bytes, clean) = caller.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(!clean && !text.contains(']') && !text.contains("\r\n0\r\n"), "{version}: {clean} {text:?}");
    }
    until(|| servlet.seen().len() == 3 && servlet.seen().iter().all(|seen| seen.reset)).await;
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_whose_caller_reads_nothing() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        let flow = crate::support::flow::Flow::default();
        assert!(!flow.carry(&mut send, &framed(&[0; 64 * 1024]).into(), 1000).await, "somebody took it all");
        call.seen.lock().unwrap().reset = true;
    })
    .await;
    let proxy = proxy(&servlet.address, "timeout: 200ms\n").await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(COUNT), false).unwrap();
    send.send_data(framed(b"").into(), true).unwrap();
    let response = response.await.unwrap();
    until(|| servlet.seen()[0].reset).await;
    proxy.at_rest("echo").await;
    // The servlet had more to say than anybody took.
    assert_eq!(proxy.endpoints("echo").await[0]["failures"], 0);
    drop(response);
}

#[tokio::test]
async fn a_deadline_ends_a_servlet_that_never_stops() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        let flow = crate::support::flow::Flow::default();
        while flow.carry(&mut send, &framed(&[0; 1024]).into(), 1000).await {}
        call.seen.lock().unwrap().reset = true;
    })
    .await;
    let proxy = proxy(&servlet.address, "timeout: 200ms\n").await;
    let caller = Caller::connect(&proxy.address).await;
    let answer = caller.call(COUNT, b"").await;
    assert_eq!(answer.grpc_status(), "4");
    until(|| servlet.seen()[0].reset).await;
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_stream_has_no_deadline_of_its_own() {
    let servlet = Servlet::start(|mut call: Call| async move {
        while call.piece().await.is_some() {}
        call.begin().send_trailers(trailers("0", None)).unwrap();
    })
    .await;
    let proxy = proxy(&servlet.address, "").await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request("/echo.v1.Echo/Join"), false).unwrap();
    send.send_data(framed(b"x").into(), false).unwrap();
    until(|| servlet.calls() == 1).await;
    assert_eq!(told(&servlet), None);
    send.send_data(bytes::Bytes::new(), true).unwrap();
    assert_eq!(read(response).await.unwrap().grpc_status(), "0");
}

#[tokio::test]
async fn untranslated_traffic_has_the_servlets_deadline_and_no_default() {
    use crate::support::origin::{Origin, Wire};
    let origin = Origin::start(|mut wire: Wire| async move { while wire.request().await.is_some() {} }).await;
    let files = [
        ("servlets/old.yaml", "upstream: http1\nroutes: [{ match: { path: \"/**\" } }]\ntimeout: 150ms\n"),
        ("endpoints/old.yaml", &table(&[(&origin.address, 1)])),
    ];
    let proxy = Running::with(&files, "").await;
    let answer = http1::Caller::once(&proxy.address, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, &answer.json()["code"]), (504, &serde_json::json!(4)));
    proxy.at_rest("old").await;
}
