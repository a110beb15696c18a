//! One HTTP/2 connection: its calls run inside its own task, so that they end with it, and one wake-up serves many of them: what they
//! all say leaves by one write.

mod incoming;
mod running;
mod watch;
mod writer;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use tokio::time::timeout;

pub(super) use self::incoming::Incoming;
use self::incoming::{Unread, read_away};
use self::running::Calls;
use self::watch::{Advice, Watch};
use self::writer::Writer;
use super::sniff::Sniffed;
use super::{Limits, RequestBody, Serve};
use crate::model::{Body, Fault, Kind, Stage};
use crate::runtime::{Drain, now};
use crate::transport::{Http2Socket, Stream};
use crate::wire;
use crate::wire::http2::{
    Connection, HeadRoom, Lost, Opened, Options, Reason, RecvStream, RequestHead, SendStream, Side, Unserved,
};

/// What a caller may send of one body before we have taken it on: at 1 ms of round trip enough for 4 Gbit/s a stream.
const STREAM_WINDOW: u32 = 512 * 1024;

/// One stalled upload must not freeze the rest.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// How much larger a head may be than the limit and still be looked at, so that the answer is in the caller's own dialect.
const HEAD_ROOM: usize = 2;

/// The content types of streams that may rest in mid-body: of gRPC, gRPC-Web and Connect.
const RESTING: [&[u8]; 2] = [b"application/grpc", b"application/connect+"];

/// Reads in one turn, so that a caller that sends much does not hold the others of its worker up.
const READS: usize = 8;

/// Between the last words of an answer that breaks off, which may tell why, and the reset: it drops what is queued, and callers are
/// known (curl 7.88) that drop what comes in one read with it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Serves a connection to its end, from what has been read of it already.
pub(super) async fn serve<S: Serve>(
    stream: Stream,
    sniffed: Sniffed,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
    drain: Drain,
) {
    let connection = Connection::new(options(&limits));
    let mut socket = Http2Socket::new(stream, sniffed.seen);
    let mut calls = Calls::new();
    let mut watch = Watch::new(drain, limits.idle_timeout, sniffed.head_until);
    let turns = poll_fn(|cx| {
        connection.attend(cx.waker());
        let ended = turn(&connection, &mut socket, &mut watch, &mut calls, cx, |opened| {
            call(opened, Rc::clone(&conn), Rc::clone(&service), Rc::clone(&limits))
        });
        while let Some(unserved) = connection.unserved() {
            service.gave_up(&conn, &fault_of(unserved));
        }
        connection.rest();
        ended
    });
    turns.await;
    if let Some(Lost::Violated(violation)) = connection.lost() {
        let kind = if violation.reason == Reason::ENHANCE_YOUR_CALM { Kind::Overloaded } else { Kind::MalformedHead };
        let told = format!("the connection breaks HTTP/2's rules: {}", violation.told);
        service.gave_up(&conn, &Fault::new(kind, Stage::Head, told));
    }
    drop(calls);
    // The reason is told where it is ours to end.
    socket.farewell(&connection).await;
}

fn options(limits: &Limits) -> Options {
    let told_head_bytes = limits.head_bytes.saturating_mul(HEAD_ROOM);
    Options {
        side: Side::Server { streams: limits.streams },
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        head: HeadRoom { bytes: told_head_bytes, fields: limits.head_fields },
        told_head_bytes: u32::try_from(told_head_bytes).unwrap_or(u32::MAX),
        is_guarded: true,
        clock: now,
    }
}

/// Goes on with everything that can go on: what has come is read, calls are begun and carried on, and what they say is written. Ready at
/// the connection's end.
fn turn<F: Future<Output = ()>>(
    connection: &Connection,
    socket: &mut Http2Socket,
    watch: &mut Watch,
    calls: &mut Calls<F>,
    cx: &mut Context<'_>,
    mut begin: impl FnMut(Opened) -> F,
) -> Poll<()> {
    if watch.is_to_leave() {
        watch.leave();
        connection.leave();
    }
    if watch.runs_out() {
        calls.look_up();
    }
    let mut reads = 0;
    loop {
        let received = loop {
            reads += 1;
            let received = matches!(socket.poll_receive(connection, cx), Poll::Ready(Ok(())));
            // What was asked is answered, even if the next that is read is the end.
            if !received || reads == READS || connection.has_arrived() {
                break received;
            }
        };
        if connection.has_heard() {
            watch.greet();
        }
        while let Some(opened) = connection.accept() {
            watch.begin_call();
            calls.push(begin(opened));
        }
        let rests = calls.poll(cx);
        let sent = socket.poll_send(connection, cx);
        if connection.lost().is_some() || (sent.is_ready() && connection.is_finished()) {
            return Poll::Ready(());
        }
        if received && reads < READS {
            continue;
        }
        if received {
            cx.waker().wake_by_ref();
        } else if rests.is_ready() {
            return rest(connection, watch, cx);
        }
        return Poll::Pending;
    }
}

/// What becomes of a connection without calls.
fn rest(connection: &Connection, watch: &mut Watch, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        match std::task::ready!(watch.poll_idle(cx)) {
            Advice::Leave => {
                watch.leave();
                connection.leave();
                // It has to be written.
                cx.waker().wake_by_ref();
            }
            Advice::End => {
                if watch.is_cut() {
                    connection.break_off(Reason::NO_ERROR);
                }
                return Poll::Ready(());
            }
        }
    }
}

/// What a caller did wrong whose stream reached nobody.
fn fault_of(unserved: Unserved) -> Fault {
    match unserved {
        Unserved::Refused => {
            Fault::new(Kind::Overloaded, Stage::Head, "more streams at a time than the connection may have")
        }
        Unserved::Malformed(told) => {
            Fault::new(Kind::MalformedHead, Stage::Head, format!("the stream breaks HTTP/2's rules: {told}"))
        }
    }
}

/// Makes the request of a stream, if its head is in order; `rest` is where what is left of its body is found afterwards.
fn admit<S: Serve>(
    mut head: RequestHead,
    recv: RecvStream,
    rest: &mut Option<Unread>,
    conn: &Rc<S::Connection>,
    service: &S,
    limits: &Rc<Limits>,
) -> Result<Request<RequestBody>, Box<Response<Bytes>>> {
    let limits_of_head = wire::HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields };
    let checked = wire::check_h2_request(&mut head, &limits_of_head, limits.default_host.as_ref());
    let head = parts(head);
    let exact_len = match checked {
        Ok(terms) => terms.length,
        Err(fault) => return Err(Box::new(service.refuse(conn, Some(&head), &fault))),
    };
    if recv.is_end() {
        return Ok(Request::from_parts(head, RequestBody::empty()));
    }
    // A gRPC stream may rest for hours; its deadline ends it, not a pause. And its callers know what a reset after a status means.
    let may_rest = head
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| RESTING.iter().any(|name| value.as_bytes().starts_with(name)));
    *rest = (!may_rest).then(Unread::default);
    let body = Incoming::new(recv, exact_len, limits, may_rest, rest.clone());
    Ok(Request::from_parts(head, RequestBody::http2(body)))
}

fn parts(head: RequestHead) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = head.method;
    parts.version = Version::HTTP_2;
    parts.headers = head.fields;
    if let Some(path) = head.path {
        parts.uri = Uri::from(path);
    }
    parts
}

/// One stream, to its end. A stream that the caller resets drops its call.
async fn call<S: Serve>(opened: Opened, conn: Rc<S::Connection>, service: Rc<S>, limits: Rc<Limits>) {
    let Opened { head, recv, mut send } = opened;
    let is_head = head.method == Method::HEAD;
    let mut unread = None;
    let request = match admit(*head, recv, &mut unread, &conn, &*service, &limits) {
        Ok(request) => request,
        Err(response) => return Box::pin(refuse(send, *response, is_head, &limits)).await,
    };
    let Some(mut response) = ({
        let mut serving = pin!(service.call(&conn, request));
        let response = poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            // What was wrong with the body, the call has heard from it.
            Poll::Pending => send.poll_reset(cx).map(|_| None),
        });
        response.await
    }) else {
        return;
    };
    let head = head_of(&mut response);
    let ended = response.body().is_end() || is_head;
    if !send.answer(&head, ended) {
        return;
    }
    if !ended {
        let mut writer = Writer::new(limits.stall_timeout);
        let written = poll_fn(|cx| writer.poll_write(&mut send, response.body_mut(), cx)).await;
        if let Err(reason) = written {
            if writer.last_words {
                tokio::time::sleep(LAST_WORDS).await;
            }
            send.reset(reason);
            return;
        }
    }
    if let Some(unread) = unread {
        read_away(&unread).await;
    }
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

async fn refuse(mut send: SendStream, response: Response<Bytes>, is_head: bool, limits: &Limits) {
    let (parts, mut data) = response.into_parts();
    let is_done = data.is_empty() || is_head;
    // A stream that is gone needs no answer.
    if !send.answer(&Response::from_parts(parts, ()), is_done) || is_done {
        return;
    }
    while !data.is_empty() {
        let room = timeout(limits.stall_timeout, poll_fn(|cx| send.poll_room(cx)));
        if !matches!(room.await, Ok(Ok(_))) || !send.send(&mut data, true) {
            return;
        }
    }
}
