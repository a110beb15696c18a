//! A servlet's endpoints at one moment: never changed, only replaced.

use std::sync::Arc;

use super::{Endpoint, EndpointId};
use crate::balance::{Candidate, Policy, Pool, Stats};

/// An endpoint's place in a snapshot.
#[derive(Debug)]
pub struct Member {
    pub endpoint: Arc<Endpoint>,
    pub(super) pool: Arc<Pool>,
    /// As the table gives it; 0 drains.
    pub weight: u32,
}

/// One that takes calls: what a worker goes through to it lies side by side.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) weight: u32,
    /// Its place among those that took calls in the group of this name in the version before; [`NOWHERE`] if it was not there.
    pub(super) before: u32,
}

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A group and those in it.
#[derive(Clone, Debug)]
pub struct GroupState {
    /// Empty for the single group of a table without groups.
    pub name: Arc<str>,
    pub weight: u32,
    /// All of them, in the table's order.
    pub members: Arc<[Arc<Member>]>,
    /// Those with a weight.
    pub(super) serving: Arc<[Seat]>,
    /// Of all members: side by side, since workers go through them after each change.
    pub(super) ids: Arc<[EndpointId]>,
    pub(super) endpoint_weight: u64,
    pub(super) pool: Arc<Pool>,
}

impl GroupState {
    /// The sum of the weights of its endpoints.
    pub fn endpoint_weight(&self) -> u64 {
        self.endpoint_weight
    }

    /// Calls in flight on its endpoints.
    pub fn in_flight(&self) -> u64 {
        self.pool.in_flight()
    }

    /// Whether by the table it takes calls.
    pub fn is_serving(&self) -> bool {
        self.weight > 0 && !self.serving.is_empty()
    }
}

/// A servlet's policy and endpoints at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts the changes, from 1.
    pub version: u64,
    pub policy: Policy,
    pub groups: Vec<GroupState>,
    /// How many endpoints have left the servlet since there is one.
    pub departed: u64,
}

impl Snapshot {
    /// Lets go of it endpoint by endpoint, calling `between` after each: whoever lets go last frees all of them.
    pub fn release(snapshot: Arc<Snapshot>, between: &mut dyn FnMut()) {
        let members = snapshot.groups.iter().flat_map(|group| group.members.iter());
        let members: Vec<Arc<Member>> = members.inspect(|_| between()).cloned().collect();
        // They are held once more, so that this frees none of them and only counts each down.
        drop(snapshot);
        for member in members {
            drop(member);
            between();
        }
    }

    /// The ids of every endpoint of the table.
    pub fn ids(&self) -> impl Iterator<Item = EndpointId> {
        self.groups.iter().flat_map(|group| group.ids.iter().copied())
    }

    /// Every endpoint of the table, the draining ones too.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.groups.iter().flat_map(|group| group.members.iter().map(|member| &member.endpoint))
    }

    /// The endpoints that take new calls.
    pub fn serving(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let groups = self.groups.iter().filter(|group| group.is_serving());
        groups.flat_map(|group| group.serving.iter().map(|seat| &seat.endpoint))
    }

    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.members.is_empty())
    }
}

impl Candidate for Seat {
    fn stats(&self) -> &Stats {
        &self.endpoint.stats
    }

    fn ready_at(&self) -> u64 {
        self.endpoint.aside.until()
    }
}
