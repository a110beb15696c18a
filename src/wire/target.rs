//! What a request asks for (RFC 9112 §3.2). Four forms come in, and one goes on: the path and query alone, in the very bytes that
//! were sent, so that the route that was matched is the route that the servlet sees.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};

use super::authority;
use super::refusal::Refusal;
use crate::model::Kind;

const BAD_TARGET: Refusal = Refusal::head("the request target holds a byte that must be percent-encoded");
const TARGET_TOO_LONG: Refusal = Refusal::new(Kind::HeadTooLarge, "the request target is longer than 65534 bytes");

/// What `http::uri` can hold.
const MAX_TARGET: usize = u16::MAX as usize - 1;

/// A target in its one form.
#[derive(Debug)]
pub(super) struct Target {
    /// Path and query, or `*`.
    pub(super) uri: Uri,
    /// The authority of an absolute-form target, which wins over `Host` (RFC 9112 §3.2.2).
    pub(super) authority: Option<HeaderValue>,
}

/// Reads the target of an HTTP/1 request line. CONNECT's form is not known here.
pub(super) fn read(method: &Method, target: Bytes) -> Result<Target, Refusal> {
    check_bytes(&target)?;
    if target.starts_with(b"/") || is_asterisk(method, &target) {
        return Ok(Target { uri: path_uri(target)?, authority: None });
    }
    let scheme_len = if starts_with_scheme(&target, b"http://") {
        b"http://".len()
    } else if starts_with_scheme(&target, b"https://") {
        b"https://".len()
    } else {
        return Err(Refusal::head("the request target must start with `/`, or be an http or https URL"));
    };
    let rest = target.slice(scheme_len..);
    let authority_len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = authority::canonical_bytes(rest.slice(..authority_len))?;
    let path = rest.slice(authority_len..);
    let path = match path.first() {
        Some(b'/') => path,
        Some(_) => [b"/", &path[..]].concat().into(),
        // RFC 9112 §3.2.4: the last proxy turns an OPTIONS without a path into the asterisk form.
        None if method == Method::OPTIONS => Bytes::from_static(b"*"),
        None => Bytes::from_static(b"/"),
    };
    Ok(Target { uri: path_uri(path)?, authority: Some(authority) })
}

/// Checks a `:path` by the same rules (RFC 9113 §8.3.1).
pub(super) fn check_path(method: &Method, path: &[u8]) -> Result<(), Refusal> {
    check_bytes(path)?;
    if path.starts_with(b"/") || is_asterisk(method, path) {
        Ok(())
    } else {
        Err(Refusal::head("the path must start with `/`"))
    }
}

fn is_asterisk(method: &Method, target: &[u8]) -> bool {
    target == b"*" && method == Method::OPTIONS
}

fn starts_with_scheme(target: &[u8], scheme: &[u8]) -> bool {
    target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// A fragment is never sent, a backslash is a slash to some, and an encoded NUL ends a string for others.
fn check_bytes(target: &[u8]) -> Result<(), Refusal> {
    let mut percent = false;
    for byte in target {
        match byte {
            b'#' | b'\\' => return Err(BAD_TARGET),
            b'%' => percent = true,
            b'!'..=b'~' => {}
            _ => return Err(BAD_TARGET),
        }
    }
    if percent && target.windows(3).any(|window| window == b"%00") {
        return Err(Refusal::head("the request target holds an encoded NUL"));
    }
    Ok(())
}

fn path_uri(path: Bytes) -> Result<Uri, Refusal> {
    if path.len() > MAX_TARGET {
        return Err(TARGET_TOO_LONG);
    }
    PathAndQuery::from_maybe_shared(path).map(Uri::from).map_err(|_| BAD_TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(method: Method, target: &str) -> Result<(String, Option<String>), Kind> {
        let target = read(&method, Bytes::copy_from_slice(target.as_bytes())).map_err(|refusal| refusal.kind)?;
        Ok((target.uri.to_string(), target.authority.map(|value| value.to_str().unwrap().to_owned())))
    }

    #[test]
    fn one_form_goes_on() {
        let cases = [
            (Method::GET, "/", "/", None),
            (Method::GET, "/a/b?c=d&e", "/a/b?c=d&e", None),
            (Method::GET, "//a/../b;c=%2F%zz", "//a/../b;c=%2F%zz", None),
            (Method::GET, "/a?b?c/d", "/a?b?c/d", None),
            (Method::GET, "/{\"a\":1}|~", "/{\"a\":1}|~", None),
            (Method::OPTIONS, "*", "*", None),
            (Method::OPTIONS, "/a", "/a", None),
            (Method::GET, "http://a.example/b?c", "/b?c", Some("a.example")),
            (Method::GET, "HTTPS://A.example:8443/b", "/b", Some("A.example:8443")),
            (Method::GET, "http://a", "/", Some("a")),
            (Method::GET, "http://a:/", "/", Some("a")),
            (Method::GET, "http://a?b=http://c/", "/?b=http://c/", Some("a")),
            (Method::GET, "http://[::1]:80//x", "//x", Some("[::1]:80")),
            (Method::OPTIONS, "http://a", "*", Some("a")),
            (Method::OPTIONS, "http://a/", "/", Some("a")),
        ];
        for (method, target, uri, authority) in cases {
            assert_eq!(read_text(method, target), Ok((uri.to_owned(), authority.map(str::to_owned))), "{target}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for target in [
            "",
            "a",
            "*",
            "a:80",
            "?a",
            "ftp://a/",
            "http:/a",
            "http:///a",
            "http://",
            "http://u@a/",
            "http://a:b/",
            "http://a,b/",
            "/a#b",
            "/#",
            "/a\\b",
            "/a%00b",
            "/?%00",
            "/a b",
            "/\u{e9}",
            "/a\x7f",
            "/a\tb",
            "/<a>",
            "/`",
            "http://a\\b/",
            "http://a#b",
            "**",
            "https:a",
            "http://a%2eb/",
        ] {
            assert_eq!(read_text(Method::GET, target), Err(Kind::MalformedHead), "{target:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET));
        assert_eq!(read_text(Method::GET, &long), Err(Kind::HeadTooLarge));
    }

    #[test]
    fn a_path_of_http2_follows_the_same_rules() {
        for (method, path, good) in [
            (Method::POST, "/pkg.Service/Method", true),
            (Method::OPTIONS, "*", true),
            (Method::POST, "*", false),
            (Method::POST, "pkg.Service/Method", false),
            (Method::POST, "", false),
            (Method::POST, "http://a/b", false),
            (Method::POST, "/a\\b", false),
            (Method::POST, "/a%00", false),
            (Method::POST, "/a\u{80}", false),
        ] {
            assert_eq!(check_path(&method, path.as_bytes()).is_ok(), good, "{path:?}");
        }
    }
}
