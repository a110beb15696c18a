//! Routes of a servlet's file that bind requests as annotations do: for a schema without any, and over those that it has.

use serde_json::json;

use crate::support::http1::Caller;
use crate::support::proxy::table;
use crate::support::{Call, Running, Servlet, framed, grpc, number_field, text_field};

const LIBRARY_PROTO: &str = r#"
syntax = "proto3";
package lib.v1;
import "google/api/annotations.proto";

service Plain {
  rpc Get(Ask) returns (Book);
  rpc Put(Ask) returns (Book);
  rpc List(Ask) returns (stream Book);
}
service Annotated {
  rpc Get(Ask) returns (Book) { option (google.api.http) = { get: "/v1/annotated/{name}" additional_bindings { get: "/v1/kept/{name}" } }; }
}

message Ask { string name = 1; int64 id = 2; Book book = 3; }
message Book { string title = 1; int64 pages = 2; }
"#;

const LIBRARY: &str = r#"
schema: ../protos/lib.proto
services: [lib.v1.Plain, lib.v1.Annotated]
routes:
  - { match: { method: GET, path: "/v1/{name=shelves/*}/books/{id}" }, call: lib.v1.Plain/Get }
  - { match: { method: GET, path: "/v1/{name=shelves/*}/books/{id}:title" }, call: lib.v1.Plain/Get, response_body: title }
  - { match: { method: PUT, path: "/v1/books/{id}" }, call: lib.v1.Plain/Put, body: book }
  - { match: { method: POST, path: "/v1/books/{book.pages}/all" }, call: lib.v1.Plain/Put, body: "*" }
  - { match: { method: POST, path: "/v1/none/{id}" }, call: lib.v1.Plain/Put, body: "" }
  - { match: { path: "/v1/any/{id}" }, call: lib.v1.Plain/Put }
  - { match: { method: GET, path: "/v1/{name}/titles" }, call: lib.v1.Plain/List, response_body: title }
  - { match: { method: GET, path: "/v1/annotated/*" }, call: lib.v1.Plain/Put }
"#;

async fn library(servlet: &str) -> Running {
    let files = [
        ("protos/lib.proto", LIBRARY_PROTO),
        ("servlets/lib.yaml", LIBRARY),
        ("endpoints/lib.yaml", &table(&[(servlet, 1)])),
    ];
    Running::with(&files, "").await
}

async fn books() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        let (one, two) = (text_field(1, "one"), text_field(1, "two"));
        let messages: &[&[u8]] = if call.head.uri.path().ends_with("/List") { &[&one, &two] } else { &[&one] };
        call.reply(messages, "0", None);
    })
    .await
}

fn nested(field: u8, message: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, u8::try_from(message.len()).unwrap()], message].concat()
}

#[tokio::test]
async fn requests_become_messages_by_the_routes_of_the_file() {
    let servlet = books().await;
    let proxy = library(&servlet.address).await;
    let whole = r#"{"title":"one"}"#;
    type Case<'c> = (&'c str, &'c str, &'c str, Vec<u8>, &'c str);
    let cases: Vec<Case<'_>> = vec![
        (
            "GET /v1/shelves/a%20b/books/7?book.title=t",
            "",
            "Plain/Get",
            [text_field(1, "shelves/a b"), number_field(2, 7), nested(3, &text_field(1, "t"))].concat(),
            whole,
        ),
        (
            "GET /v1/shelves/a/books/7:title",
            "",
            "Plain/Get",
            [text_field(1, "shelves/a"), number_field(2, 7)].concat(),
            r#""one""#,
        ),
        (
            "PUT /v1/books/7?name=n",
            r#"{"title":"t"}"#,
            "Plain/Put",
            [nested(3, &text_field(1, "t")), number_field(2, 7), text_field(1, "n")].concat(),
            whole,
        ),
        (
            "POST /v1/books/9/all",
            r#"{"name":"n","book":{"title":"t"}}"#,
            "Plain/Put",
            [text_field(1, "n"), nested(3, &text_field(1, "t")), nested(3, &number_field(2, 9))].concat(),
            whole,
        ),
        ("POST /v1/none/7?name=n", "", "Plain/Put", [number_field(2, 7), text_field(1, "n")].concat(), whole),
        ("POST /v1/any/7", r#"{"name":"n"}"#, "Plain/Put", [text_field(1, "n"), number_field(2, 7)].concat(), whole),
        ("DELETE /v1/any/7?name=n", "", "Plain/Put", [number_field(2, 7), text_field(1, "n")].concat(), whole),
        ("GET /v1/x/titles", "", "Plain/List", text_field(1, "x"), r#"["one","two"]"#),
        // The file wins over the annotation of the same path, and leaves the others alone.
        ("GET /v1/annotated/x?id=7", "", "Plain/Put", number_field(2, 7), whole),
        ("GET /v1/kept/x", "", "Annotated/Get", text_field(1, "x"), whole),
    ];
    for (line, body, rpc, message, reply) in cases {
        for version in ["1.0", "1.1"] {
            let length = body.len();
            let request = format!(
                "{line} HTTP/{version}\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let answer = Caller::once(&proxy.address, &request).await;
            let compact: String = answer.text().split_whitespace().collect();
            assert_eq!((answer.status, compact.as_str()), (200, reply), "{line}");
            let seen = servlet.seen().pop().unwrap();
            assert_eq!((seen.path, seen.body), (format!("/lib.v1.{rpc}"), framed(&message)), "{line}");
        }
    }
    proxy.at_rest("lib").await;
}

#[tokio::test]
async fn what_does_not_fit_a_route_is_told_as_for_an_annotation() {
    let servlet = books().await;
    let proxy = library(&servlet.address).await;
    for (line, body, status) in [
        ("GET /v1/shelves/a/books/seven", "", 400),
        ("GET /v1/shelves/a/books/7?id=8", "", 400),
        ("PUT /v1/books/7", r#"{"pages":"x"}"#, 400),
        ("PUT /v1/books/7?book.title=t", "{}", 400),
        ("POST /v1/none/7", "{}", 400),
        ("DELETE /v1/books/7", "", 405),
        ("GET /v1/other/a/books/7", "", 404),
    ] {
        let length = body.len();
        let request =
            format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let answer = Caller::once(&proxy.address, &request).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        assert!(answer.json()["message"].as_str().is_some_and(|told| told.len() > 10));
    }
    assert_eq!(servlet.calls(), 0);
}

#[tokio::test]
async fn bindings_change_while_calls_run_and_a_bad_one_changes_nothing() {
    let servlet = books().await;
    let proxy = library(&servlet.address).await;
    let known = proxy.reloads().await.len();
    proxy.replace("servlets/lib.yaml", &LIBRARY.replace("/v1/any/{id}", "/v1/any/{di}"));
    let report = proxy.report_after(known).await;
    assert_eq!(report["accepted"], json!(false));
    let told = report["problems"][0].clone();
    assert_eq!(
        (&told["path"], &told["hint"]),
        (&json!("routes[5].match.path"), &json!("did you mean `id`?")),
        "{told}"
    );
    assert_eq!(Caller::once(&proxy.address, "GET /v1/any/7 HTTP/1.0\r\n\r\n").await.status, 200);

    proxy.replace("servlets/lib.yaml", &LIBRARY.replace("/v1/any/{id}", "/v1/every/{id}"));
    proxy.report_after(known + 1).await;
    assert_eq!(Caller::once(&proxy.address, "GET /v1/any/7 HTTP/1.0\r\n\r\n").await.status, 404);
    assert_eq!(Caller::once(&proxy.address, "GET /v1/every/7 HTTP/1.0\r\n\r\n").await.status, 200);
    // gRPC callers come in by the service's own name, whatever the routes say.
    let answer = grpc::Caller::connect(&proxy.address).await.call("/lib.v1.Plain/Get", b"").await;
    assert_eq!(answer.grpc_status(), "0");
}
