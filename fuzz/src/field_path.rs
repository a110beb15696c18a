//! Dotted names of fields, and what a text means to a field: a name leads where the schema's own names lead, and what a parameter
//! put on the wire is that one field.

use prost_reflect::{DynamicMessage, Kind, ReflectMessage as _};
use telamon::schema::FieldPath;
use telamon::translate::json::scalar_from_text;

use super::draw::two_texts;
use super::rich::RICH;

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
        Err(_) => assert_eq!(wire, b"before", "an error leaves everything as it was"),
        Ok(()) => {
            let message = DynamicMessage::decode(RICH.descriptor.clone(), &wire[6..]).expect("it is a field");
            let set: Vec<_> = message.fields().map(|(field, _)| field.number()).collect();
            assert!(set.iter().all(|number| *number == field.number) && set.len() <= 1, "{text} {value}");
            assert_eq!(message.unknown_fields().count(), 0);
            assert_eq!(message.descriptor(), RICH.descriptor);
        }
    }
}
