//! One worker's connections to every endpoint. Calls that find none wait for one attempt, not one each; its failure is told to all of
//! them and sets the endpoint aside. A further connection is a help: one that fails is tried again after a pause, and calls go on waiting
//! for those that there are.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use http::{HeaderValue, Request};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::exchange::{Exchange, Kind};
use super::http2::{Http2Connection, Room};
use super::idle::{IdleHttp1, Open};
use super::queue::Queue;
use super::{Options, http1, http2};
use crate::model::{Body, Fault, Kind as FaultKind, Stage};
use crate::runtime::now;
use crate::servlet::{Endpoint, EndpointId};
use crate::telemetry::log;

/// The pause after a further connection that failed, doubled with each in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// The connections of one worker. Owns their tasks: dropping it ends them.
#[derive(Debug)]
pub struct Pool {
    endpoints: RefCell<HashMap<EndpointId, Rc<Replica>, RandomState>>,
    tasks: Rc<RefCell<JoinSet<()>>>,
}

/// One endpoint's connections.
#[derive(Debug)]
struct Replica {
    endpoint: Arc<Endpoint>,
    /// As of the last call: what a reload changes acts on the connections that are opened after it.
    options: RefCell<Rc<Options>>,
    http2: RefCell<Vec<Rc<Http2Connection>>>,
    /// An HTTP/2 connection is being made.
    connecting: Cell<bool>,
    further: Further,
    /// Called when a stream ends, or a connection opens, closes, is kept or takes more streams.
    queue: Rc<Queue>,
    idle: Rc<IdleHttp1>,
}

/// How it went with connections beside one that works.
#[derive(Debug, Default)]
struct Further {
    /// In a row.
    failures: Cell<u32>,
    not_before: Cell<Option<Instant>>,
}

/// A connection for an HTTP/1 call, or the right to make one.
enum Place {
    Kept(http1::Connection),
    New(Open),
}

impl Default for Pool {
    fn default() -> Self {
        Pool::new()
    }
}

/// The head of a call.
pub trait Head {
    /// The head as it goes now that there is a connection: it may tell how much time is left by then.
    fn head(&mut self) -> &Request<()>;
}

impl Head for Request<()> {
    fn head(&mut self) -> &Request<()> {
        self
    }
}

impl Pool {
    pub fn new() -> Pool {
        Pool { endpoints: RefCell::new(HashMap::default()), tasks: Rc::new(RefCell::new(JoinSet::new())) }
    }

    /// Gets `body` onto a connection to `endpoint` under `head`, which is asked for when there is one. `upgrade`: the protocol that an
    /// HTTP/1.1 caller asks for.
    ///
    /// # Errors
    /// No connection could be had; nothing was sent, and the body is where it was, so that another endpoint may have it.
    pub async fn send<B: Body + Unpin + 'static>(
        &self,
        endpoint: &Arc<Endpoint>,
        options: &Options,
        protocol: Protocol,
        head: &mut impl Head,
        upgrade: Option<HeaderValue>,
        body: &mut Option<B>,
    ) -> Result<Exchange<B>, Fault> {
        let replica = self.replica(endpoint, options);
        match protocol {
            Protocol::Http2 => self.send_http2(&replica, head, body).await,
            Protocol::Http1 => self.send_http1(&replica, head, upgrade, body).await,
        }
    }

    /// Connects to `endpoint` ahead of its first call.
    pub fn warm(&self, endpoint: &Arc<Endpoint>, options: &Options) {
        let replica = self.replica(endpoint, options);
        if replica.http2.borrow().is_empty() {
            self.connect(&replica);
        }
    }

    /// Lets go of the connections to endpoints that are not wanted any more; calls in flight on them finish.
    pub fn retain(&self, wanted: impl Fn(EndpointId) -> bool) {
        self.endpoints.borrow_mut().retain(|id, replica| {
            let keep = wanted(*id);
            if !keep {
                replica.idle.close();
            }
            keep
        });
    }

    fn replica(&self, endpoint: &Arc<Endpoint>, options: &Options) -> Rc<Replica> {
        let mut endpoints = self.endpoints.borrow_mut();
        let replica = endpoints.entry(endpoint.id()).or_insert_with(|| {
            let queue = Rc::new(Queue::default());
            Rc::new(Replica {
                endpoint: Arc::clone(endpoint),
                options: RefCell::new(Rc::new(options.clone())),
                http2: RefCell::new(Vec::new()),
                connecting: Cell::new(false),
                further: Further::default(),
                idle: Rc::new(IdleHttp1::new(options.idle_http1, Rc::clone(&queue))),
                queue,
            })
        });
        if *replica.options() != *options {
            *replica.options.borrow_mut() = Rc::new(options.clone());
            // There may be room now for those who wait.
            replica.queue.call_first();
        }
        Rc::clone(replica)
    }

    async fn send_http2<B: Body + Unpin + 'static>(
        &self,
        replica: &Rc<Replica>,
        head: &mut impl Head,
        body: &mut Option<B>,
    ) -> Result<Exchange<B>, Fault> {
        let mut until = None;
        loop {
            let free = if replica.queue.is_empty() { self.free_http2(replica) } else { None };
            let connection = match free {
                Some(connection) => connection,
                // In a box, so that only those who wait pay for it.
                None => Box::pin(self.wait_http2(replica, &mut until)).await?,
            };
            match connection.send(head.head(), body.take().ok_or_else(no_body)?) {
                Ok(exchange) => return Ok(Exchange(Kind::Http2(exchange))),
                Err(unsent) => *body = Some(unsent),
            }
        }
    }

    /// In line, until there is a connection or `until`, which is set by the first wait of a call.
    async fn wait_http2(
        &self,
        replica: &Rc<Replica>,
        until: &mut Option<Instant>,
    ) -> Result<Rc<Http2Connection>, Fault> {
        let options = replica.options();
        // What is not connected yet may take its time for that.
        let connecting = if replica.open_http2() == 0 { options.connect_timeout } else { Duration::ZERO };
        let until = *until.get_or_insert_with(|| now() + options.queue_timeout + connecting);
        let ticket = replica.queue.join();
        let turns = async {
            loop {
                ticket.turn().await?;
                if let Some(connection) = self.free_http2(replica) {
                    return Ok(connection);
                }
            }
        };
        timeout_at(until.into(), turns).await.unwrap_or_else(|_| Err(saturated(&options)))
    }

    /// A connection that takes one more call. When there is none, or soon may be none, another one is under way if there may be one.
    fn free_http2(&self, replica: &Rc<Replica>) -> Option<Rc<Http2Connection>> {
        let Some(connection) = replica.least_busy() else {
            self.connect(replica);
            return None;
        };
        let (is_choked, room) = (connection.is_choked(), connection.room());
        if (is_choked || room != Room::Ample) && replica.may_open() {
            self.connect(replica);
            if is_choked {
                return None;
            }
        }
        (room != Room::None).then_some(connection)
    }

    async fn send_http1<B: Body + Unpin + 'static>(
        &self,
        replica: &Rc<Replica>,
        head: &mut impl Head,
        upgrade: Option<HeaderValue>,
        body: &mut Option<B>,
    ) -> Result<Exchange<B>, Fault> {
        let free = if replica.queue.is_empty() { replica.free_http1() } else { None };
        let place = match free {
            Some(place) => place,
            None => Box::pin(replica.wait_http1()).await?,
        };
        let (connection, reused) = match place {
            Place::Kept(connection) => (connection, true),
            Place::New(open) => (Box::pin(self.connect_http1(replica, open)).await?, false),
        };
        let body = body.take().ok_or_else(no_body)?;
        let options = replica.options();
        let upgrade = upgrade.map(|protocol| http1::Upgrade { protocol, idle: options.tunnel_idle });
        let exchange = http1::send(connection, Rc::clone(&replica.idle), reused, &options, head.head(), upgrade, body);
        Ok(Exchange(Kind::Http1(exchange)))
    }

    async fn connect_http1(&self, replica: &Replica, open: Open) -> Result<http1::Connection, Fault> {
        let connected = http1::connect(replica.endpoint.address(), &replica.options(), open).await;
        let connection = connected.inspect_err(|fault| failed(&replica.endpoint, fault))?;
        log::connected(&replica.endpoint, replica.endpoint.connected(now()));
        if let Some(sweep) = replica.idle.sweep() {
            spawn(&self.tasks, sweep);
        }
        Ok(connection)
    }

    /// Makes an HTTP/2 connection, unless one is being made.
    fn connect(&self, replica: &Rc<Replica>) {
        if replica.connecting.replace(true) {
            return;
        }
        let tasks = Rc::downgrade(&self.tasks);
        let mut under_way = UnderWay { replica: Rc::clone(replica), is_over: false };
        spawn(&self.tasks, async move {
            let replica = &under_way.replica;
            let connected =
                http2::connect(replica.endpoint.address(), &replica.options(), Rc::clone(&replica.queue)).await;
            let replica = under_way.end();
            let fault = match connected {
                Ok((connection, driver)) => {
                    log::connected(&replica.endpoint, replica.endpoint.connected(now()));
                    let retiring = retire(Rc::downgrade(&replica), Rc::downgrade(&connection));
                    replica.further.went_well();
                    replica.http2.borrow_mut().push(connection);
                    replica.queue.call_first();
                    drop((replica, under_way));
                    if let Some(tasks) = tasks.upgrade() {
                        spawn(&tasks, first_of(driver, retiring));
                    }
                    return;
                }
                Err(fault) => fault,
            };
            if replica.least_busy().is_none() {
                failed(&replica.endpoint, &fault);
                return replica.queue.send_away(&fault);
            }
            // While another one works, the endpoint does, and may have to do.
            let again = replica.further.failed(now());
            replica.queue.call_first();
            let waiting = Rc::downgrade(&replica);
            drop((replica, under_way));
            tokio::time::sleep_until(again.into()).await;
            if let Some(replica) = waiting.upgrade() {
                replica.queue.call_first();
            }
        });
    }
}

/// A defect: whoever calls has given the body away already.
fn no_body() -> Fault {
    Fault::new(FaultKind::Internal, Stage::Connect, "a call without its body")
}

/// Sets `endpoint` aside.
fn failed(endpoint: &Endpoint, fault: &Fault) {
    log::connect_failed(endpoint, endpoint.connect_failed(now(), &fault.message), &fault.message);
}

/// All streams of all connections have been in use for too long.
fn saturated(options: &Options) -> Fault {
    let told = format!("no connection to the servlet was free within {:?}", options.queue_timeout);
    Fault::new(FaultKind::Saturated, Stage::Connect, told)
}

/// A connection that is being made, until it is over. Whoever waits is told also when its task is dropped.
struct UnderWay {
    replica: Rc<Replica>,
    is_over: bool,
}

impl UnderWay {
    fn end(&mut self) -> Rc<Replica> {
        self.is_over = true;
        self.replica.connecting.set(false);
        Rc::clone(&self.replica)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_over {
            self.replica.connecting.set(false);
            let gone = Fault::new(FaultKind::Draining, Stage::Connect, "the process is going away");
            self.replica.queue.send_away(&gone);
        }
    }
}

impl Further {
    /// Until when there is to be no other.
    fn failed(&self, now: Instant) -> Instant {
        let before = self.failures.get();
        self.failures.set(before.saturating_add(1));
        let pause = FIRST_PAUSE.saturating_mul(1 << before.min(16)).min(LONGEST_PAUSE);
        let again = now + pause;
        self.not_before.set(Some(again));
        again
    }

    fn went_well(&self) {
        self.failures.set(0);
        self.not_before.set(None);
    }

    fn pauses(&self) -> bool {
        self.not_before.get().is_some_and(|again| now() < again)
    }
}

impl Replica {
    fn options(&self) -> Rc<Options> {
        Rc::clone(&self.options.borrow())
    }

    /// The open connection with the fewest streams, of those that let data through if there is one.
    fn least_busy(&self) -> Option<Rc<Http2Connection>> {
        let mut connections = self.http2.borrow_mut();
        if connections.iter().any(|connection| connection.is_closed()) {
            connections.retain(|connection| !connection.is_closed());
        }
        connections.iter().min_by_key(|connection| (connection.is_choked(), connection.active())).map(Rc::clone)
    }

    fn open_http2(&self) -> usize {
        self.http2.borrow().iter().filter(|connection| !connection.is_closed()).count()
    }

    /// Whether a further connection is under way, or may be.
    fn may_open(&self) -> bool {
        self.connecting.get() || (self.http2.borrow().len() < self.options().connections && !self.further.pauses())
    }

    async fn wait_http1(&self) -> Result<Place, Fault> {
        let options = self.options();
        let ticket = self.queue.join();
        let turns = async {
            loop {
                ticket.turn().await?;
                if let Some(place) = self.free_http1() {
                    return Ok(place);
                }
            }
        };
        tokio::time::timeout(options.queue_timeout, turns).await.unwrap_or_else(|_| Err(saturated(&options)))
    }

    fn free_http1(&self) -> Option<Place> {
        let options = self.options();
        let kept = self.idle.take(options.idle_http1_timeout).map(Place::Kept);
        kept.or_else(|| self.idle.open(options.connections).map(Place::New))
    }
}

/// Lets go of the HTTP/2 connection when it has had no call for a while and there is another one: one is kept warm.
async fn retire(replica: Weak<Replica>, connection: Weak<Http2Connection>) {
    let idle = |replica: &Replica| replica.options().idle_http2_timeout;
    while let Some(after) = replica.upgrade().map(|replica| idle(&replica)) {
        tokio::time::sleep(after).await;
        let (Some(replica), Some(connection)) = (replica.upgrade(), connection.upgrade()) else { return };
        if !connection.take_used() && replica.open_http2() > 1 {
            // Whoever else holds it has no call on it, and so it ends.
            replica.http2.borrow_mut().retain(|other| !Rc::ptr_eq(other, &connection));
            return replica.queue.call_first();
        }
    }
}

/// Runs `driver` to its end, and what watches over its connection beside it.
async fn first_of(driver: impl Future<Output = ()>, watch: impl Future<Output = ()>) {
    let watch = async {
        watch.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = driver => {}
        () = watch => {}
    }
}

/// Runs `task` among the pool's own, and lets go of those that are over.
fn spawn(tasks: &RefCell<JoinSet<()>>, task: impl Future<Output = ()> + 'static) {
    let mut tasks = tasks.borrow_mut();
    while tasks.try_join_next().is_some() {}
    tasks.spawn_local(task);
}

#[cfg(test)]
mod tests;
