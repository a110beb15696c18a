//! How Connect tells of errors: a JSON object with the code's name, the message and details; as the body of a unary answer, or in the
//! last frame of a stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::frame;
use crate::model::Code;
use crate::schema::Messages;
use crate::translate::status::{Detail, Status};

/// Marks the last frame of a stream.
const END_STREAM: u8 = 2;

/// The error as a JSON object. `messages`: the types of the servlet's own details.
pub(crate) fn to_json(status: &Status, messages: Option<&Messages>) -> Bytes {
    Bytes::from(value(status, messages).to_string())
}

fn value(status: &Status, messages: Option<&Messages>) -> Value {
    let mut error = Map::new();
    error.insert("code".into(), name(status.code).into());
    if !status.message.is_empty() {
        error.insert("message".into(), status.message.clone().into());
    }
    let details: Vec<Value> = status.each_detail().map(|one| detail(&one, messages)).collect();
    if !details.is_empty() {
        error.insert("details".into(), details.into());
    }
    error.into()
}

/// A detail: the type without its URL, the value in base64, and for people the message as JSON when its type is known.
fn detail(detail: &Detail<'_>, messages: Option<&Messages>) -> Value {
    let mut told = json!({"type": detail.name(), "value": STANDARD_NO_PAD.encode(detail.value)});
    let debug = detail.message_json(messages).and_then(|json| serde_json::from_slice(&json).ok());
    if let (Some(debug), Some(told)) = (debug, told.as_object_mut()) {
        told.insert("debug".into(), debug);
    }
    told
}

/// Connect's name for a code.
fn name(code: Code) -> String {
    match code {
        Code::Cancelled => "canceled".into(),
        code => code.name().to_ascii_lowercase(),
    }
}

/// The last frame of a stream: the error, if the call ended with one, and the trailing metadata.
pub(crate) fn end_frame(status: &Status, fields: &HeaderMap, messages: Option<&Messages>) -> Bytes {
    let mut end = Map::new();
    if !status.is_ok() {
        end.insert("error".into(), value(status, messages));
    }
    let metadata: Map<String, Value> = fields
        .keys()
        .map(|name| {
            let values: Vec<Value> =
                fields.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
            (name.as_str().to_owned(), values.into())
        })
        .collect();
    if !metadata.is_empty() {
        end.insert("metadata".into(), metadata.into());
    }
    frame(END_STREAM, Value::Object(end).to_string().as_bytes())
}
