//! Act: choose an endpoint, send, wait for the head of the answer; and once more elsewhere where nobody has acted on the call.

use std::future::poll_fn;

use http::{Request, Response};
use smallvec::SmallVec;

use super::mount::{Mount, Upstream};
use super::outbound::with_time_left;
use super::request_stream::RequestStream;
use super::tally::Tally;
use super::worker::Worker;
use crate::model::{Deadline, Fault, Stage};
use crate::policy::{self, Next};
use crate::runtime::now;
use crate::servlet::EndpointId;
use crate::upstream::{Exchange, NotSent, Protocol};

pub(super) type Answered = (Response<()>, Exchange<RequestStream>);

/// Gets the call answered before `deadline`. The lease of the last try is left in the tally, to be settled with the outcome.
///
/// # Errors
/// What is to be told to the caller.
pub(super) async fn attempt(
    worker: &Worker,
    mount: &Mount,
    head: &Request<()>,
    body: RequestStream,
    deadline: Deadline,
    tally: &mut Tally,
) -> Result<Answered, Fault> {
    let Some(at) = deadline.at() else { return tries(worker, mount, head, body, deadline, tally).await };
    match tokio::time::timeout_at(at.into(), tries(worker, mount, head, body, deadline, tally)).await {
        Ok(answered) => answered,
        Err(_) => Err(tally.deadline_passed(if tally.endpoint().is_some() { Stage::Wait } else { Stage::Pick })),
    }
}

async fn tries(
    worker: &Worker,
    mount: &Mount,
    head: &Request<()>,
    mut body: RequestStream,
    deadline: Deadline,
    tally: &mut Tally,
) -> Result<Answered, Fault> {
    let mut avoid = SmallVec::<[EndpointId; 4]>::new();
    let mut last: Option<(Fault, Next)> = None;
    loop {
        let started = now();
        let lease = match (worker.pick(mount, started, &avoid), last.take()) {
            (Ok(lease), _) => lease,
            (Err(_), Some((_, Next::Anywhere))) => worker.pick(mount, started, &[])?,
            (Err(_), Some((fault, _))) => return Err(fault),
            (Err(fault), None) => return Err(fault),
        };
        avoid.push(lease.endpoint().id());
        tally.leased(lease, started);
        let (fault, unsent) = match once(worker, mount, head, body, deadline, tally).await {
            Ok(answered) => return Ok(answered),
            Err(failed) => failed,
        };
        tally.settle(&fault);
        let again = unsent.and_then(|mut body| body.rewind().then_some(body));
        let next = policy::after(&fault, tally.attempts(), again.is_some());
        match (next, again) {
            (Next::Elsewhere | Next::Anywhere, Some(rewound)) => body = rewound,
            _ => return Err(fault),
        }
        last = Some((fault, next));
    }
}

/// One try. The failure brings the body back when it can be had.
async fn once(
    worker: &Worker,
    mount: &Mount,
    head: &Request<()>,
    body: RequestStream,
    deadline: Deadline,
    tally: &mut Tally,
) -> Result<Answered, (Fault, Option<RequestStream>)> {
    let Some(endpoint) = tally.endpoint().cloned() else {
        return Err((Fault::new(crate::model::Kind::Internal, Stage::Pick, "a try without an endpoint"), None));
    };
    let protocol = match mount.upstream {
        Upstream::Grpc | Upstream::Http2 => Protocol::Http2,
        Upstream::Http1 => Protocol::Http1,
    };
    let upgrade = if protocol == Protocol::Http1 { body.upgrade() } else { None };
    let head = || with_time_left(head, mount.upstream, deadline, now());
    let mut exchange = match worker.pool.send(&endpoint, &mount.connections, protocol, &head, upgrade, body).await {
        Ok(exchange) => exchange,
        Err(NotSent { fault, body }) => return Err((fault, Some(body))),
    };
    match poll_fn(|cx| exchange.poll_head(cx)).await {
        Ok(response) => {
            tally.answered(now());
            exchange.with_body(RequestStream::forget);
            Ok((response, exchange))
        }
        Err(fault) => Err((fault, exchange.into_body())),
    }
}
