//! How long a call may take.

use std::time::Duration;

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    Unary,
    Streaming,
    /// No schema tells, or it is not gRPC at all.
    Unknown,
}

/// The time a call has from its request's head on: the shorter of what the servlet's file and the caller say; `unary`, the default,
/// only where the file says nothing and the call is known to be short.
pub fn timeout(
    kind: CallKind,
    unary: Duration,
    servlet: Option<Duration>,
    caller: Option<Duration>,
) -> Option<Duration> {
    let own = servlet.or(match kind {
        CallKind::Unary => Some(unary),
        CallKind::Streaming | CallKind::Unknown => None,
    });
    match (own, caller) {
        (Some(own), Some(caller)) => Some(own.min(caller)),
        (own, caller) => own.or(caller),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_both_and_a_default_for_unary_calls_only() {
        let seconds = |n| Some(Duration::from_secs(n));
        let cases = [
            (CallKind::Unary, None, None, seconds(15)),
            (CallKind::Unary, None, seconds(60), seconds(15)),
            (CallKind::Unary, seconds(60), None, seconds(60)),
            (CallKind::Unary, seconds(60), seconds(20), seconds(20)),
            (CallKind::Streaming, None, None, None),
            (CallKind::Streaming, seconds(5), None, seconds(5)),
            (CallKind::Streaming, None, seconds(7), seconds(7)),
            (CallKind::Unknown, None, None, None),
            (CallKind::Unknown, seconds(5), seconds(7), seconds(5)),
        ];
        for (kind, servlet, caller, expected) in cases {
            let unary = Duration::from_secs(15);
            assert_eq!(timeout(kind, unary, servlet, caller), expected, "{kind:?} {servlet:?} {caller:?}");
        }
    }
}
