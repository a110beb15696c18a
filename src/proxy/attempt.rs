//! Act: choose an endpoint, send, wait for the head of the answer; and once more elsewhere where nobody has acted on the call.

use std::future::poll_fn;
use std::pin::pin;

use http::Response;
use smallvec::SmallVec;

use super::call::Call;
use super::late::Late;
use super::mount::Upstream;
use super::outbound::Timed;
use super::plan::Plan;
use super::request_stream::RequestStream;
use super::worker::Worker;
use crate::model::{Fault, Kind, Stage};
use crate::policy::{self, Next};
use crate::runtime::now;
use crate::servlet::EndpointId;
use crate::upstream::{Exchange, Protocol};

/// The head of an answer, and where the rest comes from; in a box, since it is handed through many hands.
pub(super) type Answered = (Response<()>, Box<Exchange<RequestStream>>);

/// Gets the call answered before its deadline. The lease of the last try is left in the tally, to be settled with the outcome.
///
/// # Errors
/// What is to be told to the caller.
pub(super) async fn attempt(worker: &Worker, call: &mut Call, late: &mut Late) -> Result<Answered, Fault> {
    let answered = late.unless_passed(pin!(tries(worker, call))).await;
    answered.unwrap_or_else(|| {
        let stage = if call.tally.endpoint().is_some() { Stage::Wait } else { Stage::Pick };
        Err(call.tally.deadline_passed(stage))
    })
}

async fn tries(worker: &Worker, call: &mut Call) -> Result<Answered, Fault> {
    let mut avoid = SmallVec::<[EndpointId; 4]>::new();
    let mut last: Option<(Fault, Next)> = None;
    loop {
        let started = now();
        let mount = &call.plan.mount;
        let lease = match (worker.pick(mount, started, &avoid), last.take()) {
            (Ok(lease), _) => lease,
            (Err(_), Some((_, Next::Anywhere))) => worker.pick(mount, started, &[])?,
            (Err(_), Some((fault, _))) => return Err(fault),
            (Err(fault), None) => return Err(fault),
        };
        avoid.push(lease.endpoint().id());
        call.tally.leased(lease, started);
        let fault = match once(worker, call).await {
            Ok(answered) => return Ok(answered),
            Err(fault) => fault,
        };
        call.tally.settle(&fault);
        let is_rewound = call.body.as_mut().is_some_and(RequestStream::rewind);
        match policy::after(&fault, call.tally.attempts(), is_rewound) {
            next @ (Next::Elsewhere | Next::Anywhere) if is_rewound => last = Some((fault, next)),
            _ => return Err(fault),
        }
    }
}

/// One try. After a failure the call has its body again, when it can be had.
async fn once(worker: &Worker, call: &mut Call) -> Result<Answered, Fault> {
    let Some(endpoint) = call.tally.endpoint() else {
        return Err(Fault::new(Kind::Internal, Stage::Pick, "a try without an endpoint"));
    };
    let Call { plan: Plan { mount, deadline, .. }, head, .. } = call;
    let protocol = match mount.upstream {
        Upstream::Grpc | Upstream::Http2 => Protocol::Http2,
        Upstream::Http1 => Protocol::Http1,
    };
    let upgrade = call.body.as_ref().filter(|_| protocol == Protocol::Http1).and_then(RequestStream::upgrade);
    let mut head = Timed { head, upstream: mount.upstream, deadline: *deadline };
    let sending = worker.pool.send(endpoint, &mount.connections, protocol, &mut head, upgrade, &mut call.body);
    let mut exchange = Box::new(sending.await?);
    match poll_fn(|cx| exchange.poll_head(cx)).await {
        Ok(response) => {
            call.tally.answered(now());
            exchange.body_mut().forget();
            Ok((response, exchange))
        }
        Err(fault) => {
            call.body = Some(exchange.into_body());
            Err(fault)
        }
    }
}
