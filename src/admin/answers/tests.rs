use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::Request;

use super::super::view::SchemaState;
use super::*;
use crate::balance::Policy;
use crate::model::{EndpointSpec, Table};
use crate::servlet::Servlet;
use crate::telemetry::LegacyCallers;

/// Answers of a process with one servlet, `echo`, and a switch for its readiness.
pub(in crate::admin) fn answers() -> (Answers, Arc<AtomicBool>) {
    let draining = Arc::new(AtomicBool::new(false));
    let ready = Arc::clone(&draining);
    let spec = |port: u16, weight| EndpointSpec { address: format!("127.0.0.1:{port}").parse().unwrap(), weight };
    let table = Table::flat(vec![spec(1, 3), spec(2, 1), spec(3, 0)]);
    let servlet = Servlet::new("echo".into(), Policy::FairLeastRequest, &table, Instant::now());
    let callers = LegacyCallers::new();
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    callers.worker().seen(Some([10, 0, 0, 9].into()), Some("echo"), Some(b"ab/2.3"), last);
    let views = servlet.views(Instant::now());
    let answers = Answers {
        live: Box::new(|| Ok(())),
        ready: Box::new(move || if ready.load(Ordering::Relaxed) { Err("draining".into()) } else { Ok(()) }),
        metrics: Box::new(|| "telamon_up 1\n".into()),
        servlets: Box::new(move || {
            let services = vec!["a.B".into()];
            vec![ServletSummary::new("echo", "grpc", "fair_least_request", services, 2, SchemaState::None, &views)]
        }),
        endpoints: Box::new(move |name| (name == "echo").then(|| servlet.views(Instant::now()))),
        openapi: Box::new(|name| (name == "papers").then(|| json!({ "openapi": "3.1.0" }))),
        reloads: Box::new(|| json!([{ "accepted": true }])),
        legacy: Box::new(move || callers.view()),
    };
    (answers, draining)
}

fn ask(answers: &Answers, method: &str, path: &str, accept: Option<&str>) -> (StatusCode, String, Response<Bytes>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let reply = answers.answer(&head, false);
    (reply.status(), String::from_utf8(reply.body().to_vec()).unwrap(), reply)
}

fn get_json(path: &str) -> Value {
    let (status, body, reply) = ask(&answers().0, "GET", path, None);
    assert_eq!((status, reply.headers()[CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, JSON), "{path}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn health_follows_the_process_and_says_why_not() {
    let (answers, draining) = answers();
    for path in ["/livez", "/readyz"] {
        let (status, body, _) = ask(&answers, "GET", path, None);
        assert_eq!((status, body.as_str()), (StatusCode::OK, "ok\n"), "{path}");
    }
    draining.store(true, Ordering::Relaxed);
    let (status, body, _) = ask(&answers, "GET", "/readyz", None);
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "draining\n"));
    assert_eq!(ask(&answers, "GET", "/livez", None).0, StatusCode::OK);
    assert!(ask(&answers, "GET", "/", None).1.contains("draining"));
}

#[test]
fn endpoints_tell_weights_shares_and_reasons() {
    let body = get_json("/api/v1/servlets/echo/endpoints");
    assert_eq!(body["servlet"], "echo");
    let rows = body["endpoints"].as_array().unwrap();
    let column = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("address"), ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
    assert_eq!(column("configured_weight"), [3, 1, 0]);
    assert_eq!(column("expected_share"), [0.75, 0.25, 0.0]);
    assert_eq!(column("state"), ["serving", "serving", "draining"]);
    assert!(column("why").iter().all(|why| why.as_str().is_some_and(|why| !why.is_empty())));
    for key in ["group", "observed_share_1m", "observed_share_10m", "latency_ms", "set_aside_until"] {
        assert_eq!(column(key), [Value::Null, Value::Null, Value::Null], "{key}");
    }
    for key in ["in_flight", "requests", "failures"] {
        assert_eq!(column(key), [0, 0, 0], "{key}");
    }
}

#[test]
fn lists_have_the_shape_that_tools_read() {
    let servlet = json!({
        "name": "echo", "upstream": "grpc", "policy": "fair_least_request", "services": ["a.B"], "routes": 2,
        "schema": "none", "schema_pending": null,
        "endpoints": 3, "serving": 2, "in_flight": 0, "requests": 0, "failures": 0
    });
    let caller = json!({
        "peer": "10.0.0.9", "servlet": "echo", "requests": 1, "last_seen": "2009-02-13T23:31:30.000Z",
        "user_agent": "ab/2.3"
    });
    assert_eq!(get_json("/api/v1/servlets"), json!({ "servlets": [servlet] }));
    assert_eq!(get_json("/api/v1/legacy"), json!({ "callers": [caller], "forgotten": 0 }));
    assert_eq!(get_json("/api/v1/reloads"), json!({ "reloads": [{ "accepted": true }] }));
}

#[test]
fn metrics_are_prometheus_text() {
    let (status, body, reply) = ask(&answers().0, "GET", "/metrics?name=x", Some("application/json"));
    assert_eq!((status, body.as_str()), (StatusCode::OK, "telamon_up 1\n"));
    assert_eq!(reply.headers()[CONTENT_TYPE], prometheus::TEXT_FORMAT);
}

#[test]
fn the_index_speaks_to_people_and_to_tools() {
    let (answers, _) = answers();
    let browser = Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    for accept in [None, browser, Some("*/*"), Some("text/html, application/json")] {
        let (_, body, reply) = ask(&answers, "GET", "/", accept);
        assert!(reply.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{accept:?}");
        assert!(body.contains("2 of 3"), "{body}");
    }
    let (_, body, _) = ask(&answers, "GET", "/", Some("Application/JSON"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["pages"].as_array().unwrap().len(), PAGES.len());
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (answers, _) = answers();
    for path in ["/nope", "/api/v1/servlets/", "/api", "/metrics/"] {
        let (status, body, _) = ask(&answers, "GET", path, None);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, body["pages"].as_array().unwrap().len()), (StatusCode::NOT_FOUND, PAGES.len()), "{path}");
    }
    let (status, body, _) = ask(&answers, "GET", "/api/v1/servlets/other/endpoints", None);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["servlets"]), (StatusCode::NOT_FOUND, &json!(["echo"])));
}

#[test]
fn nothing_can_be_written() {
    let (answers, _) = answers();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        for path in ["/", "/metrics", "/api/v1/servlets/echo/endpoints"] {
            let (status, _, reply) = ask(&answers, method, path, None);
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(reply.headers()[ALLOW], "GET, HEAD");
        }
        assert_eq!(ask(&answers, method, "/nope", None).0, StatusCode::NOT_FOUND);
    }
    let (head, ()) = Request::get("/livez").body(()).unwrap().into_parts();
    let reply = answers.answer(&head, true);
    assert_eq!((reply.status(), reply.headers()[CONNECTION].as_bytes()), (StatusCode::BAD_REQUEST, &b"close"[..]));
}

#[test]
fn a_document_is_there_for_servlets_with_a_rest_surface() {
    assert_eq!(get_json("/api/v1/servlets/papers/openapi"), json!({ "openapi": "3.1.0" }));
    for (name, told) in [("echo", "has no schema"), ("nobody", "there is no servlet")] {
        let (status, body, _) = ask(&answers().0, "GET", &format!("/api/v1/servlets/{name}/openapi"), None);
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains(told), "{body}");
    }
}

#[test]
fn a_schema_that_is_not_known_yet_is_no_schema_that_is_not_there() {
    let (mut answers, _) = answers();
    let pending = SchemaState::Pending("nobody told it".into());
    let summary = ServletSummary::new("lib", "grpc", "round_robin", Vec::new(), 0, pending, &[]);
    assert_eq!((summary.schema, summary.schema_pending.as_deref()), ("pending", Some("nobody told it")));
    answers.servlets = Box::new(move || vec![summary.clone()]);
    let (status, body, _) = ask(&answers, "GET", "/api/v1/servlets/lib/openapi", None);
    assert!(status == StatusCode::NOT_FOUND && body.contains("is not known yet: nobody told it"), "{body}");
}
