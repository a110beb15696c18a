//! The protobuf project's own conformance cases for proto3 and JSON (`tests/data/conformance`), every one that a transcoder can
//! be asked: JSON in is compared as the message it became and as the JSON written from that; wire format in as JSON.

use prost_reflect::MessageDescriptor;
use serde::Deserialize;
use serde_json::Value;

use super::*;

/// The cases that fail. What is mended must be taken out of it.
const FAILING: &[&str] = &[];

const MESSAGE: &str = "protobuf_test_messages.proto3.TestAllTypesProto3";

#[derive(Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    json: Option<String>,
    #[serde(default)]
    wire: Option<String>,
    #[serde(default)]
    ignore_unknown: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    json_out: Option<Value>,
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    or_fails: bool,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

impl Case {
    /// What is wrong.
    fn check(&self, messages: &Messages, descriptor: &MessageDescriptor) -> Result<(), String> {
        match self.outcome(messages, descriptor) {
            Ok(_) if self.fails => Err("was taken".to_owned()),
            Err(_) if self.fails || self.or_fails => Ok(()),
            Err(why) => Err(why),
            Ok(json) => {
                let expected = self.json_out.as_ref().unwrap();
                if same(&json, expected) { Ok(()) } else { Err(format!("written as {json}, not {expected}")) }
            }
        }
    }

    /// The JSON written in the end.
    fn outcome(&self, messages: &Messages, descriptor: &MessageDescriptor) -> Result<Value, String> {
        let id = messages.by_name(MESSAGE).unwrap();
        let mut wire = Vec::new();
        if let Some(json) = &self.json {
            let options = ReadOptions { ignore_unknown: self.ignore_unknown };
            let read = to_wire(messages, id, json.as_bytes(), &options, &mut wire);
            if self.fails {
                // Here, and not in writing what should not have been taken.
                return read.map(|()| Value::Null).map_err(|error| error.to_string());
            }
            read.map_err(|error| error.to_string())?;
            if let Some(expected) = &self.message {
                let decode = |wire: &[u8]| DynamicMessage::decode(descriptor.clone(), wire).unwrap();
                let (ours, theirs) = (decode(&wire), decode(&bytes(expected)));
                // NaN is not equal to itself, but its bytes are.
                if ours != theirs && ours.encode_to_vec() != theirs.encode_to_vec() {
                    return Err(format!("read as {wire:x?}, which is another message"));
                }
            }
        } else {
            wire = bytes(self.wire.as_ref().unwrap());
        }
        let mut text = Vec::new();
        from_wire(messages, id, &wire, &WriteOptions::default(), &mut text).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| format!("what was written is no JSON: {error}"))
    }
}

/// Numbers by their value: 1234 and 1234.0 are one.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let in_both = |(key, ours): (&String, &Value)| theirs.get(key).is_some_and(|theirs| same(ours, theirs));
            ours.len() == theirs.len() && ours.iter().all(in_both)
        }
        _ => ours == theirs,
    }
}

fn pool() -> DescriptorPool {
    const NAME: &str = "test_messages_proto3.proto";
    const SOURCE: &str = include_str!("../../../../tests/data/conformance/test_messages_proto3.proto");
    struct One;
    impl FileResolver for One {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            if name == NAME { File::from_source(name, SOURCE) } else { Err(protox::Error::file_not_found(name)) }
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(One);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(NAME).unwrap();
    compiler.descriptor_pool()
}

#[test]
fn the_public_conformance_cases_hold() {
    let suite: Suite =
        serde_json::from_str(include_str!("../../../../tests/data/conformance/proto3_json.json")).unwrap();
    let pool = pool();
    let (messages, descriptor) = (Messages::build(&pool), pool.get_message_by_name(MESSAGE).unwrap());
    let mut failing = Vec::new();
    for case in &suite.cases {
        if let Err(why) = case.check(&messages, &descriptor) {
            println!("{}: {why}", case.name);
            failing.push(&*case.name);
        }
    }
    println!("{} of {} cases fail", failing.len(), suite.cases.len());
    assert!(suite.cases.len() > 800, "the cases were not all read");
    assert_eq!(failing, FAILING);
}
