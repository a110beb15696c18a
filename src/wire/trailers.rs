//! Fields after a body (RFC 9110 §6.5). They come when routing, authorization and framing are long decided, so those that would
//! speak to such things are dropped, in both directions; the rest stays apart from the head's fields.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::refusal::Refusal;

/// Fields of one trailer section. gRPC and checksums send a handful.
pub(super) const MAX_FIELDS: usize = 32;

const BAD_TRAILERS: Refusal = Refusal::body("malformed trailer section");

/// Removes the fields that have no business in trailers: framing, routing, request modifiers, authentication, control data and how to
/// read the content (RFC 9110 §6.5.1).
pub fn filter_trailers(trailers: &mut HeaderMap) {
    if trailers.keys().all(is_allowed) {
        return;
    }
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| !is_allowed(name)).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// Reads a trailer section that ends with its empty line and has at most `MAX_FIELDS` lines; gives what is allowed in it.
pub(super) fn read(section: &Bytes) -> Result<HeaderMap, Refusal> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let fields = match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((len, fields))) if len == section.len() => fields,
        Ok(_) | Err(_) => return Err(BAD_TRAILERS),
    };
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD_TRAILERS)?;
        let value = HeaderValue::from_maybe_shared(section.slice_ref(field.value)).map_err(|_| BAD_TRAILERS)?;
        if is_allowed(&name) {
            trailers.try_append(name, value).map_err(|_| BAD_TRAILERS)?;
        }
    }
    Ok(trailers)
}

/// Whether a field may stand in trailers.
pub(super) fn is_allowed(name: &HeaderName) -> bool {
    let name = name.as_str();
    !matches!(
        name,
        // Framing and this hop.
        "transfer-encoding" | "content-length" | "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer"
        | "upgrade" | "http2-settings"
        // Routing and who the caller is.
        | "host" | "forwarded" | "via"
        // Request modifiers.
        | "expect" | "max-forwards" | "range" | "if-match" | "if-none-match" | "if-modified-since"
        | "if-unmodified-since" | "if-range" | "pragma"
        // Authentication.
        | "authorization" | "proxy-authorization" | "proxy-authenticate" | "www-authenticate" | "cookie" | "set-cookie"
        // Control data.
        | "age" | "cache-control" | "date" | "expires" | "location" | "retry-after" | "vary" | "warning"
        // How to read the content.
        | "content-encoding" | "content-type" | "content-range"
    ) && !name.starts_with("x-forwarded-")
}
