//! HTTP/1.1 to servlets that are not gRPC yet, on hyper's client. It carries the request itself, in its connection's task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::Options;
use super::pool::IdleHttp1;
use super::tunnel::Tunnel;
use crate::model::{Address, Body, Fault, Frame, Kind, Stage};
use crate::transport;

/// A connection of our request bodies' type.
pub(super) type Connection<B> = SendRequest<Outgoing<B>>;

/// What hyper takes for a body.
pub(super) enum Outgoing<B> {
    Body(B),
    /// The caller's bytes wait for the 101.
    Upgrade,
}

impl<B: Body + Unpin> http_body::Body for Outgoing<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
        let Outgoing::Body(body) = self.get_mut() else { return Poll::Ready(None) };
        Poll::Ready(ready!(Pin::new(body).poll_frame(cx)).map(|frame| {
            frame.map(|frame| match frame {
                Frame::Data(data) => http_body::Frame::data(data),
                Frame::Trailers(trailers) => http_body::Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Body(body) => body.is_end(),
            Outgoing::Upgrade => true,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Outgoing::Body(body) => {
                body.exact_len().map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
            }
            Outgoing::Upgrade => http_body::SizeHint::with_exact(0),
        }
    }
}

/// Connects. The future returned beside the connection drives it and must be polled to its end.
pub(super) async fn connect<B: Body + Unpin + 'static>(
    address: &Address,
    options: &Options,
) -> Result<(Connection<B>, impl Future<Output = ()> + use<B>), Fault> {
    let stream = transport::connect(address, options.connect_timeout).await?;
    let (send, connection) = Builder::new()
        .max_buf_size(usize::try_from(options.head_bytes).unwrap_or(usize::MAX).max(8192))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| {
            Fault::new(Kind::ConnectFailed, Stage::Connect, format!("no HTTP/1 with the servlet: {error}"))
        })?;
    let driver = async move {
        // How it ended is told to the call that it ended under.
        let _ = connection.with_upgrades().await;
    };
    Ok((send, driver))
}

/// Sends a copy of `head`; what comes of it is told by the exchange.
pub(super) fn send<B: Body + Unpin + 'static>(
    mut connection: Connection<B>,
    idle: Rc<IdleHttp1<B>>,
    reused: bool,
    head: &Request<()>,
    upgrade: Option<HeaderValue>,
    body: B,
) -> Http1Exchange<B> {
    let mut head = head.clone();
    let safe = head.method().is_idempotent();
    let mut waiting = None;
    let outgoing = match upgrade {
        Some(protocol) => {
            head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers_mut().insert(header::UPGRADE, protocol);
            waiting = Some(body);
            Outgoing::Upgrade
        }
        None => {
            if !body.is_end() && body.exact_len().is_none() {
                // Unasked, hyper would drop the body of a GET or HEAD.
                head.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Outgoing::Body(body)
        }
    };
    let asked = head.map(|()| outgoing);
    let sending = Box::pin(async move {
        let answer = connection.try_send_request(asked).await;
        (answer, connection)
    });
    Http1Exchange { stage: HttpStage::Sending(sending), idle, waiting, back: None, retry: safe && reused }
}

type Sent<B> =
    (Result<Response<hyper::body::Incoming>, hyper::client::conn::TrySendError<Request<Outgoing<B>>>>, Connection<B>);

pub(super) struct Http1Exchange<B: 'static> {
    stage: HttpStage<B>,
    idle: Rc<IdleHttp1<B>>,
    /// The caller's side of a tunnel that is asked for.
    waiting: Option<B>,
    /// A body that was not sent.
    back: Option<B>,
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
        self.back.or(self.waiting)
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answered<B>, Fault>> {
        let HttpStage::Sending(sending) = &mut self.stage else { return Poll::Pending };
        let (answer, connection) = ready!(sending.as_mut().poll(cx));
        self.stage = HttpStage::Over;
        let mut response = match answer {
            Ok(response) => response,
            Err(mut failed) => {
                let unsent = failed.take_message().map(Request::into_body);
                let safe = unsent.is_some() || self.retry;
                if let Some(Outgoing::Body(body)) = unsent {
                    self.back = Some(body);
                }
                return Poll::Ready(Err(fault_of(failed.error(), safe, Stage::Wait)));
            }
        };
        let tunnel = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| self.waiting.take())
            .flatten()
            .map(|caller| Tunnel::new(hyper::upgrade::on(&mut response), caller));
        let (parts, incoming) = response.into_parts();
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
        let frame = frame.map_err(|error| fault_of(&error, false, Stage::ReplyBody))?;
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
        if let HttpStage::Body { connection, .. } = &mut self.stage
            && let Some(connection) = connection.take()
        {
            self.idle.put(connection);
        }
    }
}

/// A kept connection, if it still takes a request.
pub(super) async fn is_fit<B: Body + Unpin + 'static>(connection: &mut Connection<B>) -> bool {
    // Its task may need one turn to see that the last exchange is over, or that the peer has closed.
    if connection.is_ready() {
        return true;
    }
    if connection.is_closed() {
        return false;
    }
    tokio::task::yield_now().await;
    poll_fn(|cx| Poll::Ready(matches!(connection.poll_ready(cx), Poll::Ready(Ok(()))))).await
}

fn fault_of(error: &hyper::Error, safe: bool, stage: Stage) -> Fault {
    let own = std::iter::successors(std::error::Error::source(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<Fault>());
    if let Some(fault) = own {
        return fault.clone();
    }
    let told = format!("the connection to the servlet broke: {error}");
    let kind = match (safe, error.is_parse()) {
        (true, _) => Kind::GoneAway,
        (false, true) => Kind::MalformedReply,
        (false, false) => Kind::ConnectionLost,
    };
    Fault::new(kind, stage, told)
}
