//! Fair least-request: who gets the next call.
//!
//! The weighted order decides. An endpoint with more in flight than its weight explains, with room for chance, is passed over
//! and keeps a bounded credit; a slower one pays a longer stride. It leans towards the weights: of four that look busy, the
//! least busy takes the call rather than a search going on.

use smallvec::SmallVec;

use super::{Policy, Pool, Sequence, Stats};

/// Credit past this many strides is forgiven. Less, and eight workers with uneven service times err; more, and one that was
/// stuck comes back with a rush.
const MOST_CREDIT: f64 = 16.0;
/// The noise of a count is its root; half of it more, and a half for small counts. Less breaks heavy-tailed service.
const NOISE: f64 = 1.5;
const SMALL_COUNTS: f64 = 0.5;
/// How many are looked at for one call. The counts sum to the total, so not all can be above their part.
const LOOKS: usize = 4;

/// After a change of the members, counts are ignored for so many times the calls in flight: until what was in flight before
/// has ended but for a part that the noise covers. At 1, 400 calls in flight and a joiner of half the weight, it got ten in a row.
const GRACE: u64 = 3;

/// Something to choose from.
pub trait Candidate {
    fn stats(&self) -> &Stats;

    /// From when on it may be chosen, in nanoseconds of the epoch; 0 when nothing is against it.
    fn ready_at(&self) -> u64;
}

/// Who could be chosen when an order was last brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// Whether anybody is ready. When nobody is, all are in the order: trying beats refusing.
    pub any: bool,
    /// When the next one becomes ready; `u64::MAX` for never.
    pub next: u64,
}

#[derive(Clone, Copy, Debug)]
enum Grace {
    /// The members changed, and the counts in flight do not fit their weights yet: begin to ignore them.
    Pending,
    /// The counts are ignored for as many calls more, or not at all.
    Left(u64),
}

/// One worker's order over one pool's endpoints.
#[derive(Clone, Debug)]
pub struct Order {
    policy: Policy,
    sequence: Sequence,
    grace: Grace,
}

impl Order {
    /// An order over nobody. Workers need different seeds, or they all start with the same endpoint.
    pub fn new(policy: Policy, seed: u64) -> Order {
        Order { policy, sequence: Sequence::new(seed), grace: Grace::Left(0) }
    }

    /// Changes the members, as [`Sequence::rebuild`] does.
    pub fn rebuild(&mut self, policy: Policy, members: impl IntoIterator<Item = (Option<usize>, u32)>) {
        self.policy = policy;
        self.sequence.rebuild(members);
        self.grace = Grace::Pending;
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether nobody has been taken out.
    pub fn is_whole(&self) -> bool {
        self.sequence.active() == self.sequence.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// Takes out who is not ready and back in who is. O(n): called when something has changed.
    pub fn refresh<C: Candidate>(&mut self, candidates: &[C], now: u64) -> Availability {
        let any = candidates.iter().any(|candidate| candidate.ready_at() <= now);
        let mut next = u64::MAX;
        for (index, candidate) in candidates.iter().enumerate() {
            let at = candidate.ready_at();
            if at > now {
                next = next.min(at);
            }
            let active = !any || at <= now;
            if self.sequence.set_active(index, active) && active {
                self.grace = Grace::Pending;
            }
        }
        Availability { any, next }
    }

    /// Chooses one of `candidates`, which are those that the order was built for, in their order; never one that `avoid` names,
    /// whose place in the order is untouched. `None` when nobody is left. The caller counts the call in.
    pub fn pick<C: Candidate>(
        &mut self,
        pool: &Pool,
        candidates: &[C],
        now: u64,
        avoid: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let blind = self.policy == Policy::RoundRobin || self.spend_grace(pool.in_flight());
        let total = pool.load(now);
        let weight = self.sequence.active_weight();
        let remaining = pool.remaining_weight(weight);
        let mut hidden = SmallVec::<[(usize, u64); 8]>::new();
        let mut best: Option<(usize, f64, f64)> = None;
        let mut looks = 0;
        let mut chosen = None;
        while let Some(index) = self.sequence.first() {
            if avoid(index) {
                hidden.push((index, self.sequence.hide(index)));
                continue;
            }
            let stats = candidates.get(index)?.stats();
            let factor = match self.policy {
                Policy::FairLeastRequest => stats.factor(pool, weight, now),
                Policy::RoundRobin => 1.0,
            };
            let stride = self.sequence.stride(index, factor);
            if blind && self.policy == Policy::RoundRobin {
                chosen = Some((index, stride));
                break;
            }
            self.sequence.forgive(index, stride, MOST_CREDIT);
            let load = stats.in_flight() as f64 + stats.ghosts(pool, now);
            let expected = total * self.sequence.weight(index) * factor;
            if blind || explains(expected, load, remaining) {
                chosen = Some((index, stride));
                break;
            }
            let cost = (load + 1.0) * stride;
            if best.is_none_or(|(_, _, least)| cost < least) {
                best = Some((index, stride, cost));
            }
            self.sequence.pass(index, stride);
            looks += 1;
            if looks == LOOKS {
                break;
            }
        }
        // Before anything is taken: taking may move all keys to a new base, and a key from the old one would be out of place.
        for (index, key) in hidden {
            self.sequence.show(index, key);
        }
        match (chosen, best) {
            (Some((index, stride)), _) => {
                self.sequence.take(index, stride);
                Some(index)
            }
            (None, Some((index, stride, _))) => {
                self.sequence.take_late(index, stride);
                Some(index)
            }
            (None, None) => None,
        }
    }

    fn spend_grace(&mut self, in_flight: u64) -> bool {
        let left = match self.grace {
            Grace::Pending => in_flight.saturating_mul(GRACE),
            Grace::Left(left) => left,
        };
        self.grace = Grace::Left(left.saturating_sub(1));
        left > 0
    }
}

/// Whether a load is within `expected / scale` and the noise of that: no root and no division, which cost more than all the rest.
fn explains(expected: f64, load: f64, scale: f64) -> bool {
    let above = (load - SMALL_COUNTS) * scale - expected;
    above <= 0.0 || above * above <= NOISE * NOISE * expected * scale
}

#[cfg(test)]
mod tests;
