//! From servlets as they are configured to the routing that traffic meets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::Method;

use crate::discovery::Position;
use crate::config::{RouteDef, ServletDef, Upstream as ConfiguredUpstream};
use crate::proxy::{Call, Mount, Routing, Target, Upstream};
use crate::route::{Conflict, Entry, HostPattern, Origin, TableBuilder, Tier};
use crate::schema::{Binding, Method as GrpcMethod, Place, Service, Template};
use crate::servlet::Servlet;
use crate::telemetry::{Metrics, ServletMetrics};
use crate::upstream::Options;

/// A servlet that runs: what was configured, and what traffic meets.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) def: Arc<ServletDef>,
    pub(super) mount: Arc<Mount>,
}

/// All servlets that run, by name.
pub(super) type Fleet = BTreeMap<String, Running>;

/// A servlet's mount.
pub(super) fn mount(def: &ServletDef, servlet: Arc<Servlet>, metrics: &Metrics) -> Arc<Mount> {
    let options = &def.options;
    Arc::new(Mount {
        name: Arc::clone(&def.name),
        servlet,
        upstream: match def.upstream {
            ConfiguredUpstream::Grpc => Upstream::Grpc,
            ConfiguredUpstream::Http1 => Upstream::Http1,
            ConfiguredUpstream::Http2 => Upstream::Http2,
        },
        services: def.services.iter().map(|service| service.pattern.clone()).collect(),
        schema: def.schema.clone(),
        timeout: def.timeout,
        unary_timeout: def.unary_timeout,
        message_limit: size(options.message_size.bytes()),
        body_limit: options.body_size.map(|size| size.bytes()),
        replay_limit: size(options.replay_size.bytes()),
        connections: Options {
            connect_timeout: options.connect_timeout,
            connections: size(options.endpoint_connections.get().into()),
            ping_interval: options.ping_interval,
            ping_timeout: options.ping_timeout,
            ..Options::default()
        },
        metrics: ServletMetrics::new(metrics, &def.name),
    })
}

/// A size as this machine counts; one that it cannot hold is no limit.
pub(super) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The routing over `fleet`.
///
/// # Errors
/// What two servlets both claim.
pub(super) fn routing(fleet: &Fleet) -> Result<Routing, Vec<Conflict>> {
    let mut builder = TableBuilder::new();
    let owners = owners(fleet);
    for running in fleet.values() {
        for route in &running.def.routes {
            push_route(&mut builder, running, route);
        }
        for service in &running.def.services {
            let origin = origin(&running.def, service.at);
            builder.service(&service.pattern, origin, Target { mount: Arc::clone(&running.mount), call: None });
        }
        let Some(schema) = &running.def.schema else { continue };
        for service in schema.services() {
            if owners.owner(&service.full_name) == Some(&*running.def.name) {
                push_service(&mut builder, running, service);
            }
        }
    }
    let mounts = fleet.values().map(|running| Arc::clone(&running.mount)).collect();
    Ok(Routing { table: builder.build()?, mounts })
}

fn push_route(builder: &mut TableBuilder<Target>, running: &Running, route: &RouteDef) {
    let matches = &route.matches;
    let named = route.call.as_ref().and_then(|(service, method)| running.def.schema.as_ref()?.method(service, method));
    let call = named.map(|method| call_of(method, matches.method.as_ref(), &matches.path, &running.def.file));
    builder.push(Entry {
        tier: Tier::Routes,
        host: matches.host.clone(),
        path: Arc::clone(&matches.path),
        method: matches.method.clone(),
        headers: matches.headers.clone(),
        origin: origin(&running.def, route.at),
        target: Target { mount: Arc::clone(&running.mount), call },
    });
}

fn call_of(method: &Arc<GrpcMethod>, verb: Option<&Method>, path: &Arc<Template>, file: &str) -> Call {
    let binding = |verb: Method| Arc::new(Binding::for_route(verb, Arc::clone(path), Place::file(file)));
    match verb {
        Some(verb) => Call { method: Arc::clone(method), binding: binding(verb.clone()), bodiless: None },
        None => Call {
            method: Arc::clone(method),
            binding: binding(Method::POST),
            bodiless: Some(binding(Method::GET)),
        },
    }
}

fn push_service(builder: &mut TableBuilder<Target>, running: &Running, service: &Service) {
    for method in &service.methods {
        for binding in method.mappings() {
            builder.push(Entry {
                tier: Tier::Services,
                host: HostPattern::Any,
                path: Arc::clone(&binding.template),
                method: binding.verb.clone(),
                headers: Vec::new(),
                origin: Origin::new(format!("{} ({})", binding.place, running.def.file)),
                target: Target {
                    mount: Arc::clone(&running.mount),
                    call: Some(Call {
                        method: Arc::clone(method),
                        binding: Arc::clone(binding),
                        bodiless: None,
                    }),
                },
            });
        }
    }
}

fn origin(def: &ServletDef, at: Position) -> Origin {
    Origin::new(format!("{}:{}:{}", def.file, at.line, at.column))
}

/// Who serves a service: the exact name first, then the longest package, then `*`.
struct Owners<'f>(HashMap<&'f str, &'f str>);

fn owners(fleet: &Fleet) -> Owners<'_> {
    let claims = fleet.values().flat_map(|running| {
        running.def.services.iter().map(|service| (service.pattern.as_str(), &*running.def.name))
    });
    Owners(claims.collect())
}

impl<'f> Owners<'f> {
    fn owner(&self, service: &str) -> Option<&'f str> {
        if let Some(owner) = self.0.get(service) {
            return Some(owner);
        }
        let mut package = service;
        while let Some((outer, _)) = package.rsplit_once('.') {
            if let Some(owner) = self.0.get(format!("{outer}.*").as_str()) {
                return Some(owner);
            }
            package = outer;
        }
        self.0.get("*").copied()
    }
}
