//! Choose one of these: the weighted orders behind a servlet's endpoints.
//!
//! An [`Order`] belongs to one worker and is never shared; what workers must agree on (calls in flight, how slow an endpoint
//! is) lives in [`Stats`] and [`Pool`], which are relaxed atomics. A race there loses a sample, never a count. It leans towards
//! the weights: without good evidence that an endpoint is slower than its peers, it gets exactly its share.

mod chance;
mod epoch;
mod order;
mod sequence;
mod spells;
mod stats;
mod tree;

pub use chance::SplitMix;
pub use epoch::Epoch;
pub use order::{Availability, Candidate, Order};
pub use sequence::Sequence;
pub use spells::{Past, Spells};
pub use stats::{Pool, Stats};

/// How an endpoint is chosen. Every policy honours the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Weighted order, passing over endpoints with more in flight than their weight explains, and shedding slow ones.
    #[default]
    FairLeastRequest,
    /// The same order, blind to load.
    RoundRobin,
}

impl Policy {
    pub const ALL: [Policy; 2] = [Policy::FairLeastRequest, Policy::RoundRobin];

    /// The word for it in files and in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Policy::FairLeastRequest => "fair_least_request",
            Policy::RoundRobin => "round_robin",
        }
    }
}
