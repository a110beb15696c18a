//! A schema with every kind of field, compiled once: for us, and for the implementation that we are held against.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use serde_json::Value;
use telamon::schema::{MessageId, Messages};

pub struct Rich {
    pub messages: Messages,
    pub id: MessageId,
    pub descriptor: MessageDescriptor,
}

struct Source;

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        const TEXT: &str = include_str!("../../src/translate/json/tests/rich.proto");
        if name == "rich.proto" { File::from_source(name, TEXT) } else { Err(protox::Error::file_not_found(name)) }
    }
}

fn pool() -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Source);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("rich.proto").unwrap();
    compiler.descriptor_pool()
}

pub static RICH: LazyLock<Rich> = LazyLock::new(|| {
    let pool = pool();
    let messages = Messages::build(&pool);
    let id = messages.by_name("t.Rich").unwrap();
    Rich { messages, id, descriptor: pool.get_message_by_name("t.Rich").unwrap() }
});

/// The other implementation's JSON for a message, if it has one.
pub fn oracle_json(message: &DynamicMessage) -> Option<Value> {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).ok()
}

/// Numbers as doubles, and not to the last digit: the other writes a float as a double, and the JSON parser here may lose a bit. Minus
/// zero is written by us alone where zero is not; and what is no finite number in a wrapper is null to the other.
pub fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= theirs.abs() * 1e-6 || (ours - theirs).abs() < 1e-44
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let is_ours_alone = |key: &str, ours: &Value| is_minus_zero(ours) && !theirs.contains_key(key);
            let mut shared = ours.iter().filter(|(key, ours)| !is_ours_alone(key, ours));
            let count = shared.clone().count();
            count == theirs.len() && shared.all(|(key, ours)| theirs.get(key).is_some_and(|theirs| same(ours, theirs)))
        }
        (Value::String(ours), Value::Null) => matches!(&**ours, "NaN" | "Infinity" | "-Infinity"),
        _ => ours == theirs,
    }
}

fn is_minus_zero(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative())
}
