//! JSON to gRPC by `google.api.http`: each way to bind a request, end to end, and each way to be wrong.

use serde_json::{Value, json};

use crate::support::grpc;
use crate::support::http1::Caller;
use crate::support::proxy::table;
use crate::support::servlet::trailers;
use crate::support::{Call, Running, Servlet, framed, http2, number_field, text_field};

const SHELF_PROTO: &str = r#"
syntax = "proto3";
package shelf.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Shelf {
  rpc Get(Book) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" additional_bindings { get: "/v1/books/{number}" } }; }
  rpc Put(Book) returns (Book) { option (google.api.http) = { put: "/v1/books/{number}" body: "*" }; }
  rpc Rate(Rating) returns (Book) { option (google.api.http) = { post: "/v1/books/{number}/rating" body: "book" response_body: "name" }; }
  rpc Burn(Book) returns (Book) { option (google.api.http) = { post: "/v1/{name=shelves/**}:burn" body: "*" }; }
  rpc Find(Book) returns (Book) { option (google.api.http) = { custom: { kind: "FIND" path: "/v1/find" } }; }
  rpc Plain(Book) returns (Book);
  rpc Upload(Upload) returns (Book) { option (google.api.http) = { post: "/v1/upload/{name}" body: "content" }; }
  rpc Download(Book) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/download/{name}" }; }
}

message Book { string name = 1; int64 number = 2; repeated string tags = 3; Book next = 4; }
message Rating { int64 number = 1; Book book = 2; bool loud = 3; }
message Upload { string name = 1; google.api.HttpBody content = 2; }
"#;

const SHELF: &str = "schema: ../protos/shelf.proto\nservices: [shelf.v1.Shelf]\n";

async fn shelf(servlet: &str, more: &str) -> Running {
    let files = [
        ("protos/shelf.proto", SHELF_PROTO),
        ("servlets/shelf.yaml", &format!("{SHELF}{more}")),
        ("endpoints/shelf.yaml", &table(&[(servlet, 1)])),
    ];
    Running::with(&files, "").await
}

/// Answers each call with one book, `{"name": "it"}`.
async fn one_book() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[&text_field(1, "it")], "0", None);
    })
    .await
}

/// Status, fields and body, over each version of HTTP.
async fn everywhere(
    address: &str,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for version in ["1.0", "1.1"] {
        let mut request = format!("{method} {path} HTTP/{version}\r\nHost: a\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || ["POST", "PUT", "PATCH"].contains(&method) {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let answer = Caller::once(address, &format!("{request}Connection: close\r\n\r\n{body}")).await;
        answers.push((answer.status, answer.text().to_owned()));
    }
    let mut request = http2::request(method, path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let answer = http2::once(address, request.body(()).unwrap(), body.as_bytes()).await.unwrap();
    answers.push((answer.status.as_u16(), answer.text().to_owned()));
    answers
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn nested(field: u8, message: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, u8::try_from(message.len()).unwrap()], message].concat()
}

#[tokio::test]
async fn every_binding_becomes_its_message_over_every_version() {
    let servlet = one_book().await;
    let proxy = shelf(&servlet.address, "").await;
    let it = r#"{"name":"it"}"#;
    type Case = (&'static str, &'static str, &'static str, &'static str, Vec<u8>, &'static str);
    let cases: Vec<Case> = vec![
        ("GET", "/v1/shelves/a%20b/books/2", "", "Get", text_field(1, "shelves/a b/books/2"), it),
        (
            "GET",
            "/v1/books/7?name=x&tags=a&tags=b&next.number=5",
            "",
            "Get",
            joined(&[
                number_field(2, 7),
                text_field(1, "x"),
                text_field(3, "a"),
                text_field(3, "b"),
                nested(4, &[0x10, 5]),
            ]),
            it,
        ),
        ("PUT", "/v1/books/7", r#"{"name":"x"}"#, "Put", joined(&[text_field(1, "x"), number_field(2, 7)]), it),
        (
            "POST",
            "/v1/books/7/rating?loud=true",
            r#"{"name":"x"}"#,
            "Rate",
            joined(&[nested(2, &text_field(1, "x")), number_field(1, 7), number_field(3, 1)]),
            r#""it""#,
        ),
        ("POST", "/v1/shelves/a/b:burn", "{}", "Burn", text_field(1, "shelves/a/b"), it),
        ("FIND", "/v1/find?number=3", "", "Find", number_field(2, 3), it),
        ("POST", "/shelf.v1.Shelf/Plain", r#"{"number":"3"}"#, "Plain", number_field(2, 3), it),
    ];
    for (method, path, body, rpc, message, reply) in cases {
        let answers = everywhere(&proxy.address, method, path, &[], body).await;
        assert!(answers.iter().all(|answer| *answer == (200, reply.to_owned())), "{method} {path}: {answers:?}");
        let seen = servlet.seen();
        for seen in &seen[seen.len() - 3..] {
            assert_eq!(seen.path, format!("/shelf.v1.Shelf/{rpc}"));
            assert_eq!(sorted(&seen.body[5..]), sorted(&message), "{method} {path}: {:?}", seen.body);
            assert_eq!(seen.body[..5], framed(&message)[..5]);
            assert!(seen.whole);
            assert_eq!(
                (&seen.headers["content-type"], &seen.headers["te"]),
                (&val("application/grpc"), &val("trailers"))
            );
            assert!(!seen.headers.contains_key("content-length"));
        }
    }
    proxy.at_rest("shelf").await;
}

fn val(text: &'static str) -> http::HeaderValue {
    http::HeaderValue::from_static(text)
}

/// The order of a message's fields says nothing.
fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}

#[tokio::test]
async fn what_no_rule_takes_is_told_precisely_and_never_reaches_the_servlet() {
    let servlet = one_book().await;
    let proxy = shelf(&servlet.address, "message_size: 64KiB\n").await;
    let json: &[(&str, &str)] = &[("Content-Type", "application/json")];
    let xml: &[(&str, &str)] = &[("Content-Type", "text/xml")];
    let coded: &[(&str, &str)] = &[("Content-Encoding", "compress")];
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str, u16, u8);
    let cases: Vec<Case<'_>> = vec![
        ("GET", "/nowhere", &[], "", 404, 5),
        // Every method of a service with rules is reached by them alone.
        ("POST", "/shelf.v1.Shelf/Get", json, "{}", 404, 5),
        ("POST", "/shelf.v1.Shelf/None", json, "{}", 404, 5),
        ("DELETE", "/v1/books/7", &[], "", 405, 12),
        ("GET", "/shelf.v1.Shelf/Plain", &[], "", 405, 12),
        ("GET", "/v1/books/seven", &[], "", 400, 3),
        ("GET", "/v1/books/7?nothing=1", &[], "", 400, 3),
        ("GET", "/v1/books/7?number=8", &[], "", 400, 3),
        ("GET", "/v1/books/7", json, "{}", 400, 3),
        ("PUT", "/v1/books/7", json, "{", 400, 3),
        ("PUT", "/v1/books/7", json, r#"{"nothing":1}"#, 400, 3),
        ("PUT", "/v1/books/7", json, r#"{"name":"a","name":"b"}"#, 400, 3),
        ("PUT", "/v1/books/7", xml, "<x/>", 415, 3),
        ("PUT", "/v1/books/7", coded, "xxx", 415, 12),
        ("PUT", "/v1/books/7", json, &large, 413, 8),
    ];
    for (method, path, fields, body, status, code) in cases {
        for (got, text) in everywhere(&proxy.address, method, path, fields, body).await {
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((got, &told["code"]), (status, &json!(code)), "{method} {path} {body:.20}: {text}");
            assert!(told["message"].as_str().is_some_and(|message| message.len() > 10), "{text}");
        }
    }
    let answer =
        Caller::once(&proxy.address, "DELETE /v1/books/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let mut allow: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
    allow.sort_unstable();
    assert_eq!(allow, ["GET", "HEAD", "PUT"]);
    assert_eq!(servlet.calls(), 0);
    proxy.at_rest("shelf").await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whatever_its_framing() {
    let servlet = one_book().await;
    let proxy = shelf(&servlet.address, "message_size: 64KiB\n").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("PUT /v1/books/7 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..5 {
        caller.write(format!("4000\r\n{}\r\n", " ".repeat(0x4000))).await;
    }
    assert_eq!(caller.answer().await.unwrap().status, 413);
    // Told before a byte of it is sent.
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("PUT /v1/books/7 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 413);
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn grpc_errors_come_with_their_details_as_json() {
    use base64::Engine as _;
    // google.rpc.Status { code: 9, message: "no", details: [ Any of shelf.v1.Book { name: "it" } ] }
    let any = joined(&[text_field(1, "type.googleapis.com/shelf.v1.Book"), nested(2, &text_field(1, "it"))]);
    let status = joined(&[number_field(1, 9), text_field(2, "no"), nested(3, &any)]);
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status);
    let servlet = Servlet::start(move |mut call: Call| {
        let details = details.clone();
        async move {
            call.read().await;
            let mut end = trailers("9", Some("not %C3%A4t all"));
            end.insert("grpc-status-details-bin", details.parse().unwrap());
            end.insert("x-why", "because".parse().unwrap());
            call.begin().send_trailers(end).unwrap();
        }
    })
    .await;
    let proxy = shelf(&servlet.address, "").await;
    let answer = Caller::once(&proxy.address, "GET /v1/books/7 HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    let told = answer.json();
    assert_eq!((&told["code"], &told["details"][0]["name"]), (&json!(9), &json!("it")), "{told}");
    assert_eq!(told["details"][0]["@type"], "type.googleapis.com/shelf.v1.Book");
    assert_eq!((answer.header("grpc-status"), answer.header("x-why")), (Some("9"), Some("because")));
    proxy.at_rest("shelf").await;
}

#[tokio::test]
async fn metadata_passes_both_ways() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let head = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("x-first", "1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(())
            .unwrap();
        let mut send = call.respond.send_response(head, false).unwrap();
        send.send_data(framed(&text_field(1, "it")).into(), false).unwrap();
        let mut end = trailers("0", None);
        end.insert("x-last", "2".parse().unwrap());
        send.send_trailers(end).unwrap();
    })
    .await;
    let proxy = shelf(&servlet.address, "").await;
    let request = http2::request("GET", "/v1/books/7")
        .header("authorization", "Bearer x")
        .header("x-id", "7")
        .header("accept-encoding", "gzip")
        .header("grpc-encoding", "gzip")
        .body(())
        .unwrap();
    let answer = http2::once(&proxy.address, request, b"").await.unwrap();
    assert_eq!(answer.json(), json!({"name": "it"}));
    assert_eq!((&answer.headers["x-first"], &answer.headers["x-last"]), (&val("1"), &val("2")));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.headers["content-type"], "application/json");
    let seen = &servlet.seen()[0];
    assert_eq!((&seen.headers["authorization"], &seen.headers["x-id"]), (&val("Bearer x"), &val("7")));
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert!(!seen.headers.contains_key("grpc-encoding"));
    assert_eq!(seen.authority.as_deref(), Some("proxy.test"));
    proxy.at_rest("shelf").await;
}

#[tokio::test]
async fn http_bodies_pass_as_they_are() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let body = if call.head.uri.path().ends_with("Download") {
            joined(&[text_field(1, "image/png"), text_field(2, "\u{1}PNG")])
        } else {
            text_field(1, "it")
        };
        call.reply(&[&body], "0", None);
    })
    .await;
    let proxy = shelf(&servlet.address, "").await;
    let answer = Caller::once(&proxy.address, "GET /v1/download/a HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.text(), answer.header("content-type")), (200, "\u{1}PNG", Some("image/png")));
    let request = "POST /v1/upload/a HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: 4\r\n\r\na,b\n";
    assert_eq!(Caller::once(&proxy.address, request).await.json(), json!({"name": "it"}));
    let content = joined(&[text_field(1, "text/csv"), text_field(2, "a,b\n")]);
    assert_eq!(sorted(&servlet.seen()[1].body[5..]), sorted(&joined(&[nested(2, &content), text_field(1, "a")])));
    proxy.at_rest("shelf").await;
}

#[tokio::test]
async fn configured_routes_come_first_and_bind_body_or_query() {
    let servlet = one_book().await;
    let routes = r#"
routes:
  - { match: { host: "*.example.com", path: "/old/**" }, call: shelf.v1.Shelf/Plain }
  - { match: { path: "/v1/books/7", method: GET }, call: shelf.v1.Shelf/Find }
  - { match: { path: "/flagged", headers: { x-flag: "on" } }, call: shelf.v1.Shelf/Put }
"#;
    let proxy = shelf(&servlet.address, routes).await;
    let ask = |host: &'static str, line: &'static str, fields: &'static str, body: &'static str| {
        let address = proxy.address.clone();
        async move {
            let request = format!(
                "{line} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            Caller::once(&address, &request).await.status
        }
    };
    let last = || servlet.seen().pop().map(|seen| (seen.path, seen.body)).unwrap();
    let path = |rpc: &str| format!("/shelf.v1.Shelf/{rpc}");

    assert_eq!(ask("a.b.example.com", "POST /old/x/y", "", r#"{"name":"b"}"#).await, 200);
    assert_eq!(last(), (path("Plain"), framed(&text_field(1, "b"))));
    assert_eq!(ask("a.example.com", "GET /old?name=q", "", "").await, 200);
    assert_eq!(last(), (path("Plain"), framed(&text_field(1, "q"))));
    assert_eq!(ask("example.com", "GET /old/x", "", "").await, 404);
    assert_eq!(ask("a.test", "GET /old/x", "", "").await, 404);
    assert_eq!(ask("a.test", "GET /v1/books/7?name=q", "", "").await, 200);
    assert_eq!(last(), (path("Find"), framed(&text_field(1, "q"))));
    assert_eq!(ask("a.test", "GET /flagged", "X-Flag: on\r\n", "").await, 200);
    assert_eq!(last().0, path("Put"));
    assert_eq!(ask("a.test", "GET /flagged", "X-Flag: off\r\n", "").await, 404);

    // A gRPC caller on a route calls the method that the route names.
    let caller = grpc::Caller::connect(&proxy.address).await;
    let mut request = grpc::Caller::request("/old/anything");
    *request.uri_mut() = "http://x.example.com/old/anything".parse().unwrap();
    let answer = caller.send(request, &[&text_field(1, "g")]).await.unwrap();
    assert_eq!(answer.grpc_status(), "0");
    assert_eq!(last(), (path("Plain"), framed(&text_field(1, "g"))));
    assert_eq!(servlet.seen().pop().unwrap().authority.as_deref(), Some("x.example.com"));
    proxy.at_rest("shelf").await;
}

#[tokio::test]
async fn a_servlet_without_a_schema_is_for_grpc_callers_only() {
    let servlet = one_book().await;
    let files =
        [("servlets/raw.yaml", "services: [\"raw.v1.*\"]\n"), ("endpoints/raw.yaml", &table(&[(&servlet.address, 1)]))];
    let proxy = Running::with(&files, "").await;
    let answer = grpc::Caller::connect(&proxy.address).await.call("/raw.v1.Any/Thing", b"\x08\x01").await;
    assert_eq!((answer.grpc_status(), &*answer.messages), ("0", &[text_field(1, "it")][..]));
    let request = "POST /raw.v1.Any/Thing HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let answer = Caller::once(&proxy.address, request).await;
    assert_eq!((answer.status, answer.header("content-type")), (415, Some("application/json")));
    assert_eq!(servlet.calls(), 1);
    proxy.at_rest("raw").await;
}

#[tokio::test]
async fn a_slow_upload_takes_no_endpoints_place() {
    let servlet = one_book().await;
    let proxy = shelf(&servlet.address, "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("PUT /v1/books/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{\"name\":").await;
    // Another call goes through meanwhile, so the first has long been read.
    let other = Caller::once(&proxy.address, "GET /v1/books/7 HTTP/1.0\r\n\r\n").await;
    assert_eq!(other.status, 200);
    assert_eq!(proxy.endpoints("shelf").await[0]["in_flight"], 0);
    caller.write("\"x\"}").await;
    assert_eq!(caller.answer().await.unwrap().status, 200);
    assert_eq!(servlet.calls(), 2);
}

#[tokio::test]
async fn answers_that_are_no_grpc_or_no_message_are_told_as_errors() {
    let servlet = Servlet::start(|mut call: Call| async move {
        call.read().await;
        let path = call.head.headers["x-case"].to_str().unwrap().to_owned();
        match path.as_str() {
            "html" => {
                let head = http::Response::builder().status(503).header("content-type", "text/html").body(()).unwrap();
                let mut send = call.respond.send_response(head, false).unwrap();
                send.send_data("<h1>".into(), true).unwrap();
            }
            "none" => call.reply(&[], "0", None),
            "two" => call.reply(&[b"", b""], "0", None),
            "garbage" => call.reply(&[b"\xff\xff"], "0", None),
            "cut" => {
                let mut send = call.begin();
                send.send_data(vec![0, 0, 0, 0, 9, 1].into(), false).unwrap();
                send.send_trailers(trailers("0", None)).unwrap();
            }
            "status" => call.refuse("seventeen", None),
            "silent" => call.begin().send_data(framed(b"").into(), true).unwrap(),
            _ => call.respond.send_reset(h2::Reason::INTERNAL_ERROR),
        }
    })
    .await;
    let proxy = shelf(&servlet.address, "").await;
    let cases = [
        ("html", 503, 14),
        ("none", 502, 13),
        ("two", 502, 13),
        ("garbage", 502, 13),
        ("cut", 502, 13),
        ("status", 500, 2),
        ("silent", 500, 2),
        ("reset", 502, 14),
    ];
    for (case, status, code) in cases {
        for (got, text) in everywhere(&proxy.address, "GET", "/v1/books/7", &[("X-Case", case)], "").await {
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((got, &told["code"]), (status, &json!(code)), "{case}: {text}");
        }
    }
    proxy.at_rest("shelf").await;
}
