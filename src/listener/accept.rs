//! One accept loop a worker and listener. Each worker accepts for itself, so that a call never pays a hop between threads; since the
//! kernel's hashing leaves few long connections lopsided, a worker that holds clearly more than the least loaded one hands a new
//! socket over before its first read. A loop never ends for want of descriptors: it sheds, waits a little and goes on.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::bells::{Bell, Bells};
use super::sniff::Sniffed;
use super::{Limits, Serve, http1, http2, sniff};
use crate::model::{Address, ConnInfo};
use crate::runtime::{Drain, Timers, Worker, unless};
use crate::transport::{Accepted, Acceptor, Handover, Stream};
use crate::wire::Protocol;

/// Sockets on their way to one worker. Small: a worker that does not keep up should not be given more.
const LANDING_ROOM: usize = 64;

/// Pause after accept failed for want of descriptors or memory: long enough for some to come free, short beside any time-out.
const SHED_PAUSE: Duration = Duration::from_millis(20);

/// A connection that was accepted but has said nothing when draining begins: its request may be a round trip away.
const QUEUED_GRACE: Duration = Duration::from_secs(1);

/// When draining has run out of time, how long the callers whose calls are cut then have to take the news.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Open connections, a worker and in all. One value a process.
#[derive(Debug)]
pub struct ConnectionCounts {
    workers: Vec<AtomicUsize>,
    all: AtomicUsize,
}

impl ConnectionCounts {
    pub fn new(workers: usize) -> Arc<ConnectionCounts> {
        Arc::new(ConnectionCounts {
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            all: AtomicUsize::new(0),
        })
    }

    pub fn open(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// The worker that should get the next socket, if it is not `own`: one with clearly fewer connections.
    fn better_than(&self, own: usize) -> Option<usize> {
        let mine = self.workers.get(own)?.load(Ordering::Relaxed);
        let (least, count) = self
            .workers
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .enumerate()
            .min_by_key(|(_, count)| *count)?;
        (mine > count + count / 8).then_some(least).filter(|least| *least != own)
    }
}

/// A counted connection.
struct Counted {
    counts: Arc<ConnectionCounts>,
    worker: usize,
}

impl Counted {
    fn new(counts: &Arc<ConnectionCounts>, worker: usize) -> Counted {
        counts.all.fetch_add(1, Ordering::Relaxed);
        if let Some(count) = counts.workers.get(worker) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Counted { counts: Arc::clone(counts), worker }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = self.counts.workers.get(self.worker) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Told what happens to connections; a listener counts nothing itself.
pub trait Observer: 'static {
    fn opened(&self);
    fn closed(&self);
    /// A connection was turned away before its first request.
    fn refused(&self, why: &'static str);
}

/// Where sockets handed over by other workers land.
#[derive(Debug)]
pub struct Landing {
    senders: Vec<mpsc::Sender<(Handover, Counted)>>,
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counted").field("worker", &self.worker).finish()
    }
}

impl Landing {
    /// A landing place for each of `workers`.
    pub fn new(workers: usize) -> (Arc<Landing>, Vec<LandingStrip>) {
        let (senders, strips) = (0..workers)
            .map(|_| {
                let (sender, receiver) = mpsc::channel(LANDING_ROOM);
                (sender, LandingStrip(receiver))
            })
            .unzip();
        (Arc::new(Landing { senders }), strips)
    }
}

/// One worker's end of a `Landing`.
#[derive(Debug)]
pub struct LandingStrip(mpsc::Receiver<(Handover, Counted)>);

/// All that an accept loop works with.
#[derive(Debug)]
pub struct Accept<S, O> {
    pub worker: Worker,
    /// `None` on the workers that only get sockets handed over (a Unix socket has one acceptor).
    pub acceptor: Option<Acceptor>,
    pub local: Address,
    pub landing: Arc<Landing>,
    pub strip: LandingStrip,
    pub counts: Arc<ConnectionCounts>,
    pub limits: Rc<Limits>,
    pub service: Rc<S>,
    pub observer: Rc<O>,
    pub drain: Drain,
}

/// Accepts and serves until draining, and ends when the last connection has. Owns its connections: dropping it drops them.
pub async fn accept<S: Serve, O: Observer>(accept: Accept<S, O>) {
    let Accept { worker, acceptor, local, landing, mut strip, counts, limits, service, observer, drain } = accept;
    let mut over = drain.clone();
    let (ended, bells) = (Rc::<Ended>::default(), Rc::<Bells>::default());
    let (connections, rung) = (JoinSet::new(), Rc::clone(&bells));
    let (drain_of_all, timers) = (drain.clone(), Rc::default());
    let mut floor = Floor { local, limits, service, observer, drain: drain_of_all, connections, ended, bells, timers };
    let mut begun = pin!(drain.clone().into_begun());
    let mut is_asked = false;
    loop {
        let event = poll_fn(|cx| {
            // A task's waker stays the same: one that is registered need not be again, until something comes of it.
            if !is_asked || drain.is_draining() {
                is_asked = true;
                if begun.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Drain);
                }
            }
            floor.clear_away(cx);
            floor.bells.keep(cx);
            if let Poll::Ready(Some((socket, counted))) = strip.0.poll_recv(cx) {
                return Poll::Ready(Event::Landed(socket, counted));
            }
            match &acceptor {
                Some(acceptor) => acceptor.poll_accept(cx).map(Event::Accepted),
                None => Poll::Pending,
            }
        });
        match event.await {
            Event::Drain => break,
            Event::Landed(socket, counted) => floor.land(socket, counted),
            Event::Accepted(Ok(accepted)) => floor.place(accepted, worker, &counts, &landing),
            Event::Accepted(Err(error)) => floor.shed(&error).await,
        }
    }
    floor.bells.ring();
    // What the kernel has already accepted for us is served; then the socket closes, while connections go on.
    while let Some(Ok((stream, peer))) = acceptor.as_ref().map(Acceptor::accept_queued) {
        let counted = Counted::new(&counts, worker.index);
        floor.serve(stream, peer, counted);
    }
    drop(acceptor);
    drop(landing);
    strip.0.close();
    while let Some((socket, counted)) = strip.0.recv().await {
        floor.land(socket, counted);
    }
    let Floor { connections, bells, .. } = &mut floor;
    let mut ended = pin!(poll_fn(|cx| {
        bells.keep(cx);
        while let Some(_one) = ready!(connections.poll_join_next(cx)) {}
        Poll::Ready(())
    }));
    tokio::select! {
        () = over.over() => {}
        () = &mut ended => return,
    }
    // Whatever waits in them has to look now.
    rung.ring();
    let _ = tokio::time::timeout(CUT_GRACE, ended).await;
}

/// What an accept loop waits for.
enum Event {
    Drain,
    Landed(Handover, Counted),
    Accepted(io::Result<Accepted>),
}

/// Connections that have ended since the last were cleared away. That is done beside an accept, or when there are many: to be woken for
/// each costs a loop that accepts a connection a call as much as the accept does.
#[derive(Debug, Default)]
struct Ended {
    count: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

/// What may be left of connections that have ended, about 1 KiB each.
const MOST_ENDED: usize = 64;

impl Ended {
    fn one(&self) {
        self.count.set(self.count.get() + 1);
        if self.count.get() >= MOST_ENDED
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

/// Where a worker's connections of one listener are served.
struct Floor<S, O> {
    local: Address,
    limits: Rc<Limits>,
    service: Rc<S>,
    observer: Rc<O>,
    drain: Drain,
    connections: JoinSet<()>,
    ended: Rc<Ended>,
    bells: Rc<Bells>,
    timers: Rc<Timers>,
}

impl<S: Serve, O: Observer> Floor<S, O> {
    /// Serves a new socket here, or hands it to a worker with clearly fewer connections.
    fn place(&mut self, (stream, peer): Accepted, worker: Worker, counts: &Arc<ConnectionCounts>, landing: &Landing) {
        if counts.open() >= self.limits.connections {
            self.observer.refused("connections");
            return;
        }
        let elsewhere = counts
            .better_than(worker.index)
            .and_then(|better| Some((better, landing.senders.get(better)?.try_reserve().ok()?)));
        let Some((better, place)) = elsewhere else {
            return self.serve(stream, peer, Counted::new(counts, worker.index));
        };
        match stream.hand_over() {
            Ok(socket) => place.send((socket, Counted::new(counts, better))),
            Err(error) => tracing::warn!(%error, "a connection was lost on its way to another worker"),
        }
    }

    /// Lets go of the connections that have ended.
    fn clear_away(&mut self, cx: &mut Context<'_>) {
        self.ended.waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        if self.ended.count.take() > 0 {
            while self.connections.try_join_next().is_some() {}
        }
    }

    fn land(&mut self, socket: Handover, counted: Counted) {
        match socket.land() {
            Ok(stream) => {
                let peer = stream.peer();
                self.serve(stream, peer, counted);
            }
            Err(error) => tracing::warn!(%error, "a connection was lost on its way to this worker"),
        }
    }

    fn serve(&mut self, stream: Stream, peer: Option<SocketAddr>, counted: Counted) {
        let info = ConnInfo { peer, local: self.local.clone(), original_destination: None };
        let conn = Rc::new(self.service.open(info));
        let limits = Rc::clone(&self.limits);
        let service = Rc::clone(&self.service);
        let observer = Rc::clone(&self.observer);
        let ended = Rc::clone(&self.ended);
        let drain = self.drain.clone();
        let bell = self.bells.bell();
        let timers = Rc::clone(&self.timers);
        self.observer.opened();
        self.connections.spawn_local(async move {
            let _open = Open { observer, ended, _counted: counted };
            let serving = pin!(serve_connection(stream, conn, service, limits, drain, timers));
            woken_by(bell, serving).await;
        });
    }

    async fn shed(&self, error: &io::Error) {
        // The peer may leave between its SYN and our accept; that is its own affair.
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            self.observer.refused("accept");
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(SHED_PAUSE).await;
        }
    }
}

/// An open connection, told to the observer to its end.
struct Open<O: Observer> {
    observer: Rc<O>,
    ended: Rc<Ended>,
    _counted: Counted,
}

impl<O: Observer> Drop for Open<O> {
    fn drop(&mut self) {
        self.observer.closed();
        self.ended.one();
    }
}

/// `serving`, which is polled once more when its bell rings.
async fn woken_by(mut bell: Bell, mut serving: Pin<&mut impl Future<Output = ()>>) {
    poll_fn(|cx| {
        bell.hang(cx.waker());
        serving.as_mut().poll(cx)
    })
    .await;
}

async fn serve_connection<S: Serve>(
    stream: Stream,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
    drain: Drain,
    timers: Rc<Timers>,
) {
    // Boxed, so that a connection takes no more room than its own protocol needs, and none for its beginning.
    let Some(sniffed) = Box::pin(begin(&stream, &limits, &drain, &timers)).await else { return };
    drop(timers);
    match sniffed.protocol {
        Protocol::Http1 => Box::pin(http1::serve(stream, sniffed, conn, service, limits, drain)).await,
        Protocol::Http2 => Box::pin(http2::serve(stream, sniffed, conn, service, limits, drain)).await,
    }
}

/// What it speaks, and what it has said so far. While draining, only what is already there counts.
async fn begin(stream: &Stream, limits: &Limits, drain: &Drain, timers: &Rc<Timers>) -> Option<Sniffed> {
    let mut sniffing = pin!(sniff::sniff(stream, limits, timers));
    let drains = |_: &mut Context<'_>| if drain.is_draining() { Poll::Ready(()) } else { Poll::Pending };
    match unless(sniffing.as_mut(), drains).await {
        Some(sniffed) => sniffed,
        None => tokio::time::timeout(QUEUED_GRACE, sniffing).await.ok().flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where connections end up that the kernel gives to `given`, one after another.
    fn shared(workers: usize, given: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let counts = ConnectionCounts::new(workers);
        let open: Vec<Counted> = given
            .into_iter()
            .map(|worker| Counted::new(&counts, counts.better_than(worker).unwrap_or(worker)))
            .collect();
        let held = counts.workers.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        drop(open);
        assert_eq!(counts.open(), 0);
        held
    }

    #[test]
    fn few_long_connections_are_shared_however_the_kernel_gives_them() {
        assert!(shared(2, [0; 20]).iter().all(|held| *held >= 8));
        assert!(shared(2, [0, 0, 0, 1].repeat(5)).iter().all(|held| *held >= 8));
        assert!(shared(4, [3; 40]).iter().all(|held| *held >= 8));
        assert_eq!(shared(1, [0; 20]), [20]);
    }

    #[test]
    fn many_connections_stay_where_they_are_unless_it_is_clear() {
        let counts = ConnectionCounts::new(2);
        let hold = |worker, count| (0..count).map(|_| Counted::new(&counts, worker)).collect::<Vec<_>>();
        let _even = (hold(0, 80), hold(1, 75));
        assert_eq!(counts.better_than(0), None);
        let _more = hold(0, 10);
        assert_eq!((counts.better_than(0), counts.better_than(1)), (Some(1), None));
    }
}
