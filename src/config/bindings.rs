//! From a servlet's routes to bindings: what path, body and query of a request fill, held against the method that the route leads to.
//! Routes may say all that annotations may, so that a schema without annotations is served and one with wrong ones is set right.

use std::sync::Arc;

use http::Method;

use super::RouteBinding;
use super::checks::each;
use super::servlet_file::{CallName, MatchLine, RouteLine};
use crate::discovery::{Lenient, Position, Problem, Reader, Spanned, did_you_mean, quoted_list};
use crate::schema::{self, Binding, FieldPathError, Place, RouteRule, RouteRuleError, RulePart, Schema, built_in};

/// Fields that a message about one that is missing names.
const MOST_FIELDS: usize = 20;

/// The bindings of the routes, each at its route's place; `None` where there is none, which has been told.
pub(super) fn bind(
    routes: &[Lenient<Spanned<RouteLine>>],
    schema: Option<&Schema>,
    reader: &mut Reader,
) -> Vec<Option<RouteBinding>> {
    let mut bound: Vec<Option<RouteBinding>> = routes.iter().map(|_| None).collect();
    for (index, route) in each(routes) {
        let binding = reader.key("routes", |reader| reader.index(index, |reader| bind_one(route, schema, reader)));
        if let Some(place) = bound.get_mut(index) {
            *place = binding;
        }
    }
    bound
}

fn bind_one(route: &Spanned<RouteLine>, schema: Option<&Schema>, reader: &mut Reader) -> Option<RouteBinding> {
    let Spanned { value: line, at } = route;
    let call = &line.call.0.as_ref()?.as_ref()?.value;
    let CallName { service, method } = call;
    let matches = line.r#match.0.as_ref()?;
    // What the schema does not know has been told, and so has a rule where none is needed.
    let own = if call.is_envelope() { built_in(service, method) } else { None };
    if own.is_some() && matches.path.as_ref().is_some_and(|path| !path.value.0.variables().is_empty()) {
        return None;
    }
    let method = own.as_ref().or_else(|| schema?.method(service, method))?;
    let (body, response_body) = (line.body.0.as_ref()?.as_ref(), line.response_body.0.as_ref()?.as_ref());
    let file: Arc<str> = reader.file().into();
    let rule = |verb: Option<Method>, body| {
        Some(RouteRule {
            verb,
            template: matches.template()?,
            body,
            response_body: response_body.map_or("", |field| &field.value.0),
            place: Place { file: Arc::clone(&file), line: Some(at.line), column: Some(at.column) },
        })
    };
    let verb = matches.method.as_ref().map(|method| method.0.clone());
    let (rule, bodiless) = match (body, verb) {
        (Some(body), verb) => (rule(verb, &body.value.0)?, None),
        (None, Some(verb)) => {
            let body = Binding::default_body(&verb);
            (rule(Some(verb), body)?, None)
        }
        // What is not said follows from each request's own verb.
        (None, None) => (rule(Some(Method::POST), "*")?, Some(rule(Some(Method::GET), "")?)),
    };
    match Binding::for_route(&rule, method) {
        Ok(binding) => {
            let bodiless = bodiless.and_then(|rule| Binding::for_route(&rule, method).ok()).map(Arc::new);
            Some(RouteBinding { method: Arc::clone(method), binding: Arc::new(binding), bodiless })
        }
        Err(errors) => {
            for error in errors {
                tell(&error, *at, line, method, reader);
            }
            None
        }
    }
}

fn tell(error: &RouteRuleError, at: Position, line: &RouteLine, method: &schema::Method, reader: &mut Reader) {
    let (keys, written): (&[&str], Option<(Position, String)>) = match error.part {
        RulePart::Path => (&["match", "path"], line.r#match.0.as_ref().and_then(MatchLine::written)),
        RulePart::Body => {
            let body = line.body.0.as_ref().and_then(Option::as_ref);
            (&["body"], body.map(|body| (body.at, body.value.0.clone())))
        }
        RulePart::ResponseBody => {
            let field = line.response_body.0.as_ref().and_then(Option::as_ref);
            (&["response_body"], field.map(|field| (field.at, field.value.0.clone())))
        }
    };
    let (at, value) = written.map_or((at, None), |(at, value)| (at, Some(value)));
    let path = [reader.path_text(), keys.join(".")].join(".");
    let problem = reader.report_at(Some(at), &path, "");
    problem.value = value.map(Into::into);
    explain(&error.error, method, problem);
}

fn explain(error: &FieldPathError, method: &schema::Method, problem: &mut Problem) {
    let fits = format!("does not fit {}/{}", method.service, method.name);
    let Some(unknown) = &error.unknown else {
        problem.wrong = format!("{fits}: {error}").into();
        return;
    };
    problem.wrong = format!("{fits}: `{}` is no field of {}", unknown.name, unknown.message).into();
    let names: Vec<&str> = unknown.fields.iter().map(|field| &**field).collect();
    let more = if names.len() > MOST_FIELDS { ", …" } else { "" };
    problem.allowed = Some(match names.get(..MOST_FIELDS.min(names.len())) {
        Some(shown @ [_, ..]) => format!("one of {}{more}", quoted_list(shown)).into(),
        _ => "it has none".into(),
    });
    let by_json = unknown.by_json.as_ref().map(|name| format!("did you mean `{name}`?"));
    problem.hint = by_json.or_else(|| did_you_mean(&unknown.name, names)).map(Into::into);
}
