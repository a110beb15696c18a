//! Ways in over HTTP: the rules of the methods, and `POST /pkg.Service/Method` of those without one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::super::binding::{Binding, BodyRule};
use super::super::field_path::FieldPath;
use super::super::service::{Method, Schema};
use super::super::template::{Segment, Template};
use super::{Breaks, Comparison, Reach, What};

/// A verb and a path without the names of its variables: what a request is matched by. No verb is any.
type Key = (Option<http::Method>, String);

/// Pairs of a new route and an old one that are held against each other: thousands of each, and no more than a second.
const MAX_ROUTE_PAIRS: usize = 1 << 24;

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
        let added = now.iter().filter(|route| !known.contains(&route.key));
        let kept: Vec<&Route<'_>> = before.iter().filter(|route| by_key.contains_key(&route.key)).collect();
        self.taken_over(added, &kept);
    }

    /// A route that comes before an old one takes requests that the old one took, even when that one stays as it is.
    fn taken_over<'r>(&mut self, added: impl Iterator<Item = &'r Route<'r>>, kept: &[&Route<'_>]) {
        let mut left = MAX_ROUTE_PAIRS;
        for new in added {
            if left < kept.len() {
                let (place, told) =
                    (new.binding.place.clone(), "comes with too many others to compare them all with the old ones");
                return self.tell(What::Unfinished, &*new.binding.text, Breaks::JSON, place, told);
            }
            left -= kept.len();
            // The one that is asked first among them is the one that had the requests.
            let old = kept.iter().filter(|old| takes_over(new, old)).min_by(|one, two| precedence(one, two));
            if let Some(old) = old.filter(|old| !means_the_same(old, new)) {
                let (led, leads) = (name(old.method), name(new.method));
                let told = match led == leads {
                    true => format!("its requests to `{}` are now read by that route", new.binding.text),
                    false => format!("its requests to `{}` led to {led}, and lead to {leads}", new.binding.text),
                };
                self.tell(What::RouteMoved, &*old.binding.text, Breaks::JSON, new.binding.place.clone(), told);
            }
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

/// Whether some request that `old` took is one that `new` is asked about first.
fn takes_over(new: &Route<'_>, old: &Route<'_>) -> bool {
    let (fresh, known) = (&new.binding.template, &old.binding.template);
    let same_end = fresh.verb() == known.verb()
        || (known.verb().is_none() && !matches!(known.segments().last(), None | Some(Segment::Literal(_))));
    let verbs = new.key.0 == old.key.0 || new.key.0.is_none() || old.key.0.is_none();
    verbs && same_end && meet(fresh.segments(), known.segments()) && precedence(new, old) == Ordering::Less
}

/// Which is asked first, as the routing table has it: one that ends in a verb, then the more exact path, then one for a verb of HTTP.
fn precedence(one: &Route<'_>, two: &Route<'_>) -> Ordering {
    let key = |route: &Route<'_>| (route.binding.template.verb().is_none(), route.key.0.is_none());
    let ((one_end, one_any), (two_end, two_any)) = (key(one), key(two));
    let path = one.binding.template.segments().cmp(two.binding.template.segments());
    one_end.cmp(&two_end).then(path).then(one_any.cmp(&two_any))
}

/// Whether some path is matched by both.
fn meet(one: &[Segment], two: &[Segment]) -> bool {
    let (mut one, mut two) = (one.iter(), two.iter());
    loop {
        match (one.next(), two.next()) {
            (Some(Segment::Rest), _) | (_, Some(Segment::Rest)) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(Segment::Literal(one)), Some(Segment::Literal(two))) if one != two => return false,
            (Some(_), Some(_)) => {}
        }
    }
}

/// Whether a request means the same by both routes: the same fields are filled from the same places.
fn means_the_same(old: &Route<'_>, new: &Route<'_>) -> bool {
    let starts = |route: &Route<'_>| -> Vec<(usize, bool)> {
        route.binding.template.variables().iter().map(|variable| (variable.span().0, variable.is_multi())).collect()
    };
    let fields =
        |route: &Route<'_>| route.binding.captures.iter().map(|path| path.text().to_owned()).collect::<Vec<_>>();
    let rest = |route: &Route<'_>| (body(&route.binding.body), answer(route.binding));
    name(old.method) == name(new.method)
        && old.binding.template.verb() == new.binding.template.verb()
        && (starts(old), fields(old), rest(old)) == (starts(new), fields(new), rest(new))
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
