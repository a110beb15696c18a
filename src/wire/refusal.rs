//! Why bytes are refused, before it becomes a fault: a word and a fixed text, with the limit where there is one that was passed; small
//! enough to be kept and said again, because a connection that was refused once stays refused.

use crate::model::{Fault, Kind, Stage};

/// A reason to read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    pub(super) message: &'static str,
    limit: Option<Limit>,
}

/// A limit that was passed, told behind the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    number: usize,
    /// What follows the number: its unit, and the setting where there is one.
    of: &'static str,
}

impl Refusal {
    pub(super) const fn new(kind: Kind, message: &'static str) -> Refusal {
        Refusal { kind, message, limit: None }
    }

    /// More fields in a request's head than the listener takes.
    pub(super) const fn fields_over(number: usize) -> Refusal {
        let message = "the request head is over the limit of";
        Refusal::new(Kind::HeadTooLarge, message).over(number, "fields (`limits.header_fields`)")
    }

    /// More bytes in a request's head than the listener takes.
    pub(super) const fn bytes_over(number: usize) -> Refusal {
        let message = "the request head is over the limit of";
        Refusal::new(Kind::HeadTooLarge, message).over(number, "bytes (`limits.header_size`)")
    }

    /// With the limit that was passed, behind a message that leads to it.
    pub(super) const fn over(self, number: usize, of: &'static str) -> Refusal {
        Refusal { limit: Some(Limit { number, of }), ..self }
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
        match self.limit {
            Some(Limit { number, of }) => Fault::new(self.kind, stage, format!("{} {number} {of}", self.message)),
            None => Fault::new(self.kind, stage, self.message),
        }
    }
}
