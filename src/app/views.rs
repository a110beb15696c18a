//! What the admin API and the scrape are answered with, read from what runs at the moment of the question.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::state::Shared;
use crate::admin::{Answers, SchemaState, ServletSummary};
use crate::config;
use crate::proxy::{Mount, Upstream};
use crate::schema::Comments;
use crate::telemetry::EndpointSample;

/// Lets the endpoints be told at each scrape.
pub(super) fn endpoints_at_scrape(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    shared.metrics.endpoints_from(move || {
        let Some(shared) = weak.upgrade() else { return Vec::new() };
        let now = Instant::now();
        let servlets = shared.registry.all();
        let samples = servlets.iter().flat_map(|(name, servlet)| {
            servlet.views(now).into_iter().map(|view| EndpointSample::new(name, &view)).collect::<Vec<_>>()
        });
        samples.collect()
    });
}

/// The answers of the admin API.
pub(super) fn answers(shared: &Arc<Shared>) -> Answers {
    let live = Arc::clone(shared);
    let (ready, metrics, servlets, endpoints, reloads, legacy) =
        (shared.clone(), shared.clone(), shared.clone(), shared.clone(), shared.clone(), shared.clone());
    let configured = Arc::clone(shared);
    Answers {
        live: Box::new(move || live.not_alive().map_or(Ok(()), |why| Err(why.to_owned()))),
        ready: Box::new(move || ready.not_ready().map_or(Ok(()), |why| Err(why.to_owned()))),
        metrics: Box::new(move || metrics.metrics.render()),
        servlets: Box::new(move || {
            let routing = servlets.routing.load_full();
            routing.mounts.iter().map(|mount| summary(mount)).collect()
        }),
        endpoints: Box::new(move |name| Some(endpoints.registry.get(name)?.views(Instant::now()))),
        openapi: Box::new(move |name| {
            let servlets = configured.servlets.load_full();
            let def = servlets.iter().find(|def| *def.name == *name)?;
            // Without the comments: those are in files that may have changed since.
            config::openapi_of(def, servlets.iter(), &Comments::default())
        }),
        reloads: Box::new(move || serde_json::to_value(reloads.reports()).unwrap_or(Value::Null)),
        legacy: Box::new(move || legacy.legacy.view()),
    }
}

fn summary(mount: &Mount) -> ServletSummary {
    let upstream = match mount.upstream {
        Upstream::Grpc => "grpc",
        Upstream::Http1 => "http1",
        Upstream::Http2 => "http2",
    };
    let schema = match (&mount.schema, &mount.pending) {
        (_, Some(why)) => SchemaState::Pending(why.clone()),
        (Some(_), None) => SchemaState::Known,
        (None, None) => SchemaState::None,
    };
    let views = mount.servlet.views(Instant::now());
    ServletSummary::new(
        &mount.name,
        upstream,
        mount.servlet.policy().name(),
        mount.services.clone(),
        mount.routes,
        schema,
        &views,
    )
}
