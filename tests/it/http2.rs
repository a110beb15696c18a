//! HTTP/2 with prior knowledge, on the port of HTTP/1: streams that do not disturb each other, and leaving in two steps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, oneshot};

use crate::support::grpc::Caller;
use crate::support::raw_http2::{
    self, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, block, code, field, frame,
};
use crate::support::servlet::{echo, talk};
use crate::support::{Call, Running, Servlet, framed, http1};

const SAY: &str = "/echo.v1.Echo/Say";
const CHAT: &str = "/echo.v1.Echo/Chat";
const PROTOCOL_ERROR: u32 = 1;

#[tokio::test]
async fn one_port_speaks_it_beside_http1() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    assert_eq!(Caller::connect(&proxy.address).await.call(SAY, b"two").await.messages, [b"two"]);
    let answer = http1::Caller::once(&proxy.address, "GET /v1/say/you HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.json()["text"], "you");
    // The preface may come byte by byte.
    let mut slow = raw_http2::Caller { socket: tokio::net::TcpStream::connect(&proxy.address).await.unwrap() };
    for byte in [raw_http2::PREFACE, &frame(raw_http2::SETTINGS, 0, 0, &[])].concat() {
        slow.write(&[byte]).await;
    }
    assert!(slow.lives(1, SAY).await);
}

#[tokio::test]
async fn what_is_asked_together_with_the_end_of_the_connection_is_answered_if_it_needs_nobody() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for _ in 0..10 {
        let mut caller = raw_http2::Caller { socket: tokio::net::TcpStream::connect(&proxy.address).await.unwrap() };
        let asked = frame(HEADERS, END_HEADERS | END_STREAM, 1, &raw_http2::call("/no.Such/Method"));
        caller.write(&[raw_http2::PREFACE, &frame(raw_http2::SETTINGS, 0, 0, &[]), &asked].concat()).await;
        caller.socket.shutdown().await.unwrap();
        assert_eq!(caller.end_of(1).await.expect("no answer").kind, HEADERS);
    }
}

#[tokio::test]
async fn json_is_spoken_over_it_too() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut send = Caller::connect(&proxy.address).await.send.ready().await.unwrap();
    let request = http::Request::get("http://proxy.test/v1/say/you").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    let (parts, mut body) = response.await.unwrap().into_parts();
    assert_eq!((parts.status.as_u16(), &parts.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    assert!(!parts.headers.contains_key("transfer-encoding") && !parts.headers.contains_key("connection"));
    assert_eq!(body.data().await.unwrap().unwrap(), r#"{"text":"you"}"#);
}

/// A request's fields that end its stream and no other.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let good = || raw_http2::call(SAY);
    let with = |name: &[u8], value: &[u8], kept| [good(), field(name, value, kept)].concat();
    let base = [(":method", "POST"), (":scheme", "http"), (":path", SAY), (":authority", "a")];
    let changed = |name: &str, value: &'static str| {
        let fields: Vec<_> = base.iter().map(|field| if field.0 == name { (field.0, value) } else { *field }).collect();
        block(&fields)
    };
    let without = |name: &str| block(&base.into_iter().filter(|field| field.0 != name).collect::<Vec<_>>());
    let coded = |bytes: &[u8]| [&good()[..], bytes].concat();
    vec![
        ("a pseudo-field behind a field", block(&[("x", "y"), base[0], base[1], base[2], base[3]])),
        ("a pseudo-field twice", [block(&base[..1]), good()].concat()),
        ("an unknown pseudo-field", [field(b":unknown", b"x", true), good()].concat()),
        ("a pseudo-field of responses", [field(b":status", b"200", true), good()].concat()),
        ("an upper-case name", with(b"X-Upper", b"x", false)),
        ("an upper-case name for the table", with(b"X-Upper", b"x", true)),
        ("an upper-case name in Huffman code", coded(&[0x40, 0x81, 0b1000_0111, 0x00])),
        ("a space in a name", with(b"x y", b"x", true)),
        ("a colon in a name", with(b"x:y", b"x", true)),
        ("an empty name", with(b"", b"x", false)),
        ("a NUL in a value", with(b"x", b"a\0b", true)),
        ("a line end in a value", with(b"x", b"a\r\nb: c", true)),
        ("a space before a value", with(b"x", b" a", true)),
        ("connection", with(b"connection", b"x", true)),
        ("keep-alive", with(b"keep-alive", b"5", true)),
        ("proxy-connection", with(b"proxy-connection", b"x", true)),
        ("transfer-encoding", with(b"transfer-encoding", b"chunked", true)),
        ("upgrade", with(b"upgrade", b"h2c", true)),
        ("te that is not trailers", with(b"te", b"gzip", true)),
        ("a host that is not the authority", with(b"host", b"b", true)),
        ("two hosts", [with(b"host", b"a", true), field(b"host", b"a", true)].concat()),
        ("userinfo", changed(":authority", "u@a")),
        ("two authorities in one", changed(":authority", "a, b")),
        ("no authority", without(":authority")),
        ("no method", without(":method")),
        ("no path", without(":path")),
        ("an empty path", changed(":path", "")),
        ("a path without its slash", changed(":path", "echo.v1.Echo/Say")),
        ("a space in the path", changed(":path", "/a b")),
        ("a fragment", changed(":path", "/a#b")),
        ("another scheme", changed(":scheme", "ftp")),
        ("a method that is none", changed(":method", "P ST")),
        ("two lengths", [with(b"content-length", b"6", true), field(b"content-length", b"6", true)].concat()),
        ("a length that is none", with(b"content-length", b"+6", true)),
    ]
}

#[tokio::test]
async fn a_bad_stream_never_ends_the_others() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    assert!(caller.lives(1, SAY).await);
    let mut stream = 3;
    for (what, block) in malformed() {
        // In one frame, in two, and in many.
        for pieces in [1, 2, 7] {
            // A call is open while the bad one comes.
            caller.write(&frame(HEADERS, END_HEADERS, stream, &raw_http2::call(SAY))).await;
            let chunk = block.len().div_ceil(pieces);
            for (index, piece) in block.chunks(chunk).enumerate() {
                let kind = if index == 0 { HEADERS } else { raw_http2::CONTINUATION };
                let end_stream = if index == 0 { END_STREAM } else { 0 };
                let end_headers = if (index + 1) * chunk >= block.len() { END_HEADERS } else { 0 };
                caller.write(&frame(kind, end_stream | end_headers, stream + 2, piece)).await;
            }
            let end = caller.end_of(stream + 2).await.unwrap_or_else(|| panic!("{what} ended the connection"));
            if end.kind == RST_STREAM {
                assert_eq!(code(&end), PROTOCOL_ERROR, "{what}");
            }
            caller.write(&frame(raw_http2::DATA, END_STREAM, stream, &framed(b"x"))).await;
            let end = caller.end_of(stream).await.unwrap_or_else(|| panic!("{what} ended the connection"));
            assert_eq!(end.kind, HEADERS, "{what}");
            stream += 4;
        }
    }
    assert!(servlet.seen().iter().all(|seen| seen.path == SAY && seen.body == framed(b"x")));
    // The table is what its writer believes: an entry made with a bad field stands where it should.
    caller
        .write(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &[&field(b"x-kept", b"v", true)[..], &field(b"X-Bad", b"w", true)].concat(),
        ))
        .await;
    assert_eq!(caller.end_of(stream).await.unwrap().kind, RST_STREAM);
    let second_newest = [&raw_http2::call(SAY)[..], &[0x80 | 63]].concat();
    caller.write(&frame(HEADERS, END_HEADERS, stream + 2, &second_newest)).await;
    caller.write(&frame(raw_http2::DATA, END_STREAM, stream + 2, &framed(b"x"))).await;
    assert_eq!(caller.end_of(stream + 2).await.unwrap().kind, HEADERS);
    assert_eq!(servlet.seen().last().unwrap().headers["x-kept"], "v");
}

#[tokio::test]
async fn heads_are_limited_in_bytes_and_in_fields() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "header_size: 8KiB, header_fields: 20").await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    let mut stream = 1;
    for (fields, is_fine) in [
        (vec![("x", "y".repeat(100)); 10], true),
        (vec![("x", "y".repeat(100)); 19], false),
        (vec![("cookie", "a=b".into()); 19], false),
        (vec![("x", "y".repeat(126)); 90], false),
    ] {
        let more: Vec<u8> =
            fields.iter().flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes(), false)).collect();
        let count = fields.len();
        caller.write(&frame(HEADERS, END_HEADERS, stream, &[raw_http2::call(SAY), more].concat())).await;
        caller.write(&frame(raw_http2::DATA, END_STREAM, stream, &framed(b"x"))).await;
        assert!(caller.end_of(stream).await.is_some(), "{count} fields ended the connection");
        assert_eq!(servlet.seen().len(), 1, "{count} fields: {is_fine}");
        stream += 2;
    }
    assert!(caller.lives(stream, SAY).await);
}

#[tokio::test]
async fn streams_at_a_time_are_limited_and_one_more_is_refused_not_fatal() {
    let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "streams: 4").await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    for stream in [1, 3, 5, 7, 9] {
        caller.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &raw_http2::call(SAY))).await;
    }
    let refused = caller.find(RST_STREAM, 9).await.unwrap();
    assert_eq!(code(&refused), 7, "REFUSED_STREAM: it may be tried again");
    servlet.called(4).await;
    caller.write(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    caller.write(&frame(HEADERS, END_HEADERS | END_STREAM, 11, &raw_http2::call(SAY))).await;
    servlet.called(5).await;
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 4).await;
}

#[tokio::test]
async fn a_reset_cancels_its_call_alone() {
    let (sender, receiver) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let servlet = Servlet::start(move |mut call: Call| {
        let sender = sender.lock().unwrap().take();
        async move {
            let Some(sender) = sender else { return echo(call).await };
            let mut stream = call.begin();
            stream.send_data(framed(b"x").into(), false).unwrap();
            let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            sender.send(()).unwrap();
        }
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(CHAT), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    send.send_reset(h2::Reason::CANCEL);
    receiver.await.unwrap();
    assert_eq!(caller.call(SAY, b"y").await.messages, [b"y"]);
}

#[tokio::test]
async fn a_stalled_upload_does_not_freeze_the_rest() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    // The servlet, too, has room for others beside a call that it does not read.
    let mut windows = h2::server::Builder::new();
    windows.initial_connection_window_size(8 << 20);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servlet = Servlet::on(listener, windows, move |call: Call| {
        let gate = Arc::clone(&gate);
        async move {
            if call.head.uri.path() == CHAT {
                // Takes nothing of its request.
                let _ = gate.acquire().await.unwrap();
            }
            echo(call).await;
        }
    });
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut ready = caller.send.clone().ready().await.unwrap();
        let (response, mut send) = ready.send_request(Caller::request(CHAT), false).unwrap();
        send.reserve_capacity(8 << 20);
        // As much as all windows on the way take: until nothing goes any more while many calls pass by.
        let mut sent = 0;
        let mut passed = 0;
        while passed < 50 {
            match std::future::poll_fn(|cx| send.poll_capacity(cx)).now_or_never() {
                Some(room) => {
                    let room = room.unwrap().unwrap();
                    send.send_data(Bytes::from(vec![0; room]), false).unwrap();
                    (sent, passed) = (sent + room, 0);
                }
                None => {
                    assert_eq!(caller.call(SAY, b"y").await.messages, [b"y"]);
                    passed += 1;
                }
            }
        }
        assert!(sent < 4 << 20, "{sent} bytes for a servlet that takes none");
        stalled.push((response, send));
    }
    let message = vec![7; 600 * 1024];
    for _ in 0..3 {
        assert_eq!(caller.call(SAY, &message).await.messages, [&message[..]]);
    }
    open.add_permits(8);
}

#[tokio::test]
async fn draining_tells_in_two_steps_and_loses_nothing() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let servlet = Servlet::start(move |call: Call| {
        let gate = Arc::clone(&gate);
        async move {
            let _ = gate.acquire().await.unwrap();
            echo(call).await;
        }
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    caller.write(&frame(HEADERS, END_HEADERS, 1, &raw_http2::call(SAY))).await;
    servlet.called(1).await;
    let stopping = tokio::spawn(proxy.stop(Duration::from_secs(3600)));
    let first = caller.find(GOAWAY, 0).await.unwrap();
    assert_eq!((&first.payload[..4], code(&first)), (&[0x7f, 0xff, 0xff, 0xff][..], 0));
    let ping = caller.find(raw_http2::PING, 0).await.unwrap();
    // Sent before the caller could know: still served.
    caller.write(&frame(HEADERS, END_HEADERS, 3, &raw_http2::call(SAY))).await;
    caller.write(&frame(raw_http2::PING, 1, 0, &ping.payload)).await;
    let second = caller.find(GOAWAY, 0).await.unwrap();
    assert_eq!((&second.payload[..4], code(&second)), (&[0, 0, 0, 3][..], 0));
    open.add_permits(2);
    for stream in [1, 3] {
        caller.write(&frame(raw_http2::DATA, END_STREAM, stream, &framed(b"x"))).await;
        assert_eq!(caller.end_of(stream).await.unwrap().kind, HEADERS, "stream {stream}");
    }
    while caller.next().await.is_some() {}
    stopping.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_one_that_rests_in_a_call_is_not() {
    let servlet = Servlet::start(talk).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "idle_timeout: 150ms").await;
    let caller = Caller::connect(&proxy.address).await;
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, mut send) = ready.send_request(Caller::request(CHAT), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut idle = raw_http2::Caller::connect(&proxy.address).await;
    let told = idle.find(GOAWAY, 0).await.unwrap();
    assert_eq!(code(&told), 0);
    while idle.next().await.is_some() {}
    // By now the other has been without a frame for as long; its call is open.
    send.send_data(framed(b"x").into(), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), framed(b"x"));
    // Its idle time starts when its call ends: another may follow.
    assert!(body.trailers().await.unwrap().is_some());
    assert_eq!(caller.call(SAY, b"y").await.messages, [b"y"]);
    // HTTP/1 the same.
    let mut idle = http1::Caller::connect(&proxy.address).await;
    idle.write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 404);
    assert!(idle.answer().await.is_none());
}

#[tokio::test]
async fn a_reader_that_pauses_holds_its_servlet_back_and_nobody_else() {
    let sent = Arc::new(Mutex::new(0));
    let count = Arc::clone(&sent);
    let servlet = Servlet::start(move |mut call: Call| {
        let count = Arc::clone(&count);
        async move {
            if call.head.uri.path() == SAY {
                return echo(call).await;
            }
            call.read().await;
            let mut stream = call.begin();
            let message = Bytes::from(framed(&[0; 8 * 1024]));
            loop {
                stream.reserve_capacity(message.len());
                match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(Ok(_)) => stream.send_data(message.clone(), false).unwrap(),
                    _ => return,
                }
                *count.lock().unwrap() += message.len();
            }
        }
    })
    .await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    // Room on the connection for others beside a stream that it does not read.
    let socket = tokio::net::TcpStream::connect(&proxy.address).await.unwrap();
    let mut windows = h2::client::Builder::new();
    let (send, connection) = windows.initial_connection_window_size(8 << 20).handshake(socket).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let caller = Caller { send };
    let mut ready = caller.send.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(Caller::request("/echo.v1.Echo/Count"), true).unwrap();
    let paused = response.await.unwrap().into_body();
    // Calls go on beside it, until what the servlet could send has stood still for many of them.
    let mut before = 0;
    loop {
        for _ in 0..50 {
            assert_eq!(caller.call(SAY, b"y").await.messages, [b"y"]);
        }
        let now = *sent.lock().unwrap();
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < 4 << 20, "{before} bytes for a caller that reads none");
    drop(paused);
}
