//! A servlet's REST surface for the OpenAPI document: what traffic meets, from the claims that routes are made of.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use http::Method as Verb;
use serde_json::Value;

use super::routing::{Claim, claims};
use super::{Loaded, MatchDef, RouteBinding, ServletDef, Way};
use crate::route::HostPattern;
use crate::schema::{Binding, Comments, Entrance, Surface, built_in, openapi as document};

/// The OpenAPI document of a servlet that was loaded, with the comments of its schema.
///
/// # Errors
/// Why there is none: no such servlet, or one without a REST surface.
pub fn openapi(loaded: &Loaded, servlet: &str) -> Result<Value, String> {
    let Some(def) = loaded.servlets.get(servlet) else {
        let names: Vec<&str> = loaded.servlets.keys().map(String::as_str).collect();
        return Err(format!("there is no servlet `{servlet}`, only {}", names.join(", ")));
    };
    let root = loaded.file.parent().unwrap_or(Path::new(""));
    let comments = loaded.compiled.get(servlet).map(|compiled| compiled.comments(root)).unwrap_or_default();
    openapi_of(def, loaded.servlets.values(), &comments).ok_or_else(|| match def.pending() {
        Some(why) => format!("the schema of servlet `{servlet}` is not known yet: {why}"),
        None => format!("servlet `{servlet}` has no schema, and so no REST surface"),
    })
}

/// The OpenAPI document of one of these servlets; `None` when it has no schema. The others tell which services are its own.
pub fn openapi_of<'s>(
    def: &Arc<ServletDef>,
    servlets: impl IntoIterator<Item = &'s Arc<ServletDef>>,
    comments: &Comments,
) -> Option<Value> {
    let schema = def.schema.as_ref()?;
    let all = claims(servlets);
    let mut own: Vec<&Claim<'_>> = all.iter().filter(|claim| claim.servlet.name == def.name).collect();
    own.sort_by_key(|claim| precedence(def, claim));
    let ways: Vec<Entrance> = own.into_iter().flat_map(|claim| entrances(def, claim)).collect();
    Some(document(&Surface { title: &def.name, ways: &ways, messages: schema.messages(), comments }))
}

/// Where a rule stands among those of one path, by what [`crate::route`] asks first: routes, those for a host, those for a verb, those with
/// more headers.
fn precedence(def: &ServletDef, claim: &Claim<'_>) -> (bool, Reverse<usize>, bool, Reverse<usize>) {
    // Of two hosts that both fit a request, the longer one is the more exact.
    let host_length = |host: &HostPattern| match host {
        HostPattern::Any => Reverse(0),
        host => Reverse(host.to_string().len()),
    };
    match &claim.way {
        Way::Service => (true, Reverse(0), true, Reverse(0)),
        Way::Binding { binding, .. } => (true, Reverse(0), binding.verb.is_none(), Reverse(0)),
        Way::Route { index, .. } => match def.routes.get(*index).map(|route| &route.matches) {
            Some(MatchDef { host, method, headers, .. }) => {
                (false, host_length(host), method.is_none(), Reverse(headers.len()))
            }
            None => (false, Reverse(0), true, Reverse(0)),
        },
    }
}

fn entrances(def: &ServletDef, claim: &Claim<'_>) -> Vec<Entrance> {
    match &claim.way {
        Way::Service => Vec::new(),
        Way::Binding { method, binding } => {
            vec![Entrance { method: Arc::clone(method), binding: Arc::clone(binding), condition: String::new() }]
        }
        Way::Route { index, .. } => {
            let Some(route) = def.routes.get(*index) else { return Vec::new() };
            let Some(RouteBinding { method, binding, bodiless }) = &route.binding else { return Vec::new() };
            if built_in(&method.service, &method.name).is_some() {
                // What is behind an envelope is no schema's to say.
                return Vec::new();
            }
            let matches = &route.matches;
            let entrance = |binding: &Arc<Binding>, verb: Option<Verb>| Entrance {
                method: Arc::clone(method),
                binding: match verb {
                    Some(verb) => Arc::new(Binding { verb: Some(verb), ..Binding::clone(binding) }),
                    None => Arc::clone(binding),
                },
                condition: condition(matches),
            };
            if matches.method.is_some() {
                return vec![entrance(binding, None)];
            }
            let bodiless = bodiless.as_ref().unwrap_or(binding);
            let with_body = [Verb::PUT, Verb::POST, Verb::PATCH].map(|verb| entrance(binding, Some(verb)));
            let without = [Verb::GET, Verb::DELETE].map(|verb| entrance(bodiless, Some(verb)));
            without.into_iter().chain(with_body).collect()
        }
    }
}

/// What a request must have beside verb and path.
fn condition(matches: &MatchDef) -> String {
    let host = match &matches.host {
        HostPattern::Any => None,
        host => Some(format!("the host `{host}`")),
    };
    let headers = matches.headers.iter().map(|header| match &header.value {
        Some(value) => format!("`{}: {}`", header.name, String::from_utf8_lossy(value.as_bytes())),
        None => format!("a `{}`", header.name),
    });
    let all: Vec<String> = host.into_iter().chain(headers).collect();
    if all.is_empty() { String::new() } else { format!("Only with {}.", all.join(" and ")) }
}
