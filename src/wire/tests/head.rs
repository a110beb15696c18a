//! Heads: each rule with what passes it and what does not.

use bytes::BytesMut;
use http::{HeaderValue, Method, Version};

use crate::model::{Fault, Kind, Stage};
use crate::wire::{Framing, HeadLimits, RequestHead, RequestParser};

fn parse_with(limits: HeadLimits, text: &[u8], default_host: Option<&str>) -> Result<Option<RequestHead>, Fault> {
    let default_host = default_host.map(|host| HeaderValue::from_str(host).unwrap());
    RequestParser::new(limits).parse(&mut BytesMut::from(text), default_host.as_ref())
}

fn parse(text: &str) -> Result<Option<RequestHead>, Fault> {
    parse_with(HeadLimits::default(), text.as_bytes(), None)
}

/// A head that is whole and good.
fn head(text: &str) -> RequestHead {
    parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}")).unwrap_or_else(|| panic!("{text:?}: not whole"))
}

fn kind(text: &str) -> Kind {
    let fault = parse(text).expect_err(text);
    assert_eq!(fault.stage, Stage::Head);
    fault.kind
}

/// The fields of a head as text, in order.
fn fields(head: &RequestHead) -> Vec<(&str, &str)> {
    head.request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn a_head_has_one_shape() {
    let head =
        head("POST /a?b HTTP/1.1\r\nHost: a.example:80\r\nX-A: 1 \r\nX-a:\t2\r\nX-B:\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(head.request.method(), Method::POST);
    assert_eq!(head.request.uri(), "/a?b");
    assert_eq!(head.request.version(), Version::HTTP_11);
    assert_eq!(fields(&head), [("x-a", "1"), ("x-a", "2"), ("x-b", ""), ("host", "a.example:80")]);
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive && !head.expects_continue && !head.accepts_trailers && head.upgrade.is_none());
}

#[test]
fn only_the_head_is_taken() {
    let mut buf = BytesMut::from("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\nGET");
    let mut parser = RequestParser::new(HeadLimits::default());
    assert_eq!(parser.parse(&mut buf, None).unwrap().unwrap().request.uri(), "/1");
    assert_eq!(parser.parse(&mut buf, None).unwrap().unwrap().request.uri(), "/2");
    assert!(parser.parse(&mut buf, None).unwrap().is_none());
    assert_eq!(buf, "GET");
}

#[test]
fn syntax_is_strict() {
    let host = "Host: a\r\n";
    let cases = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(Y): a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
    ];
    for text in cases {
        assert_eq!(kind(text), Kind::MalformedHead, "{text:?}");
    }
    head(&format!("GET / HTTP/1.1\r\n{host}X: a\tb\r\n\r\n"));
    head(&format!("M-SEARCH!#$ / HTTP/1.1\r\n{host}X!#$%&'*+-.^_`|~1: a\r\n\r\n"));
}

#[test]
fn field_values_may_hold_bytes_over_ascii() {
    let head =
        parse_with(HeadLimits::default(), b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n", None).unwrap().unwrap();
    assert_eq!(head.request.headers()["x"].as_bytes(), b"\xe9\xff");
}

#[test]
fn versions() {
    for (line, expected) in [
        ("GET / HTTP/2.0", Kind::UnsupportedVersion),
        ("PRI * HTTP/2.0", Kind::UnsupportedVersion),
        ("GET / HTTP/3.0", Kind::UnsupportedVersion),
        ("GET / HTTP/1.2", Kind::UnsupportedVersion),
        ("GET / HTTP/0.9", Kind::MalformedHead),
        ("GET /", Kind::MalformedHead),
        ("GET", Kind::MalformedHead),
        ("GET / http/1.1", Kind::MalformedHead),
        ("GET / HTTP/1.10", Kind::MalformedHead),
        ("GET / HTTP/11", Kind::MalformedHead),
        ("GET / HTTP/1,1", Kind::MalformedHead),
        ("GET / ICAP/1.0", Kind::MalformedHead),
    ] {
        assert_eq!(kind(&format!("{line}\r\n")), expected, "{line}: told at its first line");
    }
}

#[test]
fn what_can_be_refused_early_is() {
    for text in
        ["\x16\x03\x01", "GET / HTTP/1.1\r\nX: \x01", "\n", "GET /\n", "GET / HTTP/1.1\r\nA: b\r\r", "\r\r", "\rG"]
    {
        assert_eq!(kind(text), Kind::MalformedHead, "{text:?}");
    }
    for text in
        ["", "\r", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"]
    {
        assert!(parse(text).unwrap().is_none(), "{text:?}");
    }
}

#[test]
fn one_empty_line_before_a_request_is_passed_over() {
    assert_eq!(head("\r\nGET / HTTP/1.0\r\n\r\n").request.uri(), "/");
    assert_eq!(kind("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), Kind::MalformedHead);
    assert_eq!(kind("\nGET / HTTP/1.0\r\n\r\n"), Kind::MalformedHead);

    let mut buf = BytesMut::from("\r\nGET /1 HTTP/1.0\r\n\r\n\r\nGET /2 HTTP/1.0\r\n\r\n\r\n\r\n");
    let mut parser = RequestParser::new(HeadLimits::default());
    assert_eq!(parser.parse(&mut buf, None).unwrap().unwrap().request.uri(), "/1");
    assert_eq!(parser.parse(&mut buf, None).unwrap().unwrap().request.uri(), "/2");
    assert_eq!(parser.parse(&mut buf, None).unwrap_err().kind, Kind::MalformedHead);
}

#[test]
fn limits_hold_before_the_head_is_whole() {
    let small = HeadLimits { bytes: 64, fields: 3 };
    let fits = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(64 - 16 - 9 - 3 - 4));
    assert_eq!(fits.len(), 64);
    assert!(parse_with(small, fits.as_bytes(), None).unwrap().is_some());
    let pipelined = format!("{fits}GET / HTTP/1.1\r\n");
    assert!(parse_with(small, pipelined.as_bytes(), None).unwrap().is_some(), "what follows does not count");

    let longer = fits.replace("X: ", "X: x");
    for text in [&longer, &longer[..64], &"x".repeat(64)] {
        let fault = parse_with(small, text.as_bytes(), None).unwrap_err();
        assert_eq!(fault.kind, Kind::HeadTooLarge, "{text:?}");
        assert_eq!(fault.message, "the request head is over the limit of 64 bytes (`limits.header_size`)");
    }
    assert!(parse_with(small, &longer.as_bytes()[..63], None).unwrap().is_none());

    let three = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n";
    assert!(parse_with(small, format!("{three}\r\n").as_bytes(), None).unwrap().is_some());
    let fault = parse_with(small, format!("{three}A: b\r\n").as_bytes(), None).unwrap_err();
    assert_eq!(fault.kind, Kind::HeadTooLarge);
    assert_eq!(fault.message, "the request head is over the limit of 3 fields (`limits.header_fields`)");

    let hundred = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(99));
    assert_eq!(head(&hundred).request.headers().len(), 100);
    let long = HeadLimits { bytes: 1 << 20, fields: 100 };
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(65534));
    assert_eq!(parse_with(long, target.as_bytes(), None).unwrap_err().kind, Kind::HeadTooLarge);
    let many = HeadLimits { bytes: 1 << 20, fields: 100_000 };
    let many_fields: String = (0..40_000).map(|n| format!("x{n}: b\r\n")).collect();
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{many_fields}\r\n");
    assert_eq!(parse_with(many, text.as_bytes(), None).unwrap_err().kind, Kind::HeadTooLarge, "more than a map holds");
}

#[test]
fn after_a_fault_nothing_is_read() {
    let mut buf = BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let mut parser = RequestParser::new(HeadLimits::default());
    let first = parser.parse(&mut buf, None).unwrap_err();
    buf.extend_from_slice(b"GET / HTTP/1.0\r\n\r\n");
    let len = buf.len();
    let second = parser.parse(&mut buf, None).unwrap_err();
    assert_eq!((first.kind, first.message), (second.kind, second.message));
    assert_eq!(buf.len(), len);
}

#[test]
fn the_effective_authority() {
    /// Request line, `Host` fields, default host, and what `Host` holds in the end.
    type Case<'a> = (&'a str, &'a [&'a str], Option<&'a str>, Result<Option<&'a str>, Kind>);
    let cases: &[Case<'_>] = &[
        ("GET / HTTP/1.1", &["a"], None, Ok(Some("a"))),
        ("GET / HTTP/1.1", &["a:"], None, Ok(Some("a"))),
        ("GET / HTTP/1.1", &["[::1]:8080"], None, Ok(Some("[::1]:8080"))),
        ("GET / HTTP/1.1", &["a"], Some("d"), Ok(Some("a"))),
        ("GET / HTTP/1.1", &[], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &[], Some("d"), Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &[""], Some("d"), Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &["a", "a"], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &["u@a"], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &["a, b"], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &["a:99999"], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.1", &["a/b"], None, Err(Kind::MalformedHead)),
        ("GET http://b:81/ HTTP/1.1", &["a"], Some("d"), Ok(Some("b:81"))),
        ("GET http://b HTTP/1.1", &[], None, Err(Kind::MalformedHead)),
        ("GET http://b HTTP/1.1", &["u@a"], None, Err(Kind::MalformedHead)),
        ("GET http://u@b/ HTTP/1.1", &["a"], None, Err(Kind::MalformedHead)),
        ("GET / HTTP/1.0", &[], None, Ok(None)),
        ("GET / HTTP/1.0", &[], Some("d"), Ok(Some("d"))),
        ("GET / HTTP/1.0", &[""], Some("d"), Ok(Some("d"))),
        ("GET / HTTP/1.0", &["a"], Some("d"), Ok(Some("a"))),
        ("GET / HTTP/1.0", &["a", "b"], Some("d"), Err(Kind::MalformedHead)),
        ("GET / HTTP/1.0", &["a b"], Some("d"), Err(Kind::MalformedHead)),
        ("GET http://b/ HTTP/1.0", &[], Some("d"), Ok(Some("b"))),
    ];
    for (line, hosts, default_host, expected) in cases {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let text = format!("{line}\r\n{hosts}\r\n");
        let parsed = parse_with(HeadLimits::default(), text.as_bytes(), *default_host);
        let host = parsed.map(|head| {
            let head = head.unwrap();
            head.request.headers().get("host").map(|value| value.to_str().unwrap().to_owned())
        });
        assert_eq!(host.map_err(|fault| fault.kind), expected.map(|host| host.map(str::to_owned)), "{text:?}");
    }
}

#[test]
fn forms_of_the_target() {
    for (line, uri) in [
        ("GET http://b/c?d HTTP/1.1", "/c?d"),
        ("GET https://b HTTP/1.1", "/"),
        ("OPTIONS * HTTP/1.1", "*"),
        ("OPTIONS http://b HTTP/1.1", "*"),
        ("GET //b/c HTTP/1.1", "//b/c"),
    ] {
        assert_eq!(head(&format!("{line}\r\nHost: a\r\n\r\n")).request.uri().to_string(), uri, "{line}");
    }
    for line in [
        "GET * HTTP/1.1",
        "GET b/c HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
    ] {
        assert_eq!(kind(&format!("{line}\r\nHost: a\r\n\r\n")), Kind::MalformedHead, "{line}");
    }
    assert_eq!(kind("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), Kind::NotImplemented);
}

#[test]
fn framing_by_version_and_method() {
    let cases: &[(&str, &str, Result<Framing, Kind>)] = &[
        ("GET / HTTP/1.1", "", Ok(Framing::None)),
        ("POST / HTTP/1.1", "", Ok(Framing::None)),
        ("GET / HTTP/1.1", "Content-Length: 4\r\n", Ok(Framing::Length(4))),
        ("POST / HTTP/1.1", "Content-Length: 0\r\n", Ok(Framing::Length(0))),
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("GET / HTTP/1.1", "Transfer-Encoding: CHUNKED\r\n", Ok(Framing::Chunked)),
        ("POST / HTTP/1.1", "Content-Length: 4\r\nContent-Length: 4\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Content-Length: 4, 4\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Content-Length: +4\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Content-Length:\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Content-Length: 18446744073709551616\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", Err(Kind::NotImplemented)),
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Transfer-Encoding: \"chunked\"\r\n", Err(Kind::MalformedHead)),
        ("POST / HTTP/1.1", "Transfer-Encoding:\r\n", Err(Kind::MalformedHead)),
        ("GET / HTTP/1.0", "", Ok(Framing::None)),
        ("DELETE / HTTP/1.0", "", Ok(Framing::None)),
        ("POST / HTTP/1.0", "Content-Length: 4\r\n", Ok(Framing::Length(4))),
        ("POST / HTTP/1.0", "Content-Length: 0\r\n", Ok(Framing::Length(0))),
        ("POST / HTTP/1.0", "", Err(Kind::LengthRequired)),
        ("PUT / HTTP/1.0", "", Err(Kind::LengthRequired)),
        ("PATCH / HTTP/1.0", "", Err(Kind::LengthRequired)),
        ("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", Err(Kind::MalformedHead)),
        ("GET / HTTP/1.0", "Transfer-Encoding: gzip, chunked\r\n", Err(Kind::MalformedHead)),
    ];
    for (line, given, expected) in cases {
        let text = format!("{line}\r\nHost: a\r\n{given}\r\n");
        let parsed = parse(&text).map(|head| head.unwrap());
        if let Ok(head) = &parsed {
            assert_eq!(fields(head), [("host", "a")], "{text:?}");
        }
        assert_eq!(parsed.map(|head| head.framing).map_err(|fault| fault.kind), *expected, "{text:?}");
    }
}

#[test]
fn persistence_is_what_the_request_asks() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: x, close\r\n", false),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(head(&text).keep_alive, keep_alive, "{text:?}");
    }
}

#[test]
fn hop_by_hop_fields_end_here() {
    let head = head(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: TE, X-Mine, Upgrade\r\nTE: trailers\r\nKeep-Alive: timeout=1\r\n\
         Proxy-Connection: x\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nUpgrade: websocket\r\nX-Mine: 1\r\n\
         HTTP2-Settings: AA\r\nExpect: 100-Continue\r\nX-Stays: 2\r\n\r\n",
    );
    assert_eq!(fields(&head), [("trailer", "x-sum"), ("x-stays", "2"), ("host", "a")]);
    assert!(head.accepts_trailers && head.expects_continue);
    assert_eq!(head.upgrade.unwrap(), "websocket");
}

#[test]
fn what_1_1_added_is_not_heard_on_1_0() {
    let head = head(
        "POST / HTTP/1.0\r\nConnection: keep-alive, upgrade, te\r\nTE: trailers\r\nUpgrade: websocket\r\nTrailer: x\r\n\
         Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    assert_eq!(fields(&head), []);
    assert!(head.keep_alive && !head.expects_continue && !head.accepts_trailers && head.upgrade.is_none());
    assert_eq!(parse("GET / HTTP/1.0\r\nExpect: magic\r\n\r\n").unwrap().unwrap().framing, Framing::None);
}

#[test]
fn expectations() {
    for (given, expected) in [
        ("Content-Length: 3\r\nExpect: 100-continue\r\n", Ok(true)),
        ("Transfer-Encoding: chunked\r\nExpect: 100-CONTINUE\r\n", Ok(true)),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", Ok(false)),
        ("Expect: 100-continue\r\n", Ok(false)),
        ("Expect: magic\r\n", Err(Kind::ExpectationFailed)),
        ("Expect: 100-continue, magic\r\n", Err(Kind::ExpectationFailed)),
        ("Expect: magic\r\nExpect: 100-continue\r\n", Err(Kind::ExpectationFailed)),
        ("Expect:\r\n", Err(Kind::ExpectationFailed)),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{given}\r\n");
        let continues = parse(&text).map(|head| head.unwrap().expects_continue).map_err(|fault| fault.kind);
        assert_eq!(continues, expected, "{text:?}");
    }
}

#[test]
fn connection_cannot_name_what_must_arrive() {
    for named in ["Host", "authorization", "Content-Length", "transfer-encoding", "grpc-timeout", "a b", "é"] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, {named}\r\n\r\n");
        assert_eq!(kind(&text), Kind::MalformedHead, "{named}");
    }
}
