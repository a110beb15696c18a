//! What two servlets both claim. A claim that ties would make a request's way depend on chance, so it is an error that names both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{RouteDef, ServletDef};
use crate::discovery::{Position, Problem};
use crate::schema::Template;

/// Something that may have one owner only, and where it is claimed.
#[derive(Clone, Debug)]
struct Claim {
    servlet: Arc<str>,
    file: Arc<str>,
    path: String,
    value: String,
    at: Position,
}

/// Two claims to the same.
#[derive(Clone, Debug)]
pub(super) struct Conflict(Claim, Claim);

impl Conflict {
    /// The servlets between which it is; the same twice when a servlet is at odds with itself.
    pub(super) fn servlets(&self) -> BTreeSet<&str> {
        BTreeSet::from([&*self.0.servlet, &*self.1.servlet])
    }

    /// As it is told in the file of `servlet`.
    pub(super) fn problem(&self, servlet: &str) -> Problem {
        let (mine, theirs) = if *self.1.servlet == *servlet { (&self.1, &self.0) } else { (&self.0, &self.1) };
        let wrong = format!("is claimed twice: also at {}:{}:{}", theirs.file, theirs.at.line, theirs.at.column);
        Problem::new(&*mine.file, Some(mine.at), mine.path.as_str(), wrong).value(mine.value.as_str())
    }
}

/// All conflicts between these servlets, and within them.
pub(super) fn conflicts(servlets: &BTreeMap<String, Arc<ServletDef>>) -> Vec<Conflict> {
    let mut services: HashMap<&str, Claim> = HashMap::new();
    let mut routes: HashMap<String, Claim> = HashMap::new();
    let mut found = Vec::new();
    for servlet in servlets.values() {
        let claim = |path: String, value: String, at: Position| Claim {
            servlet: Arc::clone(&servlet.name),
            file: Arc::clone(&servlet.file),
            path,
            value,
            at,
        };
        for (index, service) in servlet.services.iter().enumerate() {
            let claim = claim(format!("services[{index}]"), service.pattern.clone(), service.at);
            match services.get(service.pattern.as_str()) {
                Some(first) => found.push(Conflict(first.clone(), claim)),
                None => drop(services.insert(&service.pattern, claim)),
            }
        }
        for (index, route) in servlet.routes.iter().enumerate() {
            let key = precedence(route);
            let claim = claim(format!("routes[{index}].match"), key.clone(), route.at);
            match routes.get(&key) {
                Some(first) => found.push(Conflict(first.clone(), claim)),
                None => drop(routes.insert(key, claim)),
            }
        }
    }
    found
}

/// What decides whether a route comes before another; routes that agree in it tie.
fn precedence(route: &RouteDef) -> String {
    let matches = &route.matches;
    let path = matches.path.as_deref().unwrap_or("/**");
    let path = Template::parse_route(path).map_or_else(
        |_| path.to_owned(),
        |template| template.segments().iter().map(|segment| format!("/{}", segment_text(segment))).collect(),
    );
    let path = if path.is_empty() { "/" } else { &path };
    let mut headers: Vec<String> = matches
        .headers
        .iter()
        .map(|(name, value)| format!(" {name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    let host = matches.host.as_deref().unwrap_or_default();
    let method = matches.method.as_ref().map_or(String::new(), |method| format!("{method} "));
    format!("{method}{host}{path}{}", headers.concat())
}

fn segment_text(segment: &crate::schema::Segment) -> &str {
    match segment {
        crate::schema::Segment::Literal(text) => text,
        crate::schema::Segment::One => "*",
        crate::schema::Segment::Rest => "**",
    }
}
