//! The mapping is checked by tables that state it, and against an independent implementation (prost-reflect's dynamic messages)
//! both ways.
//!
//! Deliberate differences from that implementation, each because the mapping's text, or most parsers, say otherwise:
//! - duplicate keys are refused, in objects, in maps (by what the key means) and inside `Struct`;
//! - a text in quotes is a number only by JSON's own grammar: no `+1`, `01`, `.5`, `inf`, but `"1e3"` and `"1.0"` for integers;
//! - numbers are exact: 1e19 is refused for int64 and 18446744073709551615.0 taken for uint64, where a double would be rounded;
//!   an enum's number may have a point or an exponent as any integer may, and 0 may stand for null;
//!   a float or double out of range is refused even in quotes;
//! - a field mask with an empty path, or a path of a trailing underscore, is refused;
//! - timestamps and durations: at most nine digits of a second, nothing out of range after rounding, no leap second, a sign that
//!   both halves of a duration share;
//! - an Any of `Empty` has no `"value"`, as C++ and Envoy have it, and is read with and without; an Any without anything is `{}`;
//! - minus zero is a value, so it is written where zero is not;
//! - wrappers of non-finite floats are strings like the fields themselves; `null` for a repeated field of `Value` is no list;
//! - on the wire, a field of another wire type is passed over as unknown.

use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::*;
use crate::schema::{Field, MessageId, Messages};

mod conformance;
mod deep;
mod oracle;
mod reading;
mod reading_well_known;
mod texts;
mod writing;

struct Sources;

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "rich.proto" => File::from_source(name, include_str!("tests/rich.proto")),
            "old.proto" => File::from_source(name, include_str!("tests/old.proto")),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Sources);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_files(["rich.proto", "old.proto"]).unwrap();
    compiler.descriptor_pool()
});

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| Messages::build(&POOL));

fn id(name: &str) -> MessageId {
    MESSAGES.by_name(name).unwrap()
}

fn field(name: &str) -> &'static Field {
    MESSAGES.get(id("t.Rich")).by_json_name(name).unwrap()
}

fn read_as(name: &str, json: &str) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    to_wire(&MESSAGES, id(name), json.as_bytes(), &ReadOptions::default(), &mut out).map(|()| out)
}

fn read(json: &str) -> Result<Vec<u8>, JsonError> {
    read_as("t.Rich", json)
}

fn write_as(name: &str, wire: &[u8]) -> Result<String, WireError> {
    let mut out = Vec::new();
    from_wire(&MESSAGES, id(name), wire, &WriteOptions::default(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn write(wire: &[u8]) -> Result<String, WireError> {
    write_as("t.Rich", wire)
}

fn oracle_read(name: &str, json: &str) -> Option<DynamicMessage> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(POOL.get_message_by_name(name).unwrap(), &mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(message)
}

fn oracle_decode(name: &str, wire: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(POOL.get_message_by_name(name).unwrap(), wire).ok()
}

/// Whether our wire form means to the oracle what the JSON means to it.
fn means(json: &str, wire: &[u8], name: &str) -> bool {
    let ours = oracle_decode(name, wire).expect("our wire form is protobuf");
    let Some(theirs) = oracle_read(name, json) else { return false };
    // Through the wire, since it tells a zero that was given from one that was not.
    let theirs = oracle_decode(name, &theirs.encode_to_vec()).unwrap();
    // NaN is not equal to itself, but its text is. (These messages must not be printed: their descriptors are endless.)
    ours == theirs || oracle_write(&ours).is_some_and(|ours| Some(ours) == oracle_write(&theirs))
}

/// The oracle's JSON for a message, if it has one.
fn oracle_write(message: &DynamicMessage) -> Option<serde_json::Value> {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).ok()
}

/// Each JSON is read, and written back as the second.
fn reads_back(cases: &[(&str, &str)]) {
    for (json, expected) in cases {
        let wire = read(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(write(&wire).unwrap(), *expected, "{json}");
    }
}

/// Each JSON is refused, at a path, with a message that holds these words.
fn refuses(cases: &[(&str, &str, &str)]) {
    for (json, path, words) in cases {
        let error = read(json).expect_err(json);
        assert_eq!(error.path(), *path, "{json}: {error}");
        assert!(error.message().contains(words), "{json}: {error}");
    }
}
