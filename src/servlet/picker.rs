//! A worker's way to an endpoint: its cached snapshot and its own orders, one over the groups and one in each.
//!
//! Groups take turns by their weights alone, so that a canary's share holds whatever its replicas do. Endpoints that are set aside
//! leave the order until they are ready, and come back like one that joins; when all are set aside they are all tried, because a
//! refusal is certain and a failure is not.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::lease::Common;
use super::snapshot::{NOWHERE, Seat};
use super::{EndpointId, GroupState, Lease, Servlet, Snapshot};
use crate::balance::{Epoch, Order, Policy, Sequence, SplitMix};
use crate::model::{Fault, Kind, Stage};

/// One a worker and servlet; never shared.
pub struct Picker {
    servlet: Arc<Servlet>,
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    /// What the orders were built for.
    built: Arc<Snapshot>,
    /// Over the groups that are serving by the table: the order of `orders`.
    groups: Sequence,
    orders: Vec<GroupOrder>,
    /// What the servlet's count of turns was when the orders were last brought up to date, and when time alone outdates them.
    turns: u64,
    stale_at: u64,
    chance: SplitMix,
}

struct GroupOrder {
    name: Arc<str>,
    serving: Arc<[Seat]>,
    common: Rc<Common>,
    order: Order,
}

impl Picker {
    pub(super) fn new(servlet: Arc<Servlet>, source: Arc<ArcSwap<Snapshot>>, seed: u64) -> Picker {
        let mut chance = SplitMix::new(seed);
        let mut cache = Cache::new(source);
        let built = cache.load().clone();
        let groups = Sequence::new(chance.next_u64());
        let mut picker =
            Picker { servlet, cache, built, groups, orders: Vec::new(), turns: u64::MAX, stale_at: 0, chance };
        picker.rebuild(0);
        picker
    }

    pub fn servlet(&self) -> &Arc<Servlet> {
        &self.servlet
    }

    /// The endpoints as of now.
    pub fn endpoints(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }

    /// Chooses an endpoint for one try of a call, and counts it in. `avoid`: the endpoints that this call has already tried.
    ///
    /// # Errors
    /// `Kind::NoEndpoint` with the reason: no endpoint in the table, none with a weight, or all of them tried.
    pub fn pick(&mut self, now: Instant, avoid: &[EndpointId]) -> Result<Lease, Fault> {
        let now = self.servlet.epoch().nanos(now);
        self.refresh(now);
        let lease = match self.orders.as_mut_slice() {
            [] => None,
            [only] => only.pick(now, avoid),
            _ => self.pick_group(now, avoid),
        };
        lease.or_else(|| self.last_resort(now, avoid)).ok_or_else(|| self.nobody())
    }

    /// Brings the orders up to date with the table, so that no call has to wait for it.
    pub fn follow(&mut self) {
        let newest = self.cache.load();
        if newest.version != self.built.version {
            let before = std::mem::replace(&mut self.built, newest.clone()).version;
            self.rebuild(before);
        }
    }

    /// Brings the orders up to date with the table, with who was set aside or taken back, and with whose wait is over.
    fn refresh(&mut self, now: u64) {
        self.follow();
        let turns = self.servlet.turns.taken();
        if turns == self.turns && now < self.stale_at {
            return;
        }
        self.turns = turns;
        self.stale_at = u64::MAX;
        // Asking each endpoint takes long when there are many, and most often nothing is against any.
        if self.servlet.turns.all_are_fine() && self.orders.iter().all(|group| group.order.is_whole()) {
            for index in 0..self.orders.len() {
                self.groups.set_active(index, true);
            }
            return;
        }
        let mut ready = SmallVec::<[bool; 8]>::new();
        for group in &mut self.orders {
            let available = group.order.refresh(&group.serving, now);
            self.stale_at = self.stale_at.min(available.next);
            ready.push(available.any);
        }
        let any = ready.contains(&true);
        for (index, ready) in ready.into_iter().enumerate() {
            self.groups.set_active(index, ready || !any);
        }
    }

    /// `before`: the version that the orders there are were built for.
    fn rebuild(&mut self, before: u64) {
        let follows = self.built.version == before + 1;
        let mut old: HashMap<Arc<str>, (usize, GroupOrder)> =
            self.orders.drain(..).enumerate().map(|(index, group)| (group.name.clone(), (index, group))).collect();
        let mut shares = Vec::new();
        for group in self.built.groups.iter().filter(|group| group.is_serving()) {
            let (index, known) = old.remove(&group.name).unzip();
            shares.push((index, group.weight));
            let seed = self.chance.next_u64();
            let (policy, epoch) = (self.built.policy, self.servlet.epoch());
            self.orders.push(match known {
                Some(known) => known.follow(group, policy, epoch, follows),
                None => GroupOrder::new(group, policy, epoch, seed),
            });
        }
        self.groups.rebuild(shares);
        self.stale_at = 0;
    }

    fn pick_group(&mut self, now: u64, avoid: &[EndpointId]) -> Option<Lease> {
        let mut hidden = SmallVec::<[(usize, u64); 8]>::new();
        let mut chosen = None;
        while let Some(index) = self.groups.first() {
            if let Some(lease) = self.orders.get_mut(index).and_then(|group| group.pick(now, avoid)) {
                chosen = Some((index, lease));
                break;
            }
            hidden.push((index, self.groups.hide(index)));
        }
        // Before the group's turn is taken: that may move all keys to a new base.
        for (index, key) in hidden {
            self.groups.show(index, key);
        }
        let (index, lease) = chosen?;
        self.groups.take(index, 1.0 / self.groups.weight(index));
        Some(lease)
    }

    /// Everybody who is ready has been tried: one that is set aside beats giving up. The least loaded for its weight.
    fn last_resort(&self, now: u64, avoid: &[EndpointId]) -> Option<Lease> {
        let seats = self.orders.iter().flat_map(|group| group.serving.iter().map(move |seat| (group, seat)));
        let untried = seats.filter(|(_, seat)| !avoid.contains(&seat.endpoint.id()));
        let load = |seat: &Seat| (seat.endpoint.in_flight() + 1) as f64 / f64::from(seat.weight.max(1));
        let (group, seat) = untried.min_by(|(_, a), (_, b)| load(a).total_cmp(&load(b)))?;
        Some(group.lease(seat, now))
    }

    fn nobody(&self) -> Fault {
        let name = self.servlet.name();
        let tried: usize = self.orders.iter().map(|group| group.serving.len()).sum();
        let message = if self.built.is_empty() {
            format!("servlet {name} has no endpoint in its table")
        } else if tried == 0 {
            format!("every endpoint of servlet {name} has weight 0")
        } else {
            format!("all {tried} endpoints of servlet {name} were tried")
        };
        Fault::new(Kind::NoEndpoint, Stage::Pick, message)
    }
}

impl GroupOrder {
    fn new(group: &GroupState, policy: Policy, epoch: Epoch, seed: u64) -> GroupOrder {
        let serving = group.serving.clone();
        let common = Rc::new(Common { pool: group.pool.clone(), epoch });
        let mut order = Order::new(policy, seed);
        order.rebuild(policy, serving.iter().map(|seat| (None, seat.weight)));
        GroupOrder { name: group.name.clone(), serving, common, order }
    }

    /// The order for `group`, going on from this one; `follows`: this one was built for the version before. One whose members are the same
    /// goes on undisturbed.
    fn follow(mut self, group: &GroupState, policy: Policy, epoch: Epoch, follows: bool) -> GroupOrder {
        let serving = group.serving.clone();
        let common = Rc::new(Common { pool: group.pool.clone(), epoch });
        let same = |a: &Seat, b: &Seat| a.weight == b.weight && Arc::ptr_eq(&a.endpoint, &b.endpoint);
        let unchanged = self.serving.len() == serving.len()
            && self.serving.iter().zip(serving.iter()).all(|(a, b)| same(a, b))
            && self.order.policy() == policy;
        if unchanged {
            return GroupOrder { serving, common, ..self };
        }
        if follows {
            let place = |seat: &Seat| (seat.before != NOWHERE).then_some(seat.before as usize);
            self.order.rebuild(policy, serving.iter().map(|seat| (place(seat), seat.weight)));
        } else {
            let places: HashMap<EndpointId, usize, FixedState> =
                self.serving.iter().enumerate().map(|(index, seat)| (seat.endpoint.id(), index)).collect();
            let members = serving.iter().map(|seat| (places.get(&seat.endpoint.id()).copied(), seat.weight));
            self.order.rebuild(policy, members);
        }
        GroupOrder { serving, common, ..self }
    }

    fn pick(&mut self, now: u64, avoid: &[EndpointId]) -> Option<Lease> {
        let serving = &self.serving;
        // The id is not among what every call touches: it is read when there is something to hold against it.
        let id = |index: usize| serving.get(index).map(|seat| seat.endpoint.id());
        let tried = |index: usize| !avoid.is_empty() && id(index).is_some_and(|id| avoid.contains(&id));
        let index = self.order.pick(&self.common.pool, serving, now, tried)?;
        serving.get(index).map(|seat| self.lease(seat, now))
    }

    fn lease(&self, seat: &Seat, now: u64) -> Lease {
        Lease::begin(seat.endpoint.clone(), self.common.clone(), now)
    }
}

#[cfg(test)]
mod tests;
