//! What a worker does after a change of the tables: follows them with its orders, connects to what is new before its first call, and lets go
//! of what is gone. In steps, each of them a part of a millisecond however large the tables are, so that calls go on in between.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

use super::mount::{Mount, Routing, Upstream};
use super::worker::{Worker, identity};
use crate::servlet::{EndpointId, Servlet};

/// Connections that a worker opens to a servlet ahead of its first call (design §10).
const WARM: usize = 32;
/// And after one change to all servlets together: to ten thousand of them it would take a gigabyte.
const WARM_IN_ALL: usize = 1024;

/// What one step goes through at most, but that a servlet is never parted: its endpoints are followed at once.
const SERVLETS: usize = 256;
const ENDPOINTS: usize = 2048;
const CONNECTIONS: usize = 64;

type Ids = HashSet<EndpointId, RandomState>;

/// What a worker has seen of a servlet.
pub(super) struct Seen {
    /// So that no other comes to stand at its address meanwhile.
    _servlet: Weak<Servlet>,
    version: u64,
    departed: u64,
}

/// What a worker has seen of all, by their identities.
pub(super) type SeenServlets = HashMap<usize, Seen, RandomState>;

/// A refresh under way.
///
/// ```text
/// Servlets ── none has lost an endpoint ───────────────► Over
///     └────── one has: who is gone? ── Gone, some a step ──┘
/// ```
pub(super) struct Refresh<'w> {
    worker: &'w Worker,
    routing: Arc<Routing>,
    /// The mounts that have been looked at, and the connections that were opened for them.
    done: usize,
    warmed: usize,
    /// Whether connections are left over.
    departed: bool,
    phase: Phase,
}

enum Phase {
    Servlets,
    Gone(Vec<EndpointId>),
    Over,
}

impl<'w> Refresh<'w> {
    pub(super) fn new(worker: &'w Worker) -> Refresh<'w> {
        let routing = worker.latest();
        let departed = worker.forget_all_but(&routing);
        Refresh { worker, routing, done: 0, warmed: 0, departed, phase: Phase::Servlets }
    }

    /// Does a part of it. Whether there is more to do.
    pub(super) fn step(&mut self) -> bool {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Servlets if self.look_at_servlets() => Phase::Servlets,
            Phase::Servlets if self.departed => Phase::Gone(self.gone()),
            Phase::Gone(gone) => self.let_go(gone),
            Phase::Servlets | Phase::Over => Phase::Over,
        };
        !matches!(self.phase, Phase::Over)
    }

    /// Whether there are more of them.
    fn look_at_servlets(&mut self) -> bool {
        let routing = Arc::clone(&self.routing);
        let (mut endpoints, warmed) = (0, self.warmed);
        for mount in routing.mounts.iter().skip(self.done).take(SERVLETS) {
            if endpoints >= ENDPOINTS || self.warmed - warmed >= CONNECTIONS {
                break;
            }
            self.done += 1;
            endpoints += self.look_at(mount);
        }
        self.done < routing.mounts.len()
    }

    /// The number of endpoints that were gone through.
    fn look_at(&mut self, mount: &Mount) -> usize {
        let snapshot = mount.servlet.snapshot();
        let mut all = self.worker.seen.borrow_mut();
        if all.get(&identity(mount)).is_some_and(|seen| seen.version == snapshot.version) {
            return 0;
        }
        let (version, departed) = (snapshot.version, snapshot.departed);
        let seen = Seen { _servlet: Arc::downgrade(&mount.servlet), version, departed };
        self.departed |= all.insert(identity(mount), seen).map_or(departed > 0, |before| before.departed != departed);
        if let Some(picker) = self.worker.pickers.borrow_mut().get_mut(&identity(mount)) {
            picker.follow();
        }
        if mount.upstream != Upstream::Http1 {
            for endpoint in snapshot.serving().take(WARM.min(WARM_IN_ALL - self.warmed)) {
                self.worker.pool.warm(endpoint, &mount.connections);
                self.warmed += 1;
            }
        }
        snapshot.ids().count()
    }

    /// The endpoints that there are connections to and that are in no table. Their ids never come back. By the routing as it is now: calls
    /// that went on between the steps may have connected to servlets that are newer than this refresh.
    fn gone(&self) -> Vec<EndpointId> {
        let mut wanted = Ids::default();
        for mount in &self.worker.latest().mounts {
            wanted.extend(mount.servlet.snapshot().ids());
        }
        let gone = RefCell::new(Vec::new());
        self.worker.pool.retain(|id| {
            if !wanted.contains(&id) {
                gone.borrow_mut().push(id);
            }
            true
        });
        gone.into_inner()
    }

    fn let_go(&self, mut gone: Vec<EndpointId>) -> Phase {
        let some: Ids = gone.split_off(gone.len().saturating_sub(CONNECTIONS)).into_iter().collect();
        self.worker.pool.retain(|id| !some.contains(&id));
        if gone.is_empty() { Phase::Over } else { Phase::Gone(gone) }
    }
}
