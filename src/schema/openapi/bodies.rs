//! Bodies of requests and answers, by media type.

use serde_json::{Map, Value, json};

use super::super::binding::{Binding, BodyRule};
use super::super::field_path::FieldPath;
use super::super::message::{Cardinality, FieldKind, MessageId};
use super::super::service::Method;
use super::super::well_known::WellKnown;
use super::shapes::Shapes;

/// What a body is, before it is one of several.
enum Body {
    /// Bytes of any media type: `google.api.HttpBody`.
    Raw,
    /// A value with a JSON form; `message`: also one that forms and protobuf can hold.
    Json { schema: Value, message: bool },
}

/// `None` when a request has no body.
pub(super) fn request(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>) -> Option<Value> {
    let body = match &binding.body {
        BodyRule::None => return None,
        BodyRule::Whole => part(method, method.input, None, shapes),
        BodyRule::Field(path) => part(method, method.input, Some(path), shapes),
    };
    let content = match body {
        Body::Raw => content([("*/*", bytes()), ("multipart/form-data", json!({ "type": "object" }))]),
        Body::Json { schema, message } => {
            let mut content = if method.client_streaming {
                content([("application/json", list(&schema)), ("application/x-ndjson", schema.clone())])
            } else {
                content([("application/json", schema.clone())])
            };
            if message {
                content.extend(self::content([
                    ("application/x-www-form-urlencoded", schema.clone()),
                    ("multipart/form-data", schema),
                ]));
                if !method.client_streaming {
                    content.extend(self::content([protobuf()]));
                }
            }
            content
        }
    };
    Some(json!({ "content": content }))
}

pub(super) fn responses(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>) -> Value {
    let body = part(method, method.output, binding.response_body.as_ref(), shapes);
    let description = if method.server_streaming { "OK: a stream, item by item as they come." } else { "OK" };
    let content = match body {
        Body::Raw => content([("*/*", bytes())]),
        // Which form it is, `Accept` says.
        Body::Json { schema, .. } if method.server_streaming => content([
            ("application/json", list(&schema)),
            ("application/x-ndjson", schema.clone()),
            ("text/event-stream", schema),
        ]),
        Body::Json { schema, message: true } => content([("application/json", schema), protobuf()]),
        Body::Json { schema, message: false } => content([("application/json", schema)]),
    };
    json!({
        "200": { "description": description, "content": content },
        "default": {
            "description": "An error, by the gRPC code.",
            "content": self::content([("application/json", shapes.status()), protobuf()]),
        },
    })
}

/// A whole message, or the field of it that is the body.
fn part(method: &Method, message: MessageId, field: Option<&FieldPath>, shapes: &mut Shapes<'_>) -> Body {
    let messages = &method.messages;
    match field.and_then(|path| path.target(messages)) {
        None if messages.get(message).well_known == Some(WellKnown::HttpBody) => Body::Raw,
        None => Body::Json { schema: shapes.message(message), message: true },
        Some(field) if messages.well_known(field.kind) == Some(WellKnown::HttpBody) => Body::Raw,
        Some(field) => {
            let singular = matches!(field.cardinality, Cardinality::Singular { .. });
            let message = singular && matches!(field.kind, FieldKind::Message(_));
            Body::Json { schema: shapes.of_field(field), message }
        }
    }
}

fn content<const N: usize>(forms: [(&str, Value); N]) -> Map<String, Value> {
    forms.into_iter().map(|(media, schema)| (media.to_owned(), json!({ "schema": schema }))).collect()
}

fn list(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn bytes() -> Value {
    json!({ "contentMediaType": "application/octet-stream" })
}

fn protobuf() -> (&'static str, Value) {
    ("application/x-protobuf", json!({ "contentMediaType": "application/x-protobuf" }))
}
