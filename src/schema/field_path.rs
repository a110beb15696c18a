//! Dotted names of fields, resolved against a message once, when a schema is loaded.

use std::fmt;

use super::message::{Cardinality, Field, FieldKind, MessageId, Messages};
use super::well_known::WellKnown;

/// A field reached from a message through singular messages. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: Box<str>,
    /// Each field with the message that it is in, by its place in `Message::fields`.
    steps: Box<[(MessageId, u32)]>,
}

/// Why a text names no field that could stand where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPathError {
    message: String,
    /// What there is instead, when a name is that of no field.
    pub unknown: Option<UnknownField>,
}

/// A name that no field has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    pub name: Box<str>,
    /// The full name of the message that has none of that name.
    pub message: Box<str>,
    /// The names that its fields have.
    pub fields: Vec<Box<str>>,
    /// The field whose JSON name it is.
    pub by_json: Option<Box<str>>,
}

impl From<String> for FieldPathError {
    fn from(message: String) -> FieldPathError {
        FieldPathError { message, unknown: None }
    }
}

impl fmt::Display for FieldPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FieldPathError {}

impl FieldPath {
    /// Resolves a name like `a.b` by the names in the .proto.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn resolve(messages: &Messages, root: MessageId, text: &str) -> Result<FieldPath, FieldPathError> {
        let mut steps = Vec::new();
        let mut within = Some(root);
        for name in text.split('.') {
            let Some(id) = within else {
                return Err(format!(
                    "`{text}`: `{name}` cannot be reached, for what is before it is no single message"
                )
                .into());
            };
            let message = messages.get(id);
            let Some(field) = message.fields().iter().find(|field| *field.name == *name) else {
                let by_json = message.by_json_name(name).map(|field| Box::from(&*field.name));
                let hint = by_json.as_ref().map_or_else(String::new, |name| format!("; the field's name is `{name}`"));
                let unknown = UnknownField {
                    name: name.into(),
                    message: (*message.full_name).into(),
                    fields: message.fields().iter().map(|field| (*field.name).into()).collect(),
                    by_json,
                };
                let message = format!("`{name}` is no field of {}{hint}", message.full_name);
                return Err(FieldPathError { message, unknown: Some(unknown) });
            };
            steps.push((id, field.index));
            within = match (field.cardinality, field.kind) {
                (Cardinality::Singular { .. }, FieldKind::Message(inner)) => Some(inner),
                _ => None,
            };
        }
        Ok(FieldPath { text: text.into(), steps: steps.into() })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields on the way, outermost first, each with the message that holds it. `messages` is that of the same schema.
    pub fn fields<'m>(&self, messages: &'m Messages) -> impl Iterator<Item = (MessageId, &'m Field)> {
        self.steps
            .iter()
            .filter_map(move |(message, index)| Some((*message, messages.get(*message).fields().get(*index as usize)?)))
    }

    /// The field that it names.
    pub fn target<'m>(&self, messages: &'m Messages) -> Option<&'m Field> {
        self.fields(messages).last().map(|(_, field)| field)
    }

    /// Whether this names the same field as `other`, or one within it.
    pub fn is_within(&self, other: &FieldPath) -> bool {
        self.steps.starts_with(&other.steps)
    }

    /// Whether a segment of a path can fill it: one scalar, or a message whose JSON form is one.
    pub(super) fn check_capture(&self, messages: &Messages) -> Result<(), String> {
        let Some(field) = self.target(messages) else { return Ok(()) };
        match field.cardinality {
            Cardinality::Singular { .. } => {}
            Cardinality::Repeated { .. } | Cardinality::Map { .. } => {
                return Err(format!("`{}` is repeated; a path can fill single fields only", self.text));
            }
        }
        let FieldKind::Message(id) = field.kind else { return Ok(()) };
        match messages.get(id).well_known {
            Some(
                WellKnown::Timestamp
                | WellKnown::Duration
                | WellKnown::FieldMask
                | WellKnown::DoubleWrapper
                | WellKnown::FloatWrapper
                | WellKnown::Int64Wrapper
                | WellKnown::Uint64Wrapper
                | WellKnown::Int32Wrapper
                | WellKnown::Uint32Wrapper
                | WellKnown::BoolWrapper
                | WellKnown::StringWrapper
                | WellKnown::BytesWrapper,
            ) => Ok(()),
            Some(
                WellKnown::Struct
                | WellKnown::Value
                | WellKnown::ListValue
                | WellKnown::Any
                | WellKnown::Empty
                | WellKnown::HttpBody,
            )
            | None => Err(format!(
                "`{}` is a message ({}), which a path cannot fill; name a field of it",
                self.text,
                messages.get(id).full_name
            )),
        }
    }
}
