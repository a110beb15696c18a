//! Ways in over HTTP: the rules of the methods, and `POST /pkg.Service/Method` of those without one.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::binding::{Binding, BodyRule};
use super::super::field_path::FieldPath;
use super::super::service::{Method, Schema};
use super::super::template::{Segment, Template};
use super::{Breaks, Comparison, Reach, What};

/// A verb and a path without the names of its variables: what a request is matched by. No verb is any.
type Key = (Option<http::Method>, String);

impl Comparison<'_> {
    pub(super) fn routes(&mut self, reach: &Reach<'_>) {
        let (before, now) = (routes(self.old, reach), routes(self.new, reach));
        let by_key: HashMap<&Key, &Route<'_>> = now.iter().map(|route| (&route.key, route)).collect();
        for route in &before {
            let any_verb = (None, route.key.1.clone());
            match by_key.get(&route.key).or_else(|| by_key.get(&any_verb)) {
                Some(new) => self.route(route, new),
                None => {
                    let place = self.new.method(&route.method.service, &route.method.name);
                    let place = place.map_or_else(|| route.binding.place.clone(), |method| method.place.clone());
                    let told = format!("removed; it led to {}", name(route.method));
                    self.tell(What::RouteRemoved, &*route.binding.text, Breaks::JSON, place, told);
                }
            }
        }
        let known: std::collections::HashSet<&Key> = before.iter().map(|route| &route.key).collect();
        for route in now.iter().filter(|route| !known.contains(&route.key)) {
            let told = format!("added; it leads to {}", name(route.method));
            self.tell(What::RouteAdded, &*route.binding.text, Breaks::NOBODY, route.binding.place.clone(), told);
        }
    }

    fn route(&mut self, before: &Route<'_>, now: &Route<'_>) {
        let (was, is) = (before.binding, now.binding);
        let mut tell = |what, told: String| self.tell(what, &*was.text, Breaks::JSON, is.place.clone(), told);
        if name(before.method) != name(now.method) {
            let told = format!("led to {}, and leads to {}", name(before.method), name(now.method));
            return tell(What::RouteMoved, told);
        }
        let fills = |route: &Route<'_>| {
            let names: Vec<&str> = route.binding.captures.iter().map(FieldPath::text).collect();
            if names.is_empty() { "no field".to_owned() } else { names.join(", ") }
        };
        if !same_captures(before, now) {
            let told = format!("the path filled {}, and fills {}: `{}`", fills(before), fills(now), is.text);
            tell(What::VariableMoved, told);
        }
        let same_body = match (&was.body, &is.body) {
            (BodyRule::Field(one), BodyRule::Field(other)) => same_field(before.method, one, now.method, other),
            (one, other) => one == other,
        };
        if !same_body {
            let told = format!("the body was {}, and is {}", body(&was.body), body(&is.body));
            tell(What::BodyMoved, told);
        }
        let same_answer = match (&was.response_body, &is.response_body) {
            (None, None) => true,
            (Some(one), Some(other)) => same_field(before.method, one, now.method, other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same_answer {
            let (one, other) = (answer(was), answer(is));
            tell(What::ResponseBodyMoved, format!("the answer was {one}, and is {other}"));
        }
    }
}

/// One way in.
struct Route<'s> {
    key: Key,
    method: &'s Arc<Method>,
    binding: &'s Arc<Binding>,
}

fn routes<'s>(schema: &'s Schema, reach: &Reach<'_>) -> Vec<Route<'s>> {
    let services = schema.services().filter(|service| (reach.serves)(&service.full_name));
    let methods = services.flat_map(|service| &service.methods);
    let bindings = methods.flat_map(|method| method.mappings().iter().map(move |binding| (method, binding)));
    bindings
        .map(|(method, binding)| Route { key: (binding.verb.clone(), shape(&binding.template)), method, binding })
        .collect()
}

fn shape(template: &Template) -> String {
    let mut shape = String::new();
    for segment in template.segments() {
        shape.push('/');
        shape.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::One => "*",
            Segment::Rest => "**",
        });
    }
    if let Some(verb) = template.verb() {
        shape.push(':');
        shape.push_str(verb);
    }
    shape
}

fn same_captures(before: &Route<'_>, now: &Route<'_>) -> bool {
    let variables = |route: &Route<'_>| -> Vec<(usize, Option<usize>)> {
        route.binding.template.variables().iter().map(|variable| variable.span()).collect()
    };
    variables(before) == variables(now)
        && before
            .binding
            .captures
            .iter()
            .zip(&now.binding.captures)
            .all(|(was, is)| same_field(before.method, was, now.method, is))
}

/// Whether both lead to what is the same field for its callers: by name, or by number when it was renamed.
fn same_field(before: &Method, was: &FieldPath, now: &Method, is: &FieldPath) -> bool {
    let was: Vec<_> = was.fields(&before.messages).map(|(_, field)| field).collect();
    let is: Vec<_> = is.fields(&now.messages).map(|(_, field)| field).collect();
    was.len() == is.len()
        && was.iter().zip(&is).all(|(one, other)| one.name == other.name || one.number == other.number)
}

fn body(rule: &BodyRule) -> String {
    match rule {
        BodyRule::None => "none".to_owned(),
        BodyRule::Whole => "the whole message".to_owned(),
        BodyRule::Field(path) => format!("the field `{}`", path.text()),
    }
}

fn answer(binding: &Binding) -> String {
    binding
        .response_body
        .as_ref()
        .map_or_else(|| "the whole message".to_owned(), |path| format!("its field `{}`", path.text()))
}

fn name(method: &Method) -> String {
    format!("{}/{}", method.service, method.name)
}
