//! One HTTP/1 connection: heads in, answers out, one at a time.
//!
//! ```text
//!   idle ──first byte──▶ head ──whole──▶ call ──answer──▶ reply ──whole, kept──▶ idle
//!     │                   │                │                │
//!   time-out,           400, 408,        caller gone:     broken: reset
//!   drain: close        431: refuse      call dropped     not kept: lingering close
//! ```
//! It leans towards closing: after anything unusual no byte that follows is read as a request.

mod reply;
mod shared;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Method, Response, Version};
use tokio::task::yield_now;
use tokio::time::Instant;

use self::reply::{Ending, write_reply, write_whole};
pub(super) use self::shared::Shared;
use super::bells::PATIENCE;
use super::sniff::Sniffed;
use super::{Limits, RequestBody, Serve};
use crate::model::{Fault, Kind, Stage};
use crate::runtime::{Drain, Timer};
use crate::transport::Stream;
use crate::wire::{HeadLimits, ReplyTerms, RequestHead, RequestParser};

/// After an answer that did not wait for the request's body: how long and how much we read on, so that a reset does not destroy it. A caller
/// has some megabytes on the way before it looks at an answer.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// Exchanges of one connection in a row that wait for nothing, as when a caller has pipelined what is refused. Then it is the others' turn.
const TURN: u32 = 16;

/// While draining, how long after its last answer a kept connection still takes a request: the caller may have sent one without knowing, or
/// be about to, since no answer has told it `Connection: close`. A round trip and the caller's own delay.
const UNTOLD_GRACE: Duration = Duration::from_secs(1);

/// Serves a connection to its end, from what has been read of it already.
pub(super) async fn serve<S: Serve>(
    stream: Stream,
    sniffed: Sniffed,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
    drain: Drain,
) {
    let parser = RequestParser::new(HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields });
    let shared = Shared::new(stream, sniffed.seen, limits.stall_timeout, sniffed.since + PATIENCE);
    let head_until = Some(sniffed.head_until);
    let idle = Timer::default();
    let mut connection = Connection { shared, parser, conn, service, limits, drain, idle, head_until, served: 0 };
    let ending = connection.run().await;
    connection.close(ending).await;
}

struct Connection<S: Serve> {
    shared: Rc<Shared>,
    parser: RequestParser,
    conn: Rc<S::Connection>,
    service: Rc<S>,
    limits: Rc<Limits>,
    drain: Drain,
    idle: Timer,
    /// When the head whose first byte was read by the sniffer must be whole.
    head_until: Option<Instant>,
    /// Exchanges since the connection last waited for a request.
    served: u32,
}

enum NextHead {
    Head(Box<RequestHead>),
    Refused(Fault),
    /// The peer left, or has nothing more to ask.
    Nothing,
}

impl<S: Serve> Connection<S> {
    async fn run(&mut self) -> Ending {
        loop {
            let head = match self.next_head().await {
                NextHead::Head(head) => head,
                NextHead::Refused(fault) => return self.refuse(&fault).await,
                NextHead::Nothing => return Ending::Close,
            };
            // Boxed, so that a connection between two requests takes little room.
            match Box::pin(self.exchange(head)).await {
                Ending::Keep => self.shared.next_message(),
                ending @ (Ending::Close | Ending::Reset) => return ending,
            }
            self.served += 1;
            if self.served >= TURN {
                self.served = 0;
                // Behind a look at the sockets, not only behind the tasks that are ready.
                yield_now().await;
            }
        }
    }

    /// The next request's head: an idle time-out until its first byte, then one for the whole of it.
    async fn next_head(&mut self) -> NextHead {
        let head_until = self.head_until.take();
        if let Some(next) = self.parse() {
            return next;
        }
        if self.shared.is_idle() {
            if !self.first_byte().await {
                return NextHead::Nothing;
            }
            // Most often all of it comes at once.
            if let Some(next) = self.parse() {
                return next;
            }
        }
        let default_host = self.limits.default_host.as_ref();
        let shared = &self.shared;
        let parser = &mut self.parser;
        let rest = async {
            loop {
                if !shared.read_some().await {
                    if shared.is_idle() {
                        return NextHead::Nothing;
                    }
                    let fault = Fault::new(Kind::MalformedHead, Stage::Head, "the request's head ends early");
                    return NextHead::Refused(fault);
                }
                if let Some(next) = parse(shared, parser, default_host) {
                    return next;
                }
            }
        };
        let head_until = head_until.unwrap_or_else(|| Instant::now() + self.limits.head_timeout);
        let drain = &self.drain;
        let mut rest = pin!(tokio::time::timeout_at(head_until, rest));
        let rest = poll_fn(|cx| match rest.as_mut().poll(cx) {
            Poll::Pending if drain.is_draining() && drain.is_over() => {
                let fault =
                    Fault::new(Kind::Draining, Stage::Head, "the process ended before the request's head was whole");
                Poll::Ready(Ok(NextHead::Refused(fault)))
            }
            polled => polled,
        });
        match rest.await {
            Ok(next) => next,
            Err(_) => NextHead::Refused(Fault::new(
                Kind::HeadTimeout,
                Stage::Head,
                format!("the request's head did not arrive within {:?}", self.limits.head_timeout),
            )),
        }
    }

    fn parse(&mut self) -> Option<NextHead> {
        parse(&self.shared, &mut self.parser, self.limits.default_host.as_ref())
    }

    /// Waits for the next request to begin. False when there will be none: the peer left, or was idle for too long, or it is time to go.
    async fn first_byte(&mut self) -> bool {
        let since = Instant::now();
        let idle_until = since.checked_add(self.limits.idle_timeout);
        let Connection { shared, idle, drain, served, .. } = self;
        poll_fn(|cx| {
            if let Poll::Ready(is_there) = shared.poll_some(cx) {
                return Poll::Ready(is_there);
            }
            *served = 0;
            // Every connection is woken when draining begins, and when it has run out of time.
            let until = match drain.is_draining() {
                true if drain.is_over() => return Poll::Ready(false),
                true => Some(idle_until.map_or(since + UNTOLD_GRACE, |idle| idle.min(since + UNTOLD_GRACE))),
                false => idle_until,
            };
            match until {
                Some(until) => idle.poll(until, cx).map(|()| false),
                None => Poll::Pending,
            }
        })
        .await
    }

    async fn refuse(&self, fault: &Fault) -> Ending {
        // What follows the head, or may still come, is not looked at, but read away, so that the answer arrives.
        self.shared.break_off();
        let version = Version::HTTP_11;
        let response = self.service.refuse(&self.conn, None, fault);
        let terms = ReplyTerms {
            version,
            head_request: false,
            keep_alive: false,
            accepts_trailers: false,
            title_case: self.limits.title_case,
        };
        write_whole(&self.shared, &terms, response, self.limits.stall_timeout).await
    }

    /// One request and its answer.
    async fn exchange(&mut self, head: Box<RequestHead>) -> Ending {
        let mut terms = ReplyTerms {
            version: head.request.version(),
            head_request: head.request.method() == Method::HEAD,
            keep_alive: head.keep_alive,
            accepts_trailers: head.accepts_trailers,
            title_case: self.limits.title_case,
        };
        // A call that is dropped in the middle, as when a drain runs out of time, must not look whole either.
        let unfinished = Unfinished(Some(Rc::clone(&self.shared)));
        let response = {
            let mut call = pin!(self.call(head));
            poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Some(response)),
                Poll::Pending => self.shared.poll_caller_gone(cx).map(|()| None),
            })
            .await
        };
        let Some(mut response) = response else { return Ending::Reset };
        terms.keep_alive &= self.shared.is_read() && !self.drain.is_draining();
        let ending = write_reply(&self.shared, &terms, &mut response, &self.limits).await;
        unfinished.finish();
        ending
    }

    /// Begins the call. Not a part of the future that waits for it, which would keep the head for as long.
    fn call(&self, head: Box<RequestHead>) -> impl Future<Output = Response<S::Reply>> {
        let RequestHead { request, framing, keep_alive, expects_continue, upgrade, raw, accepts_trailers: _ } = *head;
        // After its whole request, such a caller has no more to say: a FIN is the end of its side only (design §9).
        let may_half_close = !keep_alive;
        // Bytes of a body would be taken for bytes of the other protocol.
        let upgrade = upgrade.filter(|_| !framing.has_body());
        let has_body = framing.has_body() || upgrade.is_some();
        self.shared.begin(framing, expects_continue, upgrade, may_half_close);
        let body = if has_body { RequestBody::http1(Rc::clone(&self.shared)) } else { RequestBody::empty() };
        self.service.call(&self.conn, request.map(|()| body.after(raw)))
    }

    async fn close(&self, ending: Ending) {
        let is_over = self.shared.is_read() && self.shared.is_idle() && !self.shared.stream().has_unseen();
        // A servlet may still be reading the body of a call that is answered: it gets no more of it.
        self.shared.break_off();
        match ending {
            Ending::Reset => self.shared.stream().reset(),
            Ending::Keep | Ending::Close => {
                self.shared.stream().shut_down_writing();
                if !is_over {
                    let _ = tokio::time::timeout(LINGER_TIME, self.shared.read_away(LINGER_BYTES)).await;
                }
            }
        }
    }
}

/// An exchange under way: dropped before it is finished, it ends its connection with a reset.
struct Unfinished(Option<Rc<Shared>>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.stream().reset();
        }
    }
}

/// The next head, if it is whole, or what is wrong with it.
fn parse(shared: &Shared, parser: &mut RequestParser, default_host: Option<&HeaderValue>) -> Option<NextHead> {
    match shared.parse_head(parser, default_host) {
        Ok(head) => head.map(|head| NextHead::Head(Box::new(head))),
        Err(fault) => Some(NextHead::Refused(fault)),
    }
}
