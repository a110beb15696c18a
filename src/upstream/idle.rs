//! HTTP/1 connections to one endpoint: how many there are, and those that are kept between calls. It leans towards letting go: a request
//! on a connection that the server is closing is lost.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::http1;
use super::queue::Queue;
use crate::runtime::now;

/// One HTTP/1 connection in the count, for as long as its socket is open.
#[derive(Debug)]
pub(super) struct Open {
    count: Rc<Cell<usize>>,
    queue: Rc<Queue>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
        self.queue.call_first();
    }
}

/// Kept HTTP/1 connections, the newest used first.
#[derive(Debug)]
pub(super) struct IdleHttp1 {
    connections: RefCell<Vec<Kept>>,
    /// Those in use, too.
    open: Rc<Cell<usize>>,
    most: usize,
    closed: Cell<bool>,
    /// How long one is kept, as of the last call.
    limit: Cell<Duration>,
    /// Somebody lets go of what has been kept for that long.
    swept: Cell<bool>,
    queue: Rc<Queue>,
}

#[derive(Debug)]
struct Kept {
    connection: http1::Connection,
    since: Instant,
}

impl IdleHttp1 {
    /// Keeps up to `most`, and calls whoever is in `queue` for each, and for each that closes.
    pub(super) fn new(most: usize, queue: Rc<Queue>) -> IdleHttp1 {
        IdleHttp1 {
            connections: RefCell::new(Vec::new()),
            open: Rc::default(),
            most,
            closed: Cell::new(false),
            limit: Cell::new(Duration::ZERO),
            swept: Cell::new(false),
            queue,
        }
    }

    /// The right to make another one; `None` when there are `most`, those in use among them.
    pub(super) fn open(&self, most: usize) -> Option<Open> {
        (self.open.get() < most).then(|| {
            self.open.set(self.open.get() + 1);
            Open { count: Rc::clone(&self.open), queue: Rc::clone(&self.queue) }
        })
    }

    pub(super) fn put(&self, connection: http1::Connection) {
        let mut connections = self.connections.borrow_mut();
        if connections.len() < self.most && !self.closed.get() {
            connections.push(Kept { connection, since: now() });
            drop(connections);
            self.queue.call_first();
        }
    }

    /// The newest that takes a request. Those that were kept for `limit`, or that their server has closed, are let go of.
    pub(super) fn take(&self, limit: Duration) -> Option<http1::Connection> {
        self.limit.set(limit);
        self.expire();
        loop {
            let Kept { connection, .. } = self.connections.borrow_mut().pop()?;
            if connection.is_fit() {
                return Some(connection);
            }
        }
    }

    /// Lets go of all: one that was closed unnoticed is seldom alone.
    pub(super) fn clear(&self) {
        let all = self.connections.take();
        drop(all);
    }

    /// Lets go of all, and keeps none from here on.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.clear();
    }

    /// Lets go of what has been kept for as long as it may.
    fn expire(&self) {
        let (now, limit) = (now(), self.limit.get());
        let is_due = |kept: &Kept| now.duration_since(kept.since) >= limit;
        // The oldest come first, and dropping them calls others.
        let due = {
            let mut connections = self.connections.borrow_mut();
            let many = connections.iter().take_while(|kept| is_due(kept)).count();
            if many == 0 {
                return;
            }
            connections.drain(..many).collect::<Vec<_>>()
        };
        drop(due);
    }

    /// When the next one is to be let go of, if there is any.
    fn due(&self) -> Option<Instant> {
        self.connections.borrow().first().map(|kept| kept.since + self.limit.get())
    }

    /// What lets go of connections that have been kept for too long, so that they do not wait for the next call; `None` when somebody
    /// does already. It ends when no connection is open.
    pub(super) fn sweep(self: &Rc<Self>) -> Option<impl Future<Output = ()> + use<>> {
        let idle = Rc::downgrade(self);
        (!self.swept.replace(true)).then(|| sweep(idle))
    }
}

async fn sweep(idle: Weak<IdleHttp1>) {
    while let Some(kept) = idle.upgrade() {
        kept.expire();
        if kept.open.get() == 0 {
            kept.swept.set(false);
            return;
        }
        let until = kept.due().unwrap_or_else(|| now() + kept.limit.get());
        drop(kept);
        tokio::time::sleep_until(until.into()).await;
    }
}
