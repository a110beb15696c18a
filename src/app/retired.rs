//! What was in force until a change, kept until every worker has let go of it. Whoever lets go last frees all of it, which for ten thousand
//! endpoints takes longer than a call should wait: so that is never a worker.

use std::sync::Arc;
use std::time::Duration;

use crate::proxy::Routing;
use crate::runtime::give_way;
use crate::servlet::Snapshot;

/// How long workers are given before it is looked again; they take milliseconds.
const WAIT: Duration = Duration::from_secs(1);

/// The past.
#[derive(Default)]
pub(super) struct Retired {
    routings: Vec<Arc<Routing>>,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Retired {
    pub(super) fn keep_routing(&mut self, routing: Arc<Routing>) {
        self.routings.push(routing);
    }

    pub(super) fn keep_snapshots(&mut self, snapshots: impl IntoIterator<Item = Arc<Snapshot>>) {
        self.snapshots.extend(snapshots);
    }

    /// Frees what nobody else holds any more.
    pub(super) fn free(&mut self) {
        self.routings.retain(|routing| Arc::strong_count(routing) > 1);
        for snapshot in self.snapshots.extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1) {
            Snapshot::release(snapshot, &mut give_way);
        }
    }

    /// When to do so again, if there is something left.
    pub(super) fn wait(&self) -> Option<Duration> {
        (!self.routings.is_empty() || !self.snapshots.is_empty()).then_some(WAIT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::balance::Policy;
    use crate::model::{EndpointSpec, Table};
    use crate::servlet::Registry;

    #[test]
    fn what_a_worker_holds_is_kept_until_it_lets_go() {
        let now = Instant::now();
        let table = |weight| Table::flat(vec![EndpointSpec { address: "127.0.0.1:1".parse().unwrap(), weight }]);
        let registry = Registry::new();
        let servlet = registry.apply("a", Policy::default(), &table(1), now).servlet;
        let mut picker = servlet.picker(1);
        let mut retired = Retired::default();
        assert_eq!(retired.wait(), None);
        retired.keep_snapshots(registry.apply("a", Policy::default(), &table(2), now).before);
        retired.free();
        assert!(retired.wait().is_some(), "the picker has not followed");
        picker.follow();
        retired.free();
        assert_eq!(retired.wait(), None);
    }
}
