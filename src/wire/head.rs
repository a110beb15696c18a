//! From the bytes of one whole head to a `RequestHead`: one pass over the fields, each taken to the rule that it concerns. Values
//! share the head's bytes; nothing is copied but names that HTTP does not know.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, ORIGIN, REFERER, TRAILER, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};

use super::authority;
use super::framing::{self, Framing, TransferCodings, parse_length};
use super::hop_by_hop::Collector;
use super::refusal::Refusal;
use super::request::RequestHead;
use super::target;
use crate::model::Kind;

/// Fields that are parsed without an allocation: nearly every head has fewer.
const FIELDS_ON_STACK: usize = 32;

/// Room for the fields that are added on the way to a servlet, so that the map does not grow for them: who called, and what gRPC says
/// of the call.
const ADDED: usize = 7;

/// Whatever the listener takes.
const TOO_MANY: Refusal = Refusal::new(Kind::HeadTooLarge, "the request head has more fields than can be held");

/// Reads a head that ends with its empty line and has `fields` field lines.
pub(super) fn read(head: &Bytes, fields: usize, default_host: Option<&HeaderValue>) -> Result<RequestHead, Refusal> {
    if fields <= FIELDS_ON_STACK {
        read_into(head, &mut [const { MaybeUninit::uninit() }; FIELDS_ON_STACK], default_host)
    } else {
        read_into(head, &mut vec![MaybeUninit::uninit(); fields], default_host)
    }
}

fn read_into<'head>(
    head: &'head Bytes,
    room: &mut [MaybeUninit<httparse::Header<'head>>],
    default_host: Option<&HeaderValue>,
) -> Result<RequestHead, Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, room) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(Refusal::head("malformed request head")),
        Err(error) => return Err(syntax(error)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::head("malformed request line"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::head("malformed method"))?;
    if method == Method::CONNECT {
        return Err(Refusal::new(Kind::NotImplemented, "CONNECT is not implemented"));
    }
    let target = target::read(&method, head.slice_ref(target.as_bytes()))?;
    let mut fields = Fields::with_capacity(parsed.headers.len())?;
    for field in parsed.headers.iter() {
        let name = match often(field.name.as_bytes()) {
            Some(name) => name,
            None => HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Refusal::head("malformed field name"))?,
        };
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
            .map_err(|_| Refusal::head("malformed field value"))?;
        fields.take(name, value)?;
    }
    fields.into_head(method, target, minor == 0, default_host)
}

/// The names that most heads are made of, in any case: told apart at a glance, where all that HTTP knows take a search.
fn often(name: &[u8]) -> Option<HeaderName> {
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    Some(match name.len() {
        4 if is("host") => HOST,
        6 if is("accept") => ACCEPT,
        6 if is("cookie") => COOKIE,
        6 if is("origin") => ORIGIN,
        7 if is("referer") => REFERER,
        10 if is("user-agent") => USER_AGENT,
        10 if is("connection") => CONNECTION,
        12 if is("content-type") => CONTENT_TYPE,
        13 if is("authorization") => AUTHORIZATION,
        14 if is("content-length") => CONTENT_LENGTH,
        15 if is("accept-encoding") => ACCEPT_ENCODING,
        15 if is("accept-language") => ACCEPT_LANGUAGE,
        17 if is("transfer-encoding") => TRANSFER_ENCODING,
        _ => return None,
    })
}

fn syntax(error: httparse::Error) -> Refusal {
    Refusal::head(match error {
        httparse::Error::HeaderName => "malformed field name",
        httparse::Error::HeaderValue => "malformed field value",
        httparse::Error::NewLine => "a line does not end in CRLF",
        httparse::Error::Version => "malformed HTTP version",
        httparse::Error::Token => "malformed request line",
        httparse::Error::Status => "malformed request head",
        httparse::Error::TooManyHeaders => return TOO_MANY,
    })
}

/// The fields of one head, sorted into those that go on and those that speak to this hop.
struct Fields {
    kept: HeaderMap,
    hop: Collector,
    host: Option<HeaderValue>,
    length: Option<u64>,
    codings: TransferCodings,
    expectation: Expectation,
    announces_trailers: bool,
}

/// What `Expect` asks for (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    None,
    Continue,
    Unknown,
}

impl Expectation {
    /// Takes another `Expect` field into account.
    pub(super) fn and(self, value: &HeaderValue) -> Expectation {
        if self != Expectation::Unknown && value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            Expectation::Continue
        } else {
            Expectation::Unknown
        }
    }

    /// Whether the caller waits for `100 Continue`.
    pub(super) fn is_continue(self) -> Result<bool, Refusal> {
        match self {
            Expectation::None => Ok(false),
            Expectation::Continue => Ok(true),
            Expectation::Unknown => {
                Err(Refusal::new(Kind::ExpectationFailed, "no expectation but `100-continue` can be met"))
            }
        }
    }
}

impl Fields {
    fn with_capacity(fields: usize) -> Result<Fields, Refusal> {
        Ok(Fields {
            kept: HeaderMap::try_with_capacity(fields + ADDED).map_err(|_| TOO_MANY)?,
            hop: Collector::default(),
            host: None,
            length: None,
            codings: TransferCodings::default(),
            expectation: Expectation::None,
            announces_trailers: false,
        })
    }

    fn take(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Refusal> {
        if name == HOST {
            if self.host.replace(value).is_some() {
                return Err(Refusal::head("more than one Host"));
            }
        } else if name == CONTENT_LENGTH {
            let length = parse_length(value.as_bytes()).ok_or(Refusal::head("malformed Content-Length"))?;
            if self.length.replace(length).is_some() {
                return Err(Refusal::head("more than one Content-Length"));
            }
        } else if name == TRANSFER_ENCODING {
            self.codings.add(&value);
        } else if name == EXPECT {
            self.expectation = self.expectation.and(&value);
        } else if !self.hop.take(&name, &value) {
            self.announces_trailers |= name == TRAILER;
            self.kept.try_append(name, value).map_err(|_| TOO_MANY)?;
        }
        Ok(())
    }

    fn into_head(
        self,
        method: Method,
        target: target::Target,
        http10: bool,
        default_host: Option<&HeaderValue>,
    ) -> Result<RequestHead, Refusal> {
        let mut headers = self.kept;
        let host = match self.host {
            None if !http10 => return Err(Refusal::head("HTTP/1.1 needs a Host")),
            // An HTTP/1.0 caller that writes the field without a value means no more than one that leaves it out.
            Some(value) if http10 && value.is_empty() => None,
            host => host.map(authority::canonical).transpose()?,
        };
        let framing = framing::decide(self.length, self.codings, http10)?;
        if http10 && framing == Framing::None && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            return Err(Refusal::new(Kind::LengthRequired, "HTTP/1.0 needs a Content-Length with this method"));
        }
        let hop = self.hop.finish(&mut headers)?;
        if self.announces_trailers && framing != Framing::Chunked {
            headers.remove(TRAILER);
        }
        let expects_continue = !http10 && self.expectation.is_continue()? && framing.has_body();
        if let Some(host) = target.authority.or(host).or_else(|| default_host.cloned()) {
            headers.try_insert(HOST, host).map_err(|_| TOO_MANY)?;
        }
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target.uri;
        *request.version_mut() = if http10 { Version::HTTP_10 } else { Version::HTTP_11 };
        *request.headers_mut() = headers;
        Ok(RequestHead {
            request,
            framing,
            keep_alive: !hop.close && (!http10 || hop.keep_alive),
            expects_continue,
            accepts_trailers: !http10 && hop.accepts_trailers,
            upgrade: hop.upgrade.filter(|_| !http10),
            raw: Bytes::new(),
        })
    }
}
