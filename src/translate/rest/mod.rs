//! REST to gRPC and back by google/api/http.proto. Where that is silent, as Envoy's grpc_json_transcoder; `docs/differences.md` has
//! what differs on purpose.

mod answer_form;
mod bound;
mod form_data;
mod header_value;
mod http_body;
mod input;
mod lines;
mod media;
mod multipart;
mod protobuf_body;
mod reply;
mod request;
mod urlencoded;

use std::sync::Arc;

use http::HeaderMap;

use crate::model::{Fault, Kind, Stage};
use crate::schema::{Binding, Cardinality, Field, FieldKind, MessageId, Messages, Method, WellKnown};

pub use answer_form::AnswerForm;
pub(crate) use reply::RestReply;
pub(crate) use request::RestRequest;

/// What a translated call is: the method, the rule that led to it, and how large its messages may be.
#[derive(Clone, Debug)]
pub struct RestPlan {
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    /// The most bytes of one message: as protobuf either way, and as JSON of a request's. An answer's text may be longer (`most_text`).
    pub message_limit: usize,
    /// The form of the answer.
    pub form: AnswerForm,
}

impl RestPlan {
    /// `headers`: the request's, which tell the form of the answer.
    pub fn new(method: Arc<Method>, binding: Arc<Binding>, message_limit: usize, headers: &HeaderMap) -> RestPlan {
        let form = AnswerForm::asked(headers, method.server_streaming);
        RestPlan { method, binding, message_limit, form }
    }

    /// Whether the answer has the form that was asked for.
    fn check_form(&self) -> Result<(), Fault> {
        let (output, field) = (self.method.output, self.response_field());
        if !matches!(self.form, AnswerForm::Protobuf(_)) || is_http_body(self.messages(), output, field) {
            return Ok(());
        }
        let told = match field.map(|field| (field.cardinality, field.kind)) {
            _ if self.method.server_streaming => {
                "a stream of messages has no protobuf form here: accept application/x-ndjson, text/event-stream or \
                 application/json, or speak gRPC"
            }
            None | Some((Cardinality::Singular { .. }, FieldKind::Message(_))) => return Ok(()),
            Some(_) => "the answer is one field, and no protobuf message: accept application/json",
        };
        Err(Fault::new(Kind::NotAcceptable, Stage::Plan, told))
    }

    fn messages(&self) -> &Messages {
        &self.method.messages
    }

    /// The field of the reply that is the answer, if not all of it is.
    fn response_field(&self) -> Option<&Field> {
        self.binding.response_body.as_ref()?.target(self.messages())
    }
}

/// Whether a message, or one field of it, is `google.api.HttpBody`: raw bytes instead of JSON.
fn is_http_body(messages: &Messages, message: MessageId, field: Option<&Field>) -> bool {
    let id = match field {
        None => message,
        Some(Field { kind: FieldKind::Message(id), cardinality: Cardinality::Singular { .. }, .. }) => *id,
        Some(_) => return false,
    };
    messages.get(id).well_known == Some(WellKnown::HttpBody)
}

#[cfg(test)]
mod tests;
