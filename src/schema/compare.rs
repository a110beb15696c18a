//! What a new version of a schema means for callers of the old one. Callers of REST live by names and paths, callers of gRPC by
//! numbers and wire types, so each change says whom it breaks: by "Updating A Message Type"
//! (protobuf.dev/programming-guides/proto3) and by ProtoJSON (protobuf.dev/programming-guides/json).
//!
//! Leans towards telling: what may break some caller breaks, for the answer to a false alarm is one word in a file, and the answer to
//! silence is a caller that fails. Walks over pairs of types with a list of its own, so no schema is too deep or too circular for it.

mod change;
mod enums;
mod fields;
mod kinds;
mod methods;
mod oneofs;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};

pub use change::{Breaks, Change, What};
pub(super) use kinds::wrapped;

use super::message::{EnumId, MessageId};
use super::place::Place;
use super::service::Schema;

/// More than any operator would read; what is beyond is counted in one last change.
const MAX_CHANGES: usize = 1000;

/// More pairs of types than any schema has; a hostile one could pair every old type with every new one.
const MAX_PAIRS: usize = 1 << 16;

/// What callers reach of both versions. Only this is compared, with all types that its messages lead to.
pub struct Reach<'r> {
    /// Whether a service of that full name is served, in both versions should it be there.
    pub serves: &'r dyn Fn(&str) -> bool,
    /// Methods, as service and name, that are reached otherwise: by a configured route. Both versions have them.
    pub calls: &'r [(&'r str, &'r str)],
}

/// What has changed from `old` to `new`, breaking changes first, in the order of the services, then of the types.
pub fn compare(old: &Schema, new: &Schema, reach: &Reach<'_>) -> Vec<Change> {
    let mut comparison = Comparison {
        old,
        new,
        changes: Vec::new(),
        more: 0,
        more_breaks: Breaks::NOBODY,
        messages: Pairs::default(),
        enums: Pairs::default(),
    };
    comparison.methods(reach);
    comparison.routes(reach);
    loop {
        if let Some((old, new)) = comparison.messages.next() {
            comparison.message(old, new);
        } else if let Some((old, new)) = comparison.enums.next() {
            comparison.enumeration(old, new);
        } else {
            break;
        }
    }
    comparison.into_changes()
}

/// The two versions, and what has been found so far.
struct Comparison<'s> {
    old: &'s Schema,
    new: &'s Schema,
    changes: Vec<Change>,
    /// How many were left out, and whom they break.
    more: usize,
    more_breaks: Breaks,
    messages: Pairs<MessageId>,
    enums: Pairs<EnumId>,
}

impl Comparison<'_> {
    fn tell(&mut self, what: What, subject: impl Into<String>, breaks: Breaks, place: Place, told: impl Into<String>) {
        if self.changes.len() >= MAX_CHANGES {
            self.more += 1;
            self.more_breaks = self.more_breaks.and(breaks);
            return;
        }
        self.changes.push(Change { what, subject: subject.into(), breaks, place, told: told.into() });
    }

    fn into_changes(mut self) -> Vec<Change> {
        self.changes.sort_by_key(|change| !change.breaks.anybody());
        let place = self.new.services().next().map_or_else(|| Place::file(""), |service| service.place.clone());
        if self.more > 0 {
            let told = format!("and {} more", self.more);
            self.changes.push(Change {
                what: What::Unfinished,
                subject: "the schema".into(),
                breaks: self.more_breaks,
                place: place.clone(),
                told,
            });
        }
        if self.messages.overflowed || self.enums.overflowed {
            let told = "leads from too many types to too many others to compare them all".to_owned();
            let (subject, breaks) = ("the schema".to_owned(), Breaks::BOTH);
            self.changes.push(Change { what: What::Unfinished, subject, breaks, place, told });
        }
        self.changes
    }
}

/// Pairs of types to compare, each once.
struct Pairs<T> {
    seen: HashSet<(T, T)>,
    queue: VecDeque<(T, T)>,
    overflowed: bool,
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Pairs { seen: HashSet::new(), queue: VecDeque::new(), overflowed: false }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Pairs<T> {
    fn add(&mut self, old: T, new: T) {
        if self.seen.len() >= MAX_PAIRS {
            self.overflowed |= !self.seen.contains(&(old, new));
        } else if self.seen.insert((old, new)) {
            self.queue.push_back((old, new));
        }
    }

    fn next(&mut self) -> Option<(T, T)> {
        self.queue.pop_front()
    }
}
