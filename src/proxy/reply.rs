//! Answer: the servlet's head in the caller's dialect, or a fault told in it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http::{HeaderMap, Method, Response, StatusCode, header};

use super::attempt::Answered;
use super::body::{ReplyBody, says_unknown};
use super::late::Late;
use super::plan::{Carriage, Plan};
use super::request_stream::RequestStream;
use super::tally::Tally;
use crate::model::{Body, Code, Fault, Kind, Outcome, Stage};
use crate::translate::{
    FieldNames, GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS, Manner, ReplyStep, ReplyTranslator, Status,
    Translation, fault_reply, is_grpc, withhold,
};
use crate::upstream::Exchange;
use crate::wire;

/// A fault, told in the caller's dialect.
pub(super) fn told(fault: &Fault, manner: Manner, mut tally: Tally) -> Response<ReplyBody> {
    let response = fault_reply(fault, manner);
    tally.heading(response.status());
    response.map(|data| ReplyBody::whole(data.into(), &Outcome::Fault(fault.clone()), tally))
}

/// The answer to a call that a servlet has begun to answer in what the caller speaks itself.
pub(super) fn relayed(
    plan: &Plan,
    method: &Method,
    answered: Answered,
    late: Late,
    tally: Tally,
) -> Response<ReplyBody> {
    let (mut response, exchange) = answered;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        wire::strip_reply(response.headers_mut());
    }
    if matches!(plan.carriage, Carriage::Http) {
        return http(response, exchange, method, late, tally);
    }
    let names = plan.mount.metadata.reply.clone();
    if let Some(names) = &names {
        names.withhold(response.headers_mut());
    }
    grpc(response, exchange, late, tally, names)
}

fn grpc(
    response: Response<()>,
    exchange: Box<Exchange<RequestStream>>,
    late: Late,
    mut tally: Tally,
    names: Option<Arc<FieldNames>>,
) -> Response<ReplyBody> {
    if let Some(status) = not_grpc(&response) {
        return trailers_only(&status, tally);
    }
    tally.heading(response.status());
    if exchange.is_end() {
        let status = Status::from_trailers(response.headers());
        let mut response = response;
        if status.code == Code::Unknown && !says_unknown(response.headers()) {
            // Missing or garbled: said clearly, beside whatever else the servlet said.
            status.to_trailers(response.headers_mut());
        }
        return response.map(|()| ReplyBody::ended(&Outcome::Grpc(status.code), tally));
    }
    let early = response.headers().contains_key(GRPC_STATUS).then(|| Box::new(status_fields(response.headers())));
    response.map(|()| ReplyBody::grpc(exchange, early, late, tally, names))
}

/// What of a head tells how the call ended.
fn status_fields(head: &HeaderMap) -> HeaderMap {
    let said = [GRPC_STATUS, GRPC_MESSAGE, GRPC_STATUS_DETAILS].into_iter();
    said.filter_map(|name| head.get(&name).map(|value| (name, value.clone()))).collect()
}

/// What an answer means that is no gRPC at all: an error page of something in between.
fn not_grpc(response: &Response<()>) -> Option<Status> {
    let headers = response.headers();
    let is_grpc = headers.get(header::CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()));
    if headers.contains_key(&GRPC_STATUS) || (response.status() == StatusCode::OK && is_grpc) {
        return None;
    }
    Some(Status::from_http(response.status()))
}

fn trailers_only(status: &Status, mut tally: Tally) -> Response<ReplyBody> {
    let mut response = Response::new(());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/grpc"));
    status.to_trailers(response.headers_mut());
    tally.heading(StatusCode::OK);
    response.map(|()| ReplyBody::ended(&Outcome::Grpc(status.code), tally))
}

fn http(
    response: Response<()>,
    exchange: Box<Exchange<RequestStream>>,
    method: &Method,
    late: Late,
    mut tally: Tally,
) -> Response<ReplyBody> {
    let status = response.status();
    tally.heading(status);
    let bodiless = method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if bodiless || (exchange.is_end() && status != StatusCode::SWITCHING_PROTOCOLS) {
        return response.map(|()| ReplyBody::ended(&Outcome::Http(status), tally));
    }
    let promised = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    response.map(|()| ReplyBody::http(exchange, status, promised, late, tally))
}

/// The beginning of an answer in another dialect: its head, and what goes on from there.
type Begun = (Response<()>, Box<dyn ReplyTranslator>);

/// Begins a gRPC answer in another dialect.
pub(super) async fn begun(
    plan: &Plan,
    translation: &Translation,
    answered: &mut Answered,
    late: &mut Late,
    tally: &Tally,
) -> Result<Begun, Fault> {
    let (response, exchange) = answered;
    wire::strip_reply(response.headers_mut());
    let mut translator = withhold(translation.reply(), plan.mount.metadata.reply.as_ref());
    if let Some(coding) = plan.coding {
        translator = coding.around(translator);
    }
    translator.head(response.status(), std::mem::take(response.headers_mut()));
    let head = {
        let beginning = pin!(begin(&mut *translator, exchange));
        let beginning = pin!(tally.unless_cut(Stage::ReplyBody, beginning));
        let begun = late.unless_passed(beginning).await;
        begun.unwrap_or_else(|| Err(tally.deadline_passed(Stage::ReplyBody)))?
    };
    Ok((head, translator))
}

/// What was begun: whole when its head waited for the status, else as it comes.
pub(super) fn translated(
    plan: &Plan,
    begun: Result<Begun, Fault>,
    answered: Answered,
    late: Late,
    mut tally: Tally,
) -> Response<ReplyBody> {
    let (head, mut translator) = match begun {
        Ok(begun) => begun,
        Err(fault) => return told(&fault, plan.manner(), tally),
    };
    let Some(code) = translator.status().map(|status| status.code) else {
        tally.heading(head.status());
        return head.map(|()| ReplyBody::translated(answered.1, translator, late, tally));
    };
    match translator.gather() {
        Ok(data) => {
            tally.heading(head.status());
            head.map(|()| ReplyBody::whole(data, &Outcome::Grpc(code), tally))
        }
        Err(fault) => told(&fault, plan.manner(), tally),
    }
}

/// Reads until the head of the answer can be told.
async fn begin(
    translator: &mut dyn ReplyTranslator,
    exchange: &mut Exchange<RequestStream>,
) -> Result<Response<()>, Fault> {
    let mut ended = false;
    loop {
        match translator.step()? {
            ReplyStep::Head(head) => return Ok(head),
            ReplyStep::NeedInput if !ended => {}
            ReplyStep::NeedInput | ReplyStep::Data(_) | ReplyStep::End => {
                return Err(Fault::new(Kind::MalformedReply, Stage::ReplyBody, "the servlet's answer has no head"));
            }
        }
        let frame = poll_fn(|cx| Pin::new(&mut *exchange).poll_frame(cx)).await.transpose()?;
        ended = translator.feed(frame);
    }
}
