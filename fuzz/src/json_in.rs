//! JSON to wire format: what is taken is JSON for any parser and a message for any decoder, says the same as the other
//! implementation understood where that takes it too, and is written as JSON that reads back to the same; what is refused, the other
//! refuses too, but for where we are knowingly stricter.

use prost_reflect::DynamicMessage;
use serde::de::IgnoredAny;
use telamon::translate::json::{JsonError, ReadOptions, WireError, WriteOptions, from_wire, to_wire};

use super::rich::{RICH, oracle_json, same};

pub fn read(json: &[u8], options: ReadOptions) -> Result<Vec<u8>, JsonError> {
    let mut wire = Vec::new();
    to_wire(&RICH.messages, RICH.id, json, &options, &mut wire).map(|()| wire)
}

/// What is on the wire, as text; and that this text reads back as it is.
pub fn write_and_read_back(wire: &[u8]) -> Result<String, WireError> {
    let write = |wire: &[u8]| -> Result<String, WireError> {
        let mut text = Vec::new();
        from_wire(&RICH.messages, RICH.id, wire, &WriteOptions::default(), &mut text)?;
        Ok(String::from_utf8(text).expect("JSON is UTF-8"))
    };
    let text = write(wire)?;
    let again = read(text.as_bytes(), ReadOptions::default());
    let again = again.unwrap_or_else(|error| panic!("{text} does not read back: {error}"));
    // A `NullValue` of another number than 0 is `null` as well, and reads back as a field that is not there.
    if !text.contains("null") {
        assert_eq!(write(&again).as_ref(), Ok(&text));
    }
    Ok(text)
}

/// It makes one value of a list that is null, and falls over it.
fn may_fell_the_oracle(json: &str) -> bool {
    json.contains("null") && (json.contains("many") || json.contains('\\'))
}

/// What is refused here and taken there: texts in quotes that are numbers by another grammar than JSON's, numbers that do not fit,
/// texts that would not read back as they are, keys that come twice, and an Any whose content lacks.
fn is_stricter(error: &JsonError) -> bool {
    let told = error.message();
    let reasons =
        ["twice", "range", "field mask", "timestamp", "duration", "inside each other", "null has no number", "Any"];
    reasons.iter().any(|reason| told.contains(reason))
        || (told.starts_with('"') && (told.contains("not a number") || told.contains("not an integer")))
}

fn read_by_the_oracle(json: &str) -> Option<DynamicMessage> {
    if may_fell_the_oracle(json) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(RICH.descriptor.clone(), &mut deserializer).ok()?;
    deserializer.end().ok().map(|()| message)
}

pub fn check(data: &[u8]) {
    let lenient = read(data, ReadOptions { ignore_unknown: true });
    let wire = match read(data, ReadOptions::default()) {
        Ok(wire) => wire,
        Err(error) => {
            if let Ok(json) = std::str::from_utf8(data) {
                assert!(is_stricter(&error) || read_by_the_oracle(json).is_none(), "{json}: {error}");
            }
            return;
        }
    };
    assert_eq!(lenient.as_ref(), Ok(&wire), "what is known is read the same, whatever becomes of the rest");
    let json = std::str::from_utf8(data).expect("what was taken is UTF-8");
    serde_json::from_str::<IgnoredAny>(json).expect("what was taken is JSON");
    let ours = DynamicMessage::decode(RICH.descriptor.clone(), &wire[..]).expect("what was made is a message");
    write_and_read_back(&wire).expect("what was read can be written");
    if let Some(theirs) = read_by_the_oracle(json)
        && let (Some(ours), Some(theirs)) = (oracle_json(&ours), oracle_json(&theirs))
    {
        assert!(same(&ours, &theirs), "{json}: {ours}, not {theirs}");
    }
}
