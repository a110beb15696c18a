//! Dotted names of fields, and what a text means to a field: a name leads where the schema's own names lead, and what a parameter
//! put on the wire is that one field, with the value that the same text has in JSON.

use prost_reflect::{DynamicMessage, Kind, ReflectMessage as _};
use serde_json::{Value, json};
use telamon::schema::FieldPath;
use telamon::translate::json::{ReadOptions, scalar_from_text};

use super::draw::two_texts;
use super::json_in::read;
use super::rich::{RICH, oracle_json};

/// Whether each name is a field, within messages that are single.
fn leads_somewhere(text: &str) -> bool {
    let mut within = Some(RICH.descriptor.clone());
    text.split('.').all(|name| {
        let field = within.take().and_then(|message| message.get_field_by_name(name));
        within = field.as_ref().and_then(|field| match field.kind() {
            Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
            _ => None,
        });
        field.is_some()
    })
}

/// Whether people may write its values in a URL as JSON does not have them: numbers with a plus and zeros in front, `yes`, `a_b`.
fn is_lenient(kind: &Kind) -> bool {
    match kind {
        Kind::String | Kind::Bytes => false,
        Kind::Message(message) => match message.full_name().strip_prefix("google.protobuf.") {
            Some("Timestamp" | "Duration" | "StringValue" | "BytesValue" | "Value") => false,
            Some(name) => name.ends_with("Value") || name == "FieldMask",
            None => false,
        },
        _ => true,
    }
}

/// What a message on the wire says.
fn said(wire: &[u8]) -> Option<Value> {
    oracle_json(&DynamicMessage::decode(RICH.descriptor.clone(), wire).expect("it is a message"))
}

/// The text as a JSON string in that field says what it says alone.
fn check_value(name: &str, value: &str, wire: Option<&[u8]>) {
    let field = RICH.descriptor.get_field_by_name(name).expect("its name led there");
    let json = if field.is_list() { json!({ name: [value] }) } else { json!({ name: value }) };
    let by_json = read(json.to_string().as_bytes(), ReadOptions::default());
    match (wire, by_json) {
        (Some(wire), Ok(by_json)) => assert_eq!(said(wire), said(&by_json), "{name} {value}"),
        (wire, by_json) => {
            assert!(
                wire.is_none() == by_json.is_err() || (wire.is_some() && is_lenient(&field.kind())),
                "{name} {value}"
            )
        }
    }
}

pub fn check(data: &[u8]) {
    let Some((text, value)) = two_texts(data) else { return };
    let resolved = FieldPath::resolve(&RICH.messages, RICH.id, text);
    assert_eq!(resolved.is_ok(), leads_somewhere(text), "{text}");
    let Ok(path) = resolved else { return };
    let names: Vec<&str> = path.fields(&RICH.messages).map(|(_, field)| &*field.name).collect();
    assert_eq!(names.join("."), text);

    let (Some(field), [_]) = (path.target(&RICH.messages), &names[..]) else { return };
    let mut wire = b"before".to_vec();
    match scalar_from_text(&RICH.messages, field, value, &mut wire) {
        Err(_) => {
            assert_eq!(wire, b"before", "an error leaves everything as it was");
            check_value(text, value, None);
        }
        Ok(()) => {
            let message = DynamicMessage::decode(RICH.descriptor.clone(), &wire[6..]).expect("it is a field");
            let set: Vec<_> = message.fields().map(|(field, _)| field.number()).collect();
            assert!(set.iter().all(|number| *number == field.number) && set.len() <= 1, "{text} {value}");
            assert_eq!(message.unknown_fields().count(), 0);
            assert_eq!(message.descriptor(), RICH.descriptor);
            check_value(text, value, Some(&wire[6..]));
        }
    }
}
