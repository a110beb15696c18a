//! What operators see: every page, every key, and that the numbers are right.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::grpc::Caller;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::{Call, Running, Servlet, http1, text_field};

const SAY: &str = "/echo.v1.Echo/Say";

/// Answers well, but for the text `fail`: that is INTERNAL.
async fn choosy() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        let body = call.read().await;
        match body.ends_with(b"fail") {
            true => call.refuse("13", Some("as asked")),
            false => call.reply(&[&text_field(1, "hi")], "0", None),
        }
    })
    .await
}

async fn ask(proxy: &Running, request: &str) -> http1::Answer {
    let mut caller = http1::Caller::connect(&proxy.admin).await;
    caller.write(format!("{request} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")).await;
    caller.answer_to(request.split(' ').next().unwrap()).await.unwrap()
}

#[tokio::test]
async fn every_page_is_there_and_everything_else_is_refused_in_json() {
    let servlet = choosy().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    for (path, media) in [
        ("/livez", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4"),
        ("/api/v1/servlets", "application/json"),
        ("/api/v1/servlets/echo/endpoints", "application/json"),
        ("/api/v1/servlets/echo/openapi", "application/json"),
        ("/api/v1/reloads", "application/json"),
        ("/api/v1/legacy", "application/json"),
        ("/", "text/html; charset=utf-8"),
    ] {
        let answer = ask(&proxy, &format!("GET {path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)), "{path}");
        let head = ask(&proxy, &format!("HEAD {path}")).await;
        assert_eq!((head.status, head.header("content-type")), (200, Some(media)), "HEAD {path}");
        assert!(head.header("content-length").is_some() && head.body.is_empty(), "HEAD {path}");
        let refused = ask(&proxy, &format!("DELETE {path}")).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{path}");
        assert!(refused.json()["error"].is_string());
    }
    assert_eq!(ask(&proxy, "GET /livez").await.text(), "ok\n");
    assert_eq!(ask(&proxy, "GET /readyz").await.text(), "ok\n");
    for path in ["/nothing", "/api/v1", "/api/v1/servlets/", "/api/v1/servlets/other/endpoints"] {
        let answer = ask(&proxy, &format!("GET {path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    assert_eq!(ask(&proxy, "GET /api/v1/servlets/other/endpoints").await.json()["servlets"], json!(["echo"]));
    let html = ask(&proxy, "GET /").await;
    assert!(html.text().contains("/api/v1/servlets/echo/endpoints") && html.text().contains("It takes calls."));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    let listed = http1::Caller::once(&proxy.admin, request).await.json();
    assert!(listed["pages"].as_array().unwrap().iter().any(|page| page["path"] == "/metrics"), "{listed}");
}

#[tokio::test]
async fn endpoints_tell_weights_shares_counts_and_times_as_they_are() {
    let servlets = [choosy().await, choosy().await, choosy().await];
    let weights: Vec<(&str, u32)> = servlets.iter().zip([3, 2, 1]).map(|(one, w)| (&*one.address, w)).collect();
    let proxy = Running::echo(&weights).await;
    let before = proxy.endpoints("echo").await;
    for (endpoint, share) in before.iter().zip([0.5, 0.333333, 0.166667]) {
        assert_eq!(endpoint["expected_share"], share);
        for key in ["observed_share_1m", "observed_share_10m", "latency_ms", "group"] {
            assert!(endpoint[key].is_null() && endpoint.as_object().unwrap().contains_key(key), "{key}: {endpoint}");
        }
        assert_eq!((&endpoint["requests"], &endpoint["state"]), (&0.into(), &"serving".into()));
    }
    // One connection is served by one worker, whose order is exact over each round of six.
    let caller = Caller::connect(&proxy.address).await;
    for round in 0..120 {
        let text = if round % 10 == 0 { "fail" } else { "good" };
        let expected = if round % 10 == 0 { "13" } else { "0" };
        assert_eq!(caller.call(SAY, &text_field(1, text)).await.grpc_status(), expected);
    }
    proxy.until("echo", |all| all.iter().map(|one| one["requests"].as_u64().unwrap()).sum::<u64>() == 120).await;
    let endpoints = proxy.endpoints("echo").await;
    let mut failures = 0;
    for ((endpoint, servlet), weight) in endpoints.iter().zip(&servlets).zip([3_u32, 2, 1]) {
        let requests = endpoint["requests"].as_u64().unwrap();
        assert_eq!(requests, servlet.calls() as u64, "{endpoint}");
        assert_eq!((&endpoint["address"], &endpoint["configured_weight"]), (&json!(servlet.address), &json!(weight)));
        assert_eq!(endpoint["in_flight"], 0);
        for share in ["observed_share_1m", "observed_share_10m"] {
            assert!((endpoint[share].as_f64().unwrap() - requests as f64 / 120.0).abs() < 1e-5, "{endpoint}");
        }
        let times = ["p50", "p90", "p99", "p999"].map(|quantile| endpoint["latency_ms"][quantile].as_f64().unwrap());
        assert!(times.is_sorted() && times[0] > 0.0, "{endpoint}");
        assert!(endpoint["why"].is_string());
        failures += endpoint["failures"].as_u64().unwrap();
    }
    assert_eq!(failures, 12);
    let summary = &proxy.admin_get("/api/v1/servlets").await.json()["servlets"][0];
    let told = json!({
        "name": "echo", "upstream": "grpc", "policy": "fair_least_request", "services": ["echo.v1.Echo"],
        "endpoints": 3, "serving": 3, "in_flight": 0, "requests": 120, "failures": 12, "routes": summary["routes"],
        "schema": "known", "schema_pending": null,
    });
    assert_eq!(*summary, told);
}

#[tokio::test]
async fn shares_follow_the_weights() {
    let servlets = [choosy().await, choosy().await, choosy().await];
    let weights: Vec<(&str, u32)> = servlets.iter().zip([3, 2, 1]).map(|(one, w)| (&*one.address, w)).collect();
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &*format!("{ECHO}balance: {{ policy: round_robin }}\n")),
        ("endpoints/echo.yaml", &table(&weights)),
    ];
    let proxy = Running::with(&files, "").await;
    let caller = Caller::connect(&proxy.address).await;
    for _ in 0..600 {
        assert_eq!(caller.call(SAY, b"").await.grpc_status(), "0");
    }
    for (servlet, expected) in servlets.iter().zip([300.0, 200.0, 100.0]) {
        assert!((servlet.calls() as f64 - expected).abs() <= 6.0, "{} of {expected}", servlet.calls());
    }
    proxy.until("echo", |all| all.iter().map(|one| one["requests"].as_u64().unwrap()).sum::<u64>() == 600).await;
    for (endpoint, expected) in proxy.endpoints("echo").await.iter().zip([0.5, 0.333, 0.167]) {
        assert!((endpoint["observed_share_1m"].as_f64().unwrap() - expected).abs() < 0.01, "{endpoint}");
    }
}

#[tokio::test]
async fn states_say_why() {
    let good = choosy().await;
    let slow = Servlet::start(|mut call: Call| async move {
        call.read().await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        call.reply(&[], "0", None);
    })
    .await;
    let draining = choosy().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let addresses = [&*good.address, &*gone, &*draining.address, &*slow.address];
    let grouped = format!(
        "groups:\n  stable:\n    weight: 3\n    endpoints:\n      - {{ address: \"{}\" }}\n      - {{ address: \"{}\" }}\n      - {{ address: \"{}\", weight: 0 }}\n      - {{ address: \"{}\" }}\n  off:\n    weight: 0\n    endpoints: [{{ address: \"127.0.0.1:9\" }}]\n",
        addresses[0], addresses[1], addresses[2], addresses[3],
    );
    let files = [("protos/echo.proto", ECHO_PROTO), ("servlets/echo.yaml", ECHO), ("endpoints/echo.yaml", &*grouped)];
    let proxy = Running::with(&files, "").await;
    let caller = Caller::connect(&proxy.address).await;
    // Warming alone finds out that nobody is there.
    let is = |endpoint: &serde_json::Value, state: &str| endpoint["state"] == state;
    proxy.until("echo", |all| is(&all[1], "set_aside")).await;
    let endpoints = proxy.endpoints("echo").await;
    if is(&endpoints[1], "set_aside") {
        let why = endpoints[1]["why"].as_str().unwrap();
        assert!(why.contains("failed; it is tried again in"), "{why}");
        assert_eq!(endpoints[1]["effective_weight"], 0.0);
    }
    assert_eq!((&endpoints[2]["state"], &endpoints[2]["group"]), (&json!("draining"), &json!("stable")));
    assert!(endpoints[2]["why"].as_str().unwrap().starts_with("its weight is 0"));
    assert_eq!((&endpoints[4]["state"], &endpoints[4]["group"]), (&json!("draining"), &json!("off")));
    assert!(endpoints[4]["why"].as_str().unwrap().starts_with("the weight of its group is 0"));
    assert_eq!(endpoints[0]["expected_share"], json!(0.333333));
    loop {
        for _ in 0..10 {
            assert_eq!(caller.call(SAY, b"").await.grpc_status(), "0");
        }
        let slow = &proxy.endpoints("echo").await[3];
        if is(slow, "penalised") {
            let why = slow["why"].as_str().unwrap();
            assert!(why.contains("times as long as its peers'") && why.contains("% of its share"), "{why}");
            assert!(slow["effective_weight"].as_f64().unwrap() < 1.0, "{slow}");
            break;
        }
    }
    let metrics = proxy.admin_get("/metrics").await;
    assert!(metrics.text().contains("state=\"penalised\"} 1\n"));
    assert_eq!(draining.calls(), 0);
}

#[tokio::test]
async fn metrics_are_all_ours_and_tell_servlets_and_endpoints() {
    let servlet = choosy().await;
    let proxy = Running::echo(&[(&servlet.address, 4)]).await;
    assert_eq!(http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status, 200);
    assert_eq!(http1::Caller::once(&proxy.address, "GET /nowhere HTTP/1.0\r\n\r\n").await.status, 404);
    let caller = Caller::connect(&proxy.address).await;
    assert_eq!(caller.call(SAY, &text_field(1, "fail")).await.grpc_status(), "13");
    proxy.until("echo", |endpoints| endpoints[0]["requests"] == 2).await;
    let text = proxy.admin_get("/metrics").await.text().to_owned();
    let mut typed = BTreeSet::new();
    for line in text.lines() {
        assert!(
            line.starts_with("telamon_") || line.starts_with("# HELP telamon_") || line.starts_with("# TYPE telamon_"),
            "{line}"
        );
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(family.to_owned()), "{family} twice");
        }
    }
    let endpoint = format!("{{endpoint=\"{}\",group=\"\",servlet=\"echo\"}}", servlet.address);
    for (series, value) in [
        ("telamon_requests_total{dialect=\"rest\",protocol=\"HTTP/1.0\",servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_requests_total{dialect=\"grpc\",protocol=\"HTTP/2\",servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_grpc_responses_total{code=\"INTERNAL\",servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_grpc_responses_total{code=\"OK\",servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_http_responses_total{class=\"2xx\",servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_legacy_requests_total{servlet=\"echo\"}".to_owned(), 1.0),
        ("telamon_request_duration_seconds_count{servlet=\"echo\"}".to_owned(), 2.0),
        ("telamon_retries_total{servlet=\"echo\"}".to_owned(), 0.0),
        ("telamon_unrouted_requests_total{flag=\"no_route\",side=\"caller\"}".to_owned(), 1.0),
        ("telamon_connections_accepted_total{listener=\"ingress\"}".to_owned(), 3.0),
        ("telamon_connections_open{listener=\"ingress\"}".to_owned(), 1.0),
        (format!("telamon_endpoint_weight{endpoint}"), 4.0),
        (format!("telamon_endpoint_expected_share{endpoint}"), 1.0),
        (format!("telamon_endpoint_observed_share{endpoint}"), 1.0),
        (format!("telamon_endpoint_requests_total{endpoint}"), 2.0),
        (format!("telamon_endpoint_failures_total{endpoint}"), 1.0),
        (format!("telamon_endpoint_in_flight{endpoint}"), 0.0),
    ] {
        while proxy.metric(&series).await != Some(value) {
            let found = proxy.metric(&series).await;
            assert!(found.is_some(), "{series} is not there: {text}");
            // A count is made as its call ends, which its caller may see first.
            assert!(series.contains("open") || found.is_some_and(|found| found <= value), "{series} {found:?}");
        }
    }
}

#[tokio::test]
async fn who_speaks_http_1_0_is_told_by_peer_and_servlet() {
    let servlet = choosy().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    assert_eq!(proxy.admin_get("/api/v1/legacy").await.json(), json!({"callers": [], "forgotten": 0}));
    for _ in 0..3 {
        http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\nUser-Agent: cron/1\r\n\r\n").await;
    }
    http1::Caller::once(&proxy.address, "GET /nowhere HTTP/1.0\r\n\r\n").await;
    http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let legacy = loop {
        let legacy = proxy.admin_get("/api/v1/legacy").await.json();
        let counts = legacy["callers"].as_array().unwrap().iter().map(|caller| caller["requests"].as_u64().unwrap());
        if counts.sum::<u64>() == 4 {
            break legacy;
        }
    };
    let [echo, nowhere] = legacy["callers"].as_array().unwrap().as_slice() else { panic!("{legacy}") };
    assert_eq!((&echo["peer"], &echo["servlet"]), (&json!("127.0.0.1"), &json!("echo")));
    assert_eq!((&echo["requests"], &echo["user_agent"]), (&json!(3), &json!("cron/1")));
    assert!(echo["last_seen"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&nowhere["servlet"], &nowhere["requests"]), (&json!(null), &json!(1)));
}

#[tokio::test]
async fn admin_answers_while_no_servlet_does() {
    let proxy = Running::with(&[("servlets/.keep", "")], "").await;
    assert_eq!(proxy.admin_get("/readyz").await.status, 200);
    assert_eq!(proxy.admin_get("/api/v1/servlets").await.json(), json!({"servlets": []}));
    assert!(proxy.admin_get("/metrics").await.text().contains("telamon_build_info{version="));
    assert_eq!(http1::Caller::once(&proxy.address, "GET / HTTP/1.0\r\n\r\n").await.status, 404);
}
