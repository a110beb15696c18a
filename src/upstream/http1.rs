//! HTTP/1.1 to servlets that are not gRPC yet, on hyper's client. It carries the request itself, in its connection's task.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::Options;
use super::idle::{IdleHttp1, Open};
use super::tunnel::Tunnel;
use crate::model::{Address, Body, Fault, Frame, Kind, Stage};
use crate::transport;

/// A connection of our request bodies' type.
pub(super) struct Connection<B> {
    send: SendRequest<Outgoing<B>>,
    open: Rc<Open>,
}

/// A body that the connection reads and that its call takes back when the connection fails.
type Shared<B> = Rc<RefCell<Option<B>>>;

/// A change of protocols that the caller asks for.
pub(super) struct Upgrade {
    pub(super) protocol: HeaderValue,
    /// How long the tunnel may be without a byte.
    pub(super) idle: Duration,
}

/// What hyper takes for a body.
pub(super) enum Outgoing<B> {
    Body(Shared<B>),
    /// The caller's bytes wait for the 101.
    Upgrade,
}

impl<B: Body + Unpin> http_body::Body for Outgoing<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
        let Outgoing::Body(body) = self.get_mut() else { return Poll::Ready(None) };
        let mut body = body.borrow_mut();
        let Some(body) = &mut *body else { return Poll::Ready(None) };
        Poll::Ready(ready!(Pin::new(body).poll_frame(cx)).map(|frame| {
            frame.map(|frame| match frame {
                Frame::Data(data) => http_body::Frame::data(data),
                Frame::Trailers(trailers) => http_body::Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Body(body) => body.borrow().as_ref().is_none_or(Body::is_end),
            Outgoing::Upgrade => true,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Outgoing::Body(body) => {
                let len = body.borrow().as_ref().and_then(Body::exact_len);
                len.map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
            }
            Outgoing::Upgrade => http_body::SizeHint::with_exact(0),
        }
    }
}

/// Connects. The future returned beside the connection drives it and must be polled to its end.
pub(super) async fn connect<B: Body + Unpin + 'static>(
    address: &Address,
    options: &Options,
    open: Rc<Open>,
) -> Result<(Connection<B>, impl Future<Output = ()> + use<B>), Fault> {
    let stream = transport::connect(address, options.connect_timeout).await?;
    let (send, connection) = Builder::new()
        .max_buf_size(usize::try_from(options.head_bytes).unwrap_or(usize::MAX).max(8192))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| {
            Fault::new(Kind::ConnectFailed, Stage::Connect, format!("no HTTP/1 with the servlet: {error}"))
        })?;
    let held = Rc::clone(&open);
    let driver = async move {
        // How it ended is told to the call that it ended under.
        let _ = connection.with_upgrades().await;
        drop(held);
    };
    Ok((Connection { send, open }, driver))
}

/// Sends a call; what comes of it is told by the exchange.
pub(super) fn send<B: Body + Unpin + 'static>(
    mut connection: Connection<B>,
    idle: Rc<IdleHttp1<B>>,
    reused: bool,
    mut head: Request<()>,
    upgrade: Option<Upgrade>,
    body: B,
) -> Http1Exchange<B> {
    let safe = head.method().is_idempotent();
    let body = Rc::new(RefCell::new(Some(body)));
    let tunnel_idle = upgrade.as_ref().map(|upgrade| upgrade.idle);
    let outgoing = match upgrade {
        Some(Upgrade { protocol, .. }) => {
            head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers_mut().insert(header::UPGRADE, protocol);
            Outgoing::Upgrade
        }
        None => {
            let (ended, length) = body.borrow().as_ref().map_or((true, None), |body| (body.is_end(), body.exact_len()));
            if ended && [Method::POST, Method::PUT, Method::PATCH].contains(head.method()) {
                // A method that wants a body says that there is none (RFC 9110 §8.6).
                head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            } else if !ended && length.is_none() {
                // Unasked, hyper would drop the body of a GET or HEAD.
                head.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Outgoing::Body(Rc::clone(&body))
        }
    };
    let asked = head.map(|()| outgoing);
    let sending = Box::pin(async move {
        let answer = connection.send.try_send_request(asked).await;
        (answer, connection)
    });
    Http1Exchange { stage: HttpStage::Sending(sending), idle, body, tunnel_idle, reused, retry: safe && reused }
}

type Sent<B> =
    (Result<Response<hyper::body::Incoming>, hyper::client::conn::TrySendError<Request<Outgoing<B>>>>, Connection<B>);

pub(super) struct Http1Exchange<B: 'static> {
    stage: HttpStage<B>,
    idle: Rc<IdleHttp1<B>>,
    /// The request's body, which the connection reads; or the caller's side of a tunnel that is asked for.
    body: Shared<B>,
    /// Of the tunnel that was asked for.
    tunnel_idle: Option<Duration>,
    reused: bool,
    /// A kept connection that breaks before the answer was most likely closed as we wrote; what is idempotent may go again
    /// (RFC 9110 §9.2.2).
    retry: bool,
}

enum HttpStage<B: 'static> {
    Sending(LocalBoxFuture<'static, Sent<B>>),
    Body { incoming: hyper::body::Incoming, connection: Option<Connection<B>> },
    Over,
}

impl<B> std::fmt::Debug for Http1Exchange<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1Exchange").finish_non_exhaustive()
    }
}

type Answered<B> = (Response<()>, Option<Tunnel<B>>);

impl<B: Body + Unpin + 'static> Http1Exchange<B> {
    pub(super) fn into_body(self) -> Option<B> {
        self.body.take()
    }

    pub(super) fn with_body(&mut self, act: impl FnOnce(&mut B)) {
        if let Some(body) = &mut *self.body.borrow_mut() {
            act(body);
        }
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answered<B>, Fault>> {
        let HttpStage::Sending(sending) = &mut self.stage else { return Poll::Pending };
        let (answer, connection) = ready!(sending.as_mut().poll(cx));
        self.stage = HttpStage::Over;
        let mut response = match answer {
            Ok(response) => response,
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                if self.reused {
                    self.idle.clear();
                }
                return Poll::Ready(Err(fault_of(failed.error(), unsent, self.retry, Stage::Wait)));
            }
        };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let tunnel = self.tunnel_idle.filter(|_| switches).and_then(|idle| {
            let caller = self.body.take()?;
            Some(Tunnel::new(hyper::upgrade::on(&mut response), caller, idle, Rc::clone(&connection.open)))
        });
        let (parts, incoming) = response.into_parts();
        if switches && tunnel.is_none() {
            let told = "the servlet switched protocols, and nobody had asked for it";
            return Poll::Ready(Err(Fault::new(Kind::MalformedReply, Stage::Wait, told)));
        }
        if tunnel.is_none() {
            self.stage = HttpStage::Body { incoming, connection: Some(connection) };
            self.keep_if_over();
        }
        Poll::Ready(Ok((Response::from_parts(parts, ()), tunnel)))
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let HttpStage::Body { incoming, .. } = &mut self.stage else { return Poll::Ready(None) };
        let frame = ready!(http_body::Body::poll_frame(Pin::new(incoming), cx));
        self.keep_if_over();
        let Some(frame) = frame else {
            self.keep();
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|error| fault_of(&error, false, false, Stage::ReplyBody))?;
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => Frame::Data(data),
            Err(frame) => Frame::Trailers(frame.into_trailers().unwrap_or_else(|_| HeaderMap::new())),
        })))
    }

    pub(super) fn is_end(&self) -> bool {
        match &self.stage {
            HttpStage::Body { incoming, .. } => http_body::Body::is_end_stream(incoming),
            HttpStage::Sending(_) => false,
            HttpStage::Over => true,
        }
    }

    pub(super) fn exact_len(&self) -> Option<u64> {
        match &self.stage {
            HttpStage::Body { incoming, .. } => http_body::Body::size_hint(incoming).exact(),
            HttpStage::Sending(_) | HttpStage::Over => None,
        }
    }

    fn keep_if_over(&mut self) {
        if self.is_end() {
            self.keep();
        }
    }

    /// The answer is whole: the connection may serve another call, if hyper finds it fit.
    fn keep(&mut self) {
        // An answer may be whole before its request is; then the connection is in the middle of that.
        let is_sent = self.body.borrow().as_ref().is_none_or(Body::is_end);
        if let HttpStage::Body { connection, .. } = &mut self.stage
            && let Some(connection) = connection.take()
            && is_sent
        {
            self.idle.put(connection);
        }
    }
}

/// A kept connection, if it still takes a request.
pub(super) async fn is_fit<B: Body + Unpin + 'static>(connection: &mut Connection<B>) -> bool {
    // Its task may need one turn to see that the last exchange is over, or that the peer has closed.
    if connection.send.is_ready() {
        return true;
    }
    if connection.send.is_closed() {
        return false;
    }
    tokio::task::yield_now().await;
    poll_fn(|cx| Poll::Ready(matches!(connection.send.poll_ready(cx), Poll::Ready(Ok(()))))).await
}

/// `unsent`: nothing of the call was written. `retry`: it may go again if the connection was closed before it was answered.
fn fault_of(error: &hyper::Error, unsent: bool, retry: bool, stage: Stage) -> Fault {
    let own = std::iter::successors(std::error::Error::source(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<Fault>());
    if let Some(fault) = own {
        return fault.clone();
    }
    if unsent || (retry && !error.is_parse()) {
        return Fault::new(Kind::GoneAway, stage, format!("the servlet closed the connection: {error}"));
    }
    if error.is_parse() {
        return Fault::new(Kind::MalformedReply, stage, format!("the servlet's answer is malformed: {error}"));
    }
    Fault::new(Kind::ConnectionLost, stage, format!("the connection to the servlet broke: {error}"))
}
