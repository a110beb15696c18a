//! Headers of a translated call to gRPC metadata, and back. Leans towards carrying a field: what stays behind is what belongs to
//! one hop or one encoding of the body, what gRPC reserves, and what gRPC's grammar cannot say. What an operator withholds besides
//! is `names`.

mod names;
mod withheld;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::coding::tokens;
pub use names::{FieldNames, NamePattern, NamePatternError};
pub use withheld::withhold;

/// gRPC's binary metadata: padded or not is read, and none is written (PROTOCOL-HTTP2.md, `Binary-Header`).
pub(crate) const BINARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The metadata of the gRPC request that a translated request becomes: what is left of its fields. `te`, `content-type` and `grpc-*` are
/// the proxy's to add.
pub fn request_metadata(mut headers: HeaderMap) -> HeaderMap {
    // Gone already where the listener stripped what is of one hop.
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> =
            headers.keys().filter(|name| named_by_connection(&headers, name)).cloned().collect();
        named.iter().for_each(|name| {
            headers.remove(name);
        });
    }
    let stays = |name: &HeaderName, value: &HeaderValue| {
        !is_for_proxy(name.as_str()) && !names_hop_or_body(name.as_str()) && grpc_can_say(name, value)
    };
    let gone: SmallVec<[HeaderName; 8]> =
        headers.iter().filter(|(name, value)| !stays(name, value)).map(|(name, _)| name.clone()).collect();
    for name in gone {
        // Of several values one may be fine where another is not.
        let fine: SmallVec<[HeaderValue; 1]> =
            headers.get_all(&name).iter().filter(|value| stays(&name, value)).cloned().collect();
        headers.remove(&name);
        for value in fine {
            headers.append(name.clone(), value);
        }
    }
    headers
}

/// Room for what an answer says of itself: its type and length, how it was chosen, and how the call ended.
const SAID_OF_ANSWER: usize = 5;

/// The header fields of the answer that a gRPC reply becomes: its initial metadata and, when they are known before the head
/// goes out, its trailers. `-bin` values stay base64, as gRPC writes them.
pub fn reply_headers(initial: &HeaderMap, trailers: Option<&HeaderMap>) -> HeaderMap {
    let keep = |name: &str, _: &HeaderValue| !names_hop_or_body(name) && !is_for_balancer(name);
    let room = initial.len() + trailers.map_or(0, HeaderMap::len) + SAID_OF_ANSWER;
    let mut fields = HeaderMap::with_capacity(room);
    // Gone already where the upstream stripped what is of one hop.
    let names_others = initial.contains_key(header::CONNECTION);
    for (name, value) in initial {
        if keep(name.as_str(), value) && !(names_others && named_by_connection(initial, name)) {
            fields.append(name, value.clone());
        }
    }
    for (name, value) in trailers.into_iter().flatten() {
        // A head's own business does not come in by the back door (RFC 9110 §6.5.1).
        if keep(name.as_str(), value) && !belongs_in_head(name.as_str()) {
            fields.append(name, value.clone());
        }
    }
    fields
}

/// What a caller says to the proxy alone: what it takes in return, how its dialect frames and times the call, and who it is to this
/// proxy. `accept-language` is for the servlet.
fn is_for_proxy(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "accept"
            | "accept-charset"
            | "accept-encoding"
            | "accept-ranges"
            | "expect"
            | "proxy-authorization"
            | "connect-protocol-version"
            | "connect-timeout-ms"
    )
}

/// What a servlet says to whoever balances it: its load (ORCA), which is nobody else's business.
fn is_for_balancer(name: &str) -> bool {
    matches!(name, "endpoint-load-metrics" | "endpoint-load-metrics-bin" | "endpoint-load-metrics-json")
}

/// Fields of one hop (RFC 9110 §7.6.1), of the body's encoding or digest (RFC 9530), and those gRPC reserves. Two names that gRPC
/// reserves are not its own but tracing's, and go through.
fn names_hop_or_body(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "http2-settings"
            | "content-type"
            | "content-length"
            | "content-encoding"
            | "content-range"
            | "content-md5"
            | "content-digest"
            | "digest"
            | "repr-digest"
            | "connect-content-encoding"
            | "connect-accept-encoding"
    ) || (name.starts_with("grpc-") && !matches!(name, "grpc-trace-bin" | "grpc-tags-bin"))
}

/// What in trailers would speak of framing, routing, who the caller is, or how long to keep and where to look.
fn belongs_in_head(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "authorization"
            | "cookie"
            | "set-cookie"
            | "www-authenticate"
            | "location"
            | "cache-control"
            | "expires"
            | "age"
            | "vary"
            | "date"
            | "forwarded"
            | "via"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("access-control-")
}

/// Says in an answer's head that it hangs on a field of the request (RFC 9110 §12.5.5).
pub(super) fn vary(fields: &mut HeaderMap, by: &'static str) {
    let names = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(by.as_bytes());
    let told = fields.iter().any(|(name, value)| *name == header::VARY && tokens(value).any(names));
    if !told {
        fields.append(header::VARY, HeaderValue::from_static(by));
    }
}

fn named_by_connection(fields: &HeaderMap, name: &HeaderName) -> bool {
    fields.get_all(header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    })
}

/// The grammar of `Custom-Metadata`: names of letters, digits, `_`, `-`, `.`; printable ASCII values, base64 ones behind `-bin`.
/// A servlet's gRPC library ends the whole call over anything else, so it stays behind.
fn grpc_can_say(name: &HeaderName, value: &HeaderValue) -> bool {
    let (name, value) = (name.as_str(), value.as_bytes());
    if name.ends_with("-bin") {
        return is_custom_name(name)
            && value.split(|byte| *byte == b',').all(|part| BINARY.decode(part.trim_ascii()).is_ok());
    }
    // Without a way out of the loops, they go over many bytes at a time.
    is_custom_name(name) && value.iter().fold(true, |fine, byte| fine & matches!(byte, 0x20..=0x7e))
}

fn is_custom_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() | byte.is_ascii_digit() | matches!(byte, b'-' | b'.' | b'_');
    name.bytes().fold(true, |fine, byte| fine & fits(byte))
}

#[cfg(test)]
mod tests;
