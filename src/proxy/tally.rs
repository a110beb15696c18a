//! What a call leaves behind: its lease given back with an outcome, its metrics, its line in the access log. Closed once, at the end
//! of the stream; a call that is dropped before closes as cancelled.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::request::Parts;
use http::{StatusCode, header};

use super::call::{Connection, Proxy};
use super::mount::Mount;
use super::request_stream::Intake;
use super::worker::cut;
use crate::model::{Code, Fault, HttpProtocol, Kind, Outcome, Stage};
use crate::runtime::now;
use crate::servlet::{Endpoint, Lease};
use crate::telemetry::{CallRecord, Reply, log};
use crate::translate::Dialect;

/// One call's account, from its head to the end of its stream.
#[derive(Debug)]
pub(super) struct Tally {
    proxy: Proxy,
    conn: Rc<Connection>,
    pub(super) started: Instant,
    /// The answer has no body, whatever its head says (RFC 9110 §9.3.2).
    pub(super) is_head: bool,
    protocol: HttpProtocol,
    pub(super) dialect: Option<Dialect>,
    mount: Option<Arc<Mount>>,
    lease: Option<Lease>,
    endpoint: Option<Arc<Endpoint>>,
    picked: Option<Instant>,
    attempts: u32,
    head_at: Option<Instant>,
    status: Option<StatusCode>,
    /// Shared with the request's body, which keeps it.
    pub(super) intake: Rc<Intake>,
    pub(super) bytes_out: u64,
    closed: bool,
    /// Also without an access log, of HTTP/1.0 callers: the account of them names it.
    user_agent: Option<http::HeaderValue>,
    logged: Option<Box<Logged>>,
}

/// Kept only for the access log.
#[derive(Debug)]
struct Logged {
    start: SystemTime,
    method: http::Method,
    host: Option<http::HeaderValue>,
    path: http::Uri,
    grpc_method: Option<String>,
}

impl Tally {
    pub(super) fn open(proxy: &Proxy, conn: &Rc<Connection>, head: &Parts, started: Instant) -> Tally {
        let logged = proxy.worker().logs().then(|| {
            Box::new(Logged {
                start: SystemTime::now(),
                method: head.method.clone(),
                host: head.headers.get(header::HOST).cloned(),
                path: head.uri.clone(),
                grpc_method: None,
            })
        });
        let named = logged.is_some() || head.version == http::Version::HTTP_10;
        Tally {
            proxy: proxy.clone(),
            conn: Rc::clone(conn),
            started,
            is_head: head.method == http::Method::HEAD,
            protocol: HttpProtocol::of(head.version),
            dialect: None,
            mount: None,
            lease: None,
            endpoint: None,
            picked: None,
            attempts: 0,
            head_at: None,
            status: None,
            intake: Rc::default(),
            bytes_out: 0,
            closed: false,
            user_agent: head.headers.get(header::USER_AGENT).filter(|_| named).cloned(),
            logged,
        }
    }

    pub(super) fn planned(&mut self, mount: &Arc<Mount>, dialect: Dialect, method: Option<&str>) {
        self.mount = Some(Arc::clone(mount));
        self.dialect = Some(dialect);
        if let Some(logged) = &mut self.logged {
            logged.grpc_method = method.map(|path| path.trim_start_matches('/').to_owned());
        }
    }

    /// A try begins. The one before, if it was not settled, counts as nothing.
    pub(super) fn leased(&mut self, lease: Lease, at: Instant) {
        self.attempts += 1;
        self.endpoint = Some(Arc::clone(lease.endpoint()));
        self.picked = Some(at);
        self.lease = Some(lease);
    }

    pub(super) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.endpoint.as_ref()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The head of the servlet's answer is here.
    pub(super) fn answered(&mut self, at: Instant) {
        if let Some(lease) = &mut self.lease {
            lease.head_arrived(at);
        }
    }

    /// The head of our answer goes out.
    pub(super) fn heading(&mut self, status: StatusCode) {
        self.head_at = Some(now());
        self.status = Some(status);
    }

    /// The current try failed; another may follow.
    pub(super) fn settle(&mut self, fault: &Fault) {
        self.conclude(&Outcome::Fault(fault.clone()), now());
    }

    fn conclude(&mut self, outcome: &Outcome, ended: Instant) {
        if let Some(lease) = self.lease.take() {
            let came_back = lease.conclude(outcome, ended);
            if let Some(endpoint) = self.endpoint.as_deref() {
                log::connected(endpoint, came_back);
            }
        }
    }

    /// The call is over.
    pub(super) fn close(&mut self, outcome: &Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let ended = now();
        self.conclude(outcome, ended);
        let (code, fault) = match outcome {
            Outcome::Grpc(code) => (Some(*code), None),
            Outcome::Http(_) => (None, None),
            Outcome::Fault(fault) => (Some(fault.answer().grpc), Some(fault.kind)),
            Outcome::Cancelled => (Some(Code::Cancelled), Some(Kind::CallerGone)),
        };
        self.record(Reply { status: self.status, code, fault }, ended);
    }

    /// Metrics, the account of HTTP/1.0 callers, and the access log.
    fn record(&self, reply: Reply, ended: Instant) {
        let logged = self.logged.as_deref();
        let record = CallRecord {
            start: logged.map_or(SystemTime::UNIX_EPOCH, |logged| logged.start),
            listener: self.proxy.listener(),
            peer: self.conn.info.peer,
            protocol: self.protocol,
            dialect: self.dialect,
            method: logged.map_or("", |logged| logged.method.as_str()),
            host: logged.and_then(|logged| Some(logged.host.as_ref()?.as_bytes())),
            path: logged.and_then(|logged| logged.path.path_and_query()).map_or("/", |path| path.as_str()).as_bytes(),
            servlet: self.mount.as_ref().map(|mount| &*mount.name),
            grpc_method: logged.and_then(|logged| logged.grpc_method.as_deref()),
            reply,
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.address()),
            attempts: self.attempts,
            bytes_in: self.intake.bytes(),
            bytes_out: self.bytes_out,
            duration: ended.duration_since(self.started),
            head_after: self.head_at.map(|at| at.duration_since(self.started)),
            upstream: self.picked.map(|at| ended.duration_since(at)),
            user_agent: self.user_agent.as_ref().map(http::HeaderValue::as_bytes),
        };
        match (&self.mount, reply.fault) {
            (Some(mount), _) => mount.metrics.finished(&record),
            (None, Some(kind)) => self.proxy.unrouted(kind),
            (None, None) => {}
        }
        self.proxy.worker().record(&record, ended, logged.is_some());
    }

    /// Whether calls are being cut, because draining has run out of time.
    pub(super) fn is_cutting(&self) -> bool {
        self.proxy.worker().is_cutting()
    }

    /// `doing`, unless calls are being cut.
    pub(super) async fn unless_cut<T>(
        &self,
        stage: Stage,
        doing: Pin<&mut impl Future<Output = Result<T, Fault>>>,
    ) -> Result<T, Fault> {
        self.proxy.worker().unless_cut(stage, doing).await
    }

    /// A deadline that passes while the servlet waits for more of the request is the caller's own.
    pub(super) fn deadline_passed(&self, stage: Stage) -> Fault {
        let stage = match stage {
            Stage::Wait | Stage::ReplyBody if self.intake.starves() => Stage::RequestBody,
            stage => stage,
        };
        let told = match stage {
            Stage::RequestBody => "the deadline passed before the request's body was there",
            Stage::ReplyBody => "the deadline passed before the answer was whole",
            Stage::Taking => "the deadline passed before the caller had taken the answer",
            Stage::Connect | Stage::Pick => "the deadline passed before an endpoint took the call",
            _ => "the deadline passed before the servlet answered",
        };
        Fault::new(Kind::DeadlineExceeded, stage, told)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.closed && self.is_cutting() {
            return self.close(&Outcome::Fault(cut(Stage::Wait)));
        }
        self.close(&Outcome::Cancelled);
    }
}
