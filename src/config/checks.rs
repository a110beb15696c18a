//! What a servlet's file says held against its upstream and its schema.

use std::collections::HashMap;
use std::sync::Arc;

use super::Upstream;
use super::servlet_file::{CallName, RouteLine, SchemaLine, ServicePattern, ServletFile};
use crate::discovery::{Lenient, Position, Problem, Reader, Spanned, did_you_mean};
use crate::schema::{ENVELOPE, Schema};

/// Reports what does not fit together. `schema` is `None` when there is one that is broken or not known yet, `Some(None)` when there
/// is none.
pub(super) fn check(file: &Spanned<ServletFile>, schema: Option<&Option<Arc<Schema>>>, reader: &mut Reader) {
    let Spanned { value: file, at } = file;
    // What could not be read has been told; nothing follows from it.
    let (Some(upstream), Some(services), Some(routes)) = (file.upstream.0, &file.services.0, &file.routes.0) else {
        return;
    };
    let listed = || each(services.as_ref().map_or(&[][..], |services| &services.value));
    let no_service = services.as_ref().is_none_or(|services| services.value.is_empty());
    repeated(listed(), reader);
    match upstream {
        Upstream::Grpc => {
            if no_service && routes.is_empty() {
                reader
                    .report_at(Some(*at), "", "neither `services` nor `routes`: nothing reaches this servlet")
                    .allowed = Some("one of them, like `services: [\"*\"]`".into());
            }
            if let Some(Some(schema)) = schema {
                for (index, service) in listed() {
                    known_service(index, service, schema, reader);
                }
            }
            for (index, route) in each(routes) {
                reader.key("routes", |reader| reader.index(index, |reader| known_call(route, schema, reader)));
            }
        }
        Upstream::Http1 | Upstream::Http2 => untranslated(file, *at, upstream, reader),
    }
}

/// The items that could be read, with their numbers.
pub(super) fn each<T>(list: &[Lenient<T>]) -> impl Iterator<Item = (usize, &T)> {
    list.iter().enumerate().filter_map(|(index, item)| Some((index, item.0.as_ref()?)))
}

fn repeated<'s>(listed: impl Iterator<Item = (usize, &'s Spanned<ServicePattern>)>, reader: &mut Reader) {
    let mut seen: HashMap<&str, Position> = HashMap::new();
    for (index, service) in listed {
        match seen.get(service.value.0.as_str()) {
            Some(first) => {
                let line = first.line;
                at_service(index, reader, |reader| {
                    reader.report_with(service.at, "", |problem| {
                        problem.wrong = format!("is there twice: first on line {line}").into();
                        problem.value = Some(service.value.0.as_str().into());
                    });
                });
            }
            None => {
                seen.insert(&service.value.0, service.at);
            }
        }
    }
}

fn known_service(index: usize, service: &Spanned<ServicePattern>, schema: &Schema, reader: &mut Reader) {
    let pattern = service.value.0.as_str();
    // Looking for what was meant goes through the whole schema: only for a mistake that will be shown.
    let report = |reader: &mut Reader, wrong: &str, hint: &dyn Fn() -> Option<String>| {
        at_service(index, reader, |reader| {
            reader.report_with(service.at, wrong, |problem| {
                problem.value = Some(pattern.into());
                problem.hint = hint().map(Into::into);
            });
        });
    };
    if pattern == "*" {
        return;
    }
    match pattern.strip_suffix(".*") {
        Some(package) => {
            let inside = |service: &str| service.strip_prefix(package).is_some_and(|rest| rest.starts_with('.'));
            if !schema.services().any(|service| inside(&service.full_name)) {
                report(reader, "is not in the schema: it has no service in this package", &|| None);
            }
        }
        None if schema.service(pattern).is_none() => {
            report(reader, "is not in the schema", &|| nearest_service(pattern, schema));
        }
        None => {}
    }
}

fn at_service(index: usize, reader: &mut Reader, report: impl FnOnce(&mut Reader)) {
    reader.key("services", |reader| reader.index(index, report));
}

/// What was probably meant: a service of nearly that name, or the same one in another package.
fn nearest_service(name: &str, schema: &Schema) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    did_you_mean(name, schema.services().map(|service| &*service.full_name)).or_else(|| {
        let same = schema.services().find(|service| last(&service.full_name) == last(name))?;
        Some(format!("did you mean `{}`?", same.full_name))
    })
}

fn known_call(route: &Spanned<RouteLine>, schema: Option<&Option<Arc<Schema>>>, reader: &mut Reader) {
    let Some(call) = &route.value.call.0 else { return };
    let Some(call) = call else {
        reader.key("call", |reader| {
            reader.report(route.at, "is missing").allowed =
                Some("the method `pkg.v1.Service/Method` that this route leads to".into());
        });
        return;
    };
    let CallName { service, method } = &call.value;
    if call.value.is_envelope() {
        return enveloped(&route.value, reader);
    }
    let explain = |problem: &mut Problem| {
        let (wrong, hint) = match schema {
            None | Some(None) => {
                let written = format!("{service}/{method}");
                let own = did_you_mean(&written, [&*format!("{}/{}", ENVELOPE.0, ENVELOPE.1)]);
                ("needs a `schema`: a route is translated".to_owned(), own)
            }
            Some(Some(schema)) => match schema.service(service) {
                None => ("is not in the schema".to_owned(), nearest_service(service, schema)),
                Some(known) => {
                    let names = known.methods.iter().map(|method| &*method.name);
                    (format!("is not in the schema: {service} has no method {method}"), did_you_mean(method, names))
                }
            },
        };
        problem.wrong = wrong.into();
        problem.value = Some(format!("{service}/{method}").into());
        problem.hint = hint.map(Into::into);
    };
    match schema {
        None => {}
        Some(Some(schema)) if schema.method(service, method).is_some() => {}
        Some(_) => reader.key("call", |reader| reader.report_with(call.at, "", explain)),
    }
}

/// A whole exchange goes into the envelope, so what says how parts of it fill a message would be without effect.
fn enveloped(route: &RouteLine, reader: &mut Reader) {
    let mut refuse = |at: Position, keys: &[&str], instead: &str| {
        let path = [&[&*reader.path_text()], keys].concat().join(".");
        let wrong = format!("is not allowed with `call: {}/{}`", ENVELOPE.0, ENVELOPE.1);
        reader.report_at(Some(at), &path, wrong).allowed = Some(instead.to_owned().into());
    };
    if let Some(Some(body)) = &route.body.0 {
        refuse(body.at, &["body"], "the whole exchange is carried");
    }
    if let Some(Some(body)) = &route.response_body.0 {
        refuse(body.at, &["response_body"], "the whole exchange is carried");
    }
    let path = route.r#match.0.as_ref().and_then(|matches| matches.path.as_ref());
    if let Some(path) = path.filter(|path| !path.value.0.variables().is_empty()) {
        refuse(path.at, &["match", "path"], "a variable fills nothing; write `*` for one segment, `**` for the rest");
    }
}

/// Nothing is translated for `http1` and `http2`, so whatever speaks of methods and messages would be without effect.
fn untranslated(file: &ServletFile, at: Position, upstream: Upstream, reader: &mut Reader) {
    let wrong = format!("is not allowed with `upstream: {}`", upstream.name());
    let mut refuse = |at: Position, key: &str, instead: &str| {
        reader.report_at(Some(at), key, wrong.clone()).allowed = Some(instead.into());
    };
    if let Some(Some(services)) = &file.services.0 {
        refuse(services.at, "services", "`routes` lead to it");
    }
    if let Some(at) = file.schema.0.iter().flatten().find_map(SchemaLine::at) {
        refuse(at, "schema", "nothing is translated");
    }
    let routes = file.routes.0.as_deref().unwrap_or_default();
    for (index, route) in each(routes) {
        if let Some(Some(call)) = &route.value.call.0 {
            refuse(call.at, &format!("routes[{index}].call"), "nothing is translated");
        }
        if let Some(Some(body)) = &route.value.body.0 {
            refuse(body.at, &format!("routes[{index}].body"), "nothing is translated");
        }
        if let Some(Some(body)) = &route.value.response_body.0 {
            refuse(body.at, &format!("routes[{index}].response_body"), "nothing is translated");
        }
        let path = route.value.r#match.0.as_ref().and_then(|matches| matches.path.as_ref());
        if let Some(path) = path.filter(|path| !path.value.0.variables().is_empty()) {
            let instead =
                "nothing is translated, so a variable fills nothing; write `*` for one segment, `**` for the rest";
            refuse(path.at, &format!("routes[{index}].match.path"), instead);
        }
    }
    if routes.is_empty() {
        let problem = reader.report_at(Some(at), "routes", "is missing: nothing reaches this servlet");
        problem.allowed = Some("at least one route, like `{ match: { path: \"/**\" } }`".into());
    }
}
