//! A servlet's endpoints as they are now: tables come in at one end, snapshots go out at the other.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::snapshot::Seat;
use super::{Endpoint, GroupState, Member, Picker, Snapshot};
use crate::balance::{Epoch, Policy, Pool};
use crate::model::{Address, Table};

/// One servlet, shared by the process.
#[derive(Debug)]
pub struct Servlet {
    name: Arc<str>,
    epoch: Epoch,
    snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) turns: Arc<AtomicU64>,
    /// One change at a time; never taken on a call's path.
    changing: Mutex<()>,
}

/// What a table changed.
#[derive(Clone, Debug, Default)]
pub struct TableChange {
    pub added: Vec<Arc<Endpoint>>,
    /// Gone from the table; each lives until its last lease ends.
    pub removed: Vec<Arc<Endpoint>>,
    /// The endpoint, its weight before and its weight now.
    pub reweighted: Vec<(Arc<Endpoint>, u32, u32)>,
    /// In both tables, whatever their weights.
    pub kept: usize,
}

impl Servlet {
    /// `now` is the servlet's epoch: no later call may give an earlier time and expect it to be told apart.
    pub fn new(name: Arc<str>, policy: Policy, table: &Table, now: Instant) -> Arc<Servlet> {
        let empty = Snapshot { version: 0, policy, groups: Vec::new() };
        let servlet = Arc::new(Servlet {
            name,
            epoch: Epoch::new(now),
            snapshot: Arc::new(ArcSwap::from_pointee(empty)),
            turns: Arc::new(AtomicU64::new(0)),
            changing: Mutex::new(()),
        });
        servlet.apply(table, now);
        servlet
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn policy(&self) -> Policy {
        self.snapshot.load().policy
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The endpoints as of now. Workers read theirs through [`Picker::endpoints`].
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// A worker's own view and order. Workers need different seeds.
    pub fn picker(self: &Arc<Servlet>, seed: u64) -> Picker {
        Picker::new(self.clone(), self.snapshot.clone(), seed)
    }

    /// Makes `table` the truth: endpoints are known by address, and those that stay keep everything.
    pub fn apply(&self, table: &Table, now: Instant) -> TableChange {
        self.reconfigure(self.policy(), table, now)
    }

    /// [`Servlet::apply`] with another policy.
    pub fn reconfigure(&self, policy: Policy, table: &Table, now: Instant) -> TableChange {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.load_full();
        let mut left: HashMap<&Address, &Arc<Member>> =
            members(&before).map(|member| (member.endpoint.address(), member)).collect();
        let mut change = TableChange::default();
        let mut groups = Vec::with_capacity(table.groups.len());
        for group in &table.groups {
            let same = before.groups.iter().find(|known| known.name == group.name);
            let pool = same.map_or_else(|| Arc::new(Pool::new()), |known| known.pool.clone());
            let place = |spec: &crate::model::EndpointSpec| {
                let endpoint = match left.remove(&spec.address) {
                    Some(member) => {
                        change.kept += 1;
                        if member.weight != spec.weight {
                            change.reweighted.push((member.endpoint.clone(), member.weight, spec.weight));
                        }
                        if !Arc::ptr_eq(&member.pool, &pool) {
                            member.pool.dismiss(&member.endpoint.stats);
                        }
                        member.endpoint.clone()
                    }
                    None => {
                        let new =
                            Endpoint::new(self.name.clone(), spec.address.clone(), self.epoch, self.turns.clone(), now);
                        let new = Arc::new(new);
                        change.added.push(new.clone());
                        new
                    }
                };
                pool.admit(&endpoint.stats, spec.weight);
                Arc::new(Member { endpoint, pool: pool.clone(), weight: spec.weight })
            };
            let members: Arc<[Arc<Member>]> = group.endpoints.iter().map(place).collect();
            let seat = |member: &Arc<Member>| Seat { endpoint: member.endpoint.clone(), weight: member.weight };
            let serving = members.iter().filter(|member| member.weight > 0).map(seat).collect();
            groups.push(GroupState { name: group.name.clone(), weight: group.weight, members, serving, pool });
        }
        for member in members(&before).filter(|member| left.contains_key(member.endpoint.address())) {
            member.pool.dismiss(&member.endpoint.stats);
            change.removed.push(member.endpoint.clone());
        }
        self.snapshot.store(Arc::new(Snapshot { version: before.version + 1, policy, groups }));
        change
    }
}

fn members(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Member>> {
    snapshot.groups.iter().flat_map(|group| group.members.iter())
}

#[cfg(test)]
mod tests;
