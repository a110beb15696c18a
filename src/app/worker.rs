//! One worker's life: accept on every listener, follow the tables, end when its last connection has.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::state::{Shared, Vital};
use crate::listener::{Accept, ConnectionCounts, Landing, LandingStrip, Limits, Observer, accept};
use crate::model::Address;
use crate::proxy::{Proxy, Trust, Worker};
use crate::runtime::{Worker as Place, now};
use crate::telemetry::ListenerMetrics;
use crate::transport::Acceptor;

/// How long a line of the access log may wait in its worker. Without a log the worker looks up as often: a timer that ends before whatever
/// the runtime would wake up for next costs a system call to be set, and the deadline of a call would be such a timer.
const TICK: Duration = Duration::from_millis(250);

/// A listener as one worker has it.
pub(super) struct Port {
    pub(super) name: Arc<str>,
    pub(super) address: Address,
    pub(super) acceptor: Option<Box<dyn FnOnce() -> std::io::Result<Acceptor> + Send>>,
    pub(super) landing: Arc<Landing>,
    pub(super) strip: LandingStrip,
    pub(super) limits: Limits,
    pub(super) trust: Trust,
}

/// Serves `ports` until draining is over. `started` is told once it accepts, or why it cannot.
pub(super) async fn work(
    place: Place,
    ports: Vec<Port>,
    shared: Arc<Shared>,
    counts: Arc<ConnectionCounts>,
    started: std::sync::mpsc::Sender<std::io::Result<()>>,
) {
    let _vital = Vital::new(&shared, format!("worker-{}", place.index));
    let log = shared.access_log.as_ref().map(|log| log.worker());
    let seed = seed(&shared, place.index);
    let worker = Worker::new(Arc::clone(&shared.routing), log, shared.legacy.worker(), shared.drain.clone(), seed);
    let mut generation = shared.generation.subscribe();
    worker.refresh();
    let mut listening = JoinSet::new();
    for port in ports {
        let acceptor = match port.acceptor.map(|register| register()).transpose() {
            Ok(acceptor) => acceptor,
            Err(error) => {
                // The start waits for this, and ends with it.
                let _ = started.send(Err(error));
                return;
            }
        };
        let proxy = Proxy::new(Rc::clone(&worker), Arc::clone(&port.name), shared.metrics.clone(), port.trust);
        listening.spawn_local(accept(Accept {
            worker: place,
            acceptor,
            local: port.address,
            landing: port.landing,
            strip: port.strip,
            counts: Arc::clone(&counts),
            limits: Rc::new(port.limits),
            service: Rc::new(proxy),
            observer: Rc::new(Connections(ListenerMetrics::new(&shared.metrics, &port.name))),
            drain: shared.drain.clone(),
        }));
    }
    let _ = started.send(Ok(()));
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            ended = listening.join_next() => match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "a listener of a worker ended");
                    shared.broke("a listener of a worker");
                }
                None => break,
            },
            changed = generation.changed() => if changed.is_ok() { worker.follow().await },
            _ = tick.tick() => worker.flush_log(now()),
        }
    }
    worker.end_log();
}

/// Different for each worker and each start.
fn seed(shared: &Shared, index: usize) -> u64 {
    let since = shared.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64) ^ ((index as u64 + 1) << 48) ^ u64::from(std::process::id())
}

struct Connections(ListenerMetrics);

impl Observer for Connections {
    fn opened(&self) {
        self.0.opened();
    }

    fn closed(&self) {
        self.0.closed();
    }

    fn refused(&self, why: &'static str) {
        self.0.refused(why);
    }
}
