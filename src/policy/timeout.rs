//! How long a call may take.

use std::time::Duration;

/// What a unary call gets when nobody says otherwise (design §3).
pub const DEFAULT_UNARY_TIMEOUT: Duration = Duration::from_secs(15);

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    Unary,
    Streaming,
    /// No schema tells, or it is not gRPC at all.
    Unknown,
}

/// The time a call has from its request's head on: the shorter of what the servlet's file and the caller say; the default only
/// where nothing is said and the call is known to be short.
pub fn timeout(kind: CallKind, servlet: Option<Duration>, caller: Option<Duration>) -> Option<Duration> {
    let own = servlet.or(match kind {
        CallKind::Unary => Some(DEFAULT_UNARY_TIMEOUT),
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
            assert_eq!(timeout(kind, servlet, caller), expected, "{kind:?} {servlet:?} {caller:?}");
        }
    }
}
