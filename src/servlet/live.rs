//! A servlet's endpoints as they are now: tables come in at one end, snapshots go out at the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

use super::snapshot::{NOWHERE, Seat};
use super::turns::Turns;
use super::{Endpoint, GroupState, Member, Picker, Snapshot};
use crate::balance::{Epoch, Policy, Pool};
use crate::model::{Address, EndpointSpec, Table};

/// One servlet, shared by the process.
#[derive(Debug)]
pub struct Servlet {
    name: Arc<str>,
    epoch: Epoch,
    snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) turns: Arc<Turns>,
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
        let servlet = Servlet::empty(name, policy, now);
        servlet.apply(table, now);
        servlet
    }

    /// One that has had no table yet.
    pub(super) fn empty(name: Arc<str>, policy: Policy, now: Instant) -> Arc<Servlet> {
        let empty = Snapshot { version: 0, policy, groups: Vec::new(), departed: 0 };
        Arc::new(Servlet {
            name,
            epoch: Epoch::new(now),
            snapshot: Arc::new(ArcSwap::from_pointee(empty)),
            turns: Arc::default(),
            changing: Mutex::new(()),
        })
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
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, change) = self.next(self.policy(), table, now, &mut || ());
        self.store(next);
        change
    }

    /// The version that follows the one in force, and what it changes. Nothing else may be built until it is stored. The statistics take in
    /// their weights while it is built; calls see it once it is stored. `between` is called after each endpoint: ten thousand take longer
    /// than a call should wait for the processor.
    pub(super) fn next(
        &self,
        policy: Policy,
        table: &Table,
        now: Instant,
        between: &mut dyn FnMut(),
    ) -> (Arc<Snapshot>, TableChange) {
        let before = self.snapshot.load_full();
        let mut known = Known::new(&before, table, between);
        let mut change = TableChange::default();
        let mut groups = Vec::with_capacity(table.groups.len());
        for (index, group) in table.groups.iter().enumerate() {
            let same = before.groups.iter().position(|known| known.name == group.name);
            let pool = same.and_then(|same| before.groups.get(same)).map(|group| group.pool.clone());
            let pool = pool.unwrap_or_else(|| Arc::new(Pool::new()));
            let mut members: Vec<Arc<Member>> = Vec::with_capacity(group.endpoints.len());
            let mut serving = Vec::with_capacity(group.endpoints.len());
            let mut ids = Vec::with_capacity(group.endpoints.len());
            for (line, spec) in group.endpoints.iter().enumerate() {
                between();
                let place = known.take((index, line), &spec.address);
                let seat = place.filter(|place| Some(place.group) == same).map_or(NOWHERE, |place| known.seat(place));
                let member = self.member(spec, &pool, place.map(|place| place.member), &mut change, now);
                if spec.weight > 0 {
                    serving.push(Seat { endpoint: member.endpoint.clone(), weight: spec.weight, before: seat });
                }
                ids.push(member.endpoint.id());
                members.push(member);
            }
            groups.push(GroupState {
                name: group.name.clone(),
                weight: group.weight,
                serving: serving.into(),
                ids: ids.into(),
                endpoint_weight: group.endpoints.iter().map(|spec| u64::from(spec.weight)).sum(),
                members: members.into(),
                pool,
            });
        }
        for member in known.left() {
            between();
            member.pool.dismiss(&member.endpoint.stats);
            change.removed.push(member.endpoint.clone());
        }
        let departed = before.departed + change.removed.len() as u64;
        (Arc::new(Snapshot { version: before.version + 1, policy, groups, departed }), change)
    }

    /// Puts in force what [`Servlet::next`] built, by one store.
    pub(super) fn store(&self, next: Arc<Snapshot>) {
        self.snapshot.store(next);
    }

    /// A line of the new table: who `stands` for its address so far, or a new endpoint.
    fn member(
        &self,
        spec: &EndpointSpec,
        pool: &Arc<Pool>,
        stands: Option<&Arc<Member>>,
        change: &mut TableChange,
        now: Instant,
    ) -> Arc<Member> {
        let endpoint = match stands {
            Some(member) => {
                change.kept += 1;
                let stays = Arc::ptr_eq(&member.pool, pool);
                if member.weight != spec.weight {
                    change.reweighted.push((member.endpoint.clone(), member.weight, spec.weight));
                } else if stays {
                    return member.clone();
                }
                if !stays {
                    member.pool.dismiss(&member.endpoint.stats);
                }
                member.endpoint.clone()
            }
            None => {
                let (servlet, turns) = (self.name.clone(), self.turns.clone());
                let new = Arc::new(Endpoint::new(servlet, spec.address.clone(), self.epoch, turns, now));
                change.added.push(new.clone());
                new
            }
        };
        pool.admit(&endpoint.stats, spec.weight);
        Arc::new(Member { endpoint, pool: pool.clone(), weight: spec.weight })
    }
}

/// The members of a snapshot by their addresses, while the next is made. Most stand in the new table where they stood: only the others are
/// put into a map.
struct Known<'s> {
    before: &'s Snapshot,
    moved: HashMap<&'s Address, Place<'s>, FixedState>,
    /// For each group, each member's place among those that take calls.
    seats: Vec<Vec<u32>>,
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Place<'s> {
    group: usize,
    line: usize,
    member: &'s Arc<Member>,
}

impl<'s> Known<'s> {
    fn new(before: &'s Snapshot, table: &Table, between: &mut dyn FnMut()) -> Known<'s> {
        let (mut moved, mut seats) = (HashMap::default(), Vec::with_capacity(before.groups.len()));
        for (index, group) in before.groups.iter().enumerate() {
            let lines = table.groups.get(index).map_or(&[][..], |group| &group.endpoints);
            let mut taken = 0;
            let mut places = Vec::with_capacity(group.members.len());
            for (line, member) in group.members.iter().enumerate() {
                between();
                if lines.get(line).is_none_or(|spec| spec.address != *member.endpoint.address()) {
                    moved.insert(member.endpoint.address(), Place { group: index, line, member });
                }
                places.push(if member.weight > 0 { taken } else { NOWHERE });
                taken += u32::from(member.weight > 0);
            }
            seats.push(places);
        }
        Known { before, moved, seats }
    }

    /// Who stands for the address that is now on this line of this group.
    fn take(&mut self, (group, line): (usize, usize), address: &Address) -> Option<Place<'s>> {
        let stands = self.before.groups.get(group).and_then(|group| group.members.get(line));
        match stands.filter(|member| member.endpoint.address() == address) {
            Some(member) => Some(Place { group, line, member }),
            None => self.moved.remove(address),
        }
    }

    fn seat(&self, place: Place<'_>) -> u32 {
        self.seats.get(place.group).and_then(|seats| seats.get(place.line)).copied().unwrap_or(NOWHERE)
    }

    /// Those that no line asked for, in the order of their table.
    fn left(self) -> Vec<&'s Arc<Member>> {
        let mut left: Vec<Place<'s>> = self.moved.into_values().collect();
        left.sort_unstable_by_key(|place| (place.group, place.line));
        left.into_iter().map(|place| place.member).collect()
    }
}

#[cfg(test)]
mod tests;
