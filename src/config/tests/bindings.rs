//! Routes that bind: what each way of writing one comes to.

use super::Tree;
use crate::config::{RouteBinding, RouteDef, load};
use crate::schema::{Binding, BodyRule, FieldPath};

const PROTO: &str = r#"syntax = "proto3";
package lib.v1;
service Library { rpc Get(Ask) returns (Book); }
message Ask { string name = 1; int64 book_id = 2; Book book = 3; }
message Book { string title = 1; }
"#;

fn routes(lines: &str) -> Vec<RouteDef> {
    let tree = Tree::new();
    tree.write("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
    tree.write("servlets/a.yaml", format!("schema: ../lib.proto\nroutes:\n{lines}"));
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write("lib.proto", PROTO);
    let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    loaded.servlets["a"].routes.clone()
}

/// `PUT /x; path: a, b; body: c; answer: d`.
fn told(binding: &Binding) -> String {
    let path: Vec<&str> = binding.captures.iter().map(FieldPath::text).collect();
    let body = match &binding.body {
        BodyRule::None => "none",
        BodyRule::Whole => "*",
        BodyRule::Field(field) => field.text(),
    };
    let answer = binding.response_body.as_ref().map_or("*", FieldPath::text);
    format!("{}; path: {}; body: {body}; answer: {answer}", binding.text, path.join(", "))
}

#[test]
fn every_way_of_writing_a_route_has_its_binding() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        (
            "match: { path: /old/** }",
            "POST /old/**; path: ; body: *; answer: *",
            Some("GET /old/**; path: ; body: none; answer: *"),
        ),
        ("match: { path: /a, method: GET }", "GET /a; path: ; body: none; answer: *", None),
        ("match: { path: /a, method: PATCH }", "PATCH /a; path: ; body: *; answer: *", None),
        ("match: { path: /a, method: DELETE }\n    body: '*'", "DELETE /a; path: ; body: *; answer: *", None),
        ("match: { path: /a, method: POST }\n    body: ''", "POST /a; path: ; body: none; answer: *", None),
        ("match: { path: /a }\n    body: book", "* /a; path: ; body: book; answer: *", None),
        ("match: { path: /a }\n    body: \"\"", "* /a; path: ; body: none; answer: *", None),
        (
            "match: { path: '/v1/{name=shelves/*}/books/{book_id}:read' }\n    response_body: title",
            "POST /v1/{name=shelves/*}/books/{book_id}:read; path: name, book_id; body: *; answer: title",
            Some("GET /v1/{name=shelves/*}/books/{book_id}:read; path: name, book_id; body: none; answer: title"),
        ),
        (
            "match: { host: a.b, path: '/v1/{book.title=**}', method: GET }",
            "GET /v1/{book.title=**}; path: book.title; body: none; answer: *",
            None,
        ),
    ];
    for (line, expected, expected_bodiless) in cases {
        let route = routes(&format!("  - {line}\n    call: lib.v1.Library/Get\n")).remove(0);
        let RouteBinding { method, binding, bodiless } = route.binding.unwrap();
        assert_eq!(&*method.name, "Get");
        assert_eq!(told(&binding), *expected, "{line}");
        assert_eq!(bodiless.as_deref().map(told).as_deref(), *expected_bodiless, "{line}");
        assert!(binding.place.to_string().ends_with("servlets/a.yaml:3:5"), "{}", binding.place);
    }
}

#[test]
fn the_document_has_the_method_that_a_request_meets() {
    let tree = Tree::new();
    let routes = "routes:\n  - { match: { path: /a }, call: lib.v1.Library/Any }\n  - { match: { path: /a, method: GET }, call: lib.v1.Library/Get }\n  - { match: { host: a.b, path: /a, method: GET }, call: lib.v1.Library/Any }\n";
    let proto = PROTO.replace("(Book); }", "(Book); rpc Any(Ask) returns (Book); }");
    tree.write("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
    tree.write("servlets/a.yaml", format!("schema: ../lib.proto\n{routes}"));
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write("lib.proto", proto);
    let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    let document = crate::config::openapi(&loaded, "a").unwrap();
    let told = |verb: &str| document["paths"]["/a"][verb]["description"].as_str().unwrap_or_default();
    assert_eq!(told("get"), "Only with the host `a.b`.\n\nOtherwise leads to `lib.v1.Library/Get`.");
    assert_eq!(told("put"), "", "only the route for any verb takes it");
}
