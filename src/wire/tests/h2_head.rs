//! HTTP/2 heads come to the shape of HTTP/1 heads, by the same rules.

use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::model::{Fault, Kind};
use crate::wire::http2::RequestHead;
use crate::wire::{H2Terms, HeadLimits, check_h2_request};

fn request(method: Method, uri: &str, fields: &[(&'static str, &str)]) -> RequestHead {
    let parts = uri.parse::<Uri>().unwrap().into_parts();
    let mut head = RequestHead {
        method,
        scheme: parts.scheme,
        authority: parts.authority.map(|authority| authority.as_str().parse().unwrap()),
        path: parts.path_and_query,
        fields: HeaderMap::new(),
        is_cut: false,
    };
    for (name, value) in fields {
        head.fields.append(*name, HeaderValue::from_str(value).unwrap());
    }
    head
}

fn check(uri: &str, fields: &[(&'static str, &str)]) -> Result<(RequestHead, H2Terms), Fault> {
    let mut request = request(Method::POST, uri, fields);
    let terms = check_h2_request(&mut request, &HeadLimits::default(), None)?;
    Ok((request, terms))
}

#[test]
fn a_head_has_the_shape_of_http1() {
    let (request, terms) = check(
        "http://a.example:80/p.S/M?q",
        &[
            ("te", "trailers"),
            ("cookie", "a=1"),
            ("content-length", "5"),
            ("cookie", "b=2"),
            ("expect", "100-continue"),
            ("grpc-timeout", "1S"),
            ("http2-settings", "AA"),
        ],
    )
    .unwrap();
    assert_eq!(request.path.unwrap().to_string(), "/p.S/M?q");
    let expected = [("cookie", "a=1; b=2"), ("grpc-timeout", "1S"), ("host", "a.example:80")];
    let expected: HeaderMap =
        expected.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    assert_eq!(request.fields, expected);
    assert_eq!(terms, H2Terms { length: Some(5), expects_continue: true, accepts_trailers: true });
}

#[test]
fn authority_and_host() {
    for (uri, hosts, expected) in [
        ("http://a/", &[][..], Ok("a")),
        ("http://a/", &["a"], Ok("a")),
        ("http://A:80/", &["a:80"], Ok("A:80")),
        ("http://a:/", &["a"], Ok("a")),
        ("/", &["a"], Ok("a")),
        ("/", &[], Err(Kind::MalformedHead)),
        ("http://a/", &["b"], Err(Kind::MalformedHead)),
        ("http://a/", &["a", "a"], Err(Kind::MalformedHead)),
        ("http://a/", &["a, b"], Err(Kind::MalformedHead)),
        ("/", &["a", "a"], Err(Kind::MalformedHead)),
        ("/", &[""], Err(Kind::MalformedHead)),
        ("http://u@a/", &[], Err(Kind::MalformedHead)),
        ("http://a:99999/", &[], Err(Kind::MalformedHead)),
        ("ftp://a/", &[], Err(Kind::MalformedHead)),
    ] {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let host = check(uri, &fields).map(|(request, _)| request.fields["host"].to_str().unwrap().to_owned());
        assert_eq!(host.map_err(|fault| fault.kind), expected.map(str::to_owned), "{uri} {hosts:?}");
    }
}

#[test]
fn fields_that_http2_does_not_have() {
    for (name, value, good) in [
        ("te", "trailers", true),
        ("te", "gzip", false),
        ("te", "trailers, gzip", false),
        ("te", "", false),
        ("connection", "close", false),
        ("keep-alive", "timeout=1", false),
        ("proxy-connection", "keep-alive", false),
        ("transfer-encoding", "chunked", false),
        ("upgrade", "websocket", false),
        ("content-length", "5", true),
        ("content-length", "+5", false),
        ("content-length", "5, 5", false),
        ("x", "a\tb", true),
        ("x", "", true),
        ("x", " a", false),
        ("x", "a ", false),
        ("x", "a\t", false),
        ("x_y", "metadata may have such names", true),
    ] {
        let result = check("http://a/", &[(name, value)]);
        assert_eq!(
            result.map(|_| ()).map_err(|fault| fault.kind),
            if good { Ok(()) } else { Err(Kind::MalformedHead) },
            "{name}: {value:?}"
        );
    }
    let twice = check("http://a/", &[("content-length", "5"), ("content-length", "5")]);
    assert_eq!(twice.unwrap_err().kind, Kind::MalformedHead);
    assert_eq!(check("http://a/", &[("expect", "magic")]).unwrap_err().kind, Kind::ExpectationFailed);
}

#[test]
fn paths_and_methods() {
    for (method, uri, expected) in [
        (Method::GET, "http://a/b//c?d", Ok("/b//c?d")),
        (Method::OPTIONS, "http://a/b", Ok("/b")),
        (Method::GET, "http://a/b%00", Err(Kind::MalformedHead)),
        (Method::GET, "http://a/b\\c", Err(Kind::MalformedHead)),
        (Method::GET, "http://a/b\u{e9}", Err(Kind::MalformedHead)),
        (Method::CONNECT, "http://a/", Err(Kind::NotImplemented)),
    ] {
        let mut request = request(method, uri, &[]);
        let result = check_h2_request(&mut request, &HeadLimits::default(), None).map_err(|fault| fault.kind);
        assert_eq!(result.map(|_| request.path.unwrap().to_string()), expected.map(str::to_owned), "{uri}");
    }
    for (method, good) in [(Method::OPTIONS, true), (Method::GET, false)] {
        let mut asterisk = request(method, "*", &[("host", "a")]);
        assert_eq!(check_h2_request(&mut asterisk, &HeadLimits::default(), None).is_ok(), good);
    }
}

#[test]
fn every_field_counts_and_weighs() {
    let limits = HeadLimits { bytes: 200, fields: 5 };
    let check = |fields: &[(&'static str, &str)]| {
        let checked = check_h2_request(&mut request(Method::GET, "http://a/", fields), &limits, None);
        checked.map_err(|fault| (fault.kind, fault.message.into_owned()))
    };
    let over = |limit: &str| Err((Kind::HeadTooLarge, format!("the request head is over the limit of {limit})")));
    let crumb = ("cookie", "a=1");
    assert!(check(&[crumb; 4]).is_ok(), "4 fields of 41 bytes");
    assert_eq!(check(&[crumb; 5]), over("200 bytes (`limits.header_size`"), "205 bytes");
    assert!(check(&[("x", ""); 5]).is_ok());
    assert_eq!(check(&[("x", ""); 6]), over("5 fields (`limits.header_fields`"));
    // What was cut while it was read: at the number of fields, or at the room for bytes.
    for (fields, limit) in [(5, "5 fields (`limits.header_fields`"), (4, "200 bytes (`limits.header_size`")] {
        let mut cut = request(Method::GET, "http://a/", &[("x", ""); 5][..fields]);
        cut.is_cut = true;
        let fault = check_h2_request(&mut cut, &limits, None).unwrap_err();
        assert_eq!(Some((fault.kind, fault.message.into_owned())), over(limit).err());
    }
}
