//! Wire format to JSON: whatever the bytes, what is written is JSON that reads back to the same, and says what the other
//! implementation says of the fields that fit the schema, where that decodes them.

use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::fitting::fitting;
use super::json_in::write_and_read_back;
use super::rich::{RICH, oracle_json, same};

pub fn check(data: &[u8]) {
    let Some(text) = write_and_read_back(data) else { return };
    let ours: Value = serde_json::from_str(&text).expect("what was written is JSON");
    if let Some(known) = fitting(&RICH.descriptor, data)
        && let Ok(message) = DynamicMessage::decode(RICH.descriptor.clone(), &known[..])
        && let Some(theirs) = oracle_json(&message)
    {
        assert!(same(&ours, &theirs), "{ours}, not {theirs}");
    }
}
