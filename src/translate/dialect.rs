//! What a caller speaks, told from the request's head. The answer to a fault, too, is told in it.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use super::connect::{self, Codec};
use super::rest::AnswerForm;

const CONNECT_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// What a caller speaks (design §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// gRPC, over HTTP/2; unary calls over HTTP/1 as well.
    Grpc,
    /// gRPC-Web, binary or text.
    GrpcWeb,
    /// The Connect protocol.
    Connect,
    /// JSON by `google.api.http`, or by `POST /pkg.Service/Method`.
    Rest,
    /// HTTP as a whole, inside gRPC: `telamon.v1.HttpServlet`.
    Envelope,
    /// HTTP that is carried through untranslated.
    Http,
}

impl Dialect {
    pub const ALL: [Dialect; 6] =
        [Dialect::Grpc, Dialect::GrpcWeb, Dialect::Connect, Dialect::Rest, Dialect::Envelope, Dialect::Http];

    /// The word for it in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Grpc => "grpc",
            Dialect::GrpcWeb => "grpc-web",
            Dialect::Connect => "connect",
            Dialect::Rest => "rest",
            Dialect::Envelope => "envelope",
            Dialect::Http => "http",
        }
    }
}

/// The form of a dialect that a caller speaks and is answered in. Told from the request's head alone, so that what is wrong with the
/// rest of it can be told as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A status in trailers.
    Grpc,
    /// gRPC over HTTP/1: the status in the head.
    GrpcHttp1,
    /// The status in a frame that ends the body.
    GrpcWeb { text: bool },
    /// An HTTP status and a JSON error. The codec of a GET is in its query.
    ConnectUnary(Option<Codec>),
    /// The error in a frame that ends the body.
    ConnectStream(Codec),
    /// An HTTP status and `google.rpc.Status` in JSON.
    Rest,
    /// The same status, serialized under this content type.
    Protobuf(&'static str),
    /// As `Rest`, without a word of gRPC.
    Http,
}

impl Manner {
    /// How a request is meant that nothing but its head is known of.
    ///
    /// JSON over POST is Connect's when it says so by `connect-protocol-version`, which Connect's clients send, else it is REST's. A
    /// request of Connect's whose codec is not known is told so as if it were JSON.
    pub fn of(head: &Parts) -> Manner {
        let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        // What most callers of no gRPC send is none of what follows, letter by letter.
        let is_plain = matches!(content_type, b"" | b"application/json");
        if is_plain {
            Manner::of_plain(head)
        } else if is_grpc(content_type) {
            if head.version == Version::HTTP_2 { Manner::Grpc } else { Manner::GrpcHttp1 }
        } else if let Some(text) = grpc_web(content_type) {
            Manner::GrpcWeb { text: accepted_as_text(&head.headers).unwrap_or(text) }
        } else if let Some((codec, stream)) = connect::codec_of(content_type) {
            if stream { Manner::ConnectStream(codec) } else { Manner::ConnectUnary(Some(codec)) }
        } else if connect::names_stream(content_type) {
            Manner::ConnectStream(Codec::Json)
        } else {
            Manner::of_plain(head)
        }
    }

    /// The same where the content type names no dialect.
    fn of_plain(head: &Parts) -> Manner {
        if head.method == Method::GET && head.uri.query().is_some_and(connect::is_connect_get) {
            Manner::ConnectUnary(None)
        } else if head.method == Method::POST && head.headers.contains_key(CONNECT_PROTOCOL_VERSION) {
            Manner::ConnectUnary(Some(Codec::Json))
        } else {
            Manner::of_form(AnswerForm::asked(&head.headers, false))
        }
    }

    /// How errors are told to a REST caller that asks for answers of this form.
    pub(super) fn of_form(form: AnswerForm) -> Manner {
        match form {
            AnswerForm::Protobuf(name) => Manner::Protobuf(name),
            AnswerForm::Json | AnswerForm::Lines(_) | AnswerForm::Events => Manner::Rest,
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Manner::Grpc | Manner::GrpcHttp1 => Dialect::Grpc,
            Manner::GrpcWeb { .. } => Dialect::GrpcWeb,
            Manner::ConnectUnary(_) | Manner::ConnectStream(_) => Dialect::Connect,
            Manner::Rest | Manner::Protobuf(_) => Dialect::Rest,
            Manner::Http => Dialect::Http,
        }
    }

    /// Whether a caller names the method itself, by `/pkg.Service/Method`. REST rules are not for these.
    pub fn names_method(self) -> bool {
        match self {
            Manner::Grpc | Manner::GrpcHttp1 | Manner::GrpcWeb { .. } => true,
            Manner::ConnectUnary(_) | Manner::ConnectStream(_) => true,
            Manner::Rest | Manner::Protobuf(_) | Manner::Http => false,
        }
    }
}

/// The form of gRPC-Web that the caller wants the answer in, when it says (PROTOCOL-WEB.md, "Text-encoded streams").
fn accepted_as_text(headers: &HeaderMap) -> Option<bool> {
    let mut ranges =
        headers.get_all(header::ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    ranges.find_map(grpc_web)
}

/// Whether a content type is gRPC-Web's, and then whether in its text form.
pub(super) fn grpc_web(content_type: &[u8]) -> Option<bool> {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let name = essence.split(|byte| *byte == b'+').next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"application/grpc-web") {
        Some(false)
    } else if name.eq_ignore_ascii_case(b"application/grpc-web-text") {
        Some(true)
    } else {
        None
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
    use http::Request;

    use super::*;

    fn head(version: Version, method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().version(version).method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_caller_is_known_by_its_content_type() {
        let web = |text| Manner::GrpcWeb { text };
        let unary = |codec| Manner::ConnectUnary(Some(codec));
        let stream = Manner::ConnectStream;
        let cases = [
            ("application/grpc", Manner::Grpc),
            ("application/grpc+proto", Manner::Grpc),
            ("application/grpc+json", Manner::Grpc),
            ("application/grpc;charset=utf-8", Manner::Grpc),
            ("Application/gRPC", Manner::Grpc),
            ("application/grpc-web", web(false)),
            ("application/grpc-web+proto", web(false)),
            ("Application/grpc-Web-Text", web(true)),
            ("application/grpc-web-text+proto; charset=utf-8", web(true)),
            ("application/grpc-webx", Manner::Rest),
            ("application/grpcx", Manner::Rest),
            ("application/grp", Manner::Rest),
            ("application/proto", unary(Codec::Proto)),
            ("application/connect+proto", stream(Codec::Proto)),
            ("application/connect+json; charset=utf-8", stream(Codec::Json)),
            ("application/connect+xml", stream(Codec::Json)),
            ("application/connect", Manner::Rest),
            ("application/json", Manner::Rest),
            ("", Manner::Rest),
        ];
        for (text, expected) in cases {
            let fields = [("content-type", text)];
            assert_eq!(Manner::of(&head(Version::HTTP_2, "POST", "/p.S/M", &fields)), expected, "{text}");
            let expected = if expected == Manner::Grpc { Manner::GrpcHttp1 } else { expected };
            assert_eq!(Manner::of(&head(Version::HTTP_11, "POST", "/p.S/M", &fields)), expected, "{text}");
        }
    }

    #[test]
    fn json_is_connects_when_it_says_so() {
        let of = |method, uri, fields: &[(&str, &str)]| Manner::of(&head(Version::HTTP_11, method, uri, fields));
        let said = [("content-type", "application/json"), ("connect-protocol-version", "1")];
        assert_eq!(of("POST", "/p.S/M", &said), Manner::ConnectUnary(Some(Codec::Json)));
        assert_eq!(of("PUT", "/p.S/M", &said), Manner::Rest);
        assert_eq!(of("GET", "/p.S/M?connect=v1&encoding=json&message=%7B%7D", &[]), Manner::ConnectUnary(None));
        let json = [("content-type", "application/json")];
        assert_eq!(of("GET", "/p.S/M?connect=v1&encoding=json&message=%7B%7D", &json), Manner::ConnectUnary(None));
        assert_eq!(of("GET", "/p.S/M?encoding=json", &[]), Manner::Rest);
        assert_eq!(of("POST", "/p.S/M?connect=v1", &[]), Manner::Rest);
        for name in ["content-type", "accept"] {
            let protobuf = Manner::Protobuf("application/protobuf");
            assert_eq!(of("POST", "/p.S/M", &[(name, "application/protobuf")]), protobuf);
        }
    }

    #[test]
    fn a_grpc_web_caller_may_want_its_answer_in_another_form() {
        let cases = [
            ("application/grpc-web", "application/grpc-web-text", true),
            ("application/grpc-web+proto", "text/html, application/grpc-web-text+proto;q=0.9", true),
            ("application/grpc-web-text", "*/*", true),
            ("application/grpc-web-text", "application/grpc-web+proto", false),
            ("application/grpc-web", "*/*", false),
        ];
        for (content_type, accept, text) in cases {
            let fields = [("content-type", content_type), ("accept", accept)];
            let manner = Manner::of(&head(Version::HTTP_11, "POST", "/p.S/M", &fields));
            assert_eq!(manner, Manner::GrpcWeb { text }, "{content_type} {accept}");
        }
    }
}
