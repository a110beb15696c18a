//! From servlets to the rules of the routing table: the gRPC services that each one claims, what follows from their schemas over
//! HTTP, and the routes beside them.
//!
//! A service belongs to whoever claims it most exactly, over HTTP as over gRPC: `pkg.v1.*` in one servlet leaves `pkg.v1.Service` in
//! another alone, even when both have it in their schemas.

use std::collections::HashMap;
use std::sync::Arc;

use super::{RouteDef, ServiceDef, ServletDef};
use crate::discovery::Position;
use crate::route::{Entry, HostPattern, Origin, TableBuilder, Tier};
use crate::schema::{Binding, Method, Service};

/// How a request comes to a servlet.
#[derive(Clone, Debug)]
pub enum Way {
    /// By the path of a gRPC service.
    Service,
    /// By an HTTP rule of a method in the servlet's schema.
    Binding { method: Arc<Method>, binding: Arc<Binding> },
    /// By one of the servlet's routes, to this method, or untranslated.
    Route { index: usize, method: Option<Arc<Method>> },
}

/// The rules of all servlets; `target` says what each leads to, `None` leaves one out. Ties are found by [`TableBuilder::build`], and there are none
/// between servlets that a [`super::Reloader`] has accepted.
pub fn routing<'s, T>(
    servlets: impl IntoIterator<Item = &'s Arc<ServletDef>>,
    mut target: impl FnMut(&Arc<ServletDef>, Way) -> Option<T>,
) -> TableBuilder<T> {
    let mut builder = TableBuilder::new();
    for claim in claims(servlets) {
        if let Some(leads_to) = target(claim.servlet, claim.way.clone()) {
            claim.add_to(&mut builder, leads_to);
        }
    }
    builder
}

/// One rule of a servlet.
pub(super) struct Claim<'s> {
    pub(super) servlet: &'s Arc<ServletDef>,
    pub(super) way: Way,
    /// The key in the servlet's file, and where it is.
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) origin: Origin,
    pattern: Option<&'s str>,
}

impl Claim<'_> {
    /// What is claimed, spelled so that a servlet's claim before and after a reload is the same text.
    pub(super) fn text(&self) -> String {
        match &self.way {
            Way::Service => format!("service {}", self.pattern.unwrap_or("*")),
            Way::Binding { binding, .. } => format!("rule {}", binding.text),
            Way::Route { index, .. } => {
                format!("route {:?}", self.servlet.routes.get(*index).map(|route| &route.matches))
            }
        }
    }

    /// The service by which it has an HTTP rule of a schema.
    pub(super) fn service(&self) -> Option<&str> {
        match &self.way {
            Way::Binding { method, .. } => Some(&method.service),
            Way::Service | Way::Route { .. } => None,
        }
    }

    /// Adds it to the routing table.
    pub(super) fn add_to<T>(&self, builder: &mut TableBuilder<T>, target: T) {
        let origin = self.origin.clone();
        match &self.way {
            Way::Service => builder.service(self.pattern.unwrap_or("*"), origin, target),
            Way::Binding { binding, .. } => builder.push(Entry {
                tier: Tier::Services,
                host: HostPattern::Any,
                path: Arc::clone(&binding.template),
                method: binding.verb.clone(),
                headers: Vec::new(),
                origin,
                target,
            }),
            Way::Route { index, .. } => {
                let Some(RouteDef { matches, .. }) = self.servlet.routes.get(*index) else { return };
                builder.push(Entry {
                    tier: Tier::Routes,
                    host: matches.host.clone(),
                    path: Arc::clone(&matches.path),
                    method: matches.method.clone(),
                    headers: matches.headers.clone(),
                    origin,
                    target,
                });
            }
        }
    }
}

/// Everything that these servlets claim.
pub(super) fn claims<'s>(servlets: impl IntoIterator<Item = &'s Arc<ServletDef>>) -> Vec<Claim<'s>> {
    let servlets: Vec<&Arc<ServletDef>> = servlets.into_iter().collect();
    let owners = Owners::of(&servlets);
    let mut claims = Vec::new();
    for servlet in servlets {
        for (index, service) in servlet.services.iter().enumerate() {
            claims.push(Claim {
                servlet,
                way: Way::Service,
                key: format!("services[{index}]"),
                at: service.at,
                origin: origin(servlet, service.at, None),
                pattern: Some(&service.pattern),
            });
        }
        for (index, route) in servlet.routes.iter().enumerate() {
            let method = route.binding.as_ref().map(|binding| Arc::clone(&binding.method));
            claims.push(Claim {
                servlet,
                way: Way::Route { index, method },
                key: format!("routes[{index}].match"),
                at: route.at,
                origin: origin(servlet, route.at, None),
                pattern: None,
            });
        }
        for service in servlet.schema.iter().flat_map(|schema| schema.services()) {
            if let Some((index, line)) = owners.line(servlet, &service.full_name) {
                claims.extend(bindings(servlet, index, line, service));
            }
        }
    }
    claims
}

fn bindings<'s>(
    servlet: &'s Arc<ServletDef>,
    index: usize,
    line: &'s ServiceDef,
    service: &'s Service,
) -> impl Iterator<Item = Claim<'s>> {
    let mappings = |method: &'s Arc<Method>| method.mappings().iter().map(move |binding| (method, binding));
    service.methods.iter().flat_map(mappings).map(move |(method, binding)| Claim {
        servlet,
        way: Way::Binding { method: Arc::clone(method), binding: Arc::clone(binding) },
        key: format!("services[{index}]"),
        at: line.at,
        origin: origin(servlet, line.at, Some((method, binding))),
        pattern: None,
    })
}

/// `servlets/echo.yaml:3:12`, for an HTTP rule with the method that has it and where it stands.
fn origin(servlet: &ServletDef, at: Position, rule: Option<(&Arc<Method>, &Arc<Binding>)>) -> Origin {
    let place = format!("{}:{}:{}", servlet.file, at.line, at.column);
    match rule {
        None => Origin::new(place),
        Some((method, binding)) => {
            Origin::new(format!("{place} ({}/{} at {})", method.service, method.name, servlet.shown(&binding.place)))
        }
    }
}

/// Who claims which service. Of two that claim the same the first has it, until the conflict is told.
pub(super) struct Owners<'s>(HashMap<&'s str, (&'s Arc<ServletDef>, usize, &'s ServiceDef)>);

impl<'s> Owners<'s> {
    pub(super) fn of(servlets: &[&'s Arc<ServletDef>]) -> Self {
        let mut owners = HashMap::new();
        for servlet in servlets {
            for (index, line) in servlet.services.iter().enumerate() {
                owners.entry(line.pattern.as_str()).or_insert((*servlet, index, line));
            }
        }
        Owners(owners)
    }

    /// The line by which `servlet` has this service, if it does.
    pub(super) fn line(&self, servlet: &Arc<ServletDef>, service: &str) -> Option<(usize, &'s ServiceDef)> {
        let owned = self.owner(service).filter(|(owner, ..)| Arc::ptr_eq(owner, servlet));
        owned.map(|(_, index, line)| (index, line))
    }

    /// Who has this service, and by which line.
    pub(super) fn owner(&self, service: &str) -> Option<(&'s Arc<ServletDef>, usize, &'s ServiceDef)> {
        let packages = service.rmatch_indices('.').filter_map(|(dot, _)| service.get(..dot));
        let best = self
            .0
            .get(service)
            .or_else(|| packages.map(|package| format!("{package}.*")).find_map(|pattern| self.0.get(pattern.as_str())))
            .or_else(|| self.0.get("*"));
        best.copied()
    }
}
