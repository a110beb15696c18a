//! What goes wrong: told while it can be, and never a clean end to half an answer.

use super::{answering, before, raw, routed};
use crate::support::envelope::{body, head};
use crate::support::http1::Caller;
use crate::support::servlet::trailers;
use crate::support::{Call, Servlet, http2, until};

const GET10: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const GET11: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_error_before_the_head_is_plain_http() {
    for (code, status, words) in [("5", 404, "NOT_FOUND"), ("14", 503, "UNAVAILABLE"), ("12", 501, "UNIMPLEMENTED")] {
        let servlet = Servlet::start(move |mut call: Call| async move { call.refuse(code, Some("not%20here")) }).await;
        let proxy = before(&servlet).await;
        let request = format!("{}Connection: close\r\n\r\n", GET11.strip_suffix("\r\n").unwrap());
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/json")));
        assert_eq!(answer.json(), serde_json::json!({ "code": code.parse::<u32>().unwrap(), "message": "not here" }));
        assert_eq!((answer.header("grpc-status"), answer.header("grpc-message")), (None, None));
        proxy.at_rest("web").await;
        let series = format!("telamon_grpc_responses_total{{code=\"{words}\",servlet=\"web\"}}");
        assert_eq!(proxy.metric(&series).await, Some(1.0));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let halves = [
        // An error status, a reset, and too few or too many bytes.
        (vec![head(200, &[]), body(b"half")], "13"),
        (vec![head(200, &[]), body(b"half")], "reset"),
        (vec![head(200, &[("Content-Length", "9")]), body(b"half")], "0"),
        (vec![head(200, &[("Content-Length", "9")]), body(b"half")], "reset"),
        (vec![head(200, &[("Content-Length", "5")]), body(b"half"), body(b" and more")], "0"),
        (vec![head(200, &[]), body(b"half"), head(200, &[])], "0"),
        (vec![head(200, &[]), body(b"half"), vec![9, 0, 0, 0, 0]], "0"),
    ];
    for (number, (messages, end)) in halves.into_iter().enumerate() {
        let whole = messages.concat();
        let servlet = Servlet::start(move |mut call: Call| {
            let whole = whole.clone();
            async move {
                call.read().await;
                let mut send = call.begin();
                send.send_data(whole.into(), false).unwrap();
                if end == "reset" {
                    // After what was sent has been read.
                    call.piece().await;
                    tokio::task::yield_now().await;
                    send.send_reset(h2::Reason::INTERNAL_ERROR);
                } else {
                    let _ = send.send_trailers(trailers(end, None));
                }
            }
        })
        .await;
        let proxy = before(&servlet).await;
        for request in [GET10, GET11] {
            let (text, clean) = raw(&proxy.address, request).await;
            assert!(!clean || text.is_empty() || text.starts_with("HTTP/1.1 502"), "{number}: {text:?} ended cleanly");
            assert!(!text.contains("and more") && !text.ends_with("0\r\n\r\n"), "{number}: {text:?}");
        }
        let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await;
        assert!(answer.is_err() || answer.as_ref().is_ok_and(|answer| answer.status == 502), "{number}: {answer:?}");
        proxy.at_rest("web").await;
    }
}

#[tokio::test]
async fn what_http_has_no_room_for_is_never_written() {
    let heads = [
        head(200, &[("X-Evil", "a\r\nSet-Cookie: stolen=1")]),
        head(200, &[("X-Evil\r\nSet-Cookie", "stolen=1")]),
        head(200, &[("Content-Length", "1"), ("Content-Length", "2")]),
        head(101, &[("Set-Cookie", "stolen=1")]),
        head(0, &[]),
        body(b"stolen=1"),
        Vec::new(),
    ];
    for head in heads {
        let servlet = answering(vec![head], "0").await;
        let proxy = before(&servlet).await;
        for request in [GET10, GET11] {
            let mut caller = Caller::connect(&proxy.address).await;
            caller.write(request).await;
            let answer = caller.answer().await.unwrap();
            assert_eq!((answer.status, answer.header("set-cookie")), (502, None));
            assert!(!answer.text().contains("stolen"), "{}", answer.text());
            assert_eq!(answer.json()["code"], 13);
        }
        let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await.unwrap();
        assert_eq!(answer.status, 502);
        proxy.at_rest("web").await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_the_call() {
    let servlet = Servlet::start(|mut call: Call| async move {
        let mut send = call.begin();
        send.send_data([head(200, &[]), body(b"first")].concat().into(), false).unwrap();
        let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
        call.seen.lock().unwrap().reset = true;
    })
    .await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(GET11).await;
    caller.until("first").await;
    caller.vanish();
    until(|| servlet.seen()[0].reset).await;

    // In the middle of an upload, too: it never looks whole to the servlet.
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
    })
    .await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\nhalf").await;
    servlet.called(1).await;
    caller.vanish();
    until(|| servlet.seen()[0].reset).await;
    assert!(!servlet.seen()[0].whole);
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn time_is_what_the_file_says_and_not_what_a_field_says() {
    let hanging = || Servlet::start(|mut call: Call| async move { call.reset().await });
    let servlet = hanging().await;
    let file = format!("{}timeout: 100ms\n", super::ROUTE);
    let proxy = routed(&servlet, &file).await;
    let answer = Caller::once(&proxy.address, "GET / HTTP/1.0\r\ngrpc-timeout: 99H\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("grpc-status")), (504, None));
    assert!(servlet.seen()[0].headers.contains_key("grpc-timeout"), "the servlet knows of its own");
    until(|| servlet.seen()[0].reset).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_told_before_a_servlet_is_asked() {
    let servlet = answering(vec![head(200, &[])], "0").await;
    let proxy = routed(&servlet, &format!("{}body_size: 1KiB\n", super::ROUTE)).await;
    let answer = Caller::once(&proxy.address, "POST / HTTP/1.0\r\nContent-Length: 1025\r\n\r\n").await;
    assert_eq!((answer.status, servlet.calls()), (413, 0));
    let request = "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nfits";
    assert_eq!(Caller::once(&proxy.address, request).await.status, 200);
}

#[tokio::test]
async fn faults_are_told_as_plain_http_whatever_the_content_type() {
    let servlet = answering(vec![head(200, &[])], "0").await;
    let proxy = before(&servlet).await;
    servlet.stop();
    let request = "POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = Caller::once(&proxy.address, request).await;
    // Refused, or broken under the call: the servlet may still hold the warmed connection.
    assert!(matches!(answer.status, 502 | 503), "{}", answer.status);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
