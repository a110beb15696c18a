//! Requests to servlets: what is written, and that a server of ours reads it as what it was.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;

use crate::wire::{
    BodyBroken, BodyDecoder, BodyLength, Framing, HeadLimits, Piece, RequestEncoder, RequestHead, RequestParser,
};

fn request(method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(target).body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    request
}

fn start(request: &Request<()>, length: BodyLength) -> (RequestEncoder, String) {
    let mut out = BytesMut::new();
    let encoder = RequestEncoder::start(request, length, None, &mut out);
    (encoder, String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn a_head_is_written_in_order_with_its_host_first() {
    let purge =
        request("PURGE", "/a%2F;b?c=%20&d", &[("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("host", "h:1"), ("e", "")]);
    let (_, text) = start(&purge, BodyLength::Empty);
    assert_eq!(text, "PURGE /a%2F;b?c=%20&d HTTP/1.1\r\nhost: h:1\r\nx-b: 1\r\nx-b: 3\r\nx-a: 2\r\ne: \r\n\r\n");
    assert!(start(&request("OPTIONS", "*", &[]), BodyLength::Empty).1.starts_with("OPTIONS * HTTP/1.1\r\n"));
}

#[test]
fn framing_is_what_the_body_is_and_not_what_the_map_says() {
    let says = [
        ("content-length", "99"),
        ("transfer-encoding", "gzip"),
        ("connection", "close"),
        ("upgrade", "x"),
        ("trailer", "x-t"),
    ];
    let cases = [
        ("GET", BodyLength::Empty, ""),
        ("DELETE", BodyLength::Empty, ""),
        ("POST", BodyLength::Empty, "content-length: 0\r\n"),
        ("PUT", BodyLength::Empty, "content-length: 0\r\n"),
        ("PATCH", BodyLength::Empty, "content-length: 0\r\n"),
        ("GET", BodyLength::Exact(0), "content-length: 0\r\n"),
        ("GET", BodyLength::Exact(u64::MAX), "content-length: 18446744073709551615\r\n"),
        ("GET", BodyLength::Unknown, "trailer: x-t\r\ntransfer-encoding: chunked\r\n"),
    ];
    for (method, length, expected) in cases {
        let (_, text) = start(&request(method, "/", &says), length);
        assert_eq!(text, format!("{method} / HTTP/1.1\r\n{expected}\r\n"), "{length:?}");
    }
}

#[test]
fn an_upgrade_stands_in_the_place_of_a_body() {
    let mut out = BytesMut::new();
    let upgrade = HeaderValue::from_static("websocket");
    let mut encoder = RequestEncoder::start(&request("POST", "/", &[]), BodyLength::Unknown, Some(&upgrade), &mut out);
    assert_eq!(out, "POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(encoder.frame(1, &mut out), Err(BodyBroken::NoBody));
}

#[test]
fn a_promised_length_is_kept() {
    let mut out = BytesMut::new();
    let short = request("POST", "/", &[]);
    let mut encoder = start(&short, BodyLength::Exact(3)).0;
    assert_eq!(encoder.frame(2, &mut out), Ok(&b""[..]));
    assert_eq!(encoder.end(None, &mut out), Err(BodyBroken::TooShort));
    assert_eq!(encoder.end(None, &mut out), Err(BodyBroken::Ended));
    let mut encoder = start(&short, BodyLength::Exact(3)).0;
    assert_eq!(encoder.frame(4, &mut out), Err(BodyBroken::TooLong));
    assert_eq!(encoder.frame(1, &mut out), Err(BodyBroken::Ended));
    let mut encoder = start(&short, BodyLength::Exact(3)).0;
    assert_eq!((encoder.frame(3, &mut out), encoder.end(None, &mut out)), (Ok(&b""[..]), Ok(())));
    assert!(out.is_empty());
}

#[test]
fn trailers_are_those_that_were_announced_and_may_be_there() {
    let trailers: HeaderMap = [("x-sum", "7"), ("x-other", "8"), ("authorization", "me")]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let ended = |fields: &[(&'static str, &'static str)]| {
        let mut out = BytesMut::new();
        start(&request("POST", "/", fields), BodyLength::Unknown).0.end(Some(&trailers), &mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(ended(&[]), "0\r\n\r\n");
    assert_eq!(ended(&[("trailer", "X-Sum, Authorization")]), "0\r\nx-sum: 7\r\n\r\n");
    assert_eq!(ended(&[("trailer", "a"), ("trailer", "b ,x-other")]), "0\r\nx-other: 8\r\n\r\n");
}

/// What a server of ours makes of it: the head, the body and the trailers.
fn read(wire: &[u8]) -> (RequestHead, Vec<u8>, Option<HeaderMap>) {
    let mut buf = BytesMut::from(wire);
    let limits = HeadLimits { bytes: usize::MAX, fields: 100 };
    let head = RequestParser::new(limits).parse(&mut buf, None).unwrap().expect("a whole head");
    let mut decoder = BodyDecoder::new(head.framing);
    let (mut body, mut trailers) = (Vec::new(), None);
    loop {
        match decoder.decode(&mut buf).unwrap().expect("a whole body") {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break,
        }
    }
    assert!(buf.is_empty(), "nothing follows");
    (head, body, trailers)
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_what_it_was(
        method in prop::sample::select(&[Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD]),
        target in "/[a-z0-9/]{0,10}(\\?[a-z=&]{0,8})?",
        fields in prop::collection::vec(("x-[a-z]{1,3}", "([!-~]([ -~]{0,20}[!-~])?)?"), 0..8),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        form in 0..3_u8,
    ) {
        let mut request = request(method.as_str(), &target, &[("host", "a"), ("trailer", "x-sum")]);
        for (name, value) in &fields {
            request.headers_mut().append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        let whole = pieces.concat();
        let length = match form {
            0 if whole.is_empty() => BodyLength::Empty,
            0 | 1 => BodyLength::Exact(whole.len() as u64),
            _ => BodyLength::Unknown,
        };
        let mut out = BytesMut::new();
        let mut encoder = RequestEncoder::start(&request, length, None, &mut out);
        for piece in &pieces {
            let after = encoder.frame(piece.len(), &mut out).unwrap();
            out.extend_from_slice(piece);
            out.extend_from_slice(after);
        }
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))]);
        encoder.end(Some(&trailers), &mut out).unwrap();
        let (head, body, read_trailers) = read(&out);
        prop_assert_eq!(head.request.method(), &method);
        prop_assert_eq!(head.request.uri().path_and_query(), request.uri().path_and_query());
        if length != BodyLength::Unknown {
            request.headers_mut().remove("trailer");
        }
        let mut sent: Vec<_> = request.headers().iter().collect();
        let mut got: Vec<_> = head.request.headers().iter().collect();
        sent.sort_by_key(|(name, _)| name.as_str().to_owned());
        got.sort_by_key(|(name, _)| name.as_str().to_owned());
        prop_assert_eq!(got, sent);
        prop_assert_eq!(body, whole);
        prop_assert_eq!(read_trailers, (length == BodyLength::Unknown).then_some(trailers));
        prop_assert!(head.keep_alive && (head.framing == Framing::Chunked) == (length == BodyLength::Unknown));
    }
}
