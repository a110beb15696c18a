//! gRPC-Web, and gRPC over HTTP/1: what a servlet sees of such calls, and what their callers are told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use telamon::model::parse_grpc_timeout;

use crate::support::anywhere::{Answer, VERSIONS, ask, frames, head};
use crate::support::http1::Caller;
use crate::support::proxy::table;
use crate::support::servlet::{echo_marked, one_and_no_more, three_words};
use crate::support::{Call, Running, Servlet, framed, http2, text_field, until};

const SAY: &str = "/echo.v1.Echo/Say";
const COUNT: &str = "/echo.v1.Echo/Count";
const WEB: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

async fn echo(servlet: &str, more: &str) -> Running {
    Running::echo_with(&[(servlet, 1)], more, "").await
}

/// A body as `content_type` has it.
fn written(content_type: &str, body: &[u8]) -> Vec<u8> {
    if content_type == TEXT { STANDARD.encode(body).into_bytes() } else { body.to_vec() }
}

/// The messages of an answer, and its trailers.
fn opened(answer: &Answer) -> (Vec<Vec<u8>>, String) {
    let text = answer.header("content-type") == Some(TEXT);
    let body: Vec<u8> = if text {
        // Padded in the middle, too: each quantum stands for itself.
        answer.body.chunks(4).flat_map(|quantum| STANDARD.decode(quantum).unwrap()).collect()
    } else {
        answer.body.clone()
    };
    let mut frames = frames(&body);
    let (flag, last) = frames.pop().expect("trailers");
    assert_eq!(flag, 0x80, "{frames:?}");
    (frames.into_iter().map(|(_, message)| message).collect(), String::from_utf8(last).unwrap())
}

#[tokio::test]
async fn a_call_reaches_the_servlet_as_grpc() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    let message = text_field(1, "hello");
    for version in VERSIONS {
        for content_type in [WEB, TEXT] {
            let fields = [
                ("content-type", content_type),
                ("x-grpc-web", "1"),
                ("grpc-timeout", "3S"),
                ("x-mine", "1"),
                ("x-mine-bin", "AAE"),
            ];
            let answer =
                ask(&proxy.address, version, "POST", SAY, &fields, &written(content_type, &framed(&message))).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{version}");
            assert_eq!(answer.header("x-head"), Some("1"));
            let (messages, trailers) = opened(&answer);
            assert_eq!((&messages[..], &*trailers), (&[message.clone()][..], "x-cost: 3\r\ngrpc-status: 0\r\n"));

            let seen = servlet.seen().pop().unwrap();
            let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((&*seen.path, &seen.body, seen.whole), (SAY, &framed(&message), true));
            assert_eq!((header("content-type"), header("te")), (Some("application/grpc+proto"), Some("trailers")));
            assert_eq!((header("x-mine"), header("x-mine-bin")), (Some("1"), Some("AAE")));
            let left = parse_grpc_timeout(header("grpc-timeout").unwrap().as_bytes()).unwrap().as_millis();
            assert!(left <= 3000 && left > 1000, "{left}");
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn each_message_arrives_before_the_next_is_sent() {
    let (servlet, go) = Servlet::gated(three_words).await;
    let proxy = echo(&servlet.address, "").await;
    for version in ["1.0", "1.1"] {
        for content_type in [WEB, TEXT] {
            let body = written(content_type, &framed(b""));
            let mut caller = Caller::connect(&proxy.address).await;
            caller.write(head(version, "POST", COUNT, &[("content-type", content_type)], body.len())).await;
            caller.write(&body).await;
            for word in ["one", "two", "three"] {
                let expected = written(content_type, &framed(&text_field(1, word)));
                let mut seen = Vec::new();
                while !seen.ends_with(&expected[expected.len() - 4..]) {
                    use tokio::io::AsyncReadExt;
                    seen.push(caller.socket.read_u8().await.unwrap());
                }
                go.add_permits(1);
            }
            let (rest, clean) = caller.rest().await;
            let end = written(content_type, b"\x80\0\0\0\x10grpc-status: 0\r\n");
            assert!(clean && rest.windows(end.len()).any(|part| part == end), "{version} {content_type}: {rest:?}");
        }
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_error_is_told_in_trailers_whoever_finds_it() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.refuse("5", Some("no such loaf"));
    })
    .await;
    let proxy = echo(&servlet.address, "").await;
    let call = framed(b"");
    // Method, path, a field more, the body, the status.
    type Case<'c> = (&'c str, &'c str, (&'c str, &'c str), &'c [u8], &'c str);
    let cases: [Case<'_>; 6] = [
        ("POST", SAY, ("x-a", "1"), &call, "grpc-message: no such loaf"),
        ("POST", SAY, ("grpc-timeout", "soon"), &call, "grpc-status: 3\r\n"),
        ("POST", "/no.such.Service/Method", ("x-a", "1"), &call, "grpc-status: 12\r\n"),
        ("GET", SAY, ("x-a", "1"), b"", "grpc-status: 12\r\n"),
        ("POST", SAY, ("x-a", "1"), &[7, 0, 0, 0, 0], "grpc-status: 3\r\n"),
        ("POST", SAY, ("x-a", "1"), &call[..3], "grpc-status: 3\r\n"),
    ];
    for version in VERSIONS {
        for content_type in [WEB, TEXT] {
            for (method, path, field, body, expected) in cases {
                let fields = [("content-type", content_type), field];
                let answer = ask(&proxy.address, version, method, path, &fields, &written(content_type, body)).await;
                assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
                assert_eq!(answer.header("grpc-status"), None, "a page could not read it there");
                let (messages, trailers) = opened(&answer);
                assert!(messages.is_empty() && trailers.contains(expected), "{version} {path} {body:?}: {trailers}");
            }
        }
    }
    let answer = ask(&proxy.address, "1.1", "POST", SAY, &[("content-type", TEXT)], b"?").await;
    assert!(opened(&answer).1.contains("grpc-status: 3\r\n"));
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_deadline_is_told_between_two_messages_and_breaks_one() {
    for whole in [true, false] {
        let servlet = Servlet::start(move |mut call: Call| async move {
            call.read().await;
            let mut send = call.begin();
            let message = framed(&text_field(1, "one"));
            send.send_data(message[..message.len() - usize::from(!whole)].to_vec().into(), false).unwrap();
            let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
            call.seen.lock().unwrap().reset = true;
        })
        .await;
        let proxy = echo(&servlet.address, "timeout: 200ms\n").await;
        for version in VERSIONS {
            if whole {
                let answer = ask(&proxy.address, version, "POST", COUNT, &[("content-type", WEB)], &framed(b"")).await;
                let (messages, trailers) = opened(&answer);
                assert_eq!(messages, [text_field(1, "one")]);
                assert!(trailers.starts_with("grpc-status: 4\r\n"), "{version}: {trailers}");
            } else if version == "2" {
                let request = http2::request("POST", COUNT).header("content-type", WEB).body(()).unwrap();
                assert!(http2::once(&proxy.address, request, &framed(b"")).await.is_err());
            } else {
                let mut caller = Caller::connect(&proxy.address).await;
                caller.write(head(version, "POST", COUNT, &[("content-type", WEB)], 5)).await;
                caller.write(framed(b"")).await;
                let (bytes, clean) = caller.rest().await;
                assert!(!clean && !bytes.ends_with(b"0\r\n\r\n"), "{version}: {bytes:?}");
            }
        }
        until(|| servlet.seen().len() == 3 && servlet.seen().iter().all(|seen| seen.reset)).await;
        proxy.at_rest("echo").await;
    }
}

#[tokio::test]
async fn a_servlet_that_never_stops_is_cut_after_what_was_carried() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.begin();
        let flow = crate::support::flow::Flow::default();
        let message = bytes::Bytes::from(framed(&[7; 2000]));
        while flow.carry(&mut send, &message.slice(..1000), 1).await
            && flow.carry(&mut send, &message.slice(1000..), 1).await
        {}
        call.seen.lock().unwrap().reset = true;
    })
    .await;
    let proxy = echo(&servlet.address, "timeout: 200ms\n").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(head("1.0", "POST", COUNT, &[("content-type", WEB)], 5)).await;
    caller.write(framed(b"")).await;
    caller.until("\r\n\r\n").await;
    let (body, clean) = caller.rest().await;
    // Cut in the middle of a message it breaks; where it ends, its frames are whole to the last.
    if clean {
        let mut frames = frames(&body);
        let (flag, trailers) = frames.pop().unwrap();
        assert!(flag == 0x80 && trailers.starts_with(b"grpc-status: 4\r\n"));
        assert!(!frames.is_empty() && frames.iter().all(|(flag, message)| *flag == 0 && *message == [7; 2000]));
    }
    until(|| servlet.seen()[0].reset).await;
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_caller_that_goes_away_resets_its_call() {
    let servlet = Servlet::start(one_and_no_more).await;
    let proxy = echo(&servlet.address, "").await;
    for (number, version) in ["1.0", "1.1"].into_iter().enumerate() {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(head(version, "POST", COUNT, &[("content-type", WEB)], 5)).await;
        caller.write(framed(b"")).await;
        caller.until("one").await;
        caller.vanish();
        until(|| servlet.seen().len() == number + 1 && servlet.seen().iter().all(|seen| seen.reset)).await;
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_servlet_without_a_schema_is_enough() {
    let servlet = Servlet::start(echo_marked).await;
    let files =
        [("servlets/bare.yaml", "services: [\"*\"]\n"), ("endpoints/bare.yaml", &table(&[(&servlet.address, 1)]))];
    let proxy = Running::with(&files, "").await;
    let call = framed(b"anything");
    let answer = ask(&proxy.address, "1.1", "POST", "/any.Service/Method", &[("content-type", WEB)], &call).await;
    assert_eq!(opened(&answer).0, [b"anything"]);
    // What a method takes is not known, and a second message has no place in an answer over HTTP/1.
    for (body, status) in [(call.clone(), "0"), ([call.clone(), call].concat(), "13")] {
        let fields = [("content-type", "application/grpc")];
        let answer = ask(&proxy.address, "1.1", "POST", "/any.Service/Method", &fields, &body).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some(status)));
    }
    proxy.at_rest("bare").await;
}

#[tokio::test]
async fn grpc_over_http1_has_its_status_in_the_head() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    let body = framed(&text_field(1, "hello"));
    for version in ["1.0", "1.1"] {
        let fields =
            [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "3S"), ("x-mine", "1")];
        let answer = ask(&proxy.address, version, "POST", SAY, &fields, &body).await;
        assert_eq!((answer.status, &answer.body), (200, &body));
        let length = body.len().to_string();
        let expected = [
            ("content-type", "application/grpc"),
            ("content-length", &*length),
            ("grpc-status", "0"),
            ("x-head", "1"),
            ("x-cost", "3"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{version} {name}");
        }
        let seen = servlet.seen().pop().unwrap();
        assert_eq!((&seen.body, &seen.headers["x-mine"]), (&body, &"1".parse().unwrap()));
        assert!(seen.headers.contains_key("grpc-timeout") && seen.headers["content-type"] == "application/grpc");

        let unknown = ask(&proxy.address, version, "POST", "/no.such.Service/Method", &fields, &body).await;
        assert_eq!((unknown.status, unknown.header("grpc-status")), (200, Some("12")));
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn an_error_over_http1_is_in_the_head_too() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[b"half"], "9", Some("not now"));
    })
    .await;
    let proxy = echo(&servlet.address, "").await;
    for version in ["1.0", "1.1"] {
        let fields = [("content-type", "application/grpc")];
        let answer = ask(&proxy.address, version, "POST", SAY, &fields, &framed(b"")).await;
        let told = (answer.header("grpc-status"), answer.header("grpc-message"), answer.header("content-length"));
        assert_eq!(told, (Some("9"), Some("not now"), Some("0")));
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_stream_over_http1_is_refused_before_a_servlet_is_asked() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    for version in ["1.0", "1.1"] {
        for method in ["Count", "Join", "Chat"] {
            let fields = [("content-type", "application/grpc")];
            let path = format!("/echo.v1.Echo/{method}");
            let answer = ask(&proxy.address, version, "POST", &path, &fields, &framed(b"")).await;
            assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("12")));
            let told = answer.header("grpc-message").unwrap();
            assert!(told.contains(method) && told.contains("HTTP/2"), "{told}");
        }
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn a_coding_around_the_frames_is_refused() {
    let servlet = Servlet::start(echo_marked).await;
    let proxy = echo(&servlet.address, "").await;
    for content_type in [WEB, TEXT, "application/grpc", "application/connect+proto"] {
        for (coding, status) in [("gzip", 415), ("identity", 200)] {
            let fields = format!("Content-Type: {content_type}\r\nContent-Encoding: {coding}\r\nContent-Length: 0");
            let request = format!("POST {SAY} HTTP/1.1\r\nHost: a\r\n{fields}\r\nConnection: close\r\n\r\n");
            let answer = Caller::once(&proxy.address, &request).await;
            // Connect has it that a unary method is not called by a stream.
            let unfit = content_type.contains("connect") && status == 200;
            assert_eq!(answer.status, if unfit { 415 } else { status }, "{content_type} {coding}");
            assert_eq!(answer.header("accept-encoding"), (coding == "gzip").then_some("identity"), "{content_type}");
        }
    }
}
