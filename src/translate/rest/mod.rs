//! REST to gRPC and back by google/api/http.proto. Where that is silent, as Envoy's grpc_json_transcoder; `docs/differences.md` has
//! what differs on purpose.

mod bound;
mod http_body;
mod media;
mod reply;
mod request;

use std::sync::Arc;

use crate::schema::{Binding, Cardinality, Field, FieldKind, MessageId, Messages, Method, WellKnown};

pub(crate) use reply::RestReply;
pub(crate) use request::RestRequest;

/// What a translated call is: the method, the rule that led to it, and how large its messages may be.
#[derive(Clone, Debug)]
pub struct RestPlan {
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    /// The most bytes of one message, as JSON or as protobuf, either way.
    pub message_limit: usize,
}

impl RestPlan {
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
