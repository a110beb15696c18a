//! How a try ended, known only at the end of the stream.

use http::StatusCode;

use super::{Code, Fault, Kind, Side, Stage};

/// How one try on one endpoint ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The servlet answered over gRPC; from the trailers.
    Grpc(Code),
    /// An untranslated answer came to its end.
    Http(StatusCode),
    /// Telamon ended it.
    Fault(Fault),
    /// The caller went away: says nothing about the endpoint.
    Cancelled,
}

/// What an outcome says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// Nothing: counts are put right and no statistic moves.
    Void,
}

impl Outcome {
    pub fn verdict(&self) -> Verdict {
        let bad = match self {
            Outcome::Grpc(code) => code.blames_endpoint(),
            Outcome::Http(status) => status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED,
            Outcome::Fault(fault) => match fault.side() {
                Side::Servlet => true,
                // An endpoint that let a deadline pass held its place all the while, unless it was the caller that it waited for.
                Side::Proxy if fault.kind == Kind::DeadlineExceeded && fault.stage != Stage::RequestBody => true,
                Side::Caller | Side::Proxy => return Verdict::Void,
            },
            Outcome::Cancelled => return Verdict::Void,
        };
        if bad { Verdict::Bad } else { Verdict::Good }
    }
}
