//! Wire format to JSON: whatever the bytes, what is written is JSON that reads back to the same, and says what the other
//! implementation says of the fields that fit the schema; and nothing is refused that the other has JSON for, but what is out of range.

use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::fitting::fitting;
use super::json_in::write_and_read_back;
use super::rich::{RICH, oracle_json, same};

fn theirs(data: &[u8]) -> Option<Value> {
    let known = fitting(&RICH.descriptor, data)?;
    oracle_json(&DynamicMessage::decode(RICH.descriptor.clone(), &known[..]).ok()?)
}

pub fn check(data: &[u8]) {
    match write_and_read_back(data) {
        Ok(text) => {
            let ours: Value = serde_json::from_str(&text).expect("what was written is JSON");
            if let Some(theirs) = theirs(data) {
                assert!(same(&ours, &theirs), "{ours}, not {theirs}");
            }
        }
        Err(error) => {
            let told = error.message();
            // The other prints what it cannot read again.
            let is_known = ["out of range", "camelCase"].iter().any(|known| told.contains(known));
            if !is_known && let Some(theirs) = theirs(data) {
                panic!("{error}: {theirs}");
            }
        }
    }
}
