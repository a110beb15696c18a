//! How Connect tells of errors: a JSON object with the code's name, the message and details; as the body of a unary answer, or in the
//! last frame of a stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::frame;
use crate::model::Code;
use crate::translate::protobuf::records;
use crate::translate::status::Status;

/// Marks the last frame of a stream.
const END_STREAM: u8 = 2;

/// The error as a JSON object.
pub(crate) fn to_json(status: &Status) -> Bytes {
    Bytes::from(value(status).to_string())
}

fn value(status: &Status) -> Value {
    let mut error = Map::new();
    error.insert("code".into(), name(status.code).into());
    if !status.message.is_empty() {
        error.insert("message".into(), status.message.clone().into());
    }
    let details: Vec<Value> = status
        .details
        .iter()
        .flat_map(|details| records(details).map_while(Result::ok))
        .filter(|record| record.number == 3)
        .map(|record| detail(record.value))
        .collect();
    if !details.is_empty() {
        error.insert("details".into(), details.into());
    }
    error.into()
}

/// A `google.protobuf.Any`: the type without its URL, the value in base64.
fn detail(any: &[u8]) -> Value {
    let (mut url, mut value) = ("", [].as_slice());
    for record in records(any).map_while(Result::ok) {
        match record.number {
            1 => url = std::str::from_utf8(record.value).unwrap_or_default(),
            2 => value = record.value,
            _ => {}
        }
    }
    let name = url.rsplit_once('/').map_or(url, |(_, name)| name);
    json!({"type": name, "value": STANDARD_NO_PAD.encode(value)})
}

/// Connect's name for a code.
fn name(code: Code) -> String {
    match code {
        Code::Cancelled => "canceled".into(),
        code => code.name().to_ascii_lowercase(),
    }
}

/// The last frame of a stream: the error, if the call ended with one, and the trailing metadata.
pub(crate) fn end_frame(status: &Status, fields: &HeaderMap) -> Bytes {
    let mut end = Map::new();
    if !status.is_ok() {
        end.insert("error".into(), value(status));
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
