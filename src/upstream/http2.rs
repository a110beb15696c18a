//! HTTP/2 to an endpoint, on the `h2` crate itself: its guard against small unread frames must be wide open here (one slow caller
//! would kill the connection for all), and a task, two oneshots and a channel hop a call are saved.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, Reason, RecvStream};
use http::{Request, Response};

use super::Options;
use super::pump::Pump;
use super::queue::Queue;
use super::window::{Watched, Window};
use crate::model::{Address, Body, Fault, Frame, Kind, Stage};
use crate::transport::{self, Stream};

/// What a servlet may send of one answer before its caller has taken it: at 1 ms of round trip enough for 2 Gbit/s a stream.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Callers that stopped reading must not freeze the others, and slow ones come in crowds: room for all of the streams that most
/// servers take at a time. What waits is bounded by the streams' own windows.
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;

/// With less than one frame's worth of its send window left, a connection is for nobody new.
const CHOKED: i64 = 16 * 1024;

const SEND_BUFFER: usize = 256 * 1024;

/// Interim answers to one call. More are no help to anybody, and each is a head to parse.
const INTERIM_HEADS: u32 = 16;

/// A connection that calls can be sent on. Gone when `closed`.
#[derive(Debug)]
pub(super) struct Http2Connection {
    send: SendRequest<Bytes>,
    window: Window,
    active: Cell<usize>,
    /// It has carried a call.
    served: Cell<bool>,
    /// The same, since it was last asked.
    used: Cell<bool>,
    closed: Cell<bool>,
    /// Called when a stream ends, when it takes more of them, and when it has closed.
    queue: Rc<Queue>,
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
        let (stream, window) = Watched::new(transport::connect(address, options.connect_timeout).await?);
        let (send, mut connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(options.head_bytes)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .max_local_error_reset_streams(None)
            // None until the servlet's SETTINGS say how many it takes.
            .initial_max_send_streams(0)
            .data_frame_budget(usize::MAX)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|error| {
                Fault::new(Kind::ConnectFailed, Stage::Connect, format!("no HTTP/2 with the servlet: {error}"))
            })?;
        greeted(&send, &mut connection).await?;
        Ok((send, connection, window))
    };
    let (send, connection, window) =
        tokio::time::timeout(options.connect_timeout, connecting).await.map_err(|_| {
            let told = format!("the servlet did not take a connection within {:?}", options.connect_timeout);
            Fault::new(Kind::ConnectTimeout, Stage::Connect, told)
        })??;
    let handle = Rc::new(Http2Connection {
        send,
        window,
        active: Cell::new(0),
        served: Cell::new(false),
        used: Cell::new(true),
        closed: Cell::new(false),
        queue,
    });
    // Held by whoever may send on it: when they let go, and the last call is over, the connection ends.
    let driver = drive(connection, handle.window.clone(), Rc::downgrade(&handle), options.clone());
    Ok((handle, driver))
}

/// Waits for the servlet's SETTINGS, which must be the first that it says (RFC 9113 §3.4): a socket that is accepted and never answered
/// is no connection, and until then nobody knows how many streams it takes.
async fn greeted(send: &SendRequest<Bytes>, connection: &mut Connection<Watched<Stream>, Bytes>) -> Result<(), Fault> {
    poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => {
            let why = ended.err().map_or_else(|| "it was closed".into(), |error| error.to_string());
            let told = format!("no HTTP/2 with the servlet: {why}");
            Poll::Ready(Err(Fault::new(Kind::ConnectFailed, Stage::Connect, told)))
        }
        Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Drives a connection to its end, and ends it when a ping is not answered.
async fn drive(
    mut connection: Connection<Watched<Stream>, Bytes>,
    window: Window,
    handle: Weak<Http2Connection>,
    options: Options,
) {
    let pings = connection.ping_pong();
    let pinged = handle.clone();
    let pinging = async {
        let Some(mut pings) = pings else { return std::future::pending().await };
        loop {
            tokio::time::sleep(options.ping_interval).await;
            if pinged.upgrade().is_some_and(|handle| handle.active() == 0) {
                continue;
            }
            if pings.send_ping(Ping::opaque()).is_err() {
                return std::future::pending().await;
            }
            let pong = tokio::time::timeout(options.ping_timeout, poll_fn(|cx| pings.poll_pong(cx))).await;
            if pong.is_err() {
                return;
            }
        }
    };
    let mut pinging = pin!(pinging);
    poll_fn(|cx| {
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // It may take more streams than before.
        if window.took_settings()
            && let Some(handle) = handle.upgrade()
        {
            handle.queue.call_first();
        }
        pinging.as_mut().poll(cx)
    })
    .await;
    if let Some(handle) = handle.upgrade() {
        handle.closed.set(true);
        handle.queue.call_first();
    }
}

impl Http2Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
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
        let limit = self.send.current_max_send_streams();
        match self.active() {
            active if active >= limit => Room::None,
            active if active >= limit - limit / 4 => Room::Short,
            _ => Room::Ample,
        }
    }

    /// Whether uploads that the peer does not read have taken what it allows on the whole connection, or nearly.
    pub(super) fn is_choked(&self) -> bool {
        self.window.bytes() < CHOKED
    }

    /// Sends a call. `Err` gives the body back: nothing was sent, and the connection
    /// takes no more calls.
    pub(super) fn send<B: Body + Unpin>(self: &Rc<Self>, head: Request<()>, body: B) -> Result<Http2Exchange<B>, B> {
        let mut send = self.send.clone();
        let ready = send.poll_ready(&mut Context::from_waker(Waker::noop()));
        if !matches!(ready, Poll::Ready(Ok(()))) {
            self.closed.set(true);
            return Err(body);
        }
        let end = body.is_end();
        let retry = self.served.replace(true) && self.active() == 0 && head.method().is_idempotent();
        self.active.set(self.active.get() + 1);
        self.used.set(true);
        let active = Active(Rc::clone(self));
        match send.send_request(head, end) {
            Ok((response, stream)) => Ok(Http2Exchange {
                pump: Pump::new(body, stream, end),
                answer: Answer::Head(response),
                interim: 0,
                retry,
                _active: active,
            }),
            Err(_) => {
                self.closed.set(true);
                Err(body)
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Http2Exchange<B> {
    pump: Pump<B>,
    answer: Answer,
    interim: u32,
    /// A connection without calls that breaks before the answer was most likely closed as we wrote; what is idempotent may go again
    /// (RFC 9110 §9.2.2).
    retry: bool,
    _active: Active,
}

#[derive(Debug)]
enum Answer {
    Head(ResponseFuture),
    Body(RecvStream),
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
        let Answer::Head(response) = &mut self.answer else { return Poll::Pending };
        // Those that nobody takes are kept by the library, as many as the servlet sends.
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            self.interim += 1;
            if self.interim > INTERIM_HEADS {
                let told = format!("the servlet sent more than {INTERIM_HEADS} interim answers");
                return Poll::Ready(Err(Fault::new(Kind::MalformedReply, Stage::Wait, told)));
            }
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(|error| match fault_of(&error, Stage::Wait) {
            Fault { kind: Kind::ConnectionLost, message, .. } if self.retry => {
                Fault::new(Kind::GoneAway, Stage::Wait, message)
            }
            fault => fault,
        })?;
        let (parts, stream) = response.into_parts();
        self.answer = Answer::Body(stream);
        Poll::Ready(Ok(Response::from_parts(parts, ())))
    }

    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        // A fault of the request's body has reset the stream, and is told when the answer's side is asked.
        let _ = self.pump.poll(cx);
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        if let Err(fault) = self.pump.poll(cx) {
            return Poll::Ready(Some(Err(fault)));
        }
        let Answer::Body(stream) = &mut self.answer else { return Poll::Pending };
        let error = match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                let _ = stream.flow_control().release_capacity(data.len());
                return Poll::Ready(Some(Ok(Frame::Data(data))));
            }
            Some(Err(error)) => error,
            None => match ready!(stream.poll_trailers(cx)) {
                Ok(trailers) => return Poll::Ready(trailers.map(|trailers| Ok(Frame::Trailers(trailers)))),
                Err(error) => error,
            },
        };
        Poll::Ready(Some(Err(fault_of(&error, Stage::ReplyBody))))
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(&self.answer, Answer::Body(stream) if stream.is_end_stream())
    }
}

/// What an HTTP/2 error says about the servlet, and whether it can have acted on the call.
fn fault_of(error: &h2::Error, stage: Stage) -> Fault {
    let reason = error.reason();
    let kind = if error.is_remote() && error.is_reset() && reason == Some(Reason::REFUSED_STREAM) {
        Kind::StreamRefused
    } else if error.is_remote() && error.is_go_away() {
        // Only streams above the last id that the peer names end with this error.
        Kind::GoneAway
    } else if error.is_remote() && error.is_reset() {
        Kind::StreamReset
    } else if error.is_io() || error.is_go_away() {
        Kind::ConnectionLost
    } else {
        Kind::MalformedReply
    };
    let told = match (kind, reason) {
        (Kind::StreamRefused, _) => "the servlet refused the call".into(),
        (Kind::GoneAway, _) => "the servlet is going away".into(),
        (Kind::StreamReset, Some(reason)) => format!("the servlet reset the call: {reason}"),
        _ => format!("the connection to the servlet broke: {error}"),
    };
    Fault::new(kind, stage, told)
}
