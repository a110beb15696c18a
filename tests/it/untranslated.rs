//! `upstream: http1` and `http2`: HTTP to HTTP, as it came, but for what belongs to a hop.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::frames::{self, Frames};
use crate::support::http1::{Answer, Caller};
use crate::support::origin::{Origin, Wire};
use crate::support::proxy::table;
use crate::support::{Call, Running, Servlet, http2, until};

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub async fn proxy(address: &str, upstream: &str, more: &str) -> Running {
    let servlet = format!("upstream: {upstream}\nroutes: [{{ match: {{ path: \"/**\" }} }}]\n{more}");
    Running::with(&[("servlets/old.yaml", &servlet), ("endpoints/old.yaml", &table(&[(address, 1)]))], "").await
}

/// Waits until nothing is in flight, as every scenario must end.
pub async fn rests(proxy: &Running) {
    proxy.at_rest("old").await;
}

pub async fn ask(proxy: &Running, request: &str) -> Answer {
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write(request).await;
    let method = request.split(' ').next().unwrap();
    caller.answer_to(method).await.expect("an answer")
}

#[tokio::test]
async fn methods_targets_and_fields_go_through_as_they_came() {
    let origin = Origin::always(OK).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let request = format!(
            "{method} /a%2Fb/c;d?x=%20&y HTTP/1.1\r\nHost: old.example.com:80\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(ask(&proxy, &request).await.text(), "ok", "{method}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!(asked.line, format!("{method} /a%2Fb/c;d?x=%20&y HTTP/1.1"));
        assert_eq!(asked.field("host"), Some("old.example.com:80"));
        assert_eq!(asked.all("x-one"), ["1", "2"]);
    }
    rests(&proxy).await;
}

#[tokio::test]
async fn bodies_of_every_framing_arrive_whole_from_every_version() {
    let origin = Origin::always(OK).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let cases = [
        ("POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", Some("5"), None),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Some("5"), None),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n",
            None,
            Some("chunked"),
        ),
    ];
    for (request, length, coding) in cases {
        assert_eq!(ask(&proxy, request).await.text(), "ok", "{request:?}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!(asked.body, b"hello", "{request:?}");
        assert_eq!((asked.field("content-length"), asked.field("transfer-encoding")), (length, coding), "{request:?}");
    }
    for length in [Some("5"), None] {
        let mut request = http2::request("POST", "/x");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let answer = http2::once(&proxy.address, request.body(()).unwrap(), b"hello").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok"));
        let asked = origin.asked().pop().unwrap();
        assert_eq!((&*asked.body, asked.field("content-length")), (&b"hello"[..], length));
        assert_eq!(asked.field("transfer-encoding").is_some(), length.is_none());
    }
    // Without a body, none is announced; an empty one keeps its length.
    let bodiless = [
        ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("GET /x HTTP/1.0\r\n\r\n", None),
        ("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ];
    for (request, length) in bodiless {
        assert_eq!(ask(&proxy, request).await.status, 200);
        let asked = origin.asked().pop().unwrap();
        assert_eq!((asked.field("content-length"), asked.field("transfer-encoding")), (length, None), "{request:?}");
    }
    rests(&proxy).await;
}

#[tokio::test]
async fn answers_without_a_body_keep_their_fields() {
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"a\"\r\n\r\n", 200, Some("1234")),
        ("GET", "HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"a\"\r\n\r\n", 304, Some("1234")),
        (
            "GET",
            "HTTP/1.1 301 Moved\r\nLocation: http://a/b\r\nContent-Length: 0\r\nETag: \"a\"\r\n\r\n",
            301,
            Some("0"),
        ),
    ];
    for (method, reply, status, length) in cases {
        let origin = Origin::always(reply).await;
        let proxy = proxy(&origin.address, "http1", "").await;
        for version in ["1.0", "1.1"] {
            let mut caller = Caller::connect(&proxy.address).await;
            for _ in 0..2 {
                let keep = if version == "1.0" { "Connection: keep-alive\r\n" } else { "" };
                caller.write(format!("{method} / HTTP/{version}\r\nHost: a\r\n{keep}\r\n")).await;
                let answer = caller.answer_to(method).await.unwrap();
                assert_eq!((answer.status, answer.header("content-length")), (status, length), "{method} {version}");
                assert_eq!(answer.header("etag"), Some("\"a\""));
                assert_eq!(answer.header("transfer-encoding"), None);
            }
        }
        let answer = http2::once(&proxy.address, http2::request(method, "/").body(()).unwrap(), b"").await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers.get("content-length").map(|value| value.to_str().unwrap()), length, "{method}");
        assert!(answer.body.is_empty());
        assert!(origin.connections() <= 2, "kept, one a worker: {}", origin.connections());
        rests(&proxy).await;
    }
}

#[tokio::test]
async fn cookies_stay_apart_and_what_belongs_to_the_hop_stays_there() {
    let origin = Origin::always(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\r\nok",
    )
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller
        .write("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nCookie: a=1; b=2\r\n\r\n")
        .await;
    let (bytes, _) = caller.rest().await;
    let text = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    assert!(text.contains("set-cookie: a=1; path=/\r\n") && text.contains("set-cookie: b=2\r\n"), "{text}");
    assert!(!text.contains("x-hop") && !text.contains("keep-alive") && !text.contains("proxy-connection"), "{text}");
    let asked = &origin.asked()[0];
    for gone in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(asked.field(gone), None, "{gone}");
    }
    assert_eq!(asked.field("cookie"), Some("a=1; b=2"));

    let request = http2::request("GET", "/").header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
    let answer = http2::once(&proxy.address, request, b"").await.unwrap();
    assert_eq!(answer.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1; Path=/", "b=2"]);
    let asked = &origin.asked()[1];
    assert_eq!((asked.field("cookie"), asked.field("host")), (Some("a=1; b=2"), Some("proxy.test")));
    rests(&proxy).await;
}

#[tokio::test]
async fn who_called_is_told_anew_for_strangers_and_added_to_for_trusted_peers() {
    let origin = Origin::always(OK).await;
    let files = [
        ("servlets/old.yaml", "upstream: http1\nroutes: [{ match: { path: \"/**\" } }]\n".to_owned()),
        ("endpoints/old.yaml", table(&[(&origin.address, 1)])),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let strange = Running::with(&files, "").await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-User: root\r\n\r\n";
    ask(&strange, request).await;
    let asked = origin.asked().pop().unwrap();
    assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.field("x-forwarded-proto"), Some("http"));
    assert_eq!((asked.field("x-forwarded-host"), asked.field("x-forwarded-user")), (Some("a"), None));

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    strange.write(
        "telamon.yaml",
        &format!(
            "listeners: [{{ name: in, address: \"127.0.0.1:{port}\", trusted_peers: [127.0.0.0/8] }}]\nservlets: servlets/\n"
        ),
    );
    let file = strange.path("telamon.yaml");
    let process = tokio::task::spawn_blocking(move || telamon::app::Process::start(&file).unwrap()).await.unwrap();
    Caller::once(&format!("127.0.0.1:{port}"), &request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let asked = origin.asked().pop().unwrap();
    assert_eq!(asked.field("x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert_eq!(asked.field("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.field("x-forwarded-user"), Some("root"));
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
}

#[tokio::test]
async fn connections_to_the_origin_are_kept() {
    let origin = Origin::always(OK).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..20 {
        caller.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    rests(&proxy).await;
}

/// Answers the first request of each connection; the connection dies under the second.
async fn closing() -> Origin {
    Origin::start(|mut wire: Wire| async move {
        wire.request().await;
        wire.write(OK).await;
        wire.request().await;
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_gone_around_for_what_may_be_sent_twice() {
    let origin = closing().await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        caller.write(request).await;
        assert_eq!(caller.answer().await.unwrap().text(), "ok", "{request:?}");
    }
    let bodies: Vec<Vec<u8>> = origin.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies.len(), 5, "each after the first was asked twice");
    assert_eq!((&*bodies[3], &*bodies[4]), (&b"body"[..], &b"body"[..]));
    caller.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce").await;
    let answer = caller.answer().await.unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(origin.asked().iter().filter(|asked| asked.body == b"once").count(), 1);
    rests(&proxy).await;
}

#[tokio::test]
async fn a_kept_connection_is_let_go_when_it_is_not_used() {
    let origin = Origin::start(|mut wire: Wire| async move {
        while wire.request().await.is_some() {
            wire.write(OK).await;
        }
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "endpoint_idle: 20ms\n").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for asked in 1..3 {
        caller.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().text(), "ok");
        // No call is needed for that.
        until(|| origin.ended() == asked).await;
    }
    assert_eq!(origin.connections(), 2);
    rests(&proxy).await;
}

#[tokio::test]
async fn a_quiet_http2_connection_that_closes_is_gone_around_for_what_may_be_sent_twice() {
    let servlet = frames::Server::start(&[], |mut wire: Frames| async move {
        for _ in 0..2 {
            // The connection dies under its third call, without a word.
            let Some(stream) = wire.call().await else { return };
            wire.head(stream, true, &[(":status", "204")]).await;
        }
        wire.call().await;
    })
    .await;
    let proxy = proxy(&servlet.address, "http2", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..10 {
        caller.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().status, 204);
    }
    let mut told = Vec::new();
    for _ in 0..6 {
        caller.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce").await;
        told.push(caller.answer().await.unwrap().status);
    }
    assert!(told.contains(&502) && told.iter().all(|status| [204, 502].contains(status)), "{told:?}");
    rests(&proxy).await;
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_told() {
    let origin = Origin::start(|mut wire: Wire| async move { drop(wire.request().await) }).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/json")));
    assert_eq!(origin.asked().len(), 1);
    rests(&proxy).await;
}

#[tokio::test]
async fn an_origin_of_1_0_ends_its_answer_by_closing() {
    let origin = Origin::once("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end").await;
    let proxy = proxy(&origin.address, "http1", "").await;
    for version in ["1.0", "1.1"] {
        let answer = ask(&proxy, &format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.text(), "until the end", "{version}");
    }
    let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await.unwrap();
    assert_eq!(answer.text(), "until the end");
    rests(&proxy).await;
}

#[tokio::test]
async fn a_cut_body_never_looks_whole() {
    let cuts = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n",
    ];
    for cut in cuts {
        let origin = Origin::once(cut).await;
        let proxy = proxy(&origin.address, "http1", "").await;
        for version in ["1.0", "1.1"] {
            let mut caller = Caller::connect(&proxy.address).await;
            caller.write(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
            let (bytes, clean) = caller.rest().await;
            let text = String::from_utf8(bytes).unwrap();
            let whole = clean && text.contains("200 OK") && !text.to_ascii_lowercase().contains("content-length: 100");
            assert!(!whole && !text.contains("\r\n0\r\n"), "{version} {cut:?}: {text:?}");
        }
        let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await;
        assert!(is_broken(&answer), "{answer:?}");
        rests(&proxy).await;
    }
}

/// Its stream was reset, or it is told as an error.
fn is_broken(answer: &Result<http2::Answer, h2::Error>) -> bool {
    answer.as_ref().map_or(true, |answer| answer.status.as_u16() == 502)
}

#[tokio::test]
async fn malformed_answers_are_502_and_their_connection_is_not_used_again() {
    let bad = [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ];
    for reply in bad {
        let origin = Origin::always(reply).await;
        let proxy = proxy(&origin.address, "http1", "").await;
        for _ in 0..2 {
            let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(answer.status, 502, "{reply:?}: {}", answer.text());
        }
        let connections: Vec<usize> = origin.asked().iter().map(|asked| asked.connection).collect();
        assert_eq!(connections, [0, 1], "{reply:?}");
        rests(&proxy).await;
    }
}

#[tokio::test]
async fn bytes_after_an_answer_are_no_answer_to_the_next_request() {
    let origin = Origin::start(|mut wire: Wire| async move {
        while wire.request().await.is_some() {
            wire.write(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            )
            .await;
        }
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..5 {
        caller.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.answer().await.unwrap().text(), "ok");
    }
    rests(&proxy).await;
}

#[tokio::test]
async fn trailers_go_both_ways_when_they_were_announced() {
    let origin = Origin::always(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=1\r\n\r\n",
    )
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-In\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-In: 1\r\nAuthorization: me\r\n\r\n";
    let answer = ask(&proxy, request).await;
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.trailers.get("x-sum").map(String::as_str), Some("7"));
    assert_eq!(answer.trailers.len(), 1, "{:?}", answer.trailers);
    let asked = origin.asked().pop().unwrap();
    assert_eq!(asked.field("authorization"), None);
    assert!(asked.trailers.iter().all(|(name, _)| name == "x-in"), "{:?}", asked.trailers);
    let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await.unwrap();
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &"7".parse::<http::HeaderValue>().unwrap()));
    // HTTP/1.0 has none, and sees a whole answer all the same.
    assert_eq!(ask(&proxy, "GET / HTTP/1.0\r\n\r\n").await.text(), "ok");
    rests(&proxy).await;
}

#[tokio::test]
async fn connections_to_one_endpoint_are_bounded_and_calls_wait_for_them() {
    let origin = Origin::start(|mut wire: Wire| async move {
        while wire.request().await.is_some() {
            tokio::task::yield_now().await;
            wire.write(OK).await;
        }
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "endpoint_connections: 2\n").await;
    let mut send = http2::connect(&proxy.address).await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        send = send.ready().await.unwrap();
        let (response, _) = send.send_request(http2::request("GET", "/").body(()).unwrap(), true).unwrap();
        answers.push(tokio::spawn(http2::read(response)));
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().text(), "ok");
    }
    assert!(origin.connections() <= 2, "{}", origin.connections());
    rests(&proxy).await;
}

#[tokio::test]
async fn a_wait_for_a_connection_has_an_end() {
    let origin = Origin::start(|mut wire: Wire| async move {
        wire.request().await;
        let mut byte = [0];
        let _ = wire.socket.read(&mut byte).await;
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "endpoint_connections: 1\nqueue_timeout: 50ms\n").await;
    // One connection of ours is one worker's.
    let send = http2::connect(&proxy.address).await;
    let get = || http2::request("GET", "/").body(()).unwrap();
    let (first, _) = send.clone().ready().await.unwrap().send_request(get(), true).unwrap();
    until(|| origin.asked().len() == 1).await;
    for _ in 0..3 {
        let (late, _) = send.clone().ready().await.unwrap().send_request(get(), true).unwrap();
        let answer = http2::read(late).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    assert_eq!(origin.asked().len(), 1);
    drop((first, send));
    rests(&proxy).await;
}

#[tokio::test]
async fn a_caller_that_leaves_frees_its_connection_and_its_place() {
    let origin = Origin::start(|mut wire: Wire| async move {
        wire.request().await;
        let mut byte = [0];
        let _ = wire.socket.read(&mut byte).await;
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "endpoint_connections: 1\n").await;
    for asked in 1..4 {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(|| origin.asked().len() == asked).await;
        drop(caller);
        rests(&proxy).await;
    }
}

#[tokio::test]
async fn http2_servlets_are_reached_untranslated_from_every_version() {
    let servlet = Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        let mut head = http::Response::builder().status(201).body(()).unwrap();
        head.headers_mut().append("set-cookie", "a=1".parse().unwrap());
        head.headers_mut().append("set-cookie", "b=2".parse().unwrap());
        let mut send = call.respond.send_response(head, false).unwrap();
        send.send_data(body.into(), true).unwrap();
    })
    .await;
    let proxy = proxy(&servlet.address, "http2", "").await;
    for version in ["1.0", "1.1"] {
        let request = format!(
            "PUT /a%20b?c HTTP/{version}\r\nHost: old.test\r\nContent-Length: 5\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\n\r\nhello"
        );
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!((answer.status, answer.text()), (201, "hello"), "{version}");
        assert_eq!(answer.header("set-cookie"), Some("a=1, b=2"));
        let seen = servlet.seen().pop().unwrap();
        assert_eq!((&*seen.path, seen.authority.as_deref()), ("/a%20b", Some("old.test")));
        assert!(seen.whole && !seen.headers.contains_key("x-mine") && !seen.headers.contains_key("host"));
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    }
    let request = http2::request("POST", "/two").header("te", "trailers").body(()).unwrap();
    let answer = http2::once(&proxy.address, request, b"body").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text()), (201, "body"));
    rests(&proxy).await;
}

#[tokio::test]
async fn an_http2_answer_that_is_cut_never_looks_whole() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut send = call.respond.send_response(http::Response::new(()), false).unwrap();
        send.send_data("half".into(), false).unwrap();
        until_sent(&mut send).await;
        send.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    let proxy = proxy(&servlet.address, "http2", "").await;
    for version in ["1.0", "1.1"] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        let (bytes, clean) = caller.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(!clean || !text.contains("200 OK"), "{version}: {text:?}");
        assert!(!text.contains("\r\n0\r\n"));
    }
    let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await;
    assert!(is_broken(&answer), "{answer:?}");
    rests(&proxy).await;
}

/// Lets the connection's task write what is queued.
async fn until_sent(_send: &mut h2::SendStream<bytes::Bytes>) {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_large_body_passes_both_ways_at_the_readers_pace() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 256;
    let origin = Origin::start(|mut wire: Wire| async move {
        let Some(_) = wire.head().await else { return };
        wire.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECE * PIECES)).await;
        // Echoes as it comes: neither side could hold it all.
        for _ in 0..PIECES {
            let Some(piece) = wire.exactly(PIECE).await else { return };
            wire.write(piece).await;
        }
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let caller = Caller::connect(&proxy.address).await;
    let (mut read, mut write) = caller.socket.into_split();
    let writing = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", PIECE * PIECES);
        write.write_all(head.as_bytes()).await.unwrap();
        for index in 0..PIECES {
            write.write_all(&vec![u8::try_from(index).unwrap(); PIECE]).await.unwrap();
        }
        write
    });
    let mut all = Vec::new();
    while all.len() < PIECE * PIECES {
        let mut buffer = vec![0; 64 * 1024];
        let count = read.read(&mut buffer).await.unwrap();
        assert!(count > 0, "broke after {}", all.len());
        all.extend_from_slice(&buffer[..count]);
    }
    let start = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    while all.len() < start + PIECE * PIECES {
        let mut buffer = vec![0; 64 * 1024];
        let count = read.read(&mut buffer).await.unwrap();
        assert!(count > 0);
        all.extend_from_slice(&buffer[..count]);
    }
    let body = &all[start..];
    assert!(body.chunks(PIECE).enumerate().all(|(index, piece)| piece.iter().all(|byte| usize::from(*byte) == index)));
    drop(writing.await.unwrap());
    rests(&proxy).await;
}

#[tokio::test]
async fn an_answer_before_the_body_is_read_reaches_the_caller() {
    let origin = Origin::start(|mut wire: Wire| async move {
        if wire.head().await.is_none() {
            return;
        }
        wire.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
        // Reads on, as a careful server does, so that its answer is not destroyed by a reset.
        let mut buffer = [0; 4096];
        while matches!(wire.socket.read(&mut buffer).await, Ok(1..)) {}
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    for _ in 0..3 {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nhalf").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.text()), (413, "big"));
        assert!(caller.rest().await.0.is_empty());
    }
    rests(&proxy).await;
}
