//! Once more, elsewhere: only where no servlet has acted on the call, so that the caller never sees a try and nothing is done twice.

use crate::model::{Fault, Kind, Retry};

/// Tries of one call, the first among them: enough to pass over two broken endpoints and a connection that just closed, few enough
/// that an outage does not multiply the load.
pub const MAX_TRIES: u32 = 4;

/// What follows a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The fault is told.
    Tell,
    /// Another endpoint; if there is none, the fault is told.
    Elsewhere,
    /// Another endpoint, or the same one over another connection: it was the connection that ended, not the endpoint.
    Anywhere,
}

/// `tries`: those made so far. `replayable`: whether all of the body that was sent is still at hand.
pub fn after(fault: &Fault, tries: u32, replayable: bool) -> Next {
    if fault.answer().retry == Retry::Never || tries >= MAX_TRIES || !replayable {
        return Next::Tell;
    }
    match fault.kind {
        Kind::GoneAway | Kind::StreamRefused => Next::Anywhere,
        _ => Next::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stage;

    #[test]
    fn only_what_nobody_acted_on_goes_again_and_not_for_ever() {
        let fault = |kind| Fault::new(kind, Stage::Wait, "");
        assert_eq!(after(&fault(Kind::ConnectFailed), 1, true), Next::Elsewhere);
        assert_eq!(after(&fault(Kind::GoneAway), 1, true), Next::Anywhere);
        assert_eq!(after(&fault(Kind::GoneAway), MAX_TRIES, true), Next::Tell);
        assert_eq!(after(&fault(Kind::ConnectFailed), 1, false), Next::Tell);
        assert_eq!(after(&fault(Kind::StreamReset), 1, true), Next::Tell);
        assert_eq!(after(&fault(Kind::DeadlineExceeded), 1, true), Next::Tell);
    }
}
