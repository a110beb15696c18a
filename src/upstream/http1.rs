//! HTTP/1.1 to servlets that are not gRPC yet, on `wire`'s codec. A call has its connection to itself, and whoever waits for the answer or
//! reads it drives both ways of it: there is no task and no channel between them.
//!
//! ```text
//!   request   Body ──its end──▶ Last ──written──▶ Sent                     (sending)
//!   answer    Head ──1xx: again──▶ Head ──whole──▶ Body ──its end──▶ Over
//!                │                                               │
//!                └──101 that was asked for──▶ Tunnel             ├─ both whole, neither said close, no byte more: kept
//!                                                                └─ else: closed
//! ```
//! It leans towards closing: after anything unusual no byte that follows is read as an answer.

mod sending;

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use self::sending::Sending;
use super::Options;
use super::idle::{IdleHttp1, Open};
use super::tunnel::Tunnel;
use crate::model::{Address, Body, Fault, Frame, Kind, Stage};
use crate::transport::{self, Stream};
use crate::wire::{HeadLimits, Piece, ResponseBody, ResponseHead, ResponseParser};

/// Room for one read: a head and a small body at once; large bodies grow by as much again.
const READ_ROOM: usize = 8 * 1024;
const BODY_READ_ROOM: usize = 32 * 1024;

/// Beside what is still to come, so that the last read leaves room and is known to be the last.
const SLACK: usize = 64;

/// Fields of an answer's head: as many as of a request's.
const FIELDS: usize = 100;

/// Interim answers to one call. More are no help to anybody, and each is a head to parse.
const INTERIM_HEADS: u8 = 16;

/// One connection, with no call on it or with one.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    // Let go of after the socket.
    _open: Open,
}

/// A change of protocols that the caller asks for.
pub(super) struct Upgrade {
    pub(super) protocol: HeaderValue,
    /// How long the tunnel may be without a byte.
    pub(super) idle: Duration,
}

pub(super) async fn connect(address: &Address, options: &Options, open: Open) -> Result<Connection, Fault> {
    let stream = transport::connect(address, options.connect_timeout).await?;
    Ok(Connection { stream, _open: open })
}

impl Connection {
    /// Whether it takes another request: its server has not closed it, nor said anything unasked, as far as is known without asking the
    /// kernel.
    pub(super) fn is_fit(&self) -> bool {
        self.stream.is_quiet()
    }
}

/// Sends a call; what comes of it is told by the exchange.
pub(super) fn send<B: Body + Unpin>(
    connection: Connection,
    idle: Rc<IdleHttp1>,
    reused: bool,
    options: &Options,
    head: &Request<()>,
    upgrade: Option<Upgrade>,
    body: B,
) -> Http1Exchange<B> {
    let bytes = usize::try_from(options.head_bytes).unwrap_or(usize::MAX);
    let parser = ResponseParser::new(HeadLimits { bytes, fields: FIELDS }, head.method() == Method::HEAD);
    Http1Exchange {
        connection: Some(connection),
        sending: Sending::new(head, upgrade.as_ref().map(|upgrade| &upgrade.protocol), body),
        answer: Answer::Head { parser, interim: 0 },
        buf: BytesMut::new(),
        heard: false,
        idle,
        tunnel_idle: upgrade.map(|upgrade| upgrade.idle),
        reused,
        retry: reused && head.method().is_idempotent(),
    }
}

pub(super) struct Http1Exchange<B> {
    /// Until the exchange is over, or broken, or a tunnel has it.
    connection: Option<Connection>,
    /// The request, or the caller's side of a tunnel.
    sending: Sending<B>,
    answer: Answer,
    /// What was read of the answer and not taken yet.
    buf: BytesMut,
    /// A byte of the answer has come.
    heard: bool,
    idle: Rc<IdleHttp1>,
    /// Of the tunnel that was asked for.
    tunnel_idle: Option<Duration>,
    reused: bool,
    /// A kept connection that breaks before the answer was most likely closed as we wrote; what is idempotent may go again
    /// (RFC 9110 §9.2.2).
    retry: bool,
}

#[derive(Debug)]
enum Answer {
    Head { parser: ResponseParser, interim: u8 },
    Body { body: ResponseBody, keep_alive: bool },
    Tunnel(Box<Tunnel>),
    Over,
}

impl<B> std::fmt::Debug for Http1Exchange<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1Exchange").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl<B: Body + Unpin> Http1Exchange<B> {
    pub(super) fn into_body(self) -> B {
        self.sending.into_body()
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        self.sending.body_mut()
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Fault>> {
        let head = ready!(self.poll_any_head(cx)).inspect_err(|_| self.connection = None)?;
        Poll::Ready(self.begin(head))
    }

    /// The last head of the answer; interim ones are passed over.
    fn poll_any_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Fault>> {
        let (Answer::Head { parser, interim }, Some(connection)) = (&mut self.answer, &self.connection) else {
            return Poll::Pending;
        };
        self.sending.poll(&connection.stream, cx)?;
        loop {
            while let Some(head) = parser.parse(&mut self.buf)? {
                let status = head.response.status();
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
                *interim += 1;
                if *interim > INTERIM_HEADS {
                    let told = format!("the servlet sent more than {INTERIM_HEADS} interim answers");
                    return Poll::Ready(Err(Fault::new(Kind::MalformedReply, Stage::Wait, told)));
                }
            }
            match ready!(connection.stream.poll_read_buf(cx, &mut self.buf, READ_ROOM)) {
                Ok(1..) => self.heard = true,
                read => return Poll::Ready(Err(self.unanswered(read))),
            }
        }
    }

    /// The connection ended before the answer's head was whole.
    fn unanswered(&self, read: io::Result<usize>) -> Fault {
        if self.reused {
            self.idle.clear();
        }
        // What was not written cannot have been acted on.
        let is_safe = !self.heard && (self.retry || !self.sending.has_begun());
        let kind = if is_safe { Kind::GoneAway } else { Kind::ConnectionLost };
        match read {
            Err(error) => Fault::new(kind, Stage::Wait, format!("the connection to the servlet broke: {error}")),
            Ok(_) if self.heard => {
                Fault::new(kind, Stage::Wait, "the servlet closed the connection in the middle of its answer's head")
            }
            Ok(_) => Fault::new(kind, Stage::Wait, "the servlet closed the connection without an answer"),
        }
    }

    fn begin(&mut self, head: ResponseHead) -> Result<Response<()>, Fault> {
        let ResponseHead { response, body, keep_alive } = head;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.answer = Answer::Body { body, keep_alive };
            self.end_if_done();
            return Ok(response);
        }
        let (Some(idle), Some(connection)) = (self.tunnel_idle, self.connection.take()) else {
            self.connection = None;
            let told = "the servlet switched protocols, and nobody had asked for it";
            return Err(Fault::new(Kind::MalformedReply, Stage::Wait, told));
        };
        if !self.sending.is_sent() {
            let told = "the servlet switched protocols before it was asked to the end";
            return Err(Fault::new(Kind::MalformedReply, Stage::Wait, told));
        }
        let first = std::mem::take(&mut self.buf).freeze();
        self.answer = Answer::Tunnel(Box::new(Tunnel::new(connection, first, idle)));
        Ok(response)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        match &mut self.answer {
            Answer::Tunnel(tunnel) => return tunnel.poll_frame(self.sending.body_mut(), cx),
            Answer::Over => return Poll::Ready(None),
            Answer::Head { .. } => return Poll::Pending,
            Answer::Body { .. } => {}
        }
        let frame = ready!(self.poll_body(cx)).transpose();
        if matches!(frame, Some(Err(_))) {
            self.connection = None;
        }
        Poll::Ready(frame)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Fault>> {
        let (Answer::Body { body, .. }, Some(connection)) = (&mut self.answer, &self.connection) else {
            // It broke off while nobody read.
            return Poll::Ready(Err(self.sending.fault()));
        };
        self.sending.poll(&connection.stream, cx)?;
        loop {
            let frame = match body.decode(&mut self.buf)? {
                Some(Piece::Data(data)) => Some(Frame::Data(data)),
                Some(Piece::Trailers(trailers)) => Some(Frame::Trailers(trailers)),
                Some(Piece::End) => None,
                None => {
                    let left = body.remaining().and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
                    let room = left.saturating_add(SLACK).min(BODY_READ_ROOM);
                    match ready!(connection.stream.poll_read_buf(cx, &mut self.buf, room)) {
                        Ok(1..) => {}
                        Ok(_) => body.close()?,
                        Err(error) => {
                            let told = format!("the connection to the servlet broke: {error}");
                            return Poll::Ready(Err(Fault::new(Kind::ConnectionLost, Stage::ReplyBody, told)));
                        }
                    }
                    continue;
                }
            };
            self.end_if_done();
            return Poll::Ready(Ok(frame));
        }
    }

    /// Carries the request on, or the caller's side of a tunnel.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Answer::Tunnel(tunnel) = &mut self.answer {
            tunnel.poll_progress(self.sending.body_mut(), cx);
        } else if let Some(connection) = &self.connection
            && self.sending.poll(&connection.stream, cx).is_err()
        {
            // It is told when the answer's side is asked.
            self.connection = None;
        }
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self.answer, Answer::Over)
    }

    pub(super) fn exact_len(&self) -> Option<u64> {
        match &self.answer {
            Answer::Body { body, .. } => body.remaining(),
            Answer::Head { .. } | Answer::Tunnel(_) | Answer::Over => None,
        }
    }

    /// Once the answer is whole, the connection may serve another call, or is closed: an answer may be whole before its request is, and
    /// then the connection is in the middle of that.
    fn end_if_done(&mut self) {
        let Answer::Body { body, keep_alive } = &self.answer else { return };
        if !body.is_done() {
            return;
        }
        let keep = *keep_alive && self.sending.is_sent() && self.buf.is_empty();
        self.answer = Answer::Over;
        self.buf = BytesMut::new();
        if let Some(connection) = self.connection.take().filter(|_| keep) {
            self.idle.put(connection);
        }
    }
}

#[cfg(test)]
mod tests;
