//! What one worker keeps from call to call: its view of the routing, its own order over each servlet's endpoints, its connections.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use arc_swap::{ArcSwap, Cache};
use foldhash::fast::RandomState;

use super::mount::{Mount, Routing};
use super::refresh::{Refresh, SeenServlets};
use crate::model::{Fault, HttpProtocol, Kind, Stage};
use crate::runtime::{Drain, Timers};
use crate::servlet::{EndpointId, Lease, Picker};
use crate::telemetry::{CallRecord, LegacyTally, WorkerLog};
use crate::upstream::Pool;

/// One worker's state; `Rc` between its listeners.
pub struct Worker {
    routing: RefCell<Cache<Arc<ArcSwap<Routing>>, Arc<Routing>>>,
    /// By the servlet's own identity, so that a servlet that was removed and made again starts afresh.
    pub(super) pickers: RefCell<HashMap<usize, Picker, RandomState>>,
    pub(super) seen: RefCell<SeenServlets>,
    pub(super) pool: Pool,
    pub(super) timers: Rc<Timers>,
    log: RefCell<Option<WorkerLog>>,
    logs: bool,
    legacy: LegacyTally,
    drain: Drain,
    seed: Cell<u64>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Worker {
    /// `seed`: different for each worker, so that their orders do not run in step.
    pub fn new(
        routing: Arc<ArcSwap<Routing>>,
        log: Option<WorkerLog>,
        legacy: LegacyTally,
        drain: Drain,
        seed: u64,
    ) -> Rc<Worker> {
        Rc::new(Worker {
            routing: RefCell::new(Cache::new(routing)),
            pickers: RefCell::default(),
            seen: RefCell::default(),
            pool: Pool::new(),
            timers: Rc::default(),
            logs: log.is_some(),
            log: RefCell::new(log),
            legacy,
            drain,
            seed: Cell::new(seed),
        })
    }

    /// Whether calls are written to an access log.
    pub(super) fn logs(&self) -> bool {
        self.logs
    }

    /// Whether calls are being cut, because draining has run out of time.
    pub(super) fn is_cutting(&self) -> bool {
        self.drain.is_draining() && self.drain.is_over()
    }

    /// `doing`, unless calls are being cut: then its fault. The listener has every call look when that begins.
    pub(super) async fn unless_cut<T>(
        &self,
        stage: Stage,
        mut doing: Pin<&mut impl Future<Output = Result<T, Fault>>>,
    ) -> Result<T, Fault> {
        poll_fn(|cx| match doing.as_mut().poll(cx) {
            Poll::Pending if self.is_cutting() => Poll::Ready(Err(cut(stage))),
            polled => polled,
        })
        .await
    }

    /// A call is over.
    pub(super) fn record(&self, call: &CallRecord<'_>, now: Instant, logged: bool) {
        if call.protocol == HttpProtocol::Http10 {
            self.legacy.seen(call.peer.map(|peer| peer.ip()), call.servlet, call.user_agent, SystemTime::now());
        }
        if logged && let Some(log) = &mut *self.log.borrow_mut() {
            log.write(call, now);
        }
    }

    /// Hands on the lines of the access log that have waited long enough.
    pub fn flush_log(&self, now: Instant) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.flush_if_older(now);
        }
    }

    /// Hands on every line of the access log: the worker ends.
    pub fn end_log(&self) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.flush();
        }
    }

    /// Runs `use_it` on the routing as of now.
    pub(super) fn routing<T>(&self, use_it: impl FnOnce(&Routing) -> T) -> T {
        use_it(self.routing.borrow_mut().load())
    }

    pub(super) fn pick(&self, mount: &Mount, now: Instant, avoid: &[EndpointId]) -> Result<Lease, Fault> {
        let identity = identity(mount);
        if let Some(picker) = self.pickers.borrow_mut().get_mut(&identity) {
            return picker.pick(now, avoid);
        }
        let seed = self.seed.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.seed.set(seed);
        let mut picker = mount.servlet.picker(seed);
        let lease = picker.pick(now, avoid);
        // A call that was planned before its servlet was removed must not bring its picker back: nobody would let go of it.
        if self.routing(|routing| routing.mounts.iter().any(|mount| self::identity(mount) == identity)) {
            self.pickers.borrow_mut().insert(identity, picker);
        }
        lease
    }

    /// Takes up the tables as they are, at once: before the first call, when nobody waits.
    pub fn refresh(&self) {
        let mut refresh = Refresh::new(self);
        while refresh.step() {}
    }

    /// The same after a change, in steps between which calls go on.
    pub async fn follow(&self) {
        let mut refresh = Refresh::new(self);
        while refresh.step() {
            tokio::task::yield_now().await;
        }
    }

    /// The routing as of now.
    pub(super) fn latest(&self) -> Arc<Routing> {
        Arc::clone(self.routing.borrow_mut().load())
    }

    /// Lets go of what is kept of servlets that `routing` does not have. Whether there were any.
    pub(super) fn forget_all_but(&self, routing: &Routing) -> bool {
        let known: HashSet<usize, RandomState> = routing.mounts.iter().map(|mount| identity(mount)).collect();
        self.pickers.borrow_mut().retain(|identity, _| known.contains(identity));
        let mut seen = self.seen.borrow_mut();
        let before = seen.len();
        seen.retain(|identity, _| known.contains(identity));
        seen.len() < before
    }
}

/// The end of a call that draining had no time for.
pub(super) fn cut(stage: Stage) -> Fault {
    Fault::new(Kind::Draining, stage, "the process ended before the call did")
}

/// The address of a servlet's state: the routing keeps it alive for as long as the worker knows it.
pub(super) fn identity(mount: &Mount) -> usize {
    Arc::as_ptr(&mount.servlet).addr()
}
