//! The endpoint table as its writer meant it: checked values, no state.

use std::sync::Arc;

use super::Address;

/// The largest weight a table may give (design §3).
pub const MAX_WEIGHT: u32 = 1_000_000;

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    pub address: Address,
    /// 0 drains: no new calls, those in flight finish.
    pub weight: u32,
}

/// Endpoints that share a fixed part of the traffic, whatever their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Empty for the single group of a table written without `groups`.
    pub name: Arc<str>,
    /// The part of the traffic that the group gets, among groups that have someone to serve.
    pub weight: u32,
    pub endpoints: Vec<EndpointSpec>,
}

/// A servlet's endpoints, whole. Addresses are unique across all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub groups: Vec<Group>,
}

impl Table {
    /// A table without groups.
    pub fn flat(endpoints: Vec<EndpointSpec>) -> Self {
        Table { groups: vec![Group { name: Arc::from(""), weight: 1, endpoints }] }
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointSpec> {
        self.groups.iter().flat_map(|group| &group.endpoints)
    }
}
