//! HTTP/2 to an endpoint: connections that calls share, each with a task that reads and writes its socket. What the calls of one turn
//! send leaves by one write, and what one read brings wakes them all.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::{Request, Response};
use tokio::time::Instant;

use super::Options;
use super::pump::Pump;
use super::queue::Queue;
use crate::model::{Address, Body, Fault, Frame, Kind, Stage};
use crate::runtime::{Timer, now};
use crate::transport::{self, Http2Socket};
use crate::wire::http2::{self, Connection, HeadRoom, Lost, Reason, RecvStream, Side, StreamError};

/// What a servlet may send of one answer before its caller has taken it: at 1 ms of round trip enough for 4 Gbit/s a stream.
const STREAM_WINDOW: u32 = 512 * 1024;

/// Callers that stopped reading must not freeze the others, and slow ones come in crowds: room for all of the streams that most
/// servers take at a time. What waits is bounded by the streams' own windows.
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;

/// With less than one frame's worth of its send window left, a connection is for nobody new.
const CHOKED: i64 = 16 * 1024;

/// Fields of one head; its bytes are bounded as well.
const FIELDS: usize = 1_000;

/// Reads in one turn, so that a servlet that sends much does not hold the others up.
const READS: usize = 8;

/// A connection that calls can be sent on. Gone when `closed`.
#[derive(Debug)]
pub(super) struct Http2Connection {
    connection: Connection,
    active: Cell<usize>,
    /// It has carried a call.
    served: Cell<bool>,
    /// The same, since it was last asked.
    used: Cell<bool>,
    closed: Cell<bool>,
    /// Called when a stream ends, when it takes more of them, and when it has closed.
    queue: Rc<Queue>,
}

impl Drop for Http2Connection {
    fn drop(&mut self) {
        // Nobody can send on it any more, and no call is on it.
        self.connection.break_off(Reason::NO_ERROR);
    }
}

/// What is left of the streams that the peer allows at a time; it runs short when three quarters are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Ample,
    Short,
    None,
}

/// One counted stream.
#[derive(Debug)]
struct Active(Rc<Http2Connection>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
        self.0.queue.call_first();
    }
}

/// Connects. The future returned beside the connection drives it and must be polled to its end.
pub(super) async fn connect(
    address: &Address,
    options: &Options,
    queue: Rc<Queue>,
) -> Result<(Rc<Http2Connection>, impl Future<Output = ()> + use<>), Fault> {
    let connecting = async {
        let stream = transport::connect(address, options.connect_timeout).await?;
        let mut socket = Http2Socket::new(stream, BytesMut::new());
        let connection = Connection::new(settings(options));
        greeted(&connection, &mut socket).await?;
        Ok((connection, socket))
    };
    let (connection, socket) = tokio::time::timeout(options.connect_timeout, connecting).await.map_err(|_| {
        let told = format!("the servlet did not take a connection within {:?}", options.connect_timeout);
        Fault::new(Kind::ConnectTimeout, Stage::Connect, told)
    })??;
    let handle = Rc::new(Http2Connection {
        connection: connection.clone(),
        active: Cell::new(0),
        served: Cell::new(false),
        used: Cell::new(true),
        closed: Cell::new(false),
        queue,
    });
    // Held by whoever may send on it: when they let go, and the last call is over, the connection ends.
    let driver = drive(connection, socket, Rc::downgrade(&handle), options.clone());
    Ok((handle, driver))
}

fn settings(options: &Options) -> http2::Options {
    http2::Options {
        side: Side::Client,
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        head: HeadRoom { bytes: usize::try_from(options.head_bytes).unwrap_or(usize::MAX), fields: FIELDS },
        told_head_bytes: options.head_bytes,
        is_guarded: false,
        clock: now,
    }
}

/// Waits for the servlet's SETTINGS, which must be the first that it says (RFC 9113 §3.4): a socket that is accepted and never answered
/// is no connection, and until then nobody knows how many streams it takes.
async fn greeted(connection: &Connection, socket: &mut Http2Socket) -> Result<(), Fault> {
    poll_fn(|cx| {
        connection.attend(cx.waker());
        loop {
            let sent = socket.poll_send(connection, cx);
            if connection.allowed_streams() > 0 && sent.is_ready() {
                connection.has_news();
                return Poll::Ready(Ok(()));
            }
            let received = socket.poll_receive(connection, cx);
            if let Some(lost) = connection.lost() {
                let told = format!("no HTTP/2 with the servlet: {lost}");
                return Poll::Ready(Err(Fault::new(Kind::ConnectFailed, Stage::Connect, told)));
            }
            if received.is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Drives a connection to its end, and ends it when a ping is not answered.
async fn drive(connection: Connection, mut socket: Http2Socket, handle: Weak<Http2Connection>, options: Options) {
    let mut pings = Pings::new(&options);
    poll_fn(|cx| {
        connection.attend(cx.waker());
        let ended = turn(&connection, &mut socket, &handle, cx);
        if ended.is_pending() && pings.poll(&connection, &handle, cx).is_ready() {
            connection.break_off(Reason::NO_ERROR);
            return Poll::Ready(());
        }
        connection.rest();
        ended
    })
    .await;
    if let Some(handle) = handle.upgrade() {
        handle.closed.set(true);
        handle.queue.call_first();
    }
    socket.farewell(&connection).await;
}

/// Goes on with everything that can go on. Ready at the connection's end.
fn turn(
    connection: &Connection,
    socket: &mut Http2Socket,
    handle: &Weak<Http2Connection>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let received = (0..READS).all(|_| matches!(socket.poll_receive(connection, cx), Poll::Ready(Ok(()))));
    let _ = socket.poll_send(connection, cx);
    if connection.lost().is_some() || connection.is_spent() {
        return Poll::Ready(());
    }
    // It may take more streams than before, or no more.
    if connection.has_news()
        && let Some(handle) = handle.upgrade()
    {
        handle.queue.call_first();
    }
    if received {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

/// Asks now and then whether the servlet is there, while it has calls.
struct Pings {
    timer: Timer,
    /// When it is to be asked, or to have answered.
    next: Instant,
    interval: Duration,
    timeout: Duration,
    is_asked: bool,
}

impl Pings {
    fn new(options: &Options) -> Pings {
        let (interval, timeout) = (options.ping_interval, options.ping_timeout);
        Pings { timer: Timer::default(), next: Instant::now() + interval, interval, timeout, is_asked: false }
    }

    /// Ready when it has not answered.
    fn poll(&mut self, connection: &Connection, handle: &Weak<Http2Connection>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.poll(self.next, cx));
            if self.is_asked && !connection.is_ping_answered() {
                return Poll::Ready(());
            }
            self.is_asked = !self.is_asked && handle.upgrade().is_some_and(|handle| handle.active() > 0);
            if self.is_asked {
                connection.ping();
                // It has to be written.
                cx.waker().wake_by_ref();
            }
            self.next = Instant::now() + if self.is_asked { self.timeout } else { self.interval };
        }
    }
}

impl Http2Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get() || !self.connection.takes_requests()
    }

    pub(super) fn active(&self) -> usize {
        self.active.get()
    }

    /// Whether it has carried a call since this was last asked.
    pub(super) fn take_used(&self) -> bool {
        self.used.replace(false) || self.active() > 0
    }

    /// How many of the streams that the peer allows at a time are taken.
    pub(super) fn room(&self) -> Room {
        let limit = self.connection.allowed_streams();
        match self.active() {
            active if active >= limit => Room::None,
            active if active >= limit - limit / 4 => Room::Short,
            _ => Room::Ample,
        }
    }

    /// Whether uploads that the peer does not read have taken what it allows on the whole connection, or nearly.
    pub(super) fn is_choked(&self) -> bool {
        self.connection.window() < CHOKED
    }

    /// Sends a call. `Err` gives the body back: nothing was sent, and the connection
    /// takes no more calls.
    pub(super) fn send<B: Body + Unpin>(self: &Rc<Self>, head: &Request<()>, body: B) -> Result<Http2Exchange<B>, B> {
        let end = body.is_end();
        let Some((recv, send)) = self.connection.request(head, end) else {
            self.closed.set(true);
            return Err(body);
        };
        let retry = self.served.replace(true) && self.active() == 0 && head.method().is_idempotent();
        self.active.set(self.active.get() + 1);
        self.used.set(true);
        Ok(Http2Exchange {
            pump: Pump::new(body, send, end),
            recv,
            is_answered: false,
            retry,
            _active: Active(Rc::clone(self)),
        })
    }
}

#[derive(Debug)]
pub(super) struct Http2Exchange<B> {
    pump: Pump<B>,
    recv: RecvStream,
    /// The head of the answer is there.
    is_answered: bool,
    /// A connection without calls that breaks before the answer was most likely closed as we wrote; what is idempotent may go again
    /// (RFC 9110 §9.2.2).
    retry: bool,
    _active: Active,
}

impl<B: Body + Unpin> Http2Exchange<B> {
    pub(super) fn into_body(self) -> B {
        self.pump.into_body()
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        self.pump.body_mut()
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Fault>> {
        self.pump.poll(cx)?;
        let head = ready!(self.recv.poll_head(cx)).map_err(|error| match fault_of(error, Stage::Wait) {
            Fault { kind: Kind::ConnectionLost, message, .. } if self.retry => {
                Fault::new(Kind::GoneAway, Stage::Wait, message)
            }
            fault => fault,
        })?;
        self.is_answered = true;
        let mut response = Response::new(());
        *response.version_mut() = http::Version::HTTP_2;
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        Poll::Ready(Ok(response))
    }

    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        // A fault of the request's body has reset the stream, and is told when the answer's side is asked.
        let _ = self.pump.poll(cx);
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        if let Err(fault) = self.pump.poll(cx) {
            return Poll::Ready(Some(Err(fault)));
        }
        let polled = ready!(self.recv.poll_frame(cx));
        Poll::Ready(polled.map(|frame| frame.map_err(|error| fault_of(error, Stage::ReplyBody))))
    }

    pub(super) fn is_end(&self) -> bool {
        self.is_answered && self.recv.is_end()
    }
}

/// What the end of a stream says about the servlet, and whether it can have acted on the call.
fn fault_of(error: StreamError, stage: Stage) -> Fault {
    let (kind, told) = match error {
        StreamError::Reset(Reason::REFUSED_STREAM) => (Kind::StreamRefused, "the servlet refused the call".into()),
        // Only streams above the last id that the peer names end so.
        StreamError::GoneAway => (Kind::GoneAway, "the servlet is going away".into()),
        StreamError::Reset(reason) => (Kind::StreamReset, format!("the servlet reset the call: {reason}")),
        StreamError::Malformed(told) => (Kind::MalformedReply, format!("the servlet breaks HTTP/2's rules: {told}")),
        StreamError::Lost(Lost::Violated(violation)) => {
            (Kind::ConnectionLost, format!("the servlet breaks HTTP/2's rules: {}", violation.told))
        }
        StreamError::Lost(lost) => (Kind::ConnectionLost, format!("the connection to the servlet broke: {lost}")),
    };
    Fault::new(kind, stage, told)
}
