//! One HTTP/2 connection: its calls run inside its own task, so that they end with it, and one wake-up serves many of them.

mod guard;
mod header_block;
mod huffman;
mod resets;
mod running;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, Version};
use tokio::time::{Instant, Sleep, timeout, timeout_at};

use self::guard::Guarded;
use self::resets::Sight;
use self::running::Calls;
use super::sniff::Sniffed;
use super::{Limits, RequestBody, Serve};
use crate::model::{Body, Fault, Frame, Kind, Stage, Stop, gather};
use crate::runtime::Drain;
use crate::transport::Stream;
use crate::wire;

/// What a caller may send of one body before we have taken it on: at 1 ms of round trip enough for 2 Gbit/s a stream.
const STREAM_WINDOW: u32 = 256 * 1024;

/// One stalled upload must not freeze the rest.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// How much larger a head may be than the limit and still get an answer of ours: the library's own is a bare 431, for gRPC callers too.
const HEAD_ROOM: usize = 2;

/// Bytes of one answer that may wait for the socket: two of the largest usual frames.
const SEND_BUFFER: usize = 64 * 1024;

/// What unread frames may cost us beyond their bytes. By default some 2,000 small messages that a servlet is slow to take would end
/// the connection and every other call on it; this lets a caller fill its windows with them.
const FRAME_BUDGET: usize = 8 * 1024 * 1024;

/// The content types of streams that may rest in mid-body: of gRPC, gRPC-Web and Connect.
const RESTING: [&[u8]; 2] = [b"application/grpc", b"application/connect+"];

/// After an answer that did not wait for the request's body: how long and how much is read on.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

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
    let mut draining = false;
    // Its time-out runs from the end of the last call.
    let mut is_idle = true;
    let mut idle = pin!(tokio::time::sleep(limits.idle_timeout));
    let mut is_cut = false;
    let mut begun = pin!(drain.clone().into_begun());
    let mut is_asked = false;
    loop {
        let next = poll_fn(|cx| {
            // The waker that is registered stays the same: asked once, and again when there is something to hear.
            if !draining && (!is_asked || drain.is_draining()) {
                is_asked = true;
                if begun.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Leave);
                }
            }
            if draining && !is_cut && drain.is_over() {
                is_cut = true;
                calls.look_up();
            }
            let done = calls.poll(cx);
            if let Poll::Ready(next) = poll_connection(&mut connection, &sight, cx) {
                return Poll::Ready(next);
            }
            ready!(done);
            if is_cut {
                return Poll::Ready(Next::End(End::Cut));
            }
            if !is_idle {
                is_idle = true;
                idle.as_mut().reset(Instant::now() + limits.idle_timeout);
            }
            // Asked to go; if it does not, the next time-out ends it.
            idle.as_mut().poll(cx).map(|()| if draining { Next::End(End::Closed) } else { Next::Leave })
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
                is_idle = false;
            }
            Next::Leave => {
                draining = true;
                connection.graceful_shutdown();
                idle.as_mut().reset(Instant::now() + limits.idle_timeout);
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
        .max_send_buffer_size(SEND_BUFFER)
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
        let back = (!may_rest).then(|| Rc::clone(&unread));
        let (stream, limits) = (Some(stream), Rc::clone(limits));
        RequestBody::http2(Incoming { stream, back, exact_len, limits, may_rest, taken: 0, stall: None })
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

/// What is left of a request whose answer did not wait for it.
type Unread = Rc<RefCell<Option<RecvStream>>>;

/// After an early answer: reads on a little before the reset that ends the stream, since callers are known that drop the answer when
/// a reset comes while they still send.
async fn read_away(unread: &Unread) {
    let Some(mut stream) = unread.borrow_mut().take() else { return };
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Some(Ok(data)) = stream.data().await {
            let _ = stream.flow_control().release_capacity(data.len());
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(LINGER_TIME, reading).await;
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

struct Writer {
    /// The rest of a piece that is larger than what may wait for the socket.
    held: Bytes,
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// Nothing follows what is held.
    is_last: bool,
    /// Some of the body was sent.
    has_sent: bool,
    /// The answer breaks off behind what was sent.
    last_words: bool,
}

impl Writer {
    fn new(stall_timeout: Duration) -> Writer {
        Writer { held: Bytes::new(), stall: None, stall_timeout, is_last: false, has_sent: false, last_words: false }
    }

    /// Carries the body while the caller has room; the error is what to reset the stream with.
    fn poll_write<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream<Bytes>,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        loop {
            if send.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Reason::CANCEL));
            }
            if send.capacity() == 0 {
                send.reserve_capacity(1);
                match send.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {
                        self.stall = None;
                        continue;
                    }
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Reason::CANCEL)),
                    Poll::Pending => {
                        Pin::new(&mut *body).poll_progress(cx);
                        let timeout = self.stall_timeout;
                        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                        return stall.as_mut().poll(cx).map(|()| Err(Reason::CANCEL));
                    }
                }
            }
            self.stall = None;
            if !self.held.is_empty() {
                let piece = self.piece();
                let end = self.held.is_empty() && self.is_last;
                if send.send_data(piece, end).is_err() {
                    return Poll::Ready(Err(Reason::CANCEL));
                }
                if end {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let (data, stop) = gather(body, cx);
            self.has_sent |= !data.is_empty() || matches!(&stop, Stop::Large(..));
            self.last_words = self.has_sent && matches!(&stop, Stop::Fault(_));
            self.is_last = matches!(&stop, Stop::End | Stop::Large(_, true));
            let sent = match stop {
                Stop::Starved if data.is_empty() => return Poll::Pending,
                Stop::Fault(fault) if data.is_empty() => return Poll::Ready(Err(reset_reason(&fault))),
                Stop::Fault(fault) => {
                    let _ = send.send_data(data, false);
                    return Poll::Ready(Err(reset_reason(&fault)));
                }
                Stop::Trailers(mut trailers) => {
                    wire::filter_trailers(&mut trailers);
                    let sent = if data.is_empty() { Ok(()) } else { send.send_data(data, false) };
                    return Poll::Ready(sent.and_then(|()| send.send_trailers(trailers)).map_err(|_| Reason::CANCEL));
                }
                Stop::Large(large, _) => {
                    self.held = large;
                    send.send_data(data, false)
                }
                Stop::End if data.len() <= SEND_BUFFER => {
                    return Poll::Ready(send.send_data(data, true).map_err(|_| Reason::CANCEL));
                }
                Stop::Full | Stop::Starved | Stop::End => {
                    self.held = data;
                    let piece = self.piece();
                    send.send_data(piece, false)
                }
            };
            if sent.is_err() {
                return Poll::Ready(Err(Reason::CANCEL));
            }
        }
    }

    /// The next of what is held, no larger than what may wait for the socket.
    fn piece(&mut self) -> Bytes {
        if self.held.len() > SEND_BUFFER { self.held.split_to(SEND_BUFFER) } else { std::mem::take(&mut self.held) }
    }
}

/// How a fault in the middle of an answer is told to an HTTP/2 caller.
fn reset_reason(fault: &Fault) -> Reason {
    match fault.kind {
        Kind::CallerGone | Kind::DeadlineExceeded => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}

/// A request's body on an HTTP/2 stream. Its window is given back as pieces are taken.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Until it is dropped.
    stream: Option<RecvStream>,
    /// Where what is left of it goes; gRPC callers know what a reset after a status means.
    back: Option<Unread>,
    exact_len: Option<u64>,
    limits: Rc<Limits>,
    may_rest: bool,
    taken: u64,
    /// Only while the body stalls.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// No pause ends it from now on.
    pub(super) fn let_rest(&mut self) {
        self.may_rest = true;
        self.stall = None;
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let polled = match stream.poll_data(cx) {
            Poll::Ready(Some(data)) => Poll::Ready(Some(data)),
            Poll::Ready(None) => match ready!(stream.poll_trailers(cx)) {
                Ok(trailers) => {
                    return Poll::Ready(trailers.map(|mut trailers| {
                        wire::filter_trailers(&mut trailers);
                        Ok(Frame::Trailers(trailers))
                    }));
                }
                Err(error) => Poll::Ready(Some(Err(error))),
            },
            Poll::Pending => Poll::Pending,
        };
        match polled {
            Poll::Ready(Some(Ok(data))) => {
                self.stall = None;
                let _ = stream.flow_control().release_capacity(data.len());
                self.taken = self.taken.saturating_add(data.len() as u64);
                Poll::Ready(Some(Ok(Frame::Data(data))))
            }
            Poll::Ready(Some(Err(error))) if error.is_library() && error.is_reset() => {
                let told = "the request's body breaks HTTP/2's rules, or is not as long as its Content-Length";
                Poll::Ready(Some(Err(Fault::new(Kind::MalformedBody, Stage::RequestBody, told))))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Fault::new(
                Kind::CallerGone,
                Stage::RequestBody,
                "the caller left in the middle of the body",
            )))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.may_rest => Poll::Pending,
            Poll::Pending => {
                let timeout = self.limits.stall_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                ready!(stall.as_mut().poll(cx));
                let told = format!("no byte of the body came for {timeout:?}");
                Poll::Ready(Some(Err(Fault::new(Kind::BodyTimeout, Stage::RequestBody, told))))
            }
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    pub(super) fn exact_len(&self) -> Option<u64> {
        self.exact_len.map(|len| len.saturating_sub(self.taken))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let (Some(back), Some(stream)) = (&self.back, self.stream.take().filter(|stream| !stream.is_end_stream())) {
            *back.borrow_mut() = Some(stream);
        }
    }
}
