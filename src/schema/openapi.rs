//! A servlet's REST surface as an OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.0): what `telamon openapi` prints.
//!
//! Leans towards what a caller may rely on: where OpenAPI cannot say what a rule means (a `**`, a verb that it does not know), the
//! document says it in words and never claims more than is true.

mod bodies;
mod comments;
mod paths;
mod query;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use comments::Comments;

use super::binding::Binding;
use super::message::Messages;
use super::service::Method;
use paths::Path;
use shapes::Shapes;

/// What a document is made from.
pub struct Surface<'s> {
    /// The servlet's name.
    pub title: &'s str,
    /// Every way in over HTTP, in the order in which they are asked: when two have the same verb and path, the first is the operation.
    pub ways: &'s [Entrance],
    /// Those of the schema that the ways' methods are from.
    pub messages: &'s Messages,
    /// What the .proto files say of themselves; [`Comments::default`] for nothing.
    pub comments: &'s Comments,
}

/// One way from HTTP into a method.
#[derive(Clone, Debug)]
pub struct Entrance {
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    /// What a request must have beside verb and path, as a sentence; empty for nothing.
    pub condition: String,
}

/// The verbs that a path has a place for.
const VERBS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Those that stand for any verb.
const ANY: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// The document, as JSON.
pub fn openapi(surface: &Surface<'_>) -> Value {
    let mut writer = Writer {
        comments: surface.comments,
        shapes: Shapes::new(surface.messages, surface.comments),
        paths: Map::new(),
        variables: BTreeMap::new(),
        closed: BTreeSet::new(),
        ids: BTreeSet::new(),
        services: BTreeSet::new(),
    };
    for way in surface.ways {
        writer.way(way);
    }
    let Writer { shapes, paths, services, .. } = writer;
    let tag = |service: &String| match surface.comments.of(service) {
        Some(comment) => json!({ "name": service, "description": comment }),
        None => json!({ "name": service }),
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": surface.title, "version": version(&services) },
        "tags": services.iter().map(tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "schemas": shapes.into_components() },
    })
}

/// `v1` for `pkg.v1.Service`: a schema has no other version.
fn version(services: &BTreeSet<String>) -> String {
    let is_version =
        |part: &&str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let found = services.iter().find_map(|service| service.rsplit('.').skip(1).find(is_version));
    found.unwrap_or("unversioned").to_owned()
}

/// The document while it grows.
struct Writer<'s> {
    comments: &'s Comments,
    shapes: Shapes<'s>,
    paths: Map<String, Value>,
    /// The names of the variables in a path, by the path without them: two paths that differ in nothing else are one.
    variables: BTreeMap<String, Vec<String>>,
    /// The verbs of each path for which every request is taken: whatever comes after is never asked.
    closed: BTreeSet<(String, String)>,
    ids: BTreeSet<String>,
    services: BTreeSet<String>,
}

impl Writer<'_> {
    fn way(&mut self, way: &Entrance) {
        let Entrance { method, binding, condition } = way;
        self.services.insert(method.service.to_string());
        let mut path = Path::new(method, binding, &mut self.shapes, self.comments);
        let known = self.variables.entry(path.shape()).or_insert_with(|| path.names());
        path.rename(known);
        let text = path.text();
        let verbs: Vec<String> = match &binding.verb {
            Some(verb) => vec![verb.as_str().to_ascii_lowercase()],
            None => ANY.map(str::to_owned).to_vec(),
        };
        for verb in verbs {
            if self.closed.contains(&(text.clone(), verb.clone())) {
                continue;
            }
            if condition.is_empty() {
                self.closed.insert((text.clone(), verb.clone()));
            }
            let taken = self.paths.get(&text).and_then(|item| place(item, &verb)).is_some();
            if !taken {
                let operation = self.operation(method, binding, condition, &path);
                put(&mut self.paths, &text, &verb, operation);
            } else if let Some(operation) = self.paths.get_mut(&text).and_then(|item| place_mut(item, &verb)) {
                let leads = format!("to `{}/{}`", method.service, method.name);
                note(
                    operation,
                    &match condition.is_empty() {
                        true => format!("Otherwise leads {leads}."),
                        false => format!("{condition} Leads {leads} then."),
                    },
                );
            }
        }
    }

    fn operation(&mut self, method: &Method, binding: &Binding, condition: &str, path: &Path) -> Value {
        let id = format!("{}.{}", method.service, method.name);
        let mut operation = json!({
            "operationId": self.unique(&id),
            "tags": [*method.service],
            "responses": bodies::responses(method, binding, &mut self.shapes),
        });
        let mut set = |key: &str, value: Value| {
            if let Value::Object(operation) = &mut operation {
                operation.insert(key.to_owned(), value);
            }
        };
        let comment = self.comments.of(&id).unwrap_or_default();
        if let Some(summary) = comment.lines().next().filter(|line| !line.is_empty()) {
            set("summary", summary.into());
        }
        let description = [comment, condition].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>();
        if !description.is_empty() {
            set("description", description.join("\n\n").into());
        }
        let mut parameters = path.parameters();
        parameters.extend(query::parameters(method, binding, &mut self.shapes));
        if !parameters.is_empty() {
            set("parameters", parameters.into());
        }
        if let Some(body) = bodies::request(method, binding, &mut self.shapes) {
            set("requestBody", body);
        }
        operation
    }

    fn unique(&mut self, id: &str) -> String {
        let numbered = (2..).map(|number| format!("{id}_{number}"));
        let free = std::iter::once(id.to_owned()).chain(numbered).find(|id| !self.ids.contains(id));
        let id = free.unwrap_or_default();
        self.ids.insert(id.clone());
        id
    }
}

/// A verb that OpenAPI has no place for stands beside the others under a key of ours.
const OTHER_VERBS: &str = "x-other-methods";

fn place<'v>(item: &'v Value, verb: &str) -> Option<&'v Value> {
    if VERBS.contains(&verb) { item.get(verb) } else { item.get(OTHER_VERBS)?.get(verb) }
}

fn place_mut<'v>(item: &'v mut Value, verb: &str) -> Option<&'v mut Value> {
    if VERBS.contains(&verb) { item.get_mut(verb) } else { item.get_mut(OTHER_VERBS)?.get_mut(verb) }
}

fn put(paths: &mut Map<String, Value>, path: &str, verb: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    let item = if VERBS.contains(&verb) {
        Some(item)
    } else {
        item.as_object_mut().map(|item| item.entry(OTHER_VERBS).or_insert_with(|| json!({})))
    };
    if let Some(Value::Object(item)) = item {
        item.insert(verb.to_owned(), operation);
    }
}

/// Adds a paragraph to the description.
fn note(operation: &mut Value, told: &str) {
    let Value::Object(operation) = operation else { return };
    let before = operation.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = if before.is_empty() { told.to_owned() } else { format!("{before}\n\n{told}") };
    operation.insert("description".to_owned(), text.into());
}
