//! Headers of a translated call to gRPC metadata, and back. Leans towards carrying a field: what stays behind is what belongs to
//! one hop or one encoding of the body, what gRPC reserves, and what gRPC's grammar cannot say.

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// gRPC's binary metadata: padded or not is read, and none is written (PROTOCOL-HTTP2.md, `Binary-Header`).
pub(crate) const BINARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The metadata of the gRPC request that a translated request becomes. `te`, `content-type` and `grpc-*` are the proxy's to add.
pub fn request_metadata(headers: &HeaderMap) -> HeaderMap {
    copy(headers, |name, value| {
        // What the caller takes is between it and us; `accept-language` is for the servlet.
        !matches!(
            name,
            "host"
                | "accept"
                | "accept-charset"
                | "accept-encoding"
                | "accept-ranges"
                | "expect"
                | "proxy-authorization"
        ) && !names_hop_or_body(name)
            && grpc_can_say(name, value)
    })
}

/// The header fields of the REST answer that a gRPC reply becomes: its initial metadata and, when they are known before the head
/// goes out, its trailers.
pub fn reply_headers(initial: &HeaderMap, trailers: Option<&HeaderMap>) -> HeaderMap {
    let keep = |name: &str, _: &HeaderValue| !names_hop_or_body(name);
    let mut fields = copy(initial, keep);
    for (name, value) in trailers.into_iter().flatten() {
        // A head's own business does not come in by the back door (RFC 9110 §6.5.1).
        if keep(name.as_str(), value) && !belongs_in_head(name.as_str()) {
            fields.append(name, value.clone());
        }
    }
    fields
}

fn copy(fields: &HeaderMap, keep: impl Fn(&str, &HeaderValue) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        if keep(name.as_str(), value) && !named_by_connection(fields, name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Fields of one hop (RFC 9110 §7.6.1), of the body's encoding, and those gRPC reserves.
fn names_hop_or_body(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
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
    ) || name.starts_with("grpc-")
}

fn belongs_in_head(name: &str) -> bool {
    matches!(name, "host" | "authorization" | "set-cookie" | "www-authenticate" | "location" | "cache-control" | "date")
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
fn grpc_can_say(name: &str, value: &HeaderValue) -> bool {
    let named = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte));
    let value = value.as_bytes();
    let valued = if name.ends_with("-bin") {
        value.split(|byte| *byte == b',').all(|part| BINARY.decode(part.trim_ascii()).is_ok())
    } else {
        value.iter().all(|byte| matches!(byte, 0x20..=0x7e))
    };
    named && valued
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn a_request_keeps_what_the_servlet_may_want_to_know() {
        let kept = [
            ("authorization", "Bearer x"),
            ("x-request-id", "1"),
            ("x-twice", "a"),
            ("x-twice", "b"),
            ("traceparent", "00-1-1-01"),
            ("user-agent", "curl/7"),
            ("cookie", "a=b"),
            ("trace-bin", "AAEC"),
            ("padded-bin", "AA=="),
            ("listed-bin", "AAEC, AA"),
            ("snake_case.dotted", "1"),
            ("x-empty", ""),
        ];
        let dropped = [
            ("host", "a"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AA"),
            ("proxy-authorization", "secret"),
            ("expect", "100-continue"),
            ("content-type", "application/json"),
            ("content-length", "3"),
            ("content-encoding", "br"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("grpc-timeout", "1S"),
            ("grpc-status", "0"),
            ("broken-bin", "%"),
            ("x-latin", "caf\u{e9}"),
            ("odd!name", "1"),
        ];
        let all: Vec<_> = kept.iter().chain(&dropped).copied().collect();
        assert_eq!(request_metadata(&map(&all)), map(&kept));
    }

    #[test]
    fn a_reply_keeps_metadata_and_loses_grpc() {
        let initial = map(&[
            ("content-type", "application/grpc"),
            ("grpc-encoding", "identity"),
            ("x-one", "1"),
            ("date", "now"),
            ("set-cookie", "a=b"),
        ]);
        let trailers = map(&[
            ("grpc-status", "0"),
            ("grpc-message", "x"),
            ("grpc-status-details-bin", "AA"),
            ("x-one", "2"),
            ("x-cost", "3"),
            ("content-length", "9"),
            ("set-cookie", "c=d"),
            ("connection", "close"),
        ]);
        let expected = [("x-one", "1"), ("x-one", "2"), ("date", "now"), ("set-cookie", "a=b"), ("x-cost", "3")];
        assert_eq!(reply_headers(&initial, Some(&trailers)), map(&expected));
        let expected = [("x-one", "1"), ("date", "now"), ("set-cookie", "a=b")];
        assert_eq!(reply_headers(&initial, None), map(&expected));
    }
}
