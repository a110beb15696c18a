//! HTTP/1.1: persistence, framing, expectations, refusals, and leaving well.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::support::http1::Caller;
use crate::support::{Call, Origin, Running, Servlet, framed, text_field};

/// Answers with the words it was sent; `slow` waits until the gate opens.
async fn parrot() -> (Servlet, mpsc::UnboundedSender<()>) {
    let (open, gate) = mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    let servlet = Servlet::start(move |mut call: Call| {
        let gate = Arc::clone(&gate);
        async move {
            let body = call.read().await;
            if body.ends_with(b"slow") {
                gate.lock().await.recv().await;
            }
            call.reply(&[&body[5..]], "0", None);
        }
    })
    .await;
    (servlet, open)
}

fn get(word: &str) -> String {
    format!("GET /v1/say/{word} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    for word in ["a", "b", "c"] {
        caller.write(get(word)).await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.json()["text"].as_str()), (200, Some(word)));
        assert_eq!((answer.header("connection"), answer.version.as_str()), (None, "HTTP/1.1"));
        assert!(answer.header("date").is_some());
    }
}

#[tokio::test]
async fn a_body_of_no_bytes_does_not_cost_the_connection() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..2 {
        caller.write("GET /v1/say/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    caller.write("GET /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().header("connection"), None);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let (servlet, gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    let post = "POST /v1/say HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\n{\"tex\r\n7\r\nt\":\"b\"}\r\n0\r\n\r\n";
    let last = "GET /v1/say/d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    caller.write(format!("{}{post}{}{last}", get("slow"), get("c"))).await;
    servlet.called(1).await;
    gate.send(()).unwrap();
    for word in ["slow", "b", "c", "d"] {
        assert_eq!(caller.answer().await.unwrap().json()["text"], word);
    }
    assert!(caller.answer().await.is_none(), "closed as asked");
    assert_eq!(servlet.calls(), 4);
}

#[tokio::test]
async fn a_pipelined_request_does_not_start_before_the_one_ahead_is_answered() {
    let (servlet, gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(format!("{}{}", get("slow"), get("next"))).await;
    servlet.called(1).await;
    // Another connection's call passes by: what is held is this connection's order alone.
    assert_eq!(Caller::once(&proxy.address, &get("other")).await.json()["text"], "other");
    assert_eq!(servlet.calls(), 2);
    gate.send(()).unwrap();
    assert_eq!(caller.answer().await.unwrap().json()["text"], "slow");
    assert_eq!(caller.answer().await.unwrap().json()["text"], "next");
}

#[tokio::test]
async fn a_chunked_body_may_be_split_anywhere() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let body = "3;ext=\"1\"\r\n{\"t\r\n0a\r\next\":\"you\"\r\n1\r\n}\r\n0\r\nX-Trailer: t\r\nHost: evil\r\n\r\n";
    let request = format!("POST /v1/say HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n{body}");
    let mut caller = Caller::connect(&proxy.address).await;
    for at in (1..request.len()).step_by(3) {
        caller.write(&request[..at]).await;
        tokio::task::yield_now().await;
        caller.write(&request[at..]).await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.json()["text"].as_str()), (200, Some("you")), "split at {at}");
    }
    for byte in request.as_bytes() {
        caller.write([*byte]).await;
    }
    assert_eq!(caller.answer().await.unwrap().json()["text"], "you");
}

#[tokio::test]
async fn trailers_of_a_chunked_body_reach_an_untranslated_servlet_without_the_forbidden() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    let answer = Caller::once(
        &proxy.address,
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         2\r\nab\r\n0\r\nX-Sum: 7\r\nHost: evil\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    assert_eq!((answer.status, answer.text()), (200, "ab"));
    let taken = origin.taken();
    assert_eq!((taken[0].field("host"), taken[0].field("content-length")), (Some("a"), None));
    assert_eq!(origin.unclean(), Vec::<String>::new());
}

#[tokio::test]
async fn a_100_comes_when_the_body_is_wanted() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    let head = "POST /v1/say HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\nExpect: 100-Continue\r\n\r\n";
    for _ in 0..2 {
        caller.write(head).await;
        let interim = caller.answer().await.unwrap();
        assert_eq!((interim.status, interim.headers.len()), (100, 0));
        caller.write("{\"text\":\"you\"}").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.json()["text"].as_str()), (200, Some("you")));
    }
    // One that does not wait gets none, and one without a body has nothing to wait for.
    caller.write(format!("{head}{{\"text\":\"you\"}}")).await;
    assert_eq!(caller.answer().await.unwrap().status, 200);
    caller.write("GET /v1/say/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_final_answer_spares_the_100_and_the_body() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for (target, status) in [("/nowhere", 404), ("/v1/say/x", 405)] {
        let mut caller = Caller::connect(&proxy.address).await;
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n");
        caller.write(head).await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
        assert!(caller.answer().await.is_none());
    }
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST /v1/say HTTP/1.0\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n").await;
    caller.write("{\"text\":\"you\"}").await;
    assert_eq!(caller.answer().await.unwrap().status, 200, "never a 100 to 1.0");
}

#[tokio::test]
async fn what_cannot_be_a_request_is_refused_and_the_connection_closed() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024));
    let cases = [
        ("GET /v1/say/x HTTP/1.1\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: \r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", 400),
        ("GET /v1/say/x HTTP/1.1\nHost: a\n\n", 400),
        ("GET http://u@a/v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
        ("POST /v1/say HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /v1/say HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: miracles\r\n\r\n", 417),
        ("POST /v1/say HTTP/1.0\r\n\r\n", 411),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505),
        (&many, 431),
        (&long, 431),
    ];
    for (request, status) in cases {
        let start = &request[..request.len().min(90)];
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(request).await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{start:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{start:?}");
        assert!(caller.answer().await.is_none(), "{start:?}");
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn no_byte_after_a_refused_request_is_read_as_another() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(format!("GET / HTTP/1.1\r\n\r\n{}", get("smuggled"))).await;
    assert_eq!(caller.answer().await.unwrap().status, 400);
    assert!(caller.answer().await.is_none());
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn the_absolute_form_wins_over_host() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    for (target, host, seen) in [
        ("http://real.test/p?q=1", "other.test", "/p?q=1"),
        ("HTTP://real.test", "other.test", "/"),
        ("http://real.test:/p", "real.test", "/p"),
        ("https://real.test?q", "real.test", "/?q"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(Caller::once(&proxy.address, &request).await.status, 200);
        let taken = origin.taken();
        assert_eq!((taken[0].target(), taken[0].field("host")), (seen, Some("real.test")), "{target}");
    }
}

#[tokio::test]
async fn head_has_a_head_alone_and_options_may_ask_for_everything() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    let answer = caller.answer_to("HEAD").await.unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("3")));
    caller.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 200, "the connection goes on behind a HEAD");
    caller.write("GET * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 400);
    assert_eq!(origin.taken().len(), 2);

    let options = Caller::once(&proxy.address, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(matches!(options.status, 200 | 404), "{options:?}");
}

#[tokio::test]
async fn an_answer_that_did_not_wait_for_the_body_arrives_whole() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let body = vec![b'x'; 1 << 20];
    for _ in 0..20 {
        let mut caller = Caller::connect(&proxy.address).await;
        let head = format!("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        caller.write(head).await;
        // Goes on sending, as clients do that look for the answer only when they are done. The proxy may hang up meanwhile.
        let _ = caller.socket.write_all(&body).await;
        let answer = caller.answer().await.expect("the answer was destroyed");
        assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
        assert!(answer.json()["message"].is_string());
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_413() {
    let (servlet, _gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let size = 5 << 20;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(format!("POST /v1/say HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{{\"text\":\"")).await;
    // A reset in the middle is a failure to many clients, answer or not.
    caller.socket.write_all(&vec![b'x'; size]).await.expect("taken");
    assert_eq!(caller.answer().await.expect("an answer").status, 413);
    assert!(servlet.seen().iter().all(|seen| !seen.whole));
}

#[tokio::test]
async fn a_stream_goes_in_chunks_item_by_item_and_the_connection_goes_on() {
    let (servlet, send) = Servlet::prompted().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    send.send("one").unwrap();
    let head = caller.until("\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("connection: close"), "{head}");
    caller.until("[{\"text\":\"one\"}\r\n").await;
    send.send("two").unwrap();
    caller.until(",{\"text\":\"two\"}\r\n").await;
    drop(send);
    assert_eq!(caller.until("\r\n0\r\n\r\n").await, "1\r\n]\r\n0\r\n\r\n");
    caller.write("GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().text(), "[]");
}

#[tokio::test]
async fn draining_closes_behind_the_answer_and_the_idle() {
    let (servlet, gate) = parrot().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut idle = Caller::connect(&proxy.address).await;
    idle.write(get("a")).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut busy = Caller::connect(&proxy.address).await;
    busy.write(get("slow")).await;
    servlet.called(2).await;
    let stopping = tokio::spawn(proxy.stop(Duration::from_secs(3600)));
    assert!(idle.answer().await.is_none(), "an idle connection is closed");
    gate.send(()).unwrap();
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(busy.answer().await.is_none());
    stopping.await.unwrap();
}

/// Tells what becomes of its one call, after `first` bytes of an answer.
async fn waiting(first: Option<&'static str>) -> (Servlet, oneshot::Receiver<()>) {
    let (sender, receiver) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let servlet = Servlet::start(move |mut call: Call| {
        let sender = sender.lock().unwrap().take().unwrap();
        async move {
            let mut _stream = None;
            if let Some(first) = first {
                call.read().await;
                let mut stream = call.begin();
                stream.send_data(framed(&text_field(1, first)).into(), false).unwrap();
                let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                _stream = Some(stream);
            } else {
                call.reset().await;
            }
            sender.send(()).unwrap();
        }
    })
    .await;
    (servlet, receiver)
}

#[tokio::test]
async fn a_caller_that_vanishes_cancels_its_call() {
    for (request, leaves_by_fin) in [
        (get("x"), true),
        (get("x"), false),
        ("GET /v1/say/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(), false),
        ("POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n[{},".into(), true),
        ("POST /v1/join HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n[{},".into(), false),
        ("POST /v1/join HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{},\r\n".into(), true),
    ] {
        let (servlet, reset) = waiting(None).await;
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(&request).await;
        servlet.called(1).await;
        if leaves_by_fin {
            drop(caller)
        } else {
            caller.vanish()
        }
        reset.await.unwrap();
        proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0).await;
    }
}

#[tokio::test]
async fn a_caller_that_vanishes_while_the_servlet_streams_cancels_its_call() {
    for leaves_by_fin in [true, false] {
        let (servlet, reset) = waiting(Some("one")).await;
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write("GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        caller.until("one").await;
        if leaves_by_fin {
            drop(caller)
        } else {
            caller.vanish()
        }
        reset.await.unwrap();
    }
}

/// An HTTP/1 servlet that gives its one connection away when the head of a request is read.
async fn by_hand() -> (String, oneshot::Receiver<tokio::net::TcpStream>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.unwrap();
            head.push(byte[0]);
        }
        sender.send(socket).unwrap();
        std::future::pending::<()>().await;
    });
    (address, receiver)
}

#[tokio::test]
async fn an_upload_goes_on_while_its_answer_comes() {
    let (address, servlet) = by_hand().await;
    let proxy = Running::plain(&address).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut servlet = servlet.await.unwrap();
    servlet.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    caller.until("\r\n\r\n").await;
    for _ in 0..5 {
        caller.write("4\r\nping\r\n").await;
        let mut piece = [0; 9];
        servlet.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"4\r\nping\r\n");
        servlet.write_all(b"4\r\npong\r\n").await.unwrap();
        caller.until("4\r\npong\r\n").await;
    }
    caller.write("0\r\n\r\n").await;
    let mut end = [0; 5];
    servlet.read_exact(&mut end).await.unwrap();
    servlet.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(caller.rest().await, (b"0\r\n\r\n".to_vec(), true));
}

#[tokio::test]
async fn a_caller_that_vanishes_cancels_an_untranslated_call_whatever_it_has_sent() {
    let whole = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    for (head, body, leaves_by_fin) in [
        (whole, "abcd", true),
        (whole, "abcd", false),
        (whole, "ab", true),
        (whole, "ab", false),
        ("POST /x HTTP/1.0\r\nContent-Length: 4\r\n\r\n", "abcd", false),
        ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "", true),
    ] {
        let (address, servlet) = by_hand().await;
        let proxy = Running::plain(&address).await;
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(head).await;
        let mut servlet = servlet.await.unwrap();
        caller.write(body).await;
        servlet.read_exact(&mut vec![0; body.len()]).await.unwrap();
        if leaves_by_fin {
            drop(caller)
        } else {
            caller.vanish()
        }
        // The servlet sees its connection end.
        assert!(matches!(servlet.read(&mut [0]).await, Ok(0) | Err(_)), "{head:?} {body:?}");
    }
}
