//! The one table of faults: answers that Telamon gives itself. A fault knows whose side it is on, how far the call had come, and
//! whether trying again is safe; `Fault::answer` turns it into statuses. Exhaustive on purpose: a new kind does not compile until it
//! has an answer.

use std::borrow::Cow;
use std::fmt;

use http::{Method, StatusCode};

use super::Code;

/// Who has to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Caller,
    Proxy,
    Servlet,
}

/// How far the call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reading the request's head.
    Head,
    /// Finding its route and dialect.
    Plan,
    /// Reading or translating the request's body.
    RequestBody,
    /// Choosing an endpoint.
    Pick,
    /// Connecting to it.
    Connect,
    /// Sent, and waiting for the head of the answer.
    Wait,
    /// Carrying or translating the answer's body.
    ReplyBody,
    /// Waiting for the caller to take more of the answer.
    Taking,
}

/// May the call be tried again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The servlet may have acted on it, or another try would end the same way.
    Never,
    /// No servlet has acted on it: another endpoint may get it, unseen by the caller.
    Elsewhere,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $side:ident, $flag:literal;)*) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            pub fn side(self) -> Side {
                match self { $(Kind::$name => Side::$side),* }
            }

            /// The word for it in the access log and in metrics.
            pub fn flag(self) -> &'static str {
                match self { $(Kind::$name => $flag),* }
            }
        }
    };
}

kinds! {
    /// The request's head breaks HTTP's rules.
    MalformedHead: Caller, "malformed_head";
    /// More header bytes or fields than the limit.
    HeadTooLarge: Caller, "head_too_large";
    /// The head did not arrive in time.
    HeadTimeout: Caller, "head_timeout";
    /// A body whose length HTTP/1.0 cannot tell without Content-Length (RFC 9110 §15.5.12).
    LengthRequired: Caller, "length_required";
    /// An HTTP version that is not spoken here.
    UnsupportedVersion: Caller, "unsupported_version";
    /// CONNECT, a transfer coding other than chunked, or a stream or a compression that the caller's protocol has and we do not carry.
    NotImplemented: Caller, "not_implemented";
    /// An `Expect` other than 100-continue.
    ExpectationFailed: Caller, "expectation_failed";
    /// The body's framing, HTTP's or gRPC's, is broken.
    MalformedBody: Caller, "malformed_body";
    /// The body, or one message in it, is over the limit.
    BodyTooLarge: Caller, "body_too_large";
    /// The body stalled.
    BodyTimeout: Caller, "body_timeout";
    /// The request does not fit the method's message: bad JSON, an unknown field, a value out of range.
    InvalidRequest: Caller, "invalid_request";
    /// No route for this host and path.
    NoRoute: Caller, "no_route";
    /// A gRPC path of no known service or method.
    UnknownMethod: Caller, "unknown_method";
    /// The path exists for other HTTP methods.
    MethodNotAllowed: Caller, "method_not_allowed";
    /// A content type that the route cannot read.
    UnsupportedMediaType: Caller, "unsupported_media_type";
    /// A coding around the body, or around its messages, that is not known here.
    UnsupportedCoding: Caller, "unsupported_coding";
    /// An answer in a form that the method does not have.
    NotAcceptable: Caller, "not_acceptable";
    /// The caller went away.
    CallerGone: Caller, "caller_gone";
    /// The servlet has no endpoint with a weight.
    NoEndpoint: Proxy, "no_endpoint";
    /// The servlet's schema is to be told by its endpoints, and none has told it yet.
    SchemaPending: Proxy, "schema_pending";
    /// A limit of this process is reached.
    Overloaded: Proxy, "overloaded";
    /// All connections to an endpoint, or their streams, stayed in use.
    Saturated: Proxy, "saturated";
    /// The deadline passed.
    DeadlineExceeded: Proxy, "deadline_exceeded";
    /// The process is going away.
    Draining: Proxy, "draining";
    /// A defect in Telamon.
    Internal: Proxy, "internal";
    /// Nobody accepted the connection.
    ConnectFailed: Servlet, "connect_failed";
    /// The connection did not come up in time.
    ConnectTimeout: Servlet, "connect_timeout";
    /// REFUSED_STREAM: not acted on (RFC 9113 §8.7).
    StreamRefused: Servlet, "stream_refused";
    /// GOAWAY below the stream's id: not acted on (RFC 9113 §6.8).
    GoneAway: Servlet, "gone_away";
    /// The connection broke under the call.
    ConnectionLost: Servlet, "connection_lost";
    /// The servlet reset the stream.
    StreamReset: Servlet, "stream_reset";
    /// The answer breaks HTTP's or gRPC's rules.
    MalformedReply: Servlet, "malformed_reply";
    /// The answer does not fit the method's message, or is over the limit.
    UntranslatableReply: Servlet, "untranslatable_reply";
}

/// How a fault is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub http: StatusCode,
    pub grpc: Code,
    pub flag: &'static str,
    pub retry: Retry,
}

/// An answer that Telamon gives itself, or the reason that a stream ended early.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub stage: Stage,
    /// For the caller to read: what was wrong and what would be right. Never holds a secret of the host.
    pub message: Cow<'static, str>,
    /// With `MethodNotAllowed`: what goes into `Allow`.
    pub allow: Vec<Method>,
}

impl Fault {
    pub fn new(kind: Kind, stage: Stage, message: impl Into<Cow<'static, str>>) -> Fault {
        Fault { kind, stage, message: message.into(), allow: Vec::new() }
    }

    pub fn side(&self) -> Side {
        self.kind.side()
    }

    pub fn answer(&self) -> Answer {
        let (http, grpc) = statuses(self.kind);
        Answer { http, grpc, flag: self.kind.flag(), retry: retry(self.kind, self.stage) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.flag(), self.message)
    }
}

impl std::error::Error for Fault {}

fn statuses(kind: Kind) -> (StatusCode, Code) {
    match kind {
        Kind::MalformedHead | Kind::MalformedBody | Kind::InvalidRequest => {
            (StatusCode::BAD_REQUEST, Code::InvalidArgument)
        }
        Kind::HeadTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Code::ResourceExhausted),
        Kind::HeadTimeout | Kind::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
        Kind::LengthRequired => (StatusCode::LENGTH_REQUIRED, Code::InvalidArgument),
        Kind::UnsupportedVersion => (StatusCode::HTTP_VERSION_NOT_SUPPORTED, Code::Unimplemented),
        Kind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented),
        Kind::ExpectationFailed => (StatusCode::EXPECTATION_FAILED, Code::InvalidArgument),
        Kind::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
        Kind::NoRoute => (StatusCode::NOT_FOUND, Code::NotFound),
        Kind::UnknownMethod => (StatusCode::NOT_FOUND, Code::Unimplemented),
        Kind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
        Kind::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
        Kind::UnsupportedCoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented),
        Kind::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, Code::InvalidArgument),
        Kind::CallerGone => (Code::Cancelled.http_status(), Code::Cancelled),
        Kind::NoEndpoint
        | Kind::SchemaPending
        | Kind::Saturated
        | Kind::Draining
        | Kind::ConnectFailed
        | Kind::ConnectTimeout
        | Kind::StreamRefused
        | Kind::GoneAway => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Code::ResourceExhausted),
        Kind::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        Kind::ConnectionLost | Kind::StreamReset => (StatusCode::BAD_GATEWAY, Code::Unavailable),
        Kind::MalformedReply | Kind::UntranslatableReply => (StatusCode::BAD_GATEWAY, Code::Internal),
    }
}

/// Safe only when no servlet can have acted on the call; and once an answer has begun, never.
fn retry(kind: Kind, stage: Stage) -> Retry {
    match stage {
        Stage::Head | Stage::Plan | Stage::RequestBody | Stage::Pick | Stage::ReplyBody | Stage::Taking => Retry::Never,
        Stage::Connect | Stage::Wait => match kind {
            Kind::Saturated | Kind::ConnectFailed | Kind::ConnectTimeout | Kind::StreamRefused | Kind::GoneAway => {
                Retry::Elsewhere
            }
            Kind::MalformedHead
            | Kind::HeadTooLarge
            | Kind::HeadTimeout
            | Kind::LengthRequired
            | Kind::UnsupportedVersion
            | Kind::NotImplemented
            | Kind::ExpectationFailed
            | Kind::MalformedBody
            | Kind::BodyTooLarge
            | Kind::BodyTimeout
            | Kind::InvalidRequest
            | Kind::NoRoute
            | Kind::UnknownMethod
            | Kind::MethodNotAllowed
            | Kind::UnsupportedMediaType
            | Kind::UnsupportedCoding
            | Kind::NotAcceptable
            | Kind::CallerGone
            | Kind::NoEndpoint
            | Kind::SchemaPending
            | Kind::Overloaded
            | Kind::DeadlineExceeded
            | Kind::Draining
            | Kind::Internal
            | Kind::ConnectionLost
            | Kind::StreamReset
            | Kind::MalformedReply
            | Kind::UntranslatableReply => Retry::Never,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_tells_an_error_and_its_own_word() {
        let mut flags = std::collections::HashSet::new();
        for kind in Kind::ALL {
            let answer = Fault::new(*kind, Stage::Wait, "").answer();
            assert!(answer.http.as_u16() >= 400 && answer.grpc != Code::Ok, "{kind:?}");
            assert!(flags.insert(answer.flag), "{kind:?}");
        }
    }

    #[test]
    fn what_may_have_been_acted_on_is_not_sent_twice() {
        for kind in Kind::ALL {
            for stage in [Stage::Head, Stage::Plan, Stage::RequestBody, Stage::Pick, Stage::ReplyBody, Stage::Taking] {
                assert_eq!(Fault::new(*kind, stage, "").answer().retry, Retry::Never);
            }
        }
        assert_eq!(Fault::new(Kind::StreamReset, Stage::Wait, "").answer().retry, Retry::Never);
        assert_eq!(Fault::new(Kind::StreamRefused, Stage::Wait, "").answer().retry, Retry::Elsewhere);
    }
}
