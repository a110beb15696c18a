//! HTTP/2 request heads, brought to the shape that HTTP/1 heads have after parsing, by the same rules. `http2` checks pseudo-fields and
//! what a field may consist of; the rest (RFC 9113 §8.2, §8.3) is checked here. A fault refuses one stream: the connection lives.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use smallvec::SmallVec;

use super::authority;
use super::framing::parse_length;
use super::head::Expectation;
use super::hop_by_hop::ends_here;
use super::http2::RequestHead;
use super::http2::head::has_space_around;
use super::refusal::Refusal;
use super::request::HeadLimits;
use super::target;
use crate::model::{Fault, Kind, Stage};

/// What each field costs beside its bytes (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

const TWO_HOSTS: Refusal = Refusal::head("`:authority` and Host differ");

/// Whatever the listener takes.
const TOO_MANY: Refusal = Refusal::new(Kind::HeadTooLarge, "the request head has more fields than can be held");

/// What an HTTP/2 head said to this hop; taken out of its fields, as with HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct H2Terms {
    /// `Content-Length`, which `http2` holds the body to.
    pub length: Option<u64>,
    pub expects_continue: bool,
    /// `te: trailers`, which gRPC callers send.
    pub accepts_trailers: bool,
}

/// Checks a head and rewrites it: `Host` holds the authority, cookie crumbs are joined (RFC 9113 §8.2.3), nothing of this hop is left
/// among the fields. An authority that is an [encoded name](super::is_encoded_name), as callers make of a Unix socket's path, names no
/// host, and none is needed then: `default_host` stands in. Faults are those of an HTTP/1 head.
pub fn check_h2_request(
    head: &mut RequestHead,
    limits: &HeadLimits,
    default_host: Option<&HeaderValue>,
) -> Result<H2Terms, Fault> {
    check(head, limits, default_host).map_err(|refusal| refusal.at(Stage::Head))
}

fn check(head: &mut RequestHead, limits: &HeadLimits, default_host: Option<&HeaderValue>) -> Result<H2Terms, Refusal> {
    if head.method == Method::CONNECT {
        return Err(Refusal::new(Kind::NotImplemented, "CONNECT is not implemented"));
    }
    if head.is_cut {
        // Its fields were taken up to the number, or up to more bytes than are allowed.
        let has_all_fields = head.fields.len() < limits.fields;
        return Err(if has_all_fields {
            Refusal::bytes_over(limits.bytes)
        } else {
            Refusal::fields_over(limits.fields)
        });
    }
    check_target(head)?;
    let terms = check_fields(&head.fields, limits)?;
    let host = effective_authority(head.authority.take(), &head.fields)?.or_else(|| default_host.cloned());
    let fields = &mut head.fields;
    if terms.has_space {
        return Err(Refusal::head("a field value with space around it"));
    }
    for name in terms.of_hop_alone {
        fields.remove(name);
    }
    if let Some(host) = host {
        fields.try_insert(HOST, host).map_err(|_| TOO_MANY)?;
    }
    if terms.has_cookie {
        join_cookies(fields)?;
    }
    Ok(terms.said)
}

fn check_target(head: &RequestHead) -> Result<(), Refusal> {
    if head.scheme.as_ref().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Refusal::head("the scheme is not http or https"));
    }
    let path = head.path.as_ref().ok_or(Refusal::head("the request has no path"))?;
    target::check_path(&head.method, path.as_str().as_bytes())
}

/// What was seen among the fields.
#[derive(Debug, Default)]
struct Seen {
    said: H2Terms,
    /// Fields to be taken out.
    of_hop_alone: SmallVec<[HeaderName; 2]>,
    has_cookie: bool,
    /// Around a value.
    has_space: bool,
}

fn check_fields(headers: &HeaderMap, limits: &HeadLimits) -> Result<Seen, Refusal> {
    if headers.len() > limits.fields {
        return Err(Refusal::fields_over(limits.fields));
    }
    let (mut seen, terms) = (Seen::default(), &mut H2Terms::default());
    let mut expectation = Expectation::None;
    let mut size = 0_usize;
    for (name, value) in headers {
        size = size.saturating_add(name.as_str().len() + value.len() + FIELD_OVERHEAD);
        seen.has_space |= has_space_around(value);
        if name == COOKIE {
            seen.has_cookie = true;
        } else if ends_here(name) || name == CONTENT_LENGTH || name == EXPECT {
            seen.of_hop_alone.push(name.clone());
            take_term(name, value, terms, &mut expectation)?;
        }
    }
    if size > limits.bytes {
        return Err(Refusal::bytes_over(limits.bytes));
    }
    terms.expects_continue = expectation.is_continue()?;
    seen.said = *terms;
    Ok(seen)
}

/// Takes what a field says to this hop.
fn take_term(
    name: &HeaderName,
    value: &HeaderValue,
    terms: &mut H2Terms,
    expectation: &mut Expectation,
) -> Result<(), Refusal> {
    if name == CONTENT_LENGTH {
        let length = parse_length(value.as_bytes()).ok_or(Refusal::head("malformed content-length"))?;
        if terms.length.replace(length).is_some() {
            return Err(Refusal::head("more than one content-length"));
        }
    } else if name == TE {
        if !value.as_bytes().eq_ignore_ascii_case(b"trailers") {
            return Err(Refusal::head("`te` may only be `trailers` on HTTP/2"));
        }
        terms.accepts_trailers = true;
    } else if name == EXPECT {
        *expectation = std::mem::replace(expectation, Expectation::None).and(value);
    } else if name.as_str() != "http2-settings" {
        return Err(Refusal::head("a field of HTTP/1 connections on HTTP/2"));
    }
    Ok(())
}

/// `:authority`, or `Host` in its place; when both are there they are the same (RFC 9113 §8.3.1). `None`: one was given, and names
/// no host.
fn effective_authority(named: Option<HeaderValue>, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().cloned().map(authority::canonical).transpose()?;
    if hosts.next().is_some() {
        return Err(Refusal::head("more than one Host"));
    }
    let named = match named.map(|named| authority::canonical(named.clone()).map_err(|refusal| (named, refusal))) {
        Some(Err((named, _))) if authority::is_encoded_name(named.as_bytes()) => {
            return if host.is_none() { Ok(None) } else { Err(TWO_HOSTS) };
        }
        Some(Err((_, refusal))) => return Err(refusal),
        Some(Ok(named)) => Some(named),
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
        headers.try_insert(COOKIE, whole).map_err(|_| TOO_MANY)?;
    }
    Ok(())
}
