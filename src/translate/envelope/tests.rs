//! Whole exchanges, read and written by another implementation of protobuf, from the contract as it is published.

mod hostile;
mod replies;
mod requests;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use crate::translate::frame_header;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["telamon/v1/http_servlet.proto"], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
});

/// An `HttpRequest` as the JSON of protobuf.
fn decoded(wire: &[u8]) -> Value {
    let message = POOL.get_message_by_name("telamon.v1.HttpRequest").unwrap();
    let message = DynamicMessage::decode(message, wire).unwrap();
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

/// An `HttpResponse` from the JSON of protobuf.
fn encoded(json: Value) -> Vec<u8> {
    let message = POOL.get_message_by_name("telamon.v1.HttpResponse").unwrap();
    DynamicMessage::deserialize(message, json).unwrap().encode_to_vec()
}

fn head(status: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    encoded(json!({ "head": { "status": status, "fields": listed(fields) } }))
}

fn body(piece: &[u8]) -> Vec<u8> {
    encoded(json!({ "body": STANDARD.encode(piece) }))
}

fn trailers(fields: &[(&str, &str)]) -> Vec<u8> {
    encoded(json!({ "trailers": { "fields": listed(fields) } }))
}

fn listed(fields: &[(&str, &str)]) -> Value {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": STANDARD.encode(value) })).collect()
}

/// Messages as they stand in a gRPC stream.
fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = |message: &Vec<u8>| [&frame_header(u32::try_from(message.len()).unwrap()), &message[..]].concat();
    messages.iter().flat_map(framed).collect()
}
