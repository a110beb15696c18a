//! Which series are worth a line at zero: those that a call can move. A counter that alerts are written for is there from the start,
//! one for a label that its servlet can never have is not. Leans towards showing: whatever has moved is shown, expected or not.

use crate::model::{HttpProtocol, Kind};
use crate::translate::Dialect;

/// Whether a servlet may answer with a status of this class; `plain`: it carries plain HTTP.
pub(super) fn answers(class: &str, plain: bool) -> bool {
    // Those that only a servlet's own answer has.
    plain || !matches!(class, "1xx" | "3xx")
}

/// Whether a fault may be counted of a servlet.
pub(super) fn fails(kind: Kind, plain: bool) -> bool {
    happens(kind).with_servlet && !(plain && is_translators(kind))
}

/// Whether a fault may be counted of a request that has no servlet yet.
pub(super) fn fails_unrouted(kind: Kind) -> bool {
    happens(kind).before_servlet
}

/// Whether a servlet's callers may speak `dialect` over `protocol`.
pub(super) fn speaks(dialect: Dialect, protocol: HttpProtocol, plain: bool) -> bool {
    match dialect {
        // Over HTTP/1.1 too: unary calls alone are taken there.
        Dialect::Grpc | Dialect::GrpcWeb | Dialect::Connect => !plain && protocol != HttpProtocol::Http10,
        // Shown once it moves: few servlets have a route into the envelope.
        Dialect::Envelope => false,
        Dialect::Rest => !plain,
        Dialect::Http => plain,
    }
}

/// Faults of translating, which plain HTTP is spared.
fn is_translators(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidRequest
            | Kind::UnsupportedMediaType
            | Kind::UnsupportedCoding
            | Kind::NotAcceptable
            | Kind::SchemaPending
            | Kind::UntranslatableReply
    )
}

/// When a fault can happen.
struct Happens {
    before_servlet: bool,
    with_servlet: bool,
}

fn happens(kind: Kind) -> Happens {
    let (before_servlet, with_servlet) = match kind {
        Kind::MalformedHead
        | Kind::HeadTooLarge
        | Kind::HeadTimeout
        | Kind::LengthRequired
        | Kind::UnsupportedVersion
        | Kind::NotImplemented
        | Kind::ExpectationFailed
        | Kind::NoRoute
        | Kind::UnknownMethod
        | Kind::MethodNotAllowed => (true, false),
        Kind::InvalidRequest
        | Kind::UnsupportedMediaType
        | Kind::NotAcceptable
        | Kind::SchemaPending
        | Kind::Overloaded
        | Kind::Draining
        | Kind::Internal => (true, true),
        Kind::MalformedBody
        | Kind::UnsupportedCoding
        | Kind::BodyTooLarge
        | Kind::BodyTimeout
        | Kind::CallerGone
        | Kind::NoEndpoint
        | Kind::Saturated
        | Kind::DeadlineExceeded
        | Kind::ConnectFailed
        | Kind::ConnectTimeout
        | Kind::StreamRefused
        | Kind::GoneAway
        | Kind::ConnectionLost
        | Kind::StreamReset
        | Kind::MalformedReply
        | Kind::UntranslatableReply => (false, true),
    };
    Happens { before_servlet, with_servlet }
}

#[cfg(test)]
mod tests {
    use super::super::{CallRecord, Metrics, Reply, ServletMetrics};
    use super::*;

    fn shown(metrics: &Metrics, family: &str, servlet: &str) -> Vec<String> {
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.starts_with(family) && line.contains(servlet));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn zeros_are_shown_where_a_call_can_move_them() {
        let metrics = Metrics::new();
        let _translated = ServletMetrics::new(&metrics, "echo", true);
        let _plain = ServletMetrics::new(&metrics, "shop", false);
        let requests = |servlet| shown(&metrics, "telamon_requests_total", servlet).concat();
        assert!(requests("echo").contains("dialect=\"rest\",protocol=\"HTTP/1.0\""));
        assert!(requests("echo").contains("dialect=\"grpc\",protocol=\"HTTP/2\""));
        assert!(!requests("echo").contains("dialect=\"grpc\",protocol=\"HTTP/1.0\""));
        assert!(!requests("echo").contains("dialect=\"http\"") && requests("shop").contains("dialect=\"http\""));
        assert!(!requests("shop").contains("dialect=\"rest\""));
        let faults = |servlet| shown(&metrics, "telamon_faults_total", servlet).concat();
        for flag in ["no_endpoint", "connect_failed", "deadline_exceeded", "internal", "draining", "stream_reset"] {
            assert!(faults("echo").contains(flag) && faults("shop").contains(flag), "{flag} is alerted on");
        }
        assert!(!faults("echo").contains("malformed_head") && !faults("shop").contains("untranslatable_reply"));
        let unrouted = shown(&metrics, "telamon_unrouted_requests_total", "").concat();
        assert!(unrouted.contains("no_route") && !unrouted.contains("connect_failed"));
        assert!(shown(&metrics, "telamon_grpc_responses_total", "shop").is_empty());
        assert!(shown(&metrics, "telamon_http_responses_total", "shop").concat().contains("3xx"));
    }

    #[test]
    fn what_has_moved_is_shown_whatever_was_expected() {
        let metrics = Metrics::new();
        let plain = ServletMetrics::new(&metrics, "shop", false);
        let dialect = Some(Dialect::Grpc);
        let reply = Reply { fault: Some(Kind::NoRoute), ..Reply::default() };
        plain.finished(&CallRecord { dialect, protocol: HttpProtocol::Http10, reply, ..CallRecord::example() });
        metrics.unrouted(Kind::ConnectFailed);
        for (family, part) in [
            ("telamon_requests_total", "dialect=\"grpc\",protocol=\"HTTP/1.0\""),
            ("telamon_faults_total", "flag=\"no_route\""),
            ("telamon_unrouted_requests_total", "flag=\"connect_failed\""),
        ] {
            let lines = shown(&metrics, family, "");
            assert!(lines.iter().any(|line| line.contains(part) && line.ends_with(" 1")), "{family}: {lines:?}");
        }
    }
}
