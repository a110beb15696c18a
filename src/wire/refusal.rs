//! Why bytes are refused, before it becomes a fault: a word and a fixed text, small enough to be kept and said again, because a
//! connection that was refused once stays refused.

use crate::model::{Fault, Kind, Stage};

/// A reason to read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    pub(super) message: &'static str,
}

impl Refusal {
    pub(super) const fn new(kind: Kind, message: &'static str) -> Refusal {
        Refusal { kind, message }
    }

    /// A head that breaks HTTP's rules.
    pub(super) const fn head(message: &'static str) -> Refusal {
        Refusal::new(Kind::MalformedHead, message)
    }

    /// A body whose framing is broken.
    pub(super) const fn body(message: &'static str) -> Refusal {
        Refusal::new(Kind::MalformedBody, message)
    }

    pub(super) fn at(self, stage: Stage) -> Fault {
        Fault::new(self.kind, stage, self.message)
    }
}
