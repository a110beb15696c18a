//! The story of a request.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};

use super::attempt::{Answered, attempt};
use super::body::ReplyBody;
use super::cors;
use super::late::Late;
use super::outbound;
use super::plan::{Carriage, Plan, plan};
use super::rarely::Rarely;
use super::reply;
use super::request_stream::RequestStream;
use super::tally::Tally;
use super::worker::Worker;
use crate::listener::{RequestBody, Serve};
use crate::model::{Body, ConnInfo, Fault, Kind, Outcome, Stage};
use crate::policy::Cors;
use crate::runtime::now;
use crate::telemetry::Metrics;
use crate::translate::{Arrival, Dialect, Manner, fault_reply};
use crate::wire::Forwarding;

/// One listener's way into the proxy, on one worker.
#[derive(Clone)]
pub struct Proxy(Rc<Inner>);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("listener", &self.0.listener).finish_non_exhaustive()
    }
}

struct Inner {
    worker: Rc<Worker>,
    listener: Arc<str>,
    metrics: Metrics,
    trust: Trust,
    given_up: RefCell<Rarely>,
}

/// Whether a peer's `X-Forwarded-*` is believed.
pub type Trust = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What is worked out once a connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) info: ConnInfo,
    pub(super) forwarding: Forwarding,
}

impl Proxy {
    pub fn new(worker: Rc<Worker>, listener: Arc<str>, metrics: Metrics, trust: Trust) -> Proxy {
        Proxy(Rc::new(Inner { worker, listener, metrics, trust, given_up: RefCell::default() }))
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.0.worker
    }

    pub(super) fn listener(&self) -> &str {
        &self.0.listener
    }

    /// Counts a request that reached no servlet.
    pub(super) fn unrouted(&self, kind: Kind) {
        self.0.metrics.unrouted(kind);
    }

    /// What is known of a call before anybody is asked, or its answer if there is nobody to ask.
    fn begin(
        &self,
        conn: &Rc<Connection>,
        request: Request<RequestBody>,
    ) -> Result<Box<Call>, Box<Response<ReplyBody>>> {
        let started = now();
        let (head, body) = request.into_parts();
        let mut tally = Tally::open(self, conn, &head, started);
        let origin = head.headers.get(header::ORIGIN).cloned();
        if origin.is_some()
            && let Some((mount, answer)) = self.worker().routing(|routing| cors::preflight(routing, &head))
        {
            tally.planned(&mount, Dialect::Http, None);
            tally.heading(answer.status());
            let outcome = Outcome::Http(answer.status());
            return Err(Box::new(answer.map(|()| ReplyBody::ended(&outcome, tally))));
        }
        let asked = Manner::of(&head);
        let planned =
            self.worker().routing(|routing| plan(routing, &head, asked, conn.forwarding.is_trusted(), started));
        let plan = match planned {
            Ok(plan) => plan,
            Err(fault) => {
                let spoken_for = |_| self.worker().routing(|routing| cors::of_unplanned(routing, &head));
                let cors = origin.as_ref().and_then(spoken_for);
                let mut response = reply::told(&fault, asked, tally);
                mark(cors.as_deref(), origin.as_ref(), &head.method, &mut response);
                return Err(Box::new(response));
            }
        };
        tally.planned(&plan.mount, plan.dialect(), plan.method_path(&head));
        match to_stream(&plan, &head, body, &tally, conn, self.listener()) {
            Ok(body) => {
                let method = head.method.clone();
                let head = outbound::head(&plan, head, conn);
                Ok(Box::new(Call { plan, method, origin, head, body: Some(body), tally }))
            }
            Err(fault) => {
                let mut response = reply::told(&fault, plan.manner(), tally);
                mark(plan.mount.cors.as_deref(), origin.as_ref(), &head.method, &mut response);
                Err(Box::new(response))
            }
        }
    }
}

impl Proxy {
    /// Gets a planned call answered.
    async fn answer(&self, mut call: Box<Call>) -> Response<ReplyBody> {
        let mut late = Late::after(call.plan.deadline, &self.worker().timers);
        let mut carried = call.carry(self.worker(), &mut late).await;
        let begun = match (&call.plan.carriage, &mut carried) {
            (Carriage::Translated(translation), Ok(answered)) => {
                Some(reply::begun(&call.plan, translation, answered, &mut late, &call.tally).await)
            }
            _ => None,
        };
        let Call { plan, method, origin, tally, .. } = *call;
        let mut response = match (carried, begun) {
            (Err(fault), _) => reply::told(&fault, plan.manner(), tally),
            (Ok(answered), Some(begun)) => reply::translated(&plan, begun, answered, late, tally),
            (Ok(answered), None) => reply::relayed(&plan, &method, answered, late, tally),
        };
        mark(plan.mount.cors.as_deref(), origin.as_ref(), &method, &mut response);
        response
    }
}

/// A call that is planned. Steps borrow it where it lies: what is moved along is copied at each step.
pub(super) struct Call {
    pub(super) plan: Plan,
    /// The caller's.
    method: Method,
    origin: Option<HeaderValue>,
    /// As it goes upstream.
    pub(super) head: Request<()>,
    /// `None` while a connection has it.
    pub(super) body: Option<RequestStream>,
    pub(super) tally: Tally,
}

impl Call {
    /// Translates the beginning of the body.
    async fn translate_beginning(&mut self, late: &mut Late) -> Result<(), Fault> {
        let (Carriage::Translated(translation), Some(body)) = (&self.plan.carriage, &mut self.body) else {
            return Ok(());
        };
        let begun = late.unless_passed(pin!(body.begin(translation.is_gathered()))).await;
        begun.unwrap_or_else(|| {
            let told = "the deadline passed before the request's body was there";
            Err(Fault::new(Kind::DeadlineExceeded, Stage::RequestBody, told))
        })
    }

    /// Gets the call answered.
    async fn carry(&mut self, worker: &Worker, late: &mut Late) -> Result<Answered, Fault> {
        if matches!(self.plan.carriage, Carriage::Translated(_)) {
            worker.unless_cut(Stage::RequestBody, pin!(self.translate_beginning(late))).await?;
        }
        worker.unless_cut(Stage::Wait, pin!(attempt(worker, self, late))).await
    }
}

/// Says in an answer which pages may read it.
fn mark(cors: Option<&Cors>, origin: Option<&HeaderValue>, method: &Method, response: &mut Response<ReplyBody>) {
    if let Some(cors) = cors {
        let may_be_kept = method == Method::GET || method == Method::HEAD;
        cors.mark(origin, may_be_kept, response.headers_mut());
    }
}

/// The request's body as the servlet will take it.
fn to_stream(
    plan: &Plan,
    head: &Parts,
    mut body: RequestBody,
    tally: &Tally,
    conn: &Connection,
    listener: &str,
) -> Result<RequestStream, Fault> {
    // Not kept longer than it is needed: the connection's buffer hangs on it.
    let raw_head = body.take_raw_head();
    let intake = Rc::clone(&tally.intake);
    let promised = body.exact_len();
    if let (Some(limit), Some(promised)) = (plan.mount.body_limit, promised)
        && promised > limit
    {
        let told = format!("the body is over the limit of {limit} bytes");
        return Err(Fault::new(Kind::BodyTooLarge, Stage::RequestBody, told));
    }
    Ok(match &plan.carriage {
        Carriage::Grpc { .. } | Carriage::Http => RequestStream::relayed(body, &plan.mount, intake),
        Carriage::Translated(translation) => {
            let arrival = Arrival {
                raw_head,
                peer: conn.info.peer,
                listener,
                forwarding: &conn.forwarding,
                length: promised,
                bodiless: body.is_end(),
            };
            let mut translator = translation.request(head, &arrival)?;
            if translation.may_rest() {
                body.let_rest();
            }
            translator.expect_len(promised.unwrap_or(0));
            RequestStream::translated(body, translator, &plan.mount, intake)
        }
    })
}

impl Serve for Proxy {
    type Connection = Connection;
    type Reply = ReplyBody;

    fn open(&self, info: ConnInfo) -> Connection {
        let peer = info.peer.map(|peer| peer.ip());
        let trusted = peer.is_some_and(|peer| (self.0.trust)(peer));
        Connection { forwarding: Forwarding::new(peer, "http", trusted), info }
    }

    fn call(&self, conn: &Rc<Connection>, request: Request<RequestBody>) -> impl Future<Output = Response<ReplyBody>> {
        // Outside of the future, which would keep the request for as long as it lasts.
        let begun = self.begin(conn, request);
        async move {
            match begun {
                Ok(call) => self.answer(call).await,
                Err(answer) => *answer,
            }
        }
    }

    fn refuse(&self, conn: &Rc<Connection>, head: Option<&Parts>, fault: &Fault) -> Response<Bytes> {
        self.unrouted(fault.kind);
        tracing::debug!(peer = ?conn.info.peer, %fault, "a request was refused before it was one");
        fault_reply(fault, head.map_or(Manner::Rest, Manner::of))
    }

    fn gave_up(&self, conn: &Rc<Connection>, fault: &Fault) {
        self.unrouted(fault.kind);
        if let Some(unsaid) = self.0.given_up.borrow_mut().say(now()) {
            let (peer, listener) = (conn.info.peer, &*self.0.listener);
            tracing::warn!(listener, ?peer, unsaid, %fault, "a caller got no answer to what it sent");
        }
    }
}
