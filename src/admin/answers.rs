//! From a request's head to an answer, without a socket in sight.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::index;
use super::page::{PAGES, Page};
use super::view::{Endpoints, Legacy, ServletSummary, Servlets};
use crate::servlet::EndpointView;
use crate::telemetry::LegacyView;

/// A question that the rest of the process answers, on the admin thread.
type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// A question about the servlet of a name; `None` when there is no answer for it.
type AskOf<T> = Box<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// Where the answers come from.
pub struct Answers {
    /// Why the process should be started anew, if it should.
    pub live: Ask<Result<(), String>>,
    /// Why no calls are taken, if none are: not loaded yet, or draining.
    pub ready: Ask<Result<(), String>>,
    /// Prometheus' text format.
    pub metrics: Ask<String>,
    pub servlets: Ask<Vec<ServletSummary>>,
    /// The endpoints of the servlet of that name; `None` when there is none.
    pub endpoints: AskOf<Vec<EndpointView>>,
    /// The OpenAPI document of the servlet of that name; `None` when there is no such servlet, or it has no schema.
    pub openapi: AskOf<Value>,
    /// A list of reports, the newest first.
    pub reloads: Ask<Value>,
    pub legacy: Ask<LegacyView>,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answers {
    /// Answers a request. `has_body`: whether one follows the head; nothing here takes any.
    pub(super) fn answer(&self, head: &Parts, has_body: bool) -> Response<Bytes> {
        if has_body {
            let mut reply = problem(StatusCode::BAD_REQUEST, "nothing here takes a body");
            // What follows was not read and must not be taken for a request.
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return reply;
        }
        let Some(page) = Page::at(head.uri.path()) else {
            return problem(StatusCode::NOT_FOUND, "there is no such page");
        };
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut reply = problem(StatusCode::METHOD_NOT_ALLOWED, "everything here is only read");
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return reply;
        }
        match page {
            Page::Index if wants_json(head) => json_reply(StatusCode::OK, &json!({ "pages": pages() })),
            Page::Index => {
                let page = index::html(&(self.ready)(), &(self.servlets)());
                reply(StatusCode::OK, "text/html; charset=utf-8", page)
            }
            Page::Livez => health(&(self.live)()),
            Page::Readyz => health(&(self.ready)()),
            Page::Metrics => reply(StatusCode::OK, prometheus::TEXT_FORMAT, (self.metrics)()),
            Page::Servlets => json_reply(StatusCode::OK, &Servlets { servlets: (self.servlets)() }),
            Page::Endpoints(name) => match (self.endpoints)(&name) {
                Some(views) => json_reply(StatusCode::OK, &Endpoints::new(&name, views)),
                None => self.no_servlet(&name),
            },
            Page::OpenApi(name) => match (self.openapi)(&name) {
                Some(document) => json_reply(StatusCode::OK, &document),
                None => match (self.servlets)().into_iter().find(|servlet| servlet.name == name) {
                    Some(ServletSummary { schema_pending: Some(why), .. }) => {
                        let error = format!("the schema of servlet `{name}` is not known yet: {why}");
                        json_reply(StatusCode::NOT_FOUND, &json!({ "error": error }))
                    }
                    Some(_) => {
                        let error = format!("servlet `{name}` has no schema, and so no REST surface");
                        json_reply(StatusCode::NOT_FOUND, &json!({ "error": error }))
                    }
                    None => self.no_servlet(&name),
                },
            },
            Page::Reloads => json_reply(StatusCode::OK, &json!({ "reloads": (self.reloads)() })),
            Page::Legacy => json_reply(StatusCode::OK, &Legacy::new((self.legacy)())),
        }
    }

    fn no_servlet(&self, name: &str) -> Response<Bytes> {
        let known: Vec<String> = (self.servlets)().into_iter().map(|servlet| servlet.name).collect();
        let body = json!({ "error": format!("there is no servlet `{name}`"), "servlets": known });
        json_reply(StatusCode::NOT_FOUND, &body)
    }
}

fn health(state: &Result<(), String>) -> Response<Bytes> {
    match state {
        Ok(()) => reply(StatusCode::OK, TEXT, "ok\n".to_owned()),
        Err(why) => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
    }
}

/// JSON is asked for when it is named and HTML is not: browsers name HTML, tools name neither.
fn wants_json(head: &Parts) -> bool {
    let named = |media: &str| {
        let values = head.headers.get_all(ACCEPT);
        values.iter().any(|value| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains(media)))
    };
    named(JSON) && !named("text/html")
}

fn pages() -> Value {
    PAGES.iter().map(|(path, what)| json!({ "path": path, "what": what })).collect()
}

fn problem(status: StatusCode, error: &str) -> Response<Bytes> {
    json_reply(status, &json!({ "error": error, "pages": pages() }))
}

fn json_reply(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_string_pretty(body) {
        Ok(text) => reply(status, JSON, text + "\n"),
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

fn reply(status: StatusCode, media: &'static str, body: String) -> Response<Bytes> {
    let mut reply = Response::new(Bytes::from(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

#[cfg(test)]
pub(super) mod tests;
