//! Header fields and metadata, from end to end in every dialect: what arrives as it was sent, what never does, and what an operator
//! withholds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::support::http1::{self, Caller};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet::{Seen, trailers};
use crate::support::{Call, Running, Servlet, framed, grpc, http2, text_field};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a caller says in every dialect, and a servlet hears byte for byte.
const SAID: &[(&str, &str)] = &[
    ("traceparent", TRACEPARENT),
    ("tracestate", "a=1,b=t61rcWkgMzE"),
    ("tracestate", "c@x=3"),
    ("baggage", "user=Am%C3%A9lie;p=1, k2=v2"),
    ("x-request-id", "f058ebd6-02f7-4d3f-942e-904344e8cde5"),
    ("user-agent", "old-till/1.0 (checkout 7)"),
    ("authorization", "Bearer a.b~c+/="),
    ("cookie", "a=b; c=d"),
    ("x-twice", "one"),
    ("x-twice", "two, three"),
    ("snake_case.dotted", "1"),
    ("token-bin", "AAEC/w"),
    ("padded-bin", "AA=="),
    ("listed-bin", "AAEC,AA, AQ"),
    ("grpc-trace-bin", "AAEC"),
];

/// What reaches no servlet when it is translated.
const UNSAID: &[(&str, &str)] = &[
    ("x-latin", "caf\u{e9}"),
    ("odd!name", "1"),
    ("broken-bin", "%%"),
    ("proxy-authorization", "Basic c2VjcmV0"),
    ("grpc-status", "0"),
    ("grpc-message", "fine"),
    ("content-md5", "AA=="),
];

/// The dialects that name the method, by their content type; `None` is REST.
const DIALECTS: &[Option<&str>] = &[
    None,
    Some("application/grpc"),
    Some("application/grpc-web+proto"),
    Some("application/grpc-web-text"),
    Some("application/proto"),
    Some("application/connect+proto"),
];

/// Calls `echo.v1.Echo/Say` (`/Count`, which streams, in Connect's form for streams).
async fn ask(address: &str, dialect: Option<&str>, version: &str, fields: &[(&str, &str)]) -> http1::Answer {
    let message = text_field(1, "x");
    let body = match dialect {
        None | Some("application/proto") => Vec::new(),
        Some("application/grpc-web-text") => {
            base64::engine::general_purpose::STANDARD.encode(framed(&message)).into_bytes()
        }
        Some(_) => framed(&message),
    };
    let path = match dialect {
        None => "/v1/say/x",
        Some("application/connect+proto") => "/echo.v1.Echo/Count",
        Some(_) => "/echo.v1.Echo/Say",
    };
    let method = if dialect.is_some() { "POST" } else { "GET" };
    let mut head =
        format!("{method} {path} HTTP/{version}\r\nHost: shop.example\r\nConnection: close\r\n").into_bytes();
    if let Some(dialect) = dialect {
        head.extend_from_slice(format!("Content-Type: {dialect}\r\nContent-Length: {}\r\n", body.len()).as_bytes());
    }
    for (name, value) in fields {
        head.extend_from_slice(format!("{name}: ").as_bytes());
        // One byte a character: Latin-1, as old clients write it.
        head.extend(value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(&body);
    let mut caller = Caller::connect(address).await;
    caller.write(head).await;
    caller.answer_to(method).await.unwrap()
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn said(name: &str) -> Vec<&'static str> {
    SAID.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect()
}

async fn echo(servlet: &Servlet, more: &str, settings: &str) -> Running {
    Running::echo_with(&[(&servlet.address, 1)], more, settings).await
}

/// Answers with this metadata before and behind one message, `{"text": "it"}`.
async fn answering(
    initial: &'static [(&'static str, &'static str)],
    trailing: &'static [(&'static str, &'static str)],
) -> Servlet {
    Servlet::start(move |mut call: Call| async move {
        call.read().await;
        let mut head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        append(head.headers_mut(), initial);
        let mut send = call.respond.send_response(head, false).unwrap();
        send.send_data(framed(&text_field(1, "it")).into(), false).unwrap();
        let mut end = trailers("0", None);
        append(&mut end, trailing);
        send.send_trailers(end).unwrap();
    })
    .await
}

fn append(fields: &mut HeaderMap, more: &[(&'static str, &'static str)]) {
    for (name, value) in more {
        fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

fn the_only(servlet: &Servlet, at: usize) -> Seen {
    let seen = servlet.seen();
    assert_eq!(seen.len(), at + 1);
    seen[at].clone()
}

#[tokio::test]
async fn every_dialect_tells_the_servlet_what_the_caller_said() {
    let servlet = answering(&[], &[]).await;
    let proxy = echo(&servlet, "", "").await;
    let fields: Vec<(&str, &str)> = SAID.iter().chain(UNSAID).copied().collect();
    let mut calls = 0;
    for dialect in DIALECTS {
        for version in ["1.0", "1.1"] {
            let answer = ask(&proxy.address, *dialect, version, &fields).await;
            assert_eq!(answer.status, 200, "{dialect:?} {version} {answer:?}");
            let seen = the_only(&servlet, calls).headers;
            calls += 1;
            for (name, _) in SAID {
                assert_eq!(values(&seen, name), said(name), "{dialect:?} {version} {name}");
            }
            for (name, _) in UNSAID {
                assert!(!seen.contains_key(*name), "{dialect:?} {version} {name}");
            }
            assert_eq!(values(&seen, "x-forwarded-for"), ["127.0.0.1"]);
            assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
            assert_eq!(values(&seen, "x-forwarded-host"), ["shop.example"]);
            assert_eq!(values(&seen, "te"), ["trailers"]);
            for hop in ["connection", "host", "accept-encoding", "content-length", "transfer-encoding"] {
                assert!(!seen.contains_key(hop), "{dialect:?} {version} {hop}");
            }
        }
    }
}

#[tokio::test]
async fn a_grpc_caller_is_heard_word_by_word() {
    let servlet = answering(&[("x-head", "1"), ("data-bin", "AAEC")], &[("x-tail", "2")]).await;
    let proxy = echo(&servlet, "", "").await;
    let mut request = grpc::Caller::request("/echo.v1.Echo/Say");
    append(request.headers_mut(), SAID);
    let caller = grpc::Caller::connect(&proxy.address).await;
    let answer = caller.send(request, &[&text_field(1, "x")]).await.unwrap();
    assert_eq!((answer.grpc_status(), values(&answer.headers, "data-bin")), ("0", vec!["AAEC"]));
    assert_eq!((values(&answer.headers, "x-head"), values(&answer.trailers, "x-tail")), (vec!["1"], vec!["2"]));
    let seen = the_only(&servlet, 0).headers;
    for (name, _) in SAID {
        assert_eq!(values(&seen, name), said(name), "{name}");
    }
}

#[tokio::test]
async fn who_called_is_believed_from_trusted_peers_alone() {
    const CLAIMS: &[(&str, &str)] = &[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "claimed.example"),
        ("x-forwarded-client-cert", "claimed"),
        ("forwarded", "for=6.6.6.6;proto=https"),
    ];
    for trusted in [false, true] {
        let servlet = answering(&[], &[]).await;
        let files = [
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", ECHO),
            ("endpoints/echo.yaml", &table(&[(servlet.address.as_str(), 1)])),
        ];
        let trust = if trusted { ", trusted_peers: [127.0.0.0/8]" } else { "" };
        let listeners = format!("  - {{ name: in, address: 127.0.0.1:0{trust} }}\n");
        let proxy = Running::with_listeners(&files, &listeners, "").await;
        let address = proxy.listener("in");
        for (at, dialect) in DIALECTS.iter().enumerate() {
            assert_eq!(ask(&address, *dialect, "1.1", CLAIMS).await.status, 200);
            let seen = the_only(&servlet, at).headers;
            let heard = |name| values(&seen, name);
            if trusted {
                assert_eq!(heard("x-forwarded-for"), ["6.6.6.6, 127.0.0.1"], "{dialect:?}");
                for (name, value) in &CLAIMS[1..] {
                    assert_eq!(heard(name), [*value], "{dialect:?} {name}");
                }
            } else {
                assert_eq!(heard("x-forwarded-for"), ["127.0.0.1"], "{dialect:?}");
                assert_eq!(heard("x-forwarded-proto"), ["http"], "{dialect:?}");
                assert_eq!(heard("x-forwarded-host"), ["shop.example"], "{dialect:?}");
                for name in ["x-forwarded-client-cert", "forwarded"] {
                    assert!(!seen.contains_key(name), "{dialect:?} {name}");
                }
            }
        }
    }
}

const INITIAL: &[(&str, &str)] = &[
    ("x-head", "1"),
    ("x-head", "2"),
    ("data-bin", "AAEC,/w"),
    ("set-cookie", "a=b"),
    ("x-internal-cost", "9"),
    ("endpoint-load-metrics-bin", "AA"),
    ("content-encoding", "gzip"),
    ("connect-content-encoding", "gzip"),
];
const TRAILING: &[(&str, &str)] = &[("x-tail", "3"), ("tail-bin", "/w"), ("x-internal-node", "n7")];

#[tokio::test]
async fn a_servlets_metadata_becomes_header_fields() {
    let servlet = answering(INITIAL, TRAILING).await;
    let proxy = echo(&servlet, "", "").await;
    for version in ["1.0", "1.1"] {
        let answer = ask(&proxy.address, None, version, &[]).await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"text":"it"}"#));
        for (name, value) in [
            ("data-bin", "AAEC,/w"),
            ("set-cookie", "a=b"),
            ("x-tail", "3"),
            ("tail-bin", "/w"),
            ("x-internal-node", "n7"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{version} {name}");
        }
        assert_eq!(answer.header("content-length"), Some("13"));
        for name in ["content-encoding", "endpoint-load-metrics-bin", "connect-content-encoding", "grpc-encoding"] {
            assert_eq!(answer.header(name), None, "{version} {name}");
        }
    }
    let answer = http2::once(&proxy.address, http2::request("GET", "/v1/say/x").body(()).unwrap(), b"").await.unwrap();
    assert_eq!(values(&answer.headers, "x-head"), ["1", "2"]);

    let answer = ask(&proxy.address, Some("application/proto"), "1.1", &[]).await;
    assert_eq!((answer.header("data-bin"), answer.header("trailer-x-tail")), (Some("AAEC,/w"), Some("3")));
    assert_eq!((answer.header("trailer-tail-bin"), answer.header("content-encoding")), (Some("/w"), None));

    let answer = ask(&proxy.address, Some("application/grpc-web"), "1.1", &[]).await;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.header("data-bin"), Some("AAEC,/w"));
    assert!(body.contains("x-tail: 3\r\n") && body.contains("tail-bin: /w\r\n"), "{body:?}");
}

const LISTS: &str = "metadata:
  request: { deny: [cookie, x-internal-*, user-agent] }
  reply: { allow: [data-bin, \"x-*\"], deny: [x-internal-*] }
";

#[tokio::test]
async fn what_an_operator_withholds_goes_through_in_no_dialect() {
    let servlet = answering(INITIAL, TRAILING).await;
    let proxy = echo(&servlet, LISTS, "").await;
    let fields = [("cookie", "a=b"), ("x-internal-role", "admin"), ("user-agent", "curl"), ("x-tenant", "t")];
    for (at, dialect) in DIALECTS.iter().enumerate() {
        let answer = ask(&proxy.address, *dialect, "1.1", &fields).await;
        assert_eq!(answer.status, 200, "{dialect:?}");
        let seen = the_only(&servlet, at).headers;
        for name in ["cookie", "x-internal-role", "user-agent"] {
            assert!(!seen.contains_key(name), "{dialect:?} {name}");
        }
        assert_eq!(values(&seen, "x-tenant"), ["t"], "{dialect:?}");
        assert_eq!(values(&seen, "content-type").len(), 1);

        assert_eq!(answer.header("data-bin"), Some("AAEC,/w"), "{dialect:?}");
        let mut told: Vec<u8> = answer.body.clone();
        if *dialect == Some("application/grpc-web-text") {
            told = told
                .chunks(4)
                .flat_map(|chunk| base64::engine::general_purpose::STANDARD.decode(chunk).unwrap())
                .collect();
        }
        let told = String::from_utf8_lossy(&told).into_owned();
        for name in ["x-internal-cost", "x-internal-node", "set-cookie", "tail-bin"] {
            let trailer = format!("trailer-{name}");
            assert_eq!((answer.header(name), answer.header(&trailer)), (None, None), "{dialect:?} {name}");
            assert!(!told.contains(name), "{dialect:?} {name} {told:?}");
        }
    }

    let mut request = grpc::Caller::request("/echo.v1.Echo/Say");
    append(request.headers_mut(), &fields);
    let caller = grpc::Caller::connect(&proxy.address).await;
    let answer = caller.send(request, &[&text_field(1, "x")]).await.unwrap();
    assert_eq!((answer.grpc_status(), answer.messages.len()), ("0", 1));
    assert_eq!(values(&answer.trailers, "x-tail"), ["3"]);
    for name in ["x-internal-cost", "set-cookie", "x-internal-node", "tail-bin"] {
        assert!(!answer.headers.contains_key(name) && !answer.trailers.contains_key(name), "{name}");
    }
    let seen = the_only(&servlet, DIALECTS.len()).headers;
    assert!(!seen.contains_key("cookie") && !seen.contains_key("x-internal-role"), "{seen:?}");
    assert_eq!(values(&seen, "x-tenant"), ["t"]);
}

#[tokio::test]
async fn lists_are_inherited_and_reloaded() {
    let servlet = answering(&[], &[]).await;
    let proxy = echo(&servlet, "", "defaults: { metadata: { request: { deny: [x-secret] } } }\n").await;
    let fields = [("x-secret", "1"), ("x-other", "2")];
    ask(&proxy.address, None, "1.1", &fields).await;
    let seen = the_only(&servlet, 0).headers;
    assert!(!seen.contains_key("x-secret") && seen.contains_key("x-other"));

    let known = proxy.reloads().await.len();
    proxy.replace("servlets/echo.yaml", &format!("{ECHO}metadata: {{ request: {{ deny: [x-other] }} }}\n"));
    proxy.report_after(known).await;
    ask(&proxy.address, None, "1.1", &fields).await;
    let seen = the_only(&servlet, 1).headers;
    assert!(seen.contains_key("x-secret") && !seen.contains_key("x-other"));
}

/// A `google.rpc.Status` with a RetryInfo of 1.5 s and a detail that nobody knows, as gRPC carries it.
fn rich_details() -> String {
    fn put(out: &mut Vec<u8>, number: u8, content: &[u8]) {
        out.extend_from_slice(&[number << 3 | 2, u8::try_from(content.len()).unwrap()]);
        out.extend_from_slice(content);
    }
    let delay = [0x08, 0x01, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01];
    let mut retry = Vec::new();
    put(&mut retry, 1, &delay);
    let mut status = vec![0x08, 14];
    put(&mut status, 2, b"busy");
    for (name, value) in [("google.rpc.RetryInfo", &retry[..]), ("acme.Unknown", &[1, 2, 255])] {
        let mut any = Vec::new();
        put(&mut any, 1, format!("type.googleapis.com/{name}").as_bytes());
        put(&mut any, 2, value);
        put(&mut status, 3, &any);
    }
    STANDARD_NO_PAD.encode(status)
}

async fn failing() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        let mut head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        head.headers_mut().extend(trailers("14", Some("busy")));
        head.headers_mut().insert("grpc-status-details-bin", rich_details().parse().unwrap());
        call.respond.send_response(head, true).unwrap();
    })
    .await
}

#[tokio::test]
async fn details_are_told_in_each_dialects_words_without_being_in_the_schema() {
    let servlet = failing().await;
    let proxy = echo(&servlet, "", "").await;
    for version in ["1.0", "1.1"] {
        let answer = ask(&proxy.address, None, version, &[]).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
        let details = json!([
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s" },
            { "@type": "type.googleapis.com/acme.Unknown", "value": "AQL/" },
        ]);
        assert_eq!(answer.json(), json!({ "code": 14, "message": "busy", "details": details }));
    }

    let answer = ask(&proxy.address, Some("application/proto"), "1.1", &[]).await;
    assert_eq!(answer.status, 503);
    let retry: &Value = &answer.json()["details"][0];
    assert_eq!((&retry["type"], &retry["debug"]), (&json!("google.rpc.RetryInfo"), &json!({ "retryDelay": "1.500s" })));
    assert_eq!(answer.json()["details"][1], json!({ "type": "acme.Unknown", "value": "AQL/" }));

    for dialect in ["application/grpc", "application/grpc-web"] {
        let answer = ask(&proxy.address, Some(dialect), "1.1", &[]).await;
        let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(told.contains(&rich_details()), "{dialect} {told}");
    }
}

#[tokio::test]
async fn details_can_be_kept_from_callers() {
    let servlet = failing().await;
    let proxy = echo(&servlet, "metadata: { reply: { deny: [grpc-status-details-bin] } }\n", "").await;
    let answer = ask(&proxy.address, None, "1.1", &[]).await;
    assert_eq!((answer.status, answer.json()), (503, json!({ "code": 14, "message": "busy" })));
    assert_eq!(answer.header("retry-after"), None);
    let caller = grpc::Caller::connect(&proxy.address).await;
    let answer = caller.call("/echo.v1.Echo/Say", b"").await;
    assert_eq!((answer.grpc_status(), answer.grpc_message()), ("14", "busy"));
    let all = [&answer.headers, &answer.trailers];
    assert!(all.iter().all(|fields| !fields.contains_key("grpc-status-details-bin")));
}
