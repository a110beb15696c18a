//! One finished call, as metrics and the access log see it. Filled once, at the end of the stream.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::model::{Address, Code, HttpProtocol, Kind, Side};
use crate::translate::Dialect;

/// How the caller was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status that was sent; `None` when the caller left before there was one.
    pub status: Option<StatusCode>,
    /// The gRPC code, for calls that reached or were meant for a gRPC method.
    pub code: Option<Code>,
    /// The fault that Telamon answered with, or that ended the stream early.
    pub fault: Option<Kind>,
}

/// A call from its head to the end of its stream. Bytes come from the caller and are hostile until they are escaped.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    /// When the request's head was read.
    pub start: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    pub peer: Option<SocketAddr>,
    pub protocol: HttpProtocol,
    /// `None` when the request was refused before its dialect was known.
    pub dialect: Option<Dialect>,
    pub method: &'a str,
    pub host: Option<&'a [u8]>,
    /// Path and query as the caller wrote them.
    pub path: &'a [u8],
    /// The servlet's name; `None` when no route matched.
    pub servlet: Option<&'a str>,
    /// `pkg.Service/Method`, of translated and gRPC calls.
    pub grpc_method: Option<&'a str>,
    pub reply: Reply,
    /// The endpoint of the last try.
    pub endpoint: Option<&'a Address>,
    /// Tries on endpoints: 0 when none was made, 1 without a retry.
    pub attempts: u32,
    /// Body bytes from the caller, as they came.
    pub bytes_in: u64,
    /// Body bytes to the caller, as they went.
    pub bytes_out: u64,
    /// From the head of the request to the end of the stream.
    pub duration: Duration,
    /// From the head of the request to the head of the answer.
    pub head_after: Option<Duration>,
    /// The part of `duration` spent on the endpoint: from the pick of the last try to its end.
    pub upstream: Option<Duration>,
    pub user_agent: Option<&'a [u8]>,
}

impl Reply {
    /// Who has to act on it, `None` when nobody has. An error that the servlet itself answered is the servlet's.
    pub fn side(&self) -> Option<Side> {
        if let Some(kind) = self.fault {
            return Some(kind.side());
        }
        let failed = match self.code {
            Some(code) => code != Code::Ok,
            None => self.status.is_some_and(|status| status.is_client_error() || status.is_server_error()),
        };
        failed.then_some(Side::Servlet)
    }
}

/// The word for a side in logs and labels.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Proxy => "proxy",
        Side::Servlet => "servlet",
    }
}

#[cfg(test)]
impl CallRecord<'_> {
    /// A good call, for tests to vary.
    pub(super) fn example() -> CallRecord<'static> {
        CallRecord {
            start: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890_042),
            listener: "ingress",
            peer: Some(([10, 0, 0, 9], 4242).into()),
            protocol: HttpProtocol::Http11,
            dialect: Some(Dialect::Rest),
            method: "GET",
            host: Some(b"legacy.internal"),
            path: b"/v1/who?x=1",
            servlet: Some("echo"),
            grpc_method: Some("bench.v1.EchoService/Echo"),
            reply: Reply { status: Some(StatusCode::OK), code: Some(Code::Ok), fault: None },
            endpoint: None,
            attempts: 1,
            bytes_in: 0,
            bytes_out: 64,
            duration: Duration::from_micros(1_500),
            head_after: Some(Duration::from_micros(1_400)),
            upstream: Some(Duration::from_micros(1_250)),
            user_agent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_has_a_side_and_a_good_one_has_none() {
        let reply = |status: u16, code, fault| Reply { status: StatusCode::from_u16(status).ok(), code, fault };
        let cases = [
            (reply(200, Some(Code::Ok), None), None),
            (reply(200, Some(Code::NotFound), None), Some(Side::Servlet)),
            (reply(200, None, None), None),
            (reply(304, None, None), None),
            (reply(404, None, None), Some(Side::Servlet)),
            (reply(502, None, None), Some(Side::Servlet)),
            (reply(404, Some(Code::NotFound), Some(Kind::NoRoute)), Some(Side::Caller)),
            (reply(503, Some(Code::Unavailable), Some(Kind::NoEndpoint)), Some(Side::Proxy)),
            (reply(503, Some(Code::Unavailable), Some(Kind::ConnectFailed)), Some(Side::Servlet)),
            (reply(0, Some(Code::Cancelled), Some(Kind::CallerGone)), Some(Side::Caller)),
            (Reply::default(), None),
        ];
        for (reply, side) in cases {
            assert_eq!(reply.side(), side, "{reply:?}");
        }
    }
}
