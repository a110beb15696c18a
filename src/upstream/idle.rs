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

impl Open {
    /// `None` when there are `most`. Whoever is in `queue` is called when the connection closes.
    pub(super) fn one(count: &Rc<Cell<usize>>, most: usize, queue: &Rc<Queue>) -> Option<Rc<Open>> {
        (count.get() < most).then(|| {
            count.set(count.get() + 1);
            Rc::new(Open { count: Rc::clone(count), queue: Rc::clone(queue) })
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
        self.queue.call_first();
    }
}

/// Kept HTTP/1 connections, the newest used first.
pub(super) struct IdleHttp1<B: 'static> {
    connections: RefCell<Vec<Kept<B>>>,
    most: usize,
    closed: Cell<bool>,
    queue: Rc<Queue>,
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
    /// Keeps up to `most`, and calls whoever is in `queue` for each.
    pub(super) fn new(most: usize, queue: Rc<Queue>) -> IdleHttp1<B> {
        IdleHttp1 { connections: RefCell::new(Vec::new()), most, closed: Cell::new(false), queue }
    }

    pub(super) fn put(&self, connection: http1::Connection<B>) {
        let mut connections = self.connections.borrow_mut();
        if connections.len() < self.most && !self.closed.get() {
            connections.push(Kept { connection, since: now() });
            self.queue.call_first();
        }
    }

    /// The newest, whatever has become of it.
    pub(super) fn take(&self) -> Option<http1::Connection<B>> {
        Some(self.connections.borrow_mut().pop()?.connection)
    }

    /// Lets go of all: one that was closed unnoticed is seldom alone.
    pub(super) fn clear(&self) {
        self.connections.borrow_mut().clear();
    }

    /// Lets go of all, and keeps none from here on.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.clear();
    }

    /// Lets go of what has been kept for `limit`.
    pub(super) fn expire(&self, limit: Duration) {
        let now = now();
        self.connections.borrow_mut().retain(|kept| now.duration_since(kept.since) < limit);
    }
}

/// Lets go of HTTP/1 connections that have been kept for `limit`, so that they do not wait for the next call.
pub(super) async fn expire<B>(idle: Weak<IdleHttp1<B>>, limit: Duration) {
    loop {
        tokio::time::sleep(limit).await;
        let Some(idle) = idle.upgrade() else { return };
        idle.expire(limit);
    }
}
