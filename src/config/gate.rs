//! What a new version of a servlet means for the callers of the one that runs, and whether it may replace it.
//!
//! A schema comes from whoever develops the servlet, and its callers are somebody else's, so a schema that breaks them is refused
//! unless the servlet's file says otherwise. What the servlet's own file says of its routes and services is its operator's word: a
//! change of it is told and never refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::load::Attempt;
use super::protos::Compiled;
use super::routing::Owners;
use super::{Loaded, RouteBinding, RouteDef, SchemaChanges, ServletDef, Upstream};
use crate::discovery::{Position, Problem};
use crate::schema::{BodyRule, Breaks, Change, Place, Reach, Schema, compare as compare_schemas};

/// A change that callers may notice, as it is kept for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    /// One word: `field_removed`, `route_moved`, …
    pub what: &'static str,
    /// What has changed: `GET /v1/{name}`, `pkg.Service/Method`, `pkg.Message.field`.
    pub subject: String,
    /// The rest of the sentence that begins with the subject.
    pub change: String,
    /// Whom it breaks: `json`, `grpc`.
    pub breaks: Vec<&'static str>,
    /// Where it is in the new version.
    pub file: String,
    pub at: Option<Position>,
}

/// `protos/echo.proto:4:3: echo.v1.Words.text: removed (breaks JSON callers)`.
impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": {}: {}", self.subject, self.change)?;
        match self.whom() {
            Some(whom) => write!(f, " (breaks {whom})"),
            None => Ok(()),
        }
    }
}

impl SchemaChange {
    fn of_schema(change: Change, compiled: Option<&Compiled>) -> SchemaChange {
        let Change { what, subject, breaks, place: Place { file, line, column }, told } = change;
        SchemaChange {
            what: what.name(),
            subject,
            change: told,
            breaks: whom(breaks),
            file: compiled.map_or_else(|| file.to_string(), |compiled| compiled.shown(&file)),
            at: line.map(|line| Position { line, column: column.unwrap_or(1) }),
        }
    }

    fn whom(&self) -> Option<String> {
        (!self.breaks.is_empty()).then(|| {
            let named = self.breaks.iter().map(|whom| if *whom == "json" { "JSON" } else { "gRPC" });
            named.collect::<Vec<_>>().join(" and ") + " callers"
        })
    }

    fn problem(&self, servlet: &ServletDef) -> Problem {
        let wrong = format!("{}, which breaks {}", self.change, self.whom().unwrap_or_default());
        let hint = format!("`schema_changes: allow` in {} takes it", servlet.file);
        Problem::new(self.file.as_str(), self.at, self.subject.as_str(), wrong).hint(hint)
    }
}

fn whom(breaks: Breaks) -> Vec<&'static str> {
    [(breaks.json, "json"), (breaks.wire, "grpc")]
        .into_iter()
        .filter_map(|(breaks, whom)| breaks.then_some(whom))
        .collect()
}

/// What separates two versions of one servlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// All that callers may notice: of the schema, the breaking ones first, and of the servlet's own file.
    pub changes: Vec<SchemaChange>,
    /// The changes for which the new version would be refused.
    pub problems: Vec<Problem>,
    /// Why the schemas were not compared, when one of them is not known.
    pub unknown: Option<&'static str>,
}

/// What separates two sets of files, by servlet: what a process that runs `old` would say of `new`. Only servlets that are in both.
pub fn compare(old: &Loaded, new: &Loaded) -> BTreeMap<String, Differences> {
    let both = new.servlets.iter().filter_map(|(name, now)| Some((name, old.servlets.get(name)?, now)));
    let [before_fleet, new_fleet] = [old, new].map(|loaded| loaded.servlets.values().collect::<Vec<_>>());
    let compared = both.map(|(name, before, now)| {
        let compiled = new.compiled.get(name).map(Arc::as_ref);
        (name.clone(), Differences::between([before, now], compiled, [&before_fleet, &new_fleet]))
    });
    compared.collect()
}

impl Differences {
    /// Of the old version and the new one; `fleets` are all servlets beside each, with it.
    fn between(
        [old, new]: [&Arc<ServletDef>; 2],
        compiled: Option<&Compiled>,
        fleets: [&[&Arc<ServletDef>]; 2],
    ) -> Differences {
        let unknown = match (old.pending(), new.pending()) {
            (_, Some(_)) => Some("the new schema is not known"),
            (Some(_), None) => Some("the schema before is not known"),
            (None, None) => None,
        };
        let of_schema = if unknown.is_some() { Vec::new() } else { schema_changes(old, new, fleets) };
        let of_schema: Vec<SchemaChange> =
            of_schema.into_iter().map(|change| SchemaChange::of_schema(change, compiled)).collect();
        let problems = match new.options.schema_changes {
            SchemaChanges::Allow => Vec::new(),
            SchemaChanges::Refuse => {
                let breaking = of_schema.iter().filter(|change| !change.breaks.is_empty());
                breaking.map(|change| change.problem(new)).collect()
            }
        };
        let changes = of_schema.into_iter().chain(own_changes(old, new)).collect();
        Differences { changes, problems, unknown }
    }
}

impl Attempt {
    /// Holds it against the version that runs, of a fleet: an attempt that would break callers fails, unless it is allowed to.
    pub(super) fn pass_gate(&mut self, running: &Arc<ServletDef>, fleet: &[Arc<ServletDef>]) {
        let Ok(new) = &self.result else { return };
        let before: Vec<&Arc<ServletDef>> = fleet.iter().collect();
        let now: Vec<&Arc<ServletDef>> =
            fleet.iter().map(|def| if Arc::ptr_eq(def, running) { new } else { def }).collect();
        let found = Differences::between([running, new], self.compiled.as_deref(), [&before, &now]);
        self.changes = found.changes;
        if !found.problems.is_empty() {
            self.gated = true;
            self.result = Err(found.problems);
        }
    }
}

/// What the schemas say of all that both versions serve.
fn schema_changes(
    old: &Arc<ServletDef>,
    new: &Arc<ServletDef>,
    [before_fleet, new_fleet]: [&[&Arc<ServletDef>]; 2],
) -> Vec<Change> {
    let Some(before) = &old.schema else { return Vec::new() };
    let same = new.schema.as_ref().is_some_and(|now| Arc::ptr_eq(before, now));
    if new.upstream != Upstream::Grpc || same {
        return Vec::new();
    }
    // A service is its owner's, whoever else has it in a schema or a pattern.
    let (owned_before, owned_now) = (Owners::of(before_fleet), Owners::of(new_fleet));
    let serves_now = |service: &str| owned_now.line(new, service).is_some();
    let serves = |service: &str| owned_before.line(old, service).is_some() && serves_now(service);
    let Some(now) = &new.schema else { return schema_gone(before, new, &serves) };
    let calls: Vec<(&str, &str)> = old
        .routes
        .iter()
        .filter_map(|route| route.call.as_ref())
        .filter(|call| new.routes.iter().any(|route| route.call.as_ref() == Some(call)) || serves_now(&call.0))
        .map(|(service, method)| (service.as_str(), method.as_str()))
        .collect();
    compare_schemas(before, now, &Reach { serves: &serves, calls: &calls })
}

/// gRPC callers need no schema; all others are gone with it.
fn schema_gone(before: &Schema, new: &ServletDef, serves: &dyn Fn(&str) -> bool) -> Vec<Change> {
    let services = before.services().filter(|service| serves(&service.full_name));
    let methods = services.flat_map(|service| &service.methods);
    let removed = |binding: &crate::schema::Binding| Change {
        what: crate::schema::What::RouteRemoved,
        subject: binding.text.to_string(),
        breaks: Breaks::JSON,
        place: Place::file(&new.file),
        told: "removed: there is no schema any more".to_owned(),
    };
    methods.flat_map(|method| method.mappings()).map(|binding| removed(binding)).collect()
}

/// What the servlet's own file says otherwise than before.
fn own_changes(old: &ServletDef, new: &ServletDef) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let mut tell = |what, subject: &str, breaks: Breaks, at: Option<Position>, change: String| {
        let (subject, breaks, file) = (subject.to_owned(), whom(breaks), new.file.to_string());
        changes.push(SchemaChange { what, subject, change, breaks, file, at });
    };
    for line in &old.services {
        if !new.services.iter().any(|other| other.pattern == line.pattern) {
            tell("service_removed", &line.pattern, Breaks::BOTH, None, "no longer among `services`".to_owned());
        }
    }
    for line in &new.services {
        if !old.services.iter().any(|other| other.pattern == line.pattern) {
            tell("service_added", &line.pattern, Breaks::NOBODY, Some(line.at), "new among `services`".to_owned());
        }
    }
    let (before, now) = (by_match(old), by_match(new));
    for (matches, route) in &before {
        match now.get(matches) {
            None => tell("route_removed", matches, Breaks::JSON, None, "no longer among `routes`".to_owned()),
            Some(other) if other.call != route.call => {
                let told = format!("led to {}, and leads to {}", call(route), call(other));
                tell("route_moved", matches, Breaks::JSON, Some(other.at), told);
            }
            Some(other) if bodies(other).zip(bodies(route)).is_some_and(|(now, before)| now != before) => {
                let told = |route| bodies(route).unwrap_or_default();
                let told = format!("had {}, and has {}", told(route), told(other));
                tell("route_moved", matches, Breaks::JSON, Some(other.at), told);
            }
            Some(_) => {}
        }
    }
    for (matches, route) in now.iter().filter(|(matches, _)| !before.contains_key(*matches)) {
        let told = format!("new among `routes`; it leads to {}", call(route));
        tell("route_added", matches, Breaks::NOBODY, Some(route.at), told);
    }
    changes
}

fn by_match(servlet: &ServletDef) -> BTreeMap<String, &RouteDef> {
    servlet.routes.iter().map(|route| (matched(route), route)).collect()
}

/// `GET example.com/old/** x-tenant=acme`.
fn matched(route: &RouteDef) -> String {
    let matches = &route.matches;
    let verb = matches.method.as_ref().map_or("*", |method| method.as_str());
    let host = match &matches.host {
        crate::route::HostPattern::Any => String::new(),
        host => host.to_string(),
    };
    let mut text = format!("{verb} {host}{}", matches.path);
    for header in &matches.headers {
        let value = header.value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
        text.push_str(&format!(" {}={}", header.name, value.unwrap_or_default()));
    }
    text
}

/// What a route says of its bodies; unknown until there is a schema.
fn bodies(route: &RouteDef) -> Option<String> {
    let RouteBinding { binding, bodiless, .. } = route.binding.as_ref()?;
    let body = match &binding.body {
        _ if bodiless.is_some() => "the body that its verb has",
        BodyRule::None => "no body",
        BodyRule::Whole => "body `*`",
        BodyRule::Field(field) => &format!("body `{}`", field.text()),
    };
    Some(match &binding.response_body {
        Some(field) => format!("{body} and response_body `{}`", field.text()),
        None => body.to_owned(),
    })
}

fn call(route: &RouteDef) -> String {
    match &route.call {
        Some((service, method)) => format!("{service}/{method}"),
        None => "the servlet, untranslated".to_owned(),
    }
}
