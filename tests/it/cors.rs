//! Pages of other origins: preflights are answered for the servlet that the call would reach, and answers say who may read them.

use crate::support::anywhere::{Answer, VERSIONS, ask};
use crate::support::origin::Origin;
use crate::support::proxy::table;
use crate::support::{Running, Servlet, framed, servlet};

const SAY: &str = "/echo.v1.Echo/Say";
const CORS: &str = "cors: { allow_origins: [\"https://*.example.com\"], allow_methods: [PUT], allow_headers: [x-mine], expose_headers: [x-cost] }\n";

async fn echo(servlet: &str, more: &str, settings: &str) -> Running {
    Running::echo_with(&[(servlet, 1)], more, settings).await
}

fn preflight<'f>(origin: &'f str, method: &'f str) -> [(&'static str, &'f str); 3] {
    [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "content-type,x-grpc-web"),
    ]
}

/// What `Vary` says of the origin. It has more to say: the answers may be compressed.
fn by_origin(answer: &Answer) -> Option<&str> {
    answer.header("vary").and_then(|names| names.split(", ").find(|name| *name == "origin"))
}

#[tokio::test]
async fn a_preflight_is_answered_for_the_servlet_that_the_call_would_reach() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = echo(&servlet.address, CORS, "").await;
    for version in VERSIONS {
        // By its name, by a rule, by a rule of another method.
        for (path, method) in [(SAY, "POST"), ("/v1/say/x", "GET"), ("/v1/say", "PUT"), ("/echo.v1.Echo/Plain", "GET")]
        {
            let fields = preflight("https://app.example.com", method);
            let answer = ask(&proxy.address, version, "OPTIONS", path, &fields, b"").await;
            assert_eq!(answer.status, 204, "{version} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
            assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT"));
            let names = answer.header("access-control-allow-headers").unwrap();
            for name in ["content-type", "x-grpc-web", "grpc-timeout", "connect-timeout-ms", "authorization", "x-mine"]
            {
                assert!(names.split(", ").any(|own| own == name), "{name} in {names}");
            }
            assert_eq!(answer.header("access-control-max-age"), Some("600"));
            assert!(answer.header("vary").unwrap().contains("origin"));
        }
        let answer = ask(&proxy.address, version, "OPTIONS", SAY, &preflight("https://evil.com", "POST"), b"").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, None));
        // No preflight: the path takes no OPTIONS.
        let answer =
            ask(&proxy.address, version, "OPTIONS", "/v1/say", &[("origin", "https://app.example.com")], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
        let answer =
            ask(&proxy.address, version, "OPTIONS", "/nowhere", &preflight("https://app.example.com", "GET"), b"")
                .await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (404, None));
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn answers_and_faults_say_who_may_read_them() {
    let servlet = Servlet::start(servlet::echo).await;
    let proxy = echo(&servlet.address, CORS, "").await;
    let call = framed(b"");
    // Content type, method, path, body, and the status.
    let cases: [(&str, &str, &str, &[u8], u16); 8] = [
        ("application/grpc-web+proto", "POST", SAY, &call, 200),
        ("application/grpc-web+proto", "POST", SAY, &[7], 200),
        ("application/connect+proto", "POST", "/echo.v1.Echo/Count", &call, 200),
        ("application/proto", "POST", SAY, b"", 200),
        ("application/proto", "POST", "/echo.v1.Echo/Count", b"", 415),
        ("application/json", "POST", "/v1/say", b"{}", 200),
        ("application/json", "POST", "/v1/say", b"?", 400),
        ("application/json", "PUT", "/v1/say", b"{}", 405),
    ];
    for version in VERSIONS {
        for (content_type, method, path, body, status) in cases {
            let fields = [("content-type", content_type), ("origin", "https://app.example.com")];
            let answer = ask(&proxy.address, version, method, path, &fields, body).await;
            assert_eq!(answer.status, status, "{content_type} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
            let exposed = answer.header("access-control-expose-headers").unwrap();
            assert!(exposed.starts_with("grpc-status, grpc-message") && exposed.ends_with("x-cost"), "{exposed}");
            assert_eq!(by_origin(&answer), Some("origin"));

            let fields = [("content-type", content_type), ("origin", "https://evil.com")];
            let answer = ask(&proxy.address, version, method, path, &fields, body).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, None));
            let answer = ask(&proxy.address, version, method, path, &fields[..1], body).await;
            assert_eq!((answer.status, by_origin(&answer)), (status, None));
        }
        let answer = ask(&proxy.address, version, "GET", "/v1/say/x", &[], b"").await;
        assert_eq!(by_origin(&answer), Some("origin"), "a cache may keep it for another origin");
    }
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn without_the_option_nothing_changes() {
    let servlet = Servlet::start(servlet::echo).await;
    for (more, settings) in
        [("", ""), ("cors: { allow_origins: [] }\n", "defaults: { cors: { allow_origins: [\"*\"] } }\n")]
    {
        let proxy = echo(&servlet.address, more, settings).await;
        let answer = ask(&proxy.address, "1.1", "OPTIONS", "/v1/say", &preflight("https://a", "POST"), b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
        let answer = ask(&proxy.address, "1.1", "GET", "/v1/say/x", &[("origin", "https://a")], b"").await;
        assert_eq!((answer.status, by_origin(&answer)), (200, None));
        assert!(answer.headers.keys().all(|name| !name.starts_with("access-control-")));
    }
}

#[tokio::test]
async fn servlets_inherit_what_they_do_not_say() {
    let servlet = Servlet::start(servlet::echo).await;
    let settings = "defaults: { cors: { allow_origins: [\"https://a\"], max_age: 5s, allow_credentials: true } }\n";
    let proxy = echo(&servlet.address, "cors: { max_age: 1m }\n", settings).await;
    let answer = ask(&proxy.address, "1.1", "OPTIONS", SAY, &preflight("https://a", "POST"), b"").await;
    let told =
        ["allow-origin", "max-age", "allow-credentials"].map(|name| answer.header(&format!("access-control-{name}")));
    assert_eq!(told, [Some("https://a"), Some("60"), Some("true")]);
}

#[tokio::test]
async fn untranslated_traffic_has_the_option_too_and_else_its_own_word() {
    let own = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://own\r\nContent-Length: 2\r\n\r\nok";
    let origin = Origin::always(own).await;
    for (more, allowed) in
        [("", Some("https://own")), ("cors: { allow_origins: [\"https://a\"] }\n", Some("https://a"))]
    {
        let servlet = format!("upstream: http1\nroutes: [{{ match: {{ path: \"/**\" }} }}]\n{more}");
        let files = [("servlets/old.yaml", &*servlet), ("endpoints/old.yaml", &table(&[(&origin.address, 1)]))];
        let proxy = Running::with(&files, "").await;
        let answer = ask(&proxy.address, "1.1", "GET", "/", &[("origin", "https://a")], b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        let answer = ask(&proxy.address, "1.1", "OPTIONS", "/", &preflight("https://a", "POST"), b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.status, if more.is_empty() { 200 } else { 204 });
        proxy.at_rest("old").await;
    }
}

#[tokio::test]
async fn a_path_of_two_servlets_has_the_word_of_whose_method_it_is() {
    let origin = Origin::always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let servlet = |method: &str, own: &str| {
        format!(
            "upstream: http1\nroutes: [{{ match: {{ path: /x, method: {method} }} }}]\ncors: {{ allow_origins: [\"https://{own}\"] }}\n"
        )
    };
    let table = table(&[(&origin.address, 1)]);
    let files = [
        ("servlets/one.yaml", &*servlet("GET", "one")),
        ("servlets/two.yaml", &*servlet("POST", "two")),
        ("endpoints/one.yaml", &table),
        ("endpoints/two.yaml", &table),
    ];
    let proxy = Running::with(&files, "").await;
    // Nobody has DELETE there: nobody's pages hear more of it than that they may not.
    for (method, status, allowed) in [("GET", 200, Some("one")), ("POST", 200, Some("two")), ("DELETE", 405, None)] {
        for own in ["one", "two"] {
            let origin = format!("https://{own}");
            let expected = (allowed == Some(own)).then_some(&*origin);
            let asked = preflight(&origin, method);
            let answer = ask(&proxy.address, "1.1", "OPTIONS", "/x", &asked, b"").await;
            assert_eq!(answer.status, if allowed.is_some() { 204 } else { 405 }, "{method}");
            assert_eq!(answer.header("access-control-allow-origin"), expected, "{method} of {own}");
            let answer = ask(&proxy.address, "1.1", method, "/x", &[("origin", &origin)], b"").await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, expected), "{method}");
        }
    }
}
