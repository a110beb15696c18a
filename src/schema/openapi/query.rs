//! Query parameters: what neither the path nor the body fills, down to the fields of single messages, as `a.b`.

use serde_json::{Value, json};

use super::super::binding::{Binding, BodyRule};
use super::super::message::{Cardinality, Field, FieldKind, MessageId};
use super::super::service::Method;
use super::super::well_known::WellKnown;
use super::shapes::Shapes;

/// Deeper ones are taken as well; a page that lists them all would help nobody.
const MAX_DEPTH: usize = 6;
const MAX_PARAMETERS: usize = 300;

pub(super) fn parameters(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>) -> Vec<Value> {
    let numbers = |path: &super::super::FieldPath| -> Vec<u32> {
        path.fields(&method.messages).map(|(_, field)| field.number).collect()
    };
    let mut taken: Vec<Vec<u32>> = binding.captures.iter().map(&numbers).collect();
    match &binding.body {
        BodyRule::None => {}
        BodyRule::Whole => return Vec::new(),
        BodyRule::Field(path) => taken.push(numbers(path)),
    }
    let mut walk = Walk { method, taken, found: Vec::new(), way: Vec::new(), names: Vec::new(), within: Vec::new() };
    walk.message(method.input, shapes);
    walk.found
}

struct Walk<'m> {
    method: &'m Method,
    taken: Vec<Vec<u32>>,
    found: Vec<Value>,
    /// The fields to where the walk is: numbers, JSON names, and the messages that hold them.
    way: Vec<u32>,
    names: Vec<String>,
    within: Vec<MessageId>,
}

impl Walk<'_> {
    /// Recursion is bounded by [`MAX_DEPTH`], and a message is never looked for within itself.
    fn message(&mut self, id: MessageId, shapes: &mut Shapes<'_>) {
        if self.within.len() >= MAX_DEPTH || self.within.contains(&id) {
            return;
        }
        self.within.push(id);
        for field in self.method.messages.get(id).fields() {
            if self.found.len() >= MAX_PARAMETERS {
                break;
            }
            self.way.push(field.number);
            self.names.push(field.json_name.to_string());
            if !self.taken.iter().any(|taken| self.way.starts_with(taken)) {
                self.field(id, field, shapes);
            }
            self.way.pop();
            self.names.pop();
        }
        self.within.pop();
    }

    fn field(&mut self, message: MessageId, field: &Field, shapes: &mut Shapes<'_>) {
        let messages = &self.method.messages;
        let repeated = match field.cardinality {
            Cardinality::Map { .. } => return,
            Cardinality::Repeated { .. } => true,
            Cardinality::Singular { .. } => false,
        };
        if messages.is_null_value(field.kind) {
            return;
        }
        if let FieldKind::Message(id) = field.kind {
            match messages.get(id).well_known {
                None | Some(WellKnown::HttpBody) if !repeated => return self.message(id, shapes),
                Some(
                    WellKnown::Struct | WellKnown::ListValue | WellKnown::Any | WellKnown::Empty | WellKnown::HttpBody,
                )
                | None => return,
                Some(_) => {}
            }
        }
        let element = shapes.text(field.kind);
        let schema = if repeated { json!({ "type": "array", "items": element }) } else { element };
        let mut parameter = json!({ "name": self.names.join("."), "in": "query", "schema": schema });
        if let Value::Object(parameter) = &mut parameter {
            if let Some(description) = shapes.described(message, field) {
                parameter.insert("description".to_owned(), description.into());
            }
            if repeated {
                parameter.insert("explode".to_owned(), true.into());
            }
        }
        self.found.push(parameter);
    }
}
