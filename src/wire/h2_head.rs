//! HTTP/2 request heads, brought to the shape that HTTP/1 heads have after parsing, by the same rules. The HTTP/2 library checks
//! pseudo-fields and frames; what it leaves open (RFC 9113 §8.2, §8.3) is checked here. A fault refuses one stream: the connection
//! lives.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::authority;
use super::framing::parse_length;
use super::head::Expectation;
use super::hop_by_hop::ends_here;
use super::lines::is_control;
use super::refusal::Refusal;
use super::request::HeadLimits;
use super::target;
use crate::model::{Fault, Kind, Stage};

/// What each field costs beside its bytes (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

const TWO_HOSTS: Refusal = Refusal::head("`:authority` and Host differ");

const TOO_LARGE: Refusal = Refusal::new(Kind::HeadTooLarge, "too many or too large header fields");

/// What an HTTP/2 head said to this hop; taken out of its fields, as with HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct H2Terms {
    /// `Content-Length`, which the HTTP/2 library holds the body to.
    pub length: Option<u64>,
    pub expects_continue: bool,
    /// `te: trailers`, which gRPC callers send.
    pub accepts_trailers: bool,
}

/// Checks a head and rewrites it: the URI becomes path and query alone, `Host` holds the authority, cookie crumbs are joined
/// (RFC 9113 §8.2.3). An authority that is [`nameless`](super::nameless) counts as none, and none is needed then: `default_host`
/// stands in. Faults are those of an HTTP/1 head.
pub fn check_h2_request<B>(
    request: &mut Request<B>,
    limits: &HeadLimits,
    default_host: Option<&HeaderValue>,
) -> Result<H2Terms, Fault> {
    check(request, limits, default_host).map_err(|refusal| refusal.at(Stage::Head))
}

fn check<B>(
    request: &mut Request<B>,
    limits: &HeadLimits,
    default_host: Option<&HeaderValue>,
) -> Result<H2Terms, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::new(Kind::NotImplemented, "CONNECT is not implemented"));
    }
    let path = check_uri(request.method(), request.uri())?;
    let terms = check_fields(request.headers(), limits)?;
    let host = effective_authority(request.uri(), request.headers())?.or_else(|| default_host.cloned());
    *request.uri_mut() = Uri::from(path);
    let headers = request.headers_mut();
    for name in [CONTENT_LENGTH, EXPECT, TE] {
        headers.remove(name);
    }
    headers.remove("http2-settings");
    if let Some(host) = host {
        headers.try_insert(HOST, host).map_err(|_| TOO_LARGE)?;
    }
    join_cookies(headers)?;
    Ok(terms)
}

fn check_uri(method: &Method, uri: &Uri) -> Result<PathAndQuery, Refusal> {
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Refusal::head("the scheme is not http or https"));
    }
    let path = uri.path_and_query().ok_or(Refusal::head("the request has no path"))?;
    target::check_path(method, path.as_str().as_bytes())?;
    Ok(path.clone())
}

fn check_fields(headers: &HeaderMap, limits: &HeadLimits) -> Result<H2Terms, Refusal> {
    if headers.len() > limits.fields {
        return Err(TOO_LARGE);
    }
    let mut terms = H2Terms::default();
    let mut expectation = Expectation::None;
    let mut size = 0_usize;
    for (name, value) in headers {
        let bytes = value.as_bytes();
        size = size.saturating_add(name.as_str().len() + bytes.len() + FIELD_OVERHEAD);
        if bytes.trim_ascii().len() != bytes.len() || bytes.iter().any(|byte| is_control(*byte)) {
            return Err(Refusal::head("malformed field value"));
        }
        if name == CONTENT_LENGTH {
            let length = parse_length(bytes).ok_or(Refusal::head("malformed content-length"))?;
            if terms.length.replace(length).is_some() {
                return Err(Refusal::head("more than one content-length"));
            }
        } else if name == TE {
            if !bytes.eq_ignore_ascii_case(b"trailers") {
                return Err(Refusal::head("`te` may only be `trailers` on HTTP/2"));
            }
            terms.accepts_trailers = true;
        } else if name == EXPECT {
            expectation = expectation.and(value);
        } else if ends_here(name) && name.as_str() != "http2-settings" {
            return Err(Refusal::head("a field of HTTP/1 connections on HTTP/2"));
        }
    }
    if size > limits.bytes {
        return Err(TOO_LARGE);
    }
    terms.expects_continue = expectation.is_continue()?;
    Ok(terms)
}

/// `:authority`, or `Host` in its place; when both are there they are the same (RFC 9113 §8.3.1). `None`: one was given, and names
/// no host.
fn effective_authority(uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().cloned().map(authority::canonical).transpose()?;
    if hosts.next().is_some() {
        return Err(Refusal::head("more than one Host"));
    }
    let named = match uri.authority() {
        Some(named) if authority::is_nameless(named.as_str().as_bytes()) => {
            return if host.is_none() { Ok(None) } else { Err(TWO_HOSTS) };
        }
        Some(named) => {
            let value = HeaderValue::from_str(named.as_str()).map_err(|_| Refusal::head("malformed :authority"))?;
            Some(authority::canonical(value)?)
        }
        None => None,
    };
    match (named, host) {
        (Some(named), Some(host)) if !named.as_bytes().eq_ignore_ascii_case(host.as_bytes()) => Err(TWO_HOSTS),
        (Some(authority), _) | (None, Some(authority)) => Ok(Some(authority)),
        (None, None) => Err(Refusal::head("the request has no :authority")),
    }
}

fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1 {
        let whole = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| Refusal::head("malformed cookie"))?;
        headers.try_insert(COOKIE, whole).map_err(|_| TOO_LARGE)?;
    }
    Ok(())
}
