//! One HTTP/2 connection: its calls run inside its own task, so that they end with it, and one wake-up serves many of them.

mod guard;
mod header_block;
mod huffman;
mod incoming;
mod resets;
mod running;
mod watch;
mod writer;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response, Version};
use tokio::time::{timeout, timeout_at};

use self::guard::Guarded;
pub(super) use self::incoming::Incoming;
use self::incoming::{Unread, read_away};
use self::resets::Sight;
use self::running::Calls;
use self::watch::Watch;
use self::writer::Writer;
use super::sniff::Sniffed;
use super::{Limits, RequestBody, Serve};
use crate::model::{Body, Fault, Kind, Stage};
use crate::runtime::Drain;
use crate::transport::Stream;
use crate::wire;

/// What a caller may send of one body before we have taken it on: at 1 ms of round trip enough for 2 Gbit/s a stream.
const STREAM_WINDOW: u32 = 256 * 1024;

/// One stalled upload must not freeze the rest.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// How much larger a head may be than the limit and still get an answer of ours: the library's own is a bare 431, for gRPC callers too.
const HEAD_ROOM: usize = 2;

/// What unread frames may cost us beyond their bytes. By default some 2,000 small messages that a servlet is slow to take would end
/// the connection and every other call on it; this lets a caller fill its windows with them.
const FRAME_BUDGET: usize = 8 * 1024 * 1024;

/// The content types of streams that may rest in mid-body: of gRPC, gRPC-Web and Connect.
const RESTING: [&[u8]; 2] = [b"application/grpc", b"application/connect+"];

/// Streams that were begun and given up within one read. A caller may give up a thousand calls at once; by default 20 such streams
/// would end its connection, and all other calls on it.
const GIVEN_UP: usize = 4096;

/// Between the last words of an answer that breaks off, which may tell why, and the reset: it drops what is queued, and callers are
/// known (curl 7.88) that drop what comes in one read with it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long the reason for ending a connection may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a connection to its end, from what has been read of it already.
pub(super) async fn serve<S: Serve>(
    stream: Stream,
    sniffed: Sniffed,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
    drain: Drain,
) {
    let sight = Rc::new(Sight::default());
    let guarded = Guarded::new(stream, sniffed.seen, Rc::clone(&sight));
    let handshake = settings(&limits).handshake::<_, Bytes>(guarded);
    let Ok(Ok(mut connection)) = timeout_at(sniffed.head_until, Box::pin(handshake)).await else { return };
    let mut calls = Calls::new();
    let mut watch = Watch::new(drain, limits.idle_timeout);
    loop {
        let next = poll_fn(|cx| {
            if watch.poll_begun(cx).is_ready() {
                return Poll::Ready(Next::Leave);
            }
            if watch.runs_out() {
                calls.look_up();
            }
            let done = calls.poll(cx);
            if let Poll::Ready(next) = poll_connection(&mut connection, &sight, cx) {
                return Poll::Ready(next);
            }
            ready!(done);
            watch.poll_idle(cx)
        });
        let next = next.await;
        // Whoever serves, or served, a stream knows of its reset.
        for reset in sight.take().iter().filter(|reset| !calls.know(reset.stream)) {
            service.gave_up(&conn, &reset.fault());
        }
        match next {
            Next::Request((request, mut respond)) => {
                let stream = respond.stream_id().into();
                if let Some(asked) = admit(request, &mut respond, &conn, &*service, &limits) {
                    let call = call(asked, respond, Rc::clone(&conn), Rc::clone(&service), Rc::clone(&limits));
                    calls.push(stream, call);
                } else {
                    calls.refused(stream);
                }
                watch.begin_call();
            }
            Next::Leave => {
                watch.leave();
                connection.graceful_shutdown();
            }
            Next::Tell => {}
            Next::End(end) => {
                if let Some(fault) = end.fault() {
                    service.gave_up(&conn, &fault);
                }
                return Box::pin(leave(connection, end)).await;
            }
        }
    }
}

fn settings(limits: &Limits) -> h2::server::Builder {
    let mut settings = h2::server::Builder::new();
    settings
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes.saturating_mul(HEAD_ROOM)).unwrap_or(u32::MAX))
        .max_send_buffer_size(writer::SEND_BUFFER)
        .data_frame_budget(FRAME_BUDGET)
        .max_pending_accept_reset_streams(GIVEN_UP);
    settings
}

type Connection = h2::server::Connection<Guarded, Bytes>;

/// Carries the connection's frames. Ready with what is to be done about them.
fn poll_connection(connection: &mut Connection, sight: &Sight, cx: &mut Context<'_>) -> Poll<Next> {
    match connection.poll_accept(cx) {
        Poll::Ready(Some(Ok(accepted))) => Poll::Ready(Next::Request(accepted)),
        Poll::Ready(Some(Err(error))) => Poll::Ready(Next::End(End::Broken(error))),
        Poll::Ready(None) => Poll::Ready(Next::End(End::Closed)),
        Poll::Pending if sight.flooded.get() => Poll::Ready(Next::End(End::Flooded)),
        Poll::Pending if sight.has_resets() => Poll::Ready(Next::Tell),
        Poll::Pending => Poll::Pending,
    }
}

/// Ends a connection, with the reason told where it is ours to end.
async fn leave(mut connection: Connection, end: End) {
    let reason = match end {
        End::Flooded => Reason::ENHANCE_YOUR_CALM,
        End::Cut => Reason::NO_ERROR,
        End::Broken(_) | End::Closed => return,
    };
    connection.abrupt_shutdown(reason);
    let _ = timeout(FAREWELL, poll_fn(|cx| connection.poll_closed(cx))).await;
}

/// What a connection has to do next. Made and taken apart in one place, so its size is a matter of the stack.
#[allow(clippy::large_enum_variant, reason = "a box would cost every call an allocation")]
enum Next {
    Request((Request<RecvStream>, SendResponse<Bytes>)),
    /// Take no more calls: the process is going away, or it has been idle for long.
    Leave,
    /// Only that streams were reset.
    Tell,
    End(End),
}

/// How a connection ends.
enum End {
    Flooded,
    /// Draining has run out of time, and its calls have ended.
    Cut,
    /// With what ended it.
    Broken(h2::Error),
    Closed,
}

impl End {
    /// What its caller did wrong.
    fn fault(&self) -> Option<Fault> {
        match self {
            End::Flooded => Some(Fault::new(Kind::Overloaded, Stage::Head, "too many frames that bring nothing")),
            End::Broken(error) if error.is_library() && error.is_go_away() => {
                let told = format!("the connection breaks HTTP/2's rules: {error}");
                Some(Fault::new(Kind::MalformedHead, Stage::Head, told))
            }
            End::Broken(_) | End::Cut | End::Closed => None,
        }
    }
}

/// A stream's request, checked, and what is left of its body afterwards.
struct Asked {
    request: Request<RequestBody>,
    unread: Unread,
}

/// Checks a request; one that is refused is answered here.
fn admit<S: Serve>(
    mut request: Request<RecvStream>,
    respond: &mut SendResponse<Bytes>,
    conn: &Rc<S::Connection>,
    service: &S,
    limits: &Rc<Limits>,
) -> Option<Asked> {
    let limits_of_head = wire::HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields };
    let checked = wire::check_h2_request(&mut request, &limits_of_head, limits.default_host.as_ref());
    let (head, stream) = request.into_parts();
    let exact_len = match checked {
        Ok(terms) => terms.length,
        Err(fault) => {
            refuse(respond, service.refuse(conn, Some(&head), &fault), head.method == Method::HEAD);
            return None;
        }
    };
    let unread = Unread::default();
    let body = if stream.is_end_stream() {
        RequestBody::empty()
    } else {
        // A gRPC stream may rest for hours; its deadline ends it, not a pause.
        let may_rest = head
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| RESTING.iter().any(|name| value.as_bytes().starts_with(name)));
        RequestBody::http2(Incoming::new(stream, exact_len, limits, may_rest, &unread))
    };
    Some(Asked { request: Request::from_parts(head, body), unread })
}

/// One stream, to its end. A stream that the caller resets drops its call.
async fn call<S: Serve>(
    asked: Asked,
    mut respond: SendResponse<Bytes>,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
) {
    let is_head = asked.request.method() == Method::HEAD;
    let unread = asked.unread;
    let Some(mut response) = ({
        let mut serving = pin!(service.call(&conn, asked.request));
        let response = poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        });
        response.await
    }) else {
        return;
    };
    let head = head_of(&mut response);
    let ended = response.body().is_end() || is_head;
    let Ok(mut send) = respond.send_response(head, ended) else { return };
    if !ended {
        let mut writer = Writer::new(limits.stall_timeout);
        let written = poll_fn(|cx| writer.poll_write(&mut send, response.body_mut(), cx)).await;
        if let Err(reason) = written {
            if writer.last_words {
                tokio::time::sleep(LAST_WORDS).await;
            }
            send.send_reset(reason);
            return;
        }
    }
    read_away(&unread).await;
}

/// The head of an answer, as it is written.
fn head_of<B: Body>(response: &mut Response<B>) -> Response<()> {
    let mut head = Response::new(());
    *head.version_mut() = Version::HTTP_2;
    *head.status_mut() = response.status();
    *head.headers_mut() = std::mem::take(response.headers_mut());
    wire::strip_reply(head.headers_mut());
    let length = if response.body().is_end() { None } else { response.body().exact_len() };
    if let Some(length) = length.filter(|_| !head.headers().contains_key(http::header::CONTENT_LENGTH)) {
        head.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    }
    head
}

fn refuse(respond: &mut SendResponse<Bytes>, response: Response<Bytes>, is_head: bool) {
    let (parts, data) = response.into_parts();
    let ended = data.is_empty() || is_head;
    // A stream that is gone needs no answer.
    if let Ok(mut send) = respond.send_response(Response::from_parts(parts, ()), ended)
        && !ended
    {
        let _ = send.send_data(data, true);
    }
}
