//! Messages, enums and fields as JSON Schema, by ProtoJSON (protobuf.dev/programming-guides/json). Each type is one component that the
//! others refer to, so types that contain themselves need nothing special. Types are written one after another, never within another.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::super::compare::wrapped;
use super::super::message::{Cardinality, EnumId, Field, FieldKind, Message, MessageId, Messages};
use super::super::well_known::WellKnown;
use super::Comments;

const STATUS: &str = "google.rpc.Status";

/// The components that are referred to so far.
pub(super) struct Shapes<'s> {
    messages: &'s Messages,
    comments: &'s Comments,
    components: BTreeMap<String, Value>,
    /// Referred to and not written yet.
    open: VecDeque<FieldKind>,
}

impl<'s> Shapes<'s> {
    pub(super) fn new(messages: &'s Messages, comments: &'s Comments) -> Shapes<'s> {
        Shapes { messages, comments, components: BTreeMap::new(), open: VecDeque::new() }
    }

    /// A whole message.
    pub(super) fn message(&mut self, id: MessageId) -> Value {
        self.element(FieldKind::Message(id))
    }

    /// A field's value, however many there are of it.
    pub(super) fn of_field(&mut self, field: &Field) -> Value {
        let element = self.element(field.kind);
        match field.cardinality {
            Cardinality::Singular { .. } => element,
            Cardinality::Repeated { .. } => json!({ "type": "array", "items": element }),
            Cardinality::Map { .. } => json!({ "type": "object", "additionalProperties": element }),
        }
    }

    /// An element as a path or a query has it: always a text, so a wrapper is what it wraps.
    pub(super) fn text(&mut self, kind: FieldKind) -> Value {
        match self.messages.well_known(kind) {
            Some(WellKnown::Value) => json!({ "type": "string" }),
            Some(well_known) => self.element(wrapped(well_known).unwrap_or(kind)),
            None => self.element(kind),
        }
    }

    /// What is said of a field, and of what it excludes.
    pub(super) fn described(&self, message: MessageId, field: &Field) -> Option<String> {
        let message = self.messages.get(message);
        let comment = self.comments.of(&format!("{}.{}", message.full_name, field.name));
        let others: Vec<String> = members(message, field.oneof)
            .filter(|other| other.index != field.index)
            .map(|other| format!("`{}`", other.json_name))
            .collect();
        let excludes = (!others.is_empty()).then(|| format!("Not together with {}.", others.join(", ")));
        let parts: Vec<&str> = comment.into_iter().chain(excludes.as_deref()).collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// `google.rpc.Status`: what every error is told in.
    pub(super) fn status(&mut self) -> Value {
        match self.messages.by_name(STATUS) {
            Some(id) => self.message(id),
            None => {
                self.components.entry(STATUS.to_owned()).or_insert_with(|| {
                    json!({
                        "type": "object",
                        "description": "An error.",
                        "properties": {
                            "code": { "type": "integer", "format": "int32", "description": "A google.rpc.Code." },
                            "message": { "type": "string" },
                            "details": { "type": "array", "items": any() },
                        },
                    })
                });
                reference(STATUS)
            }
        }
    }

    /// All components, and those that they lead to.
    pub(super) fn into_components(mut self) -> BTreeMap<String, Value> {
        while let Some(kind) = self.open.pop_front() {
            let (name, component) = match kind {
                FieldKind::Message(id) => (self.messages.get(id).full_name.to_string(), self.object(id)),
                FieldKind::Enum(id) => (self.messages.enumeration(id).full_name.to_string(), self.names(id)),
                _ => continue,
            };
            self.components.insert(name, component);
        }
        self.components
    }

    fn element(&mut self, kind: FieldKind) -> Value {
        match kind {
            FieldKind::Double => floating("double"),
            FieldKind::Float => floating("float"),
            FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32" })
            }
            FieldKind::Uint32 | FieldKind::Fixed32 => {
                json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX })
            }
            FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => {
                json!({ "type": "string", "format": "int64" })
            }
            FieldKind::Uint64 | FieldKind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            FieldKind::Bool => json!({ "type": "boolean" }),
            FieldKind::String => json!({ "type": "string" }),
            FieldKind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            FieldKind::Enum(id) => {
                let enumeration = self.messages.enumeration(id);
                if enumeration.is_null_value {
                    return json!({ "type": "null" });
                }
                self.refer(&enumeration.full_name, kind)
            }
            FieldKind::Message(id) => {
                let message = self.messages.get(id);
                match message.well_known {
                    None | Some(WellKnown::HttpBody) => self.refer(&message.full_name, kind),
                    Some(well_known) => self.well_known(well_known),
                }
            }
        }
    }

    fn refer(&mut self, name: &str, kind: FieldKind) -> Value {
        if !self.components.contains_key(name) {
            self.components.insert(name.to_owned(), Value::Null);
            self.open.push_back(kind);
        }
        reference(name)
    }

    fn well_known(&mut self, well_known: WellKnown) -> Value {
        match well_known {
            WellKnown::Timestamp => json!({ "type": "string", "format": "date-time" }),
            WellKnown::Duration => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
            WellKnown::FieldMask => json!({ "type": "string", "description": "Field names, like `a.fooBar,b`." }),
            WellKnown::Struct | WellKnown::Empty | WellKnown::HttpBody => json!({ "type": "object" }),
            WellKnown::Value => json!({ "description": "Any JSON." }),
            WellKnown::ListValue => json!({ "type": "array", "items": {} }),
            WellKnown::Any => any(),
            WellKnown::DoubleWrapper
            | WellKnown::FloatWrapper
            | WellKnown::Int64Wrapper
            | WellKnown::Uint64Wrapper
            | WellKnown::Int32Wrapper
            | WellKnown::Uint32Wrapper
            | WellKnown::BoolWrapper
            | WellKnown::StringWrapper
            | WellKnown::BytesWrapper => match wrapped(well_known) {
                Some(kind) => nullable(self.element(kind)),
                None => json!({}),
            },
        }
    }

    fn object(&mut self, id: MessageId) -> Value {
        let message = self.messages.get(id);
        let mut properties = Map::new();
        for field in message.fields() {
            let mut schema = self.of_field(field);
            if let (Value::Object(schema), Some(description)) = (&mut schema, self.described(id, field)) {
                schema.insert("description".to_owned(), description.into());
            }
            properties.insert(field.json_name.to_string(), schema);
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if let Value::Object(object) = &mut object {
            if let Some(comment) = self.comments.of(&message.full_name) {
                object.insert("description".to_owned(), comment.into());
            }
            let exclusive = exclusive(message);
            if !exclusive.is_empty() {
                object.insert("allOf".to_owned(), exclusive.into());
            }
        }
        object
    }

    fn names(&mut self, id: EnumId) -> Value {
        let enumeration = self.messages.enumeration(id);
        let names: Vec<&str> = enumeration.values().into_iter().map(|(name, _)| name).collect();
        let said = |name: &&str| {
            let comment = self.comments.of(&format!("{}.{name}", enumeration.full_name))?;
            Some(format!("- `{name}`: {}", comment.replace('\n', " ")))
        };
        let values: Vec<String> = names.iter().filter_map(said).collect();
        let comment = self.comments.of(&enumeration.full_name).map(str::to_owned);
        let list = (!values.is_empty()).then(|| values.join("\n"));
        let description: Vec<String> = comment.into_iter().chain(list).collect();
        let mut schema = json!({ "type": "string", "enum": names });
        if let (Value::Object(schema), false) = (&mut schema, description.is_empty()) {
            schema.insert("description".to_owned(), description.join("\n\n").into());
        }
        schema
    }
}

fn members(message: &Message, oneof: Option<u32>) -> impl Iterator<Item = &Field> {
    message.fields().iter().filter(move |field| oneof.is_some() && field.oneof == oneof)
}

/// For each oneof: one of its members, or none of them.
fn exclusive(message: &Message) -> Vec<Value> {
    let mut oneofs: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
    for field in message.fields() {
        if let Some(oneof) = field.oneof {
            oneofs.entry(oneof).or_default().push(json!({ "required": [*field.json_name] }));
        }
    }
    let several = oneofs.into_values().filter(|members| members.len() > 1);
    several
        .map(|mut members| {
            let none = json!({ "not": { "anyOf": members.clone() } });
            members.push(none);
            json!({ "oneOf": members })
        })
        .collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn any() -> Value {
    json!({
        "type": "object",
        "properties": { "@type": { "type": "string", "description": "`type.googleapis.com/` and the name of a message, whose fields stand beside it." } },
        "additionalProperties": true,
    })
}

/// A number, or one of the values that JSON has no numbers for.
fn floating(format: &str) -> Value {
    json!({ "anyOf": [{ "type": "number", "format": format }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
}

fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}
