//! Heads that break rules, or only seem to: each gets an answer in its caller's own dialect, or is counted where it can get none.

use tokio::net::UnixStream;

use crate::support::grpc::Caller;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::raw_http2::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, block, code, field, frame,
};
use crate::support::servlet::echo;
use crate::support::{Running, Servlet, framed, http1, http2};

const SAY: &str = "/echo.v1.Echo/Say";
const ENCODED: &str = "%2Frun%2Ftelamon%2Fin.sock";

/// A gRPC call's fields without an authority.
fn nobodys(path: &str) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

#[tokio::test]
async fn the_path_of_a_unix_socket_is_no_authority_and_no_fault() {
    for default_host in [None, Some("other.internal")] {
        let servlet = Servlet::start(echo).await;
        let named = Servlet::start(echo).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in.sock");
        let route = "schema: ../protos/echo.proto\nroutes: [{ match: { host: legacy.internal, path: \"/**\" }, call: echo.v1.Echo/Say }]\n";
        let files = [
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", ECHO),
            ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
            ("servlets/named.yaml", route),
            ("endpoints/named.yaml", &table(&[(&named.address, 1)])),
        ];
        let host = default_host.map_or_else(String::new, |host| format!(", default_host: {host}"));
        let listener = format!("  - {{ name: local, address: \"unix:{}\"{host} }}\n", path.display());
        let _proxy = Running::with_listeners(&files, &listener, "").await;
        let mut caller = raw_http2::Caller::over(UnixStream::connect(&path).await.unwrap()).await;
        let authority = |kept| [&[if kept { 0x41 } else { 0x01 }, ENCODED.len() as u8], ENCODED.as_bytes()].concat();
        let named_out = |kept| field(b":authority", ENCODED.as_bytes(), kept);
        // By the name's place in the table or by the name, kept or not; then by the place of what was kept.
        let heads =
            [authority(false), authority(true), vec![0x80 | 62], named_out(false), named_out(true), vec![0x80 | 63]];
        let calls = heads.len();
        for (index, head) in heads.into_iter().enumerate() {
            let stream = 1 + 2 * index as u32;
            caller.write(&frame(HEADERS, END_HEADERS, stream, &[head, nobodys(SAY)].concat())).await;
            caller.write(&frame(DATA, END_STREAM, stream, &framed(b"x"))).await;
            let end = caller.end_of(stream).await.unwrap();
            assert_eq!(end.kind, HEADERS, "call {index}");
        }
        // Without any host, routes are matched on path alone.
        let (asked, host) = if default_host.is_some() { (&servlet, "other.internal") } else { (&named, "named") };
        assert_eq!(asked.seen().len(), calls);
        for seen in asked.seen() {
            assert_eq!((seen.authority.as_deref(), &seen.body[..]), (Some(host), &framed(b"x")[..]));
        }
        // Beside a Host that says otherwise it is one too many, and none at all is still too few.
        let two = [authority(false), nobodys(SAY), field(b"host", b"a", false)].concat();
        for (stream, head) in [(101, two), (103, nobodys(SAY))] {
            caller.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)).await;
            assert!(caller.end_of(stream).await.is_some());
        }
        assert_eq!(asked.seen().len(), calls);
    }
}

#[tokio::test]
async fn who_asks_in_a_malformed_way_is_told_so_in_its_own_dialect() {
    let proxy = Running::echo(&[]).await;
    for (request, status, code) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "3"),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400, "3"),
        ("POST /v1/say HTTP/1.0\r\n\r\n", 411, "3"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501, "12"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nHost: b\r\n\r\n", 400, "3"),
    ] {
        let answer = http1::Caller::once(&proxy.address, request).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (status, Some(code)), "{request:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["code"].to_string(), code);
        assert_eq!(answer.header("grpc-message"), answer.json()["message"].as_str());
    }
    // Too large a head for our limit, not for the library's.
    let large = "y".repeat(70 * 1024);
    for (fields, status, code) in [(vec![("expect", "x")], 417, "3"), (vec![("x", large.as_str())], 431, "8")] {
        let request = || {
            fields
                .iter()
                .fold(http2::request("GET", "/v1/say/x"), |request, (name, value)| request.header(*name, *value))
        };
        let answer = http2::once(&proxy.address, request().body(()).unwrap(), b"").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.headers["grpc-status"].to_str().unwrap()), (status, code));
        assert_eq!(answer.json()["code"].to_string(), code);
        let request = request().method("POST").header("content-type", "application/grpc").body(()).unwrap();
        let answer = http2::once(&proxy.address, request, &framed(b"x")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.headers["grpc-status"].to_str().unwrap()), (200, code));
        assert!(answer.body.is_empty() && answer.trailers.is_none(), "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }
    let counted = proxy.metric("telamon_unrouted_requests_total{flag=\"head_too_large\",side=\"caller\"}").await;
    assert_eq!(counted, Some(2.0));
}

#[tokio::test]
async fn what_gets_no_answer_is_counted() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo_within(&[(&servlet.address, 1)], "streams: 2").await;
    let malformed = "telamon_unrouted_requests_total{flag=\"malformed_head\",side=\"caller\"}";
    let overloaded = "telamon_unrouted_requests_total{flag=\"overloaded\",side=\"proxy\"}";
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    let heads = [
        ([raw_http2::call(SAY), field(b"X-Upper", b"x", true)].concat(), RST_STREAM),
        ([raw_http2::call(SAY), field(b"", b"x\n", true)].concat(), RST_STREAM),
        // These are whole enough to be told.
        ([raw_http2::call(SAY), field(b"connection", b"x", false)].concat(), HEADERS),
        ([field(b":authority", b"a%zz", true), nobodys(SAY)].concat(), HEADERS),
        (block(&[(":method", "POST"), (":path", SAY), (":authority", "a")]), RST_STREAM),
    ];
    let count = heads.len();
    for (index, (head, end)) in heads.into_iter().enumerate() {
        let stream = 1 + 2 * index as u32;
        caller.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)).await;
        assert_eq!(caller.end_of(stream).await.unwrap().kind, end, "head {index}");
    }
    // A body that is not as long as it was said to be is its call's own affair.
    let promised = [raw_http2::call(SAY), field(b"content-length", b"3", false)].concat();
    caller.write(&frame(HEADERS, END_HEADERS, 101, &promised)).await;
    servlet.called(1).await;
    caller.write(&frame(DATA, END_STREAM, 101, &framed(b"x"))).await;
    assert!(caller.end_of(101).await.is_some());
    assert!(caller.lives(103, SAY).await);
    assert_eq!(proxy.metric(malformed).await, Some(count as f64));
    // One stream more than there may be.
    assert_eq!(proxy.metric(overloaded).await, Some(0.0));
    for stream in [105, 107, 109] {
        caller.write(&frame(HEADERS, END_HEADERS, stream, &raw_http2::call(SAY))).await;
    }
    assert_eq!(code(&caller.find(RST_STREAM, 109).await.unwrap()), 7);
    while proxy.metric(overloaded).await != Some(1.0) {}
    // A connection that ends for it counts once.
    caller.write(&frame(DATA, 0, 0, b"x")).await;
    assert!(caller.find(GOAWAY, 0).await.is_some());
    while proxy.metric(malformed).await != Some(count as f64 + 1.0) {}
}

#[tokio::test]
async fn head_is_get_without_the_body_where_a_unary_method_is_gotten() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let get = http1::Caller::once(&proxy.address, "GET /v1/say/you HTTP/1.0\r\n\r\n").await;
    for version in ["1.0", "1.1"] {
        let mut caller = http1::Caller::connect(&proxy.address).await;
        caller.write(format!("HEAD /v1/say/you HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let answer = caller.answer_to("HEAD").await.unwrap();
        assert_eq!(answer.status, 200);
        for name in ["content-type", "content-length"] {
            assert_eq!(answer.header(name), get.header(name), "{name}");
        }
        assert_eq!(caller.rest().await, (Vec::new(), true));
    }
    let answer =
        http2::once(&proxy.address, http2::request("HEAD", "/v1/say/you").body(()).unwrap(), b"").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-length"], get.header("content-length").unwrap());
    assert_eq!(servlet.calls(), 4);
    // A stream would run for nobody; elsewhere there is nothing to get.
    for (path, allow) in [("/v1/count/you", "GET"), ("/v1/chat", "POST")] {
        let mut caller = http1::Caller::connect(&proxy.address).await;
        caller.write(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answer = caller.answer_to("HEAD").await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{path}");
    }
    let answer = http1::Caller::once(&proxy.address, "PUT /v1/say/you HTTP/1.0\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(servlet.calls(), 4);
    assert_eq!(Caller::connect(&proxy.address).await.call(SAY, b"x").await.grpc_status(), "0");
}
