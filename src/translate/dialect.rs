//! What a caller speaks, told from the request's head. The answer to a fault, too, is told in it.

use http::{HeaderMap, Version, header};

/// What a caller speaks (design §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// gRPC over HTTP/2.
    Grpc,
    /// JSON by `google.api.http`, or by `POST /pkg.Service/Method`.
    Rest,
    /// HTTP that is carried through untranslated.
    Http,
}

impl Dialect {
    pub const ALL: [Dialect; 3] = [Dialect::Grpc, Dialect::Rest, Dialect::Http];

    /// The word for it in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Grpc => "grpc",
            Dialect::Rest => "rest",
            Dialect::Http => "http",
        }
    }
}

/// The form of a dialect that a caller is answered in. Told from the request's head alone, so that what is wrong with the rest of
/// it can be told as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A status in trailers.
    Grpc,
    /// An HTTP status and `google.rpc.Status` in JSON.
    Rest,
    /// The same, without a word of gRPC.
    Http,
}

impl Manner {
    /// How a request is meant that nothing but its head is known of.
    ///
    /// gRPC is HTTP/2 only (PROTOCOL-HTTP2.md): over HTTP/1 its content type makes a request that REST refuses with 415.
    pub fn of(version: Version, headers: &HeaderMap) -> Manner {
        let content_type = headers.get(header::CONTENT_TYPE);
        if version == Version::HTTP_2 && content_type.is_some_and(|value| is_grpc(value.as_bytes())) {
            Manner::Grpc
        } else {
            Manner::Rest
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Manner::Grpc => Dialect::Grpc,
            Manner::Rest => Dialect::Rest,
            Manner::Http => Dialect::Http,
        }
    }
}

/// Whether a content type is gRPC's: `application/grpc`, alone or with `+` and a message format. gRPC-Web's is not.
pub fn is_grpc(content_type: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    let Some((name, rest)) = content_type.split_at_checked(NAME.len()) else { return false };
    name.eq_ignore_ascii_case(NAME) && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type_over_http2_alone() {
        let cases = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json", true),
            ("application/grpc;charset=utf-8", true),
            ("Application/gRPC", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/grp", false),
            ("application/json", false),
            ("", false),
        ];
        for (text, grpc) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            let expected = if grpc { Manner::Grpc } else { Manner::Rest };
            assert_eq!(Manner::of(Version::HTTP_2, &headers), expected, "{text}");
            assert_eq!(Manner::of(Version::HTTP_11, &headers), Manner::Rest, "{text}");
        }
        assert_eq!(Manner::of(Version::HTTP_2, &HeaderMap::new()), Manner::Rest);
    }
}
