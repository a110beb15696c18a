//! Path templates as OpenAPI has them. Its variables are one segment each, and clients encode the slashes in them, so a variable over
//! several segments is spelled out: `/v1/{name=shelves/*}` is `/v1/shelves/{shelves}`, with words that say what it fills.

use serde_json::{Value, json};

use super::super::binding::Binding;
use super::super::service::Method;
use super::super::template::{Segment, Variable};
use super::Comments;
use super::shapes::Shapes;

/// A path and its variables.
pub(super) struct Path {
    parts: Vec<Part>,
    /// `:verb`, or nothing.
    end: String,
}

enum Part {
    Literal(String),
    Variable { name: String, description: String, schema: Value },
}

impl Path {
    pub(super) fn new(method: &Method, binding: &Binding, shapes: &mut Shapes<'_>, comments: &Comments) -> Path {
        let template = &binding.template;
        let mut path = Path { parts: Vec::new(), end: String::new() };
        if let Some(verb) = template.verb() {
            path.end = format!(":{verb}");
        }
        for (index, segment) in template.segments().iter().enumerate() {
            let within = template.variables().iter().zip(&binding.captures).find(|(variable, _)| {
                let (start, count) = variable.span();
                start <= index && count.is_none_or(|count| index - start < count)
            });
            let wildcard = match segment {
                Segment::Literal(text) => {
                    path.parts.push(Part::Literal(text.to_string()));
                    continue;
                }
                Segment::One => "one segment",
                Segment::Rest => "all segments that follow, or none, with their slashes",
            };
            let (name, description, schema) = match within {
                None => {
                    let name = if *segment == Segment::Rest { "rest" } else { "any" };
                    (name.to_owned(), format!("Anything: {wildcard}. It is not looked at."), text(segment))
                }
                Some((variable, captured)) if variable.is_multi() => {
                    let before = template.segments().get(variable.span().0..index).unwrap_or_default();
                    let name = match before.last() {
                        Some(Segment::Literal(text)) => text.to_string(),
                        _ => captured.text().to_owned(),
                    };
                    let spelled = spelled(template.segments(), variable);
                    let told = format!("A part of `{}`, which is `{spelled}`: {wildcard}.", captured.text());
                    (name, told, text(segment))
                }
                Some((_, captured)) => {
                    let steps = captured.fields(&method.messages).last();
                    let comment = steps.and_then(|(message, field)| {
                        comments.of(&format!("{}.{}", method.messages.get(message).full_name, field.name))
                    });
                    let schema = steps.map(|(_, field)| shapes.text(field.kind));
                    (captured.text().to_owned(), comment.unwrap_or_default().to_owned(), schema.unwrap_or_default())
                }
            };
            let name = path.free(&name);
            path.parts.push(Part::Variable { name, description, schema });
        }
        path
    }

    fn free(&self, name: &str) -> String {
        let names = self.names();
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        candidates.find(|name| !names.contains(name)).unwrap_or_default()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let name = |part: &Part| match part {
            Part::Literal(_) => None,
            Part::Variable { name, .. } => Some(name.clone()),
        };
        self.parts.iter().filter_map(name).collect()
    }

    /// Gives the variables these names, in order.
    pub(super) fn rename(&mut self, names: &[String]) {
        let mut names = names.iter();
        for part in &mut self.parts {
            if let Part::Variable { name, .. } = part
                && let Some(other) = names.next()
            {
                name.clone_from(other);
            }
        }
    }

    /// The path with its variables' names.
    pub(super) fn text(&self) -> String {
        self.with(|name| format!("{{{name}}}"))
    }

    /// The path without them.
    pub(super) fn shape(&self) -> String {
        self.with(|_| "{}".to_owned())
    }

    fn with(&self, variable: impl Fn(&str) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => format!("/{text}"),
            Part::Variable { name, .. } => format!("/{}", variable(name)),
        });
        let path: String = parts.collect();
        format!("{}{}", if path.is_empty() { "/" } else { &path }, self.end)
    }

    pub(super) fn parameters(&self) -> Vec<Value> {
        let parameter = |part: &Part| match part {
            Part::Literal(_) => None,
            Part::Variable { name, description, schema } => {
                let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
                if let (Value::Object(parameter), false) = (&mut parameter, description.is_empty()) {
                    parameter.insert("description".to_owned(), description.as_str().into());
                }
                Some(parameter)
            }
        };
        self.parts.iter().filter_map(parameter).collect()
    }
}

fn text(segment: &Segment) -> Value {
    match segment {
        Segment::Rest => json!({ "type": "string" }),
        Segment::One | Segment::Literal(_) => json!({ "type": "string", "pattern": "^[^/]+$" }),
    }
}

/// `shelves/*/books/*`.
fn spelled(segments: &[Segment], variable: &Variable) -> String {
    let (start, count) = variable.span();
    let own = segments.iter().skip(start).take(count.unwrap_or(usize::MAX));
    let text = own.map(|segment| match segment {
        Segment::Literal(text) => text,
        Segment::One => "*",
        Segment::Rest => "**",
    });
    text.collect::<Vec<_>>().join("/")
}
