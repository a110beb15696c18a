//! The messages of `telamon.v1.HttpServlet`, by another implementation of protobuf and from the contract as it is published.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use super::{framed, unframed, whole};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["telamon/v1/http_servlet.proto"], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
});

/// What a servlet was sent so far.
#[derive(Debug, Default)]
pub struct Asked {
    pub head: Value,
    /// `Name: value`, in their order.
    pub fields: Vec<String>,
    pub body: Vec<u8>,
    /// The largest piece of it.
    pub largest: usize,
    pub trailers: Vec<String>,
}

impl Asked {
    /// The values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter_map(|field| field.split_once(": "));
        fields.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Reads the messages that are whole in what came of a request.
pub fn asked(stream: &[u8]) -> Asked {
    let mut asked = Asked::default();
    for message in unframed(whole(stream)) {
        let part = decoded(&message);
        if let Some(body) = part["body"].as_str() {
            let piece = STANDARD.decode(body).unwrap();
            asked.largest = asked.largest.max(piece.len());
            asked.body.extend_from_slice(&piece);
        } else if part["trailers"].is_object() {
            asked.trailers = texts(&part["trailers"]["fields"]);
        } else {
            assert!(asked.head.is_null() && asked.body.is_empty(), "one head, and first: {part}");
            asked.fields = texts(&part["head"]["fields"]);
            asked.head = part["head"].clone();
        }
    }
    asked
}

fn decoded(wire: &[u8]) -> Value {
    let message = DynamicMessage::decode(POOL.get_message_by_name("telamon.v1.HttpRequest").unwrap(), wire).unwrap();
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

fn texts(fields: &Value) -> Vec<String> {
    let text = |field: &Value| {
        let value = STANDARD.decode(field["value"].as_str().unwrap()).unwrap();
        format!("{}: {}", field["name"].as_str().unwrap(), String::from_utf8_lossy(&value))
    };
    fields.as_array().unwrap().iter().map(text).collect()
}

/// A head as it goes over the wire of gRPC.
pub fn head(status: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    encoded(json!({ "head": { "status": status, "fields": listed(fields) } }))
}

pub fn head_with_reason(status: u32, reason: &str) -> Vec<u8> {
    encoded(json!({ "head": { "status": status, "reason": reason } }))
}

pub fn body(piece: &[u8]) -> Vec<u8> {
    encoded(json!({ "body": STANDARD.encode(piece) }))
}

pub fn trailers(fields: &[(&str, &str)]) -> Vec<u8> {
    encoded(json!({ "trailers": { "fields": listed(fields) } }))
}

fn encoded(json: Value) -> Vec<u8> {
    let message = POOL.get_message_by_name("telamon.v1.HttpResponse").unwrap();
    framed(&DynamicMessage::deserialize(message, json).unwrap().encode_to_vec())
}

fn listed(fields: &[(&str, &str)]) -> Value {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": STANDARD.encode(value) })).collect()
}
