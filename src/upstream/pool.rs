//! One worker's connections to every endpoint. Calls that find none wait for one attempt, not one each; its failure is told to all of
//! them and sets the endpoint aside.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use http::{HeaderValue, Request};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::exchange::{Exchange, Kind};
use super::http2::Http2Connection;
use super::{Options, http1, http2};
use crate::model::{Body, Fault, Kind as FaultKind, Stage};
use crate::runtime::now;
use crate::servlet::{Endpoint, EndpointId};
use crate::telemetry::log;

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A call that did not get onto a connection, with its body, so that another endpoint may have it.
#[derive(Debug)]
pub struct NotSent<B> {
    pub fault: Fault,
    pub body: B,
}

/// The connections of one worker, for request bodies of one type. Owns their tasks: dropping it ends them.
#[derive(Debug)]
pub struct Pool<B: 'static> {
    endpoints: RefCell<HashMap<EndpointId, Rc<Replica<B>>, RandomState>>,
    tasks: Rc<RefCell<JoinSet<()>>>,
}

/// One endpoint's connections.
#[derive(Debug)]
struct Replica<B: 'static> {
    endpoint: Arc<Endpoint>,
    /// As of the last call: what a reload changes acts on the connections that are opened after it.
    options: RefCell<Rc<Options>>,
    http2: RefCell<Vec<Rc<Http2Connection>>>,
    attempt: RefCell<Option<Rc<Attempt>>>,
    /// Called when a stream ends, or a connection opens, closes or is kept.
    freed: Rc<Notify>,
    idle: Rc<IdleHttp1<B>>,
    /// HTTP/1 connections, in use or kept.
    open_http1: Rc<Cell<usize>>,
}

/// One HTTP/1 connection in the count, for as long as its socket is open.
#[derive(Debug)]
pub(super) struct Open {
    count: Rc<Cell<usize>>,
    freed: Rc<Notify>,
}

impl Open {
    /// `None` when the endpoint has as many connections as it may.
    fn one<B>(replica: &Replica<B>) -> Option<Rc<Open>> {
        let count = &replica.open_http1;
        (count.get() < replica.options().connections).then(|| {
            count.set(count.get() + 1);
            Rc::new(Open { count: Rc::clone(count), freed: Rc::clone(&replica.freed) })
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
        self.freed.notify_one();
    }
}

/// One try to connect, shared by all who wait for it.
#[derive(Debug)]
struct Attempt {
    result: RefCell<Option<Result<(), Fault>>>,
    done: Notify,
}

/// Kept HTTP/1 connections, the newest used first.
pub(super) struct IdleHttp1<B: 'static> {
    connections: RefCell<Vec<Kept<B>>>,
    most: usize,
    closed: Cell<bool>,
    freed: Rc<Notify>,
}

struct Kept<B: 'static> {
    connection: http1::Connection<B>,
    since: Instant,
}

impl<B> std::fmt::Debug for IdleHttp1<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdleHttp1").field("kept", &self.connections.borrow().len()).finish_non_exhaustive()
    }
}

impl<B> IdleHttp1<B> {
    pub(super) fn put(&self, connection: http1::Connection<B>) {
        let mut connections = self.connections.borrow_mut();
        if connections.len() < self.most && !self.closed.get() {
            connections.push(Kept { connection, since: now() });
            self.freed.notify_one();
        }
    }

    /// Lets go of all: one that was closed unnoticed is seldom alone.
    pub(super) fn clear(&self) {
        self.connections.borrow_mut().clear();
    }

    /// Lets go of what has been kept for `limit`.
    pub(super) fn expire(&self, limit: Duration) {
        let now = now();
        self.connections.borrow_mut().retain(|kept| now.duration_since(kept.since) < limit);
    }
}

impl<B: Body + Unpin + 'static> Default for Pool<B> {
    fn default() -> Self {
        Pool::new()
    }
}

impl<B: Body + Unpin + 'static> Pool<B> {
    pub fn new() -> Pool<B> {
        Pool { endpoints: RefCell::new(HashMap::default()), tasks: Rc::new(RefCell::new(JoinSet::new())) }
    }

    /// Gets `body` onto a connection to `endpoint` under `head`, which is asked for when there is one: it may tell how much time is left
    /// by then. `upgrade`: the protocol that an HTTP/1.1 caller asks for.
    ///
    /// # Errors
    /// No connection could be had; nothing was sent.
    pub async fn send(
        &self,
        endpoint: &Arc<Endpoint>,
        options: &Options,
        protocol: Protocol,
        head: &impl Fn() -> Request<()>,
        upgrade: Option<HeaderValue>,
        body: B,
    ) -> Result<Exchange<B>, NotSent<B>> {
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
            self.attempt(&replica);
        }
    }

    /// Lets go of the connections to endpoints that are not wanted any more; calls in flight on them finish.
    pub fn retain(&self, wanted: impl Fn(EndpointId) -> bool) {
        self.endpoints.borrow_mut().retain(|id, replica| {
            let keep = wanted(*id);
            if !keep {
                replica.idle.closed.set(true);
                replica.idle.clear();
            }
            keep
        });
    }

    fn replica(&self, endpoint: &Arc<Endpoint>, options: &Options) -> Rc<Replica<B>> {
        let mut endpoints = self.endpoints.borrow_mut();
        let replica = endpoints.entry(endpoint.id()).or_insert_with(|| {
            let freed = Rc::new(Notify::new());
            let idle = IdleHttp1 {
                connections: RefCell::new(Vec::new()),
                most: options.idle_http1,
                closed: Cell::new(false),
                freed: Rc::clone(&freed),
            };
            Rc::new(Replica {
                endpoint: Arc::clone(endpoint),
                options: RefCell::new(Rc::new(options.clone())),
                http2: RefCell::new(Vec::new()),
                attempt: RefCell::new(None),
                freed,
                idle: Rc::new(idle),
                open_http1: Rc::default(),
            })
        });
        if *replica.options() != *options {
            *replica.options.borrow_mut() = Rc::new(options.clone());
            // There may be room now for those who wait.
            replica.freed.notify_one();
        }
        Rc::clone(replica)
    }

    async fn send_http2(
        &self,
        replica: &Rc<Replica<B>>,
        head: &impl Fn() -> Request<()>,
        body: B,
    ) -> Result<Exchange<B>, NotSent<B>> {
        let mut body = body;
        loop {
            // Made before looking: whatever is freed from here on wakes it.
            let freed = replica.freed.notified();
            if let Some(connection) = replica.least_busy() {
                if connection.runs_short() && replica.may_open() {
                    self.attempt(replica);
                }
                if connection.is_choked() && replica.may_open() && self.attempt(replica).wait().await.is_ok() {
                    // The further one, or what has opened meanwhile.
                    if replica.least_busy().is_some_and(|other| !Rc::ptr_eq(&other, &connection)) {
                        continue;
                    }
                }
                if connection.has_room() {
                    match connection.send(head(), body) {
                        Ok(exchange) => return Ok(Exchange(Kind::Http2(exchange))),
                        Err(unsent) => body = unsent,
                    }
                    continue;
                }
            }
            if replica.may_open() {
                if let Err(fault) = self.attempt(replica).wait().await {
                    // A further connection is a help; the first one is all there is.
                    let Some(connection) = replica.least_busy() else { return Err(NotSent { fault, body }) };
                    // What was freed while nobody listened wakes one of those who wait: the rest look for themselves.
                    if !connection.has_room() {
                        freed.await;
                    }
                }
            } else {
                freed.await;
            }
        }
    }

    async fn send_http1(
        &self,
        replica: &Rc<Replica<B>>,
        head: &impl Fn() -> Request<()>,
        upgrade: Option<HeaderValue>,
        body: B,
    ) -> Result<Exchange<B>, NotSent<B>> {
        let (connection, reused) = loop {
            // Made before looking: whatever is freed from here on wakes it.
            let freed = replica.freed.notified();
            if let Some(connection) = replica.kept().await {
                break (connection, true);
            }
            let Some(open) = Open::one(replica) else {
                freed.await;
                continue;
            };
            match http1::connect(replica.endpoint.address(), &replica.options(), open).await {
                Ok((connection, driver)) => {
                    log::connected(&replica.endpoint, replica.endpoint.connected());
                    let expiring = expire(Rc::downgrade(&replica.idle), replica.options().idle_http1_timeout);
                    spawn(&self.tasks, first_of(driver, expiring));
                    break (connection, false);
                }
                Err(fault) => {
                    failed(&replica.endpoint, &fault);
                    return Err(NotSent { fault, body });
                }
            }
        };
        let idle = replica.options().tunnel_idle;
        let upgrade = upgrade.map(|protocol| http1::Upgrade { protocol, idle });
        let exchange = http1::send(connection, Rc::clone(&replica.idle), reused, head(), upgrade, body);
        Ok(Exchange(Kind::Http1(exchange)))
    }

    /// The attempt that is under way, or a new one.
    fn attempt(&self, replica: &Rc<Replica<B>>) -> Rc<Attempt> {
        let mut current = replica.attempt.borrow_mut();
        if let Some(attempt) = &*current {
            return Rc::clone(attempt);
        }
        let attempt = Rc::new(Attempt { result: RefCell::new(None), done: Notify::new() });
        *current = Some(Rc::clone(&attempt));
        let tasks = Rc::downgrade(&self.tasks);
        let replica = Rc::clone(replica);
        let told = Told(Rc::clone(&attempt));
        spawn(&self.tasks, async move {
            let connected =
                http2::connect(replica.endpoint.address(), &replica.options(), Rc::clone(&replica.freed)).await;
            *replica.attempt.borrow_mut() = None;
            match connected {
                Ok((connection, driver)) => {
                    log::connected(&replica.endpoint, replica.endpoint.connected());
                    let retiring = retire(Rc::downgrade(&replica), Rc::downgrade(&connection));
                    replica.http2.borrow_mut().push(connection);
                    replica.freed.notify_waiters();
                    drop(replica);
                    told.tell(Ok(()));
                    if let Some(tasks) = tasks.upgrade() {
                        spawn(&tasks, first_of(driver, retiring));
                    }
                }
                Err(fault) => {
                    // A further connection is a help; while another one works, the endpoint does.
                    if replica.least_busy().is_none() {
                        failed(&replica.endpoint, &fault);
                    }
                    told.tell(Err(fault));
                }
            }
        });
        attempt
    }
}

/// Sets `endpoint` aside.
fn failed(endpoint: &Endpoint, fault: &Fault) {
    log::connect_failed(endpoint, endpoint.connect_failed(now(), &fault.message), &fault.message);
}

/// Tells whoever waits for an attempt, also when its task is dropped.
struct Told(Rc<Attempt>);

impl Told {
    fn tell(&self, result: Result<(), Fault>) {
        *self.0.result.borrow_mut() = Some(result);
        self.0.done.notify_waiters();
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.0.result.borrow().is_none() {
            self.tell(Err(Fault::new(FaultKind::Draining, Stage::Connect, "the process is going away")));
        }
    }
}

impl Attempt {
    async fn wait(&self) -> Result<(), Fault> {
        loop {
            let done = self.done.notified();
            if let Some(result) = &*self.result.borrow() {
                return result.clone();
            }
            done.await;
        }
    }
}

impl<B> Replica<B> {
    fn options(&self) -> Rc<Options> {
        Rc::clone(&self.options.borrow())
    }
}

impl<B: Body + Unpin + 'static> Replica<B> {
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

    fn may_open(&self) -> bool {
        self.attempt.borrow().is_some() || self.http2.borrow().len() < self.options().connections
    }

    async fn kept(&self) -> Option<http1::Connection<B>> {
        self.idle.expire(self.options().idle_http1_timeout);
        loop {
            let mut connection = self.idle.connections.borrow_mut().pop()?.connection;
            if http1::is_fit(&mut connection).await {
                return Some(connection);
            }
        }
    }
}

/// Lets go of the HTTP/2 connection when it has had no call for a while and there is another one: one is kept warm.
async fn retire<B: Body + Unpin + 'static>(replica: Weak<Replica<B>>, connection: Weak<Http2Connection>) {
    let idle = |replica: &Replica<B>| replica.options().idle_http2_timeout;
    while let Some(after) = replica.upgrade().map(|replica| idle(&replica)) {
        tokio::time::sleep(after).await;
        let (Some(replica), Some(connection)) = (replica.upgrade(), connection.upgrade()) else { return };
        if !connection.take_used() && replica.open_http2() > 1 {
            // Whoever else holds it has no call on it, and so it ends.
            return replica.http2.borrow_mut().retain(|other| !Rc::ptr_eq(other, &connection));
        }
    }
}

/// Lets go of HTTP/1 connections that have been kept for `limit`, so that they do not wait for the next call.
async fn expire<B>(idle: Weak<IdleHttp1<B>>, limit: Duration) {
    loop {
        tokio::time::sleep(limit).await;
        let Some(idle) = idle.upgrade() else { return };
        idle.expire(limit);
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
