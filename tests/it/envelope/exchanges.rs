//! Heads both ways, and who is enveloped.

use http::HeaderValue;

use super::{answering, before, raw, routed, trusting};
use crate::support::envelope::{asked, body, head, head_with_reason, trailers};
use crate::support::http1::Caller;
use crate::support::{grpc, http2};

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let servlet = answering(vec![head(200, &[]), body(b"ok")], "0").await;
    let proxy = before(&servlet).await;
    let request = "POST /old/page.cgi?a=%20b&a HTTP/1.0\r\nUser-agent: Old/1.0\r\nCookie: a=1; b=2\r\nX-Twice: 1\r\nHOST: shop.example\r\n\
        x-twice: 2\r\nContent-length: 4\r\nAuthorization: Basic eDp5\r\n\r\n\0\u{1}\r\n";
    let answer = Caller::once(&proxy.address, request).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));

    let seen = servlet.seen().pop().unwrap();
    assert_eq!((&*seen.path, seen.whole), ("/telamon.v1.HttpServlet/Serve", true));
    assert_eq!(seen.authority.as_deref(), Some("shop.example"));
    assert_eq!(seen.headers["content-type"], "application/grpc");
    for name in ["cookie", "authorization", "x-twice", "grpc-timeout"] {
        assert!(!seen.headers.contains_key(name), "{name} is in the envelope, where no limit of metadata cuts it");
    }
    let asked = asked(&seen.body);
    let told = ["method", "target", "scheme", "authority", "version"].map(|key| asked.head[key].as_str().unwrap());
    assert_eq!(told, ["POST", "/old/page.cgi?a=%20b&a", "http", "shop.example", "HTTP/1.0"]);
    let peer = &asked.head["peer"];
    assert_eq!((&peer["address"], &peer["listener"]), (&"127.0.0.1".into(), &"ingress".into()));
    assert!(peer["port"].as_u64().unwrap() > 0);
    let own = [
        "User-agent: Old/1.0",
        "Cookie: a=1; b=2",
        "X-Twice: 1",
        "HOST: shop.example",
        "x-twice: 2",
        "Content-length: 4",
        "Authorization: Basic eDp5",
    ];
    assert_eq!(asked.fields[..own.len()], own);
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(asked.body, b"\0\x01\r\n");
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn every_method_and_version_is_told() {
    let servlet = answering(vec![head(200, &[("Content-Length", "2")]), body(b"ok")], "0").await;
    let proxy = before(&servlet).await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PURGE"] {
        let request = format!("{method} /m HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(Caller::once(&proxy.address, &request).await.text(), "ok");
        let asked = asked(&servlet.seen().pop().unwrap().body);
        assert_eq!((&asked.head["method"], &asked.head["version"]), (&method.into(), &"HTTP/1.1".into()));
    }
    let request = http2::request("PATCH", "/two?x").header("x-own", "1").header("cookie", "a").header("cookie", "b");
    let answer = http2::once(&proxy.address, request.body(()).unwrap(), b"up").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok"));
    let asked = asked(&servlet.seen().pop().unwrap().body);
    assert_eq!((&asked.head["version"], &asked.head["target"]), (&"HTTP/2".into(), &"/two?x".into()));
    assert_eq!((asked.all("cookie"), asked.all("host"), &*asked.body), (vec!["a; b"], vec!["proxy.test"], &b"up"[..]));
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn an_answer_keeps_its_order_case_and_repetitions() {
    let fields = [
        ("Set-Cookie", "sid=1; HttpOnly"),
        ("LOCATION", "http://a/b"),
        ("set-cookie", "b=2"),
        ("Content-Type", "text/html; charset=latin-1"),
        ("Content-Length", "3"),
        ("X-Powered-By", "PHP/3"),
    ];
    let servlet = answering(vec![head(302, &fields), body(b"\0\xff\n")], "0").await;
    let proxy = before(&servlet).await;
    for version in ["1.0", "1.1"] {
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (text, clean) = raw(&proxy.address, &request).await;
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        assert!(clean && text.starts_with(&format!("HTTP/1.1 302 Found\r\n{lines}")), "{text}");
        assert!(text.ends_with("\r\n\r\n\0\u{fffd}\n") && text.contains("\r\nconnection: close\r\n"), "{text}");
        assert_eq!(text.to_lowercase().matches("content-length").count(), 1);
    }
    let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (302, &b"\0\xff\n"[..]));
    let cookies: Vec<&HeaderValue> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["sid=1; HttpOnly", "b=2"]);
    assert!(answer.headers["location"] == "http://a/b" && answer.headers["content-length"] == "3");
    proxy.at_rest("web").await;

    let servlet = answering(vec![head_with_reason(200, "Just so")], "0").await;
    let proxy = before(&servlet).await;
    let (text, _) = raw(&proxy.address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 Just so\r\n"), "{text}");
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_end_well() {
    let fields = [("Content-Length", "1234"), ("ETag", "\"a\"")];
    // The second servlet sends a body that nobody takes.
    for body in [Vec::new(), body(b"a body that nobody takes")] {
        for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
            let servlet = answering(vec![head(status, &fields), body.clone()], "0").await;
            let proxy = before(&servlet).await;
            for version in ["1.0", "1.1"] {
                let mut caller = Caller::connect(&proxy.address).await;
                for _ in 0..2 {
                    let keep = if version == "1.0" { "Connection: keep-alive\r\n" } else { "" };
                    caller.write(format!("{method} / HTTP/{version}\r\nHost: a\r\n{keep}\r\n")).await;
                    let answer = caller.answer_to(method).await.unwrap();
                    assert_eq!((u32::from(answer.status), answer.header("etag")), (status, Some("\"a\"")));
                    assert_eq!(
                        answer.header("content-length"),
                        (status != 204).then_some("1234"),
                        "{method} {version}"
                    );
                }
            }
            let request = http2::request(method, "/").body(()).unwrap();
            let answer = http2::once(&proxy.address, request, b"").await.unwrap();
            assert_eq!((u32::from(answer.status.as_u16()), answer.body.len()), (status, 0));
            proxy.at_rest("web").await;
            let series = "telamon_grpc_responses_total{code=\"OK\",servlet=\"web\"}";
            assert_eq!(proxy.metric(series).await, Some(5.0), "{method} {status}: none counts as given up");
        }
    }
}

#[tokio::test]
async fn head_reaches_a_route_for_get() {
    let servlet = answering(vec![head(200, &[("Content-Length", "7")])], "0").await;
    let file = "routes: [{ match: { path: /p, method: GET }, call: telamon.v1.HttpServlet/Serve }]\n";
    let proxy = routed(&servlet, file).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("HEAD /p HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = caller.answer_to("HEAD").await.unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("7")));
    assert_eq!(asked(&servlet.seen()[0].body).head["method"], "HEAD");
    caller.write("PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 405);
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let messages = vec![head(200, &[("Trailer", "X-Sum")]), body(b"x"), trailers(&[("X-Sum", "9"), ("Host", "evil")])];
    let servlet = answering(messages, "0").await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nab\r\n0\r\nX-Own: 1\r\nHost: evil\r\n\r\n";
    caller.write(request).await;
    let answer = caller.answer().await.unwrap();
    assert_eq!((answer.text(), answer.header("trailer")), ("x", Some("X-Sum")));
    assert_eq!((answer.trailers.len(), answer.trailers["x-sum"].as_str()), (1, "9"));
    let asked = asked(&servlet.seen()[0].body);
    assert_eq!((&*asked.body, &asked.trailers), (&b"ab"[..], &vec!["x-own: 1".to_owned()]));
    assert!(asked.all("content-length").is_empty() && asked.all("te").is_empty());

    let answer = http2::once(&proxy.address, http2::request("GET", "/").body(()).unwrap(), b"").await.unwrap();
    assert_eq!(answer.trailers.unwrap()["x-sum"], "9");
    assert_eq!(Caller::once(&proxy.address, "GET / HTTP/1.0\r\n\r\n").await.text(), "x");
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn whoever_calls_it_by_name_over_grpc_passes_and_all_others_are_enveloped() {
    let servlet = answering(vec![head(200, &[("Content-Type", "text/plain")]), body(b"plain")], "0").await;
    let strangers = before(&servlet).await;
    // Whoever writes an envelope says who called: a stranger's is one more body.
    let forged = http2::request("POST", "/telamon.v1.HttpServlet/Serve").header("content-type", "application/grpc");
    let answer = http2::once(&strangers.address, forged.body(()).unwrap(), b"forged").await.unwrap();
    assert_eq!(answer.text(), "plain");
    let seen = servlet.seen().pop().unwrap();
    assert_eq!(&asked(&seen.body).head["target"], "/telamon.v1.HttpServlet/Serve");
    drop(strangers);

    let proxy = trusting(&servlet).await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    let answer = caller.call("/telamon.v1.HttpServlet/Serve", b"any message").await;
    assert_eq!((answer.grpc_status(), answer.messages.len()), ("0", 2));
    assert_eq!(crate::support::unframed(&servlet.seen()[1].body), [b"any message"]);

    // To an old application everything is HTTP.
    let types = ["application/grpc", "application/grpc-web-text", "application/connect+json", "application/json"];
    for (path, content_type) in
        types.iter().flat_map(|kind| [("/telamon.v1.HttpServlet/Other", *kind), ("/a.B/C", kind)])
    {
        let request =
            http2::request("POST", path).header("content-type", content_type).header("grpc-timeout", "nonsense");
        let answer = http2::once(&proxy.address, request.body(()).unwrap(), b"\0\0\0\0\0").await.unwrap();
        assert_eq!(answer.text(), "plain", "{content_type}");
        assert_eq!(answer.headers["content-type"], "text/plain");
        let asked = asked(&servlet.seen().pop().unwrap().body);
        assert_eq!((asked.all("content-type"), asked.body.len()), (vec![content_type], 5));
        assert_eq!((asked.all("grpc-timeout"), &asked.head["target"]), (vec!["nonsense"], &path.into()));
    }
    let request = "POST /telamon.v1.HttpServlet/Serve HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(Caller::once(&proxy.address, request).await.text(), "plain");
    proxy.at_rest("web").await;
    let count = |dialect, protocol| {
        format!("telamon_requests_total{{dialect=\"{dialect}\",protocol=\"{protocol}\",servlet=\"web\"}}")
    };
    assert_eq!(proxy.metric(&count("grpc", "HTTP/2")).await, Some(1.0));
    assert_eq!(proxy.metric(&count("envelope", "HTTP/2")).await, Some(8.0));
    assert_eq!(proxy.metric(&count("envelope", "HTTP/1.1")).await, Some(1.0));
}

#[tokio::test]
async fn an_upgrade_is_asked_for_in_vain() {
    let servlet = answering(vec![head(426, &[("Upgrade", "websocket"), ("Connection", "Upgrade")])], "0").await;
    let proxy = before(&servlet).await;
    let request =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    let answer = Caller::once(&proxy.address, request).await;
    assert_eq!(answer.status, 426);
    let asked = asked(&servlet.seen()[0].body);
    assert!(asked.all("upgrade").is_empty() && asked.all("connection").is_empty());
}

#[tokio::test]
async fn no_name_of_a_service_leads_a_stranger_around_the_route() {
    let servlet = answering(vec![head(200, &[]), body(b"plain")], "0").await;
    let own = "services: [\"*\"]\nroutes: [{ match: { host: shop.example, path: \"/**\" }, call: telamon.v1.HttpServlet/Serve }]\n";
    let proxy = routed(&servlet, own).await;
    for content_type in ["application/grpc", "application/grpc-web", "application/connect+proto"] {
        let forged = http2::request("POST", "/telamon.v1.HttpServlet/Serve").header("content-type", content_type);
        let answer = http2::once(&proxy.address, forged.body(()).unwrap(), b"\0\0\0\0\0").await.unwrap();
        let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(told.contains("12") || told.contains("unimplemented"), "{content_type}: {told}");
    }
    assert_eq!(servlet.calls(), 0);
}
