//! Bodies of requests and answers, by media type.

use serde_json::{Map, Value, json};

use super::super::binding::{Binding, BodyRule};
use super::super::field_path::FieldPath;
use super::super::message::MessageId;
use super::super::service::Method;
use super::super::well_known::WellKnown;
use super::shapes::Shapes;

/// What a body is, before it is one of several.
enum Body {
    /// Bytes of any media type: `google.api.HttpBody`.
    Raw,
    Json(Value),
}

/// `None` when a request has no body.
pub(super) fn request(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>) -> Option<Value> {
    let body = match &binding.body {
        BodyRule::None => return None,
        BodyRule::Whole => part(method, method.input, None, shapes),
        BodyRule::Field(path) => part(method, method.input, Some(path), shapes),
    };
    Some(json!({ "content": content(body, method.client_streaming) }))
}

pub(super) fn responses(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>) -> Value {
    let body = part(method, method.output, binding.response_body.as_ref(), shapes);
    let description = if method.server_streaming { "OK: a stream, item by item as they come." } else { "OK" };
    json!({
        "200": { "description": description, "content": content(body, method.server_streaming) },
        "default": {
            "description": "An error, by the gRPC code.",
            "content": { "application/json": { "schema": shapes.status() } },
        },
    })
}

/// A whole message, or the field of it that is the body.
fn part(method: &Method, message: MessageId, field: Option<&FieldPath>, shapes: &mut Shapes<'_>) -> Body {
    let messages = &method.messages;
    match field.and_then(|path| path.target(messages)) {
        None if messages.get(message).well_known == Some(WellKnown::HttpBody) => Body::Raw,
        None => Body::Json(shapes.message(message)),
        Some(field) if messages.well_known(field.kind) == Some(WellKnown::HttpBody) => Body::Raw,
        Some(field) => Body::Json(shapes.of_field(field)),
    }
}

fn content(body: Body, streaming: bool) -> Value {
    match body {
        Body::Raw => json!({ "*/*": { "schema": { "contentMediaType": "application/octet-stream" } } }),
        Body::Json(item) if streaming => Value::Object(stream(&item)),
        Body::Json(message) => json!({ "application/json": { "schema": message } }),
    }
}

/// Every form in which a stream of items is carried: a line each.
fn stream(item: &Value) -> Map<String, Value> {
    let forms = [("application/json", json!({ "type": "array", "items": item }))];
    forms.into_iter().map(|(media, schema)| (media.to_owned(), json!({ "schema": schema }))).collect()
}
