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
                // An endpoint that let a deadline pass held its place all the while, unless it was the caller that it waited for: to
                // send the rest of the request, or to take the rest of the answer.
                Side::Proxy if fault.kind == Kind::DeadlineExceeded => match fault.stage {
                    Stage::RequestBody | Stage::Taking => return Verdict::Void,
                    Stage::Head | Stage::Plan | Stage::Pick | Stage::Connect | Stage::Wait | Stage::ReplyBody => true,
                },
                Side::Caller | Side::Proxy => return Verdict::Void,
            },
            Outcome::Cancelled => return Verdict::Void,
        };
        if bad { Verdict::Bad } else { Verdict::Good }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_an_endpoints_unless_its_caller_kept_the_call() {
        for (stage, verdict) in [
            (Stage::RequestBody, Verdict::Void),
            (Stage::Wait, Verdict::Bad),
            (Stage::ReplyBody, Verdict::Bad),
            (Stage::Taking, Verdict::Void),
        ] {
            let late = Fault::new(Kind::DeadlineExceeded, stage, "");
            assert_eq!(Outcome::Fault(late).verdict(), verdict, "{stage:?}");
        }
    }
}
