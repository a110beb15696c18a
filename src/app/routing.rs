//! From servlets as they are configured to the routing that traffic meets.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::PathAndQuery;

use crate::config::{self, RouteBinding, ServletDef, Upstream as ConfiguredUpstream, Way};
use crate::proxy::{Call, MetadataNames, Mount, Routing, Target, Upstream};
use crate::route::Conflict;
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
        routes: def.routes.len(),
        schema: def.schema.clone(),
        pending: def.pending().map(str::to_owned),
        timeout: def.timeout,
        unary_timeout: def.unary_timeout,
        cors: options.cors.as_ref().and_then(config::Cors::rules).map(Arc::new),
        metadata: match def.upstream {
            ConfiguredUpstream::Grpc => MetadataNames {
                request: options.metadata.request.names().map(Arc::new),
                reply: options.metadata.reply.names().map(Arc::new),
            },
            ConfiguredUpstream::Http1 | ConfiguredUpstream::Http2 => MetadataNames::default(),
        },
        message_limit: size(options.message_size.bytes()),
        body_limit: options.body_size.map(|size| size.bytes()),
        replay_limit: size(options.replay_size.bytes()),
        compression: options.compression.of_answers(),
        connections: Options {
            connect_timeout: options.connect_timeout,
            connections: size(options.endpoint_connections.get().into()),
            queue_timeout: options.queue_timeout,
            idle_http1_timeout: options.endpoint_idle,
            ping_interval: options.ping_interval,
            ping_timeout: options.ping_timeout,
            tunnel_idle: options.tunnel_idle,
            ..Options::default()
        },
        metrics: ServletMetrics::new(metrics, &def.name, def.upstream == ConfiguredUpstream::Grpc),
    })
}

/// A size as this machine counts; one that it cannot hold is no limit.
pub(super) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The routing over `fleet`.
///
/// # Errors
/// What two servlets both claim; there is nothing of the kind between servlets that a reload has accepted.
pub(super) fn routing(fleet: &Fleet) -> Result<Routing, Vec<Conflict>> {
    let mounts: Vec<Arc<Mount>> = fleet.values().map(|running| Arc::clone(&running.mount)).collect();
    let builder = config::routing(fleet.values().map(|running| &running.def), |def, way| {
        let mount = Arc::clone(&fleet.get(&*def.name)?.mount);
        let unbound = unbound(def, &way);
        Some(Target { mount, call: call(def, way), unbound })
    });
    Ok(Routing { table: builder.build()?, mounts })
}

/// The path of the method that a route leads to, as far as it is known without a schema.
fn unbound(def: &ServletDef, way: &Way) -> Option<PathAndQuery> {
    let Way::Route { index, .. } = way else { return None };
    let (service, method) = def.routes.get(*index).filter(|_| def.pending().is_some())?.call.as_ref()?;
    PathAndQuery::try_from(format!("/{service}/{method}")).ok()
}

/// What a rule says about the method and its input, if it leads to one.
fn call(def: &ServletDef, way: Way) -> Option<Call> {
    match way {
        Way::Service => None,
        Way::Binding { method, binding } => Some(Call { method, binding, bodiless: None }),
        Way::Route { index, .. } => {
            let RouteBinding { method, binding, bodiless } = def.routes.get(index)?.binding.clone()?;
            Some(Call { method, binding, bodiless })
        }
    }
}
