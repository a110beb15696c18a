//! Writes an answer: head and first bytes in one write where they are there together, large pieces without a copy, and never a clean
//! end to what is not whole.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use smallvec::SmallVec;
use tokio::time::Sleep;

use super::super::Limits;
use super::Shared;
use crate::model::{Body, Frame};
use crate::transport::{Follows, Stream};
use crate::wire::{BodyLength, ReplyEncoder, ReplyTerms};

/// Between the last words of an answer that breaks off, which may tell why, and the reset, which lets kernels drop what nobody has
/// read yet.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Gathered before a write: enough that few of them move much, little enough to hold for each slow reader.
const GATHER: usize = 256 * 1024;

/// Pieces in one write.
const SLICES: usize = 64;

/// Pieces up to this are copied beside their framing; a system call with one buffer is cheaper than with three.
const COPY: usize = 2 * 1024;

/// How an exchange leaves the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Keep,
    Close,
    Reset,
}

/// Writes an answer that is whole already.
pub(super) async fn write_whole(
    shared: &Shared,
    terms: &ReplyTerms,
    response: Response<Bytes>,
    stall_timeout: Duration,
) -> Ending {
    let (parts, data) = response.into_parts();
    let mut out = Outgoing::default();
    out.staging.extend_from_slice(shared.settle_continue());
    let length = BodyLength::Exact(data.len() as u64);
    let mut encoder = with_date(|date| ReplyEncoder::start(terms, &parts, length, date, &mut out.staging));
    let whole =
        !encoder.sends_body() || (out.push(&mut encoder, data).is_ok() && encoder.end(None, &mut out.staging).is_ok());
    let mut stall = Stall::new(stall_timeout);
    let follows = if whole { behind(&encoder, shared) } else { Follows::Anything };
    let written = poll_fn(|cx| out.poll_flush(shared.stream(), follows, &mut stall, cx)).await;
    ending(whole && written.is_ok(), encoder.keep_alive())
}

/// Writes an answer as its body comes.
pub(super) async fn write_reply<B: Body + Unpin>(
    shared: &Shared,
    terms: &ReplyTerms,
    response: &mut Response<B>,
    limits: &Limits,
) -> Ending {
    let (parts, body) = taken(response);
    let mut body = Pin::new(body);
    let stall = Stall::new(limits.stall_timeout);
    let mut writer = Writer { out: Outgoing::default(), stall, finished: false, broken: false };
    writer.out.staging.extend_from_slice(shared.settle_continue());
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return write_tunnel(shared, terms, &parts, body, writer).await;
    }
    let mut held = Held::default();
    let must_learn_length = terms.version == Version::HTTP_10 && !body.is_stream();
    if must_learn_length && !body.is_end() && body.exact_len().is_none() {
        let holding = poll_fn(|cx| match held.poll_fill(body.as_mut(), limits.reply_buffer, cx) {
            Poll::Ready(held) => Poll::Ready(held),
            Poll::Pending => shared.poll_caller_gone(cx).map(|()| Err(Broken)),
        });
        if holding.await.is_err() {
            return Ending::Reset;
        }
    }
    let length = held.length(&*body);
    let mut encoder = with_date(|date| ReplyEncoder::start(terms, &parts, length, date, &mut writer.out.staging));
    for data in held.pieces {
        if writer.out.push(&mut encoder, data).is_err() {
            return Ending::Reset;
        }
    }
    if !encoder.sends_body() {
        writer.finished = true;
    } else if held.ended {
        writer.finished = true;
        if encoder.end(held.trailers.as_ref(), &mut writer.out.staging).is_err() {
            return Ending::Reset;
        }
    }
    let written = poll_fn(|cx| writer.poll_write(shared, body.as_mut(), &mut encoder, cx)).await;
    if writer.broken {
        tokio::time::sleep(LAST_WORDS).await;
    }
    ending(written.is_ok(), encoder.keep_alive())
}

/// The head, and the body where it lies.
fn taken<B>(response: &mut Response<B>) -> (Parts, &mut B) {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = response.status();
    parts.headers = std::mem::take(response.headers_mut());
    // Among them the order and case of the fields.
    parts.extensions = std::mem::take(response.extensions_mut());
    (parts, response.body_mut())
}

/// After a 101: bytes both ways until both sides have ended (RFC 9110 §7.8). Trailers of the body say that the servlet has, and that the
/// caller may go on.
async fn write_tunnel<B: Body>(
    shared: &Shared,
    terms: &ReplyTerms,
    parts: &Parts,
    mut body: Pin<&mut B>,
    mut writer: Writer,
) -> Ending {
    with_date(|date| ReplyEncoder::start(terms, parts, BodyLength::Empty, date, &mut writer.out.staging));
    shared.start_tunnel();
    let mut servlet = ServletSide::Open;
    let written = poll_fn(|cx| {
        loop {
            while !writer.finished && writer.out.len() < GATHER {
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) => writer.out.push_raw(data),
                    Poll::Ready(Some(Ok(Frame::Trailers(_)))) => servlet = ServletSide::Ended,
                    Poll::Ready(None) => writer.finished = true,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Broken)),
                    Poll::Pending => break,
                }
            }
            let empty = writer.out.len() == 0;
            match writer.out.poll_flush(shared.stream(), Follows::Anything, &mut writer.stall, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
                Poll::Pending => {
                    // The other way goes on.
                    if !writer.finished {
                        body.as_mut().poll_progress(cx);
                    }
                    return Poll::Pending;
                }
            }
            if writer.finished {
                return Poll::Ready(Ok(()));
            }
            if servlet == ServletSide::Ended {
                shared.stream().shut_down_writing();
                servlet = ServletSide::Told;
            }
            if empty {
                return Poll::Pending;
            }
        }
    });
    ending(written.await.is_ok(), false)
}

/// What of a tunnel comes from the servlet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ServletSide {
    Open,
    Ended,
    /// The caller knows.
    Told,
}

/// What comes behind the last bytes of an answer. A caller that is still sending may take an end that comes with them for a failure of
/// what it sends (Node.js does), before it looks at the answer.
fn behind(encoder: &ReplyEncoder, shared: &Shared) -> Follows {
    if !encoder.keep_alive() && shared.is_read() && shared.is_idle() { Follows::End } else { Follows::Anything }
}

fn ending(whole: bool, keep_alive: bool) -> Ending {
    match (whole, keep_alive) {
        (true, true) => Ending::Keep,
        (true, false) => Ending::Close,
        (false, _) => Ending::Reset,
    }
}

/// The answer cannot be brought to its end.
struct Broken;

struct Writer {
    out: Outgoing,
    stall: Stall,
    /// Nothing more comes from the body.
    finished: bool,
    /// The body broke off: what it said until then goes out before the reset, since it may tell why.
    broken: bool,
}

impl Writer {
    fn poll_write<B: Body>(
        &mut self,
        shared: &Shared,
        mut body: Pin<&mut B>,
        encoder: &mut ReplyEncoder,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let mut starved = false;
            while !self.finished && !self.broken && !starved && self.out.len() < GATHER {
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) => self.out.push(encoder, data)?,
                    Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => self.finish(encoder, Some(&trailers))?,
                    Poll::Ready(None) => self.finish(encoder, None)?,
                    Poll::Ready(Some(Err(_))) => self.broken = true,
                    Poll::Pending => starved = true,
                }
            }
            let follows = if self.finished { behind(encoder, shared) } else { Follows::Anything };
            match self.out.poll_flush(shared.stream(), follows, &mut self.stall, cx) {
                Poll::Ready(Ok(())) if self.broken => return Poll::Ready(Err(Broken)),
                Poll::Ready(Ok(())) if self.finished => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if starved => return shared.poll_caller_gone(cx).map(|()| Err(Broken)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
                Poll::Pending => {
                    if !self.finished && !self.broken {
                        body.as_mut().poll_progress(cx);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn finish(&mut self, encoder: &mut ReplyEncoder, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        self.finished = true;
        encoder.end(trailers, &mut self.out.staging).map_err(|_| Broken)
    }
}

/// What an answer of unknown length has brought so far, held to learn its length.
#[derive(Default)]
struct Held {
    pieces: Vec<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Held {
    /// Ready when the body has ended or is over `limit`.
    fn poll_fill<B: Body>(
        &mut self,
        mut body: Pin<&mut B>,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        while !self.ended && self.bytes <= limit {
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => {
                    self.bytes = self.bytes.saturating_add(data.len());
                    self.pieces.push(data);
                }
                Some(Ok(Frame::Trailers(trailers))) => {
                    self.trailers = Some(trailers);
                    self.ended = true;
                }
                None => self.ended = true,
                Some(Err(_)) => return Poll::Ready(Err(Broken)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn length<B: Body>(&self, body: &B) -> BodyLength {
        if self.ended {
            BodyLength::Exact(self.bytes as u64)
        } else if !self.pieces.is_empty() {
            BodyLength::Unknown
        } else if body.is_end() {
            BodyLength::Empty
        } else {
            body.exact_len().map_or(BodyLength::Unknown, BodyLength::Exact)
        }
    }
}

/// Bytes on their way to the socket.
#[derive(Default)]
struct Outgoing {
    pieces: VecDeque<Bytes>,
    /// The newest bytes, after all pieces.
    staging: BytesMut,
    queued: usize,
}

impl Outgoing {
    fn len(&self) -> usize {
        self.queued + self.staging.len()
    }

    fn push(&mut self, encoder: &mut ReplyEncoder, data: Bytes) -> Result<(), Broken> {
        if data.is_empty() {
            return Ok(());
        }
        let after = encoder.frame(data.len(), &mut self.staging).map_err(|_| Broken)?;
        self.push_raw(data);
        self.staging.extend_from_slice(after);
        Ok(())
    }

    fn push_raw(&mut self, data: Bytes) {
        if data.len() <= COPY {
            self.staging.extend_from_slice(&data);
            return;
        }
        if !self.staging.is_empty() {
            let staged = self.staging.split().freeze();
            self.queued += staged.len();
            self.pieces.push_back(staged);
        }
        self.queued += data.len();
        self.pieces.push_back(data);
    }

    /// Writes all of it.
    fn poll_flush(
        &mut self,
        stream: &Stream,
        follows: Follows,
        stall: &mut Stall,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.len() > 0 {
            let written = {
                let all = self.pieces.iter().map(|piece| &**piece).chain(std::iter::once(&*self.staging));
                // Most answers are one or two.
                let slices: SmallVec<[IoSlice<'_>; 4]> = all.take(SLICES).map(IoSlice::new).collect();
                stream.poll_write_pieces(cx, &slices, follows)
            };
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    stall.moved();
                    self.advance(written);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return stall.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.pieces.front_mut() {
            let step = written.min(first.len());
            first.advance(step);
            self.queued -= step;
            written -= step;
            if !first.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.staging.advance(written.min(self.staging.len()));
    }
}

/// A reader that takes nothing for too long. No timer while it takes.
struct Stall {
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn new(timeout: Duration) -> Stall {
        Stall { timeout, timer: None }
    }

    fn moved(&mut self) {
        self.timer = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout))).as_mut().poll(cx)
    }
}

/// The `Date` of now; written out once a second and thread.
fn with_date<T>(use_it: impl FnOnce(&HeaderValue) -> T) -> T {
    thread_local! {
        static DATE: RefCell<(u64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|(cached, date)| {
        if *cached != second
            && let Ok(fresh) = HeaderValue::from_str(&httpdate::fmt_http_date(now))
        {
            (*cached, *date) = (second, fresh);
        }
        use_it(date)
    })
}
