//! Routes into the envelope: known without a schema, beside one, and never asked of endpoints.

use super::Tree;
use crate::config::{load, openapi};

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";
const PROTO: &str =
    "syntax = \"proto3\"; package x; message M { string text = 1; } service S { rpc Do(M) returns (M); }";

fn tree(servlet: &str) -> Tree {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", servlet);
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write("s.proto", PROTO);
    tree
}

#[test]
fn a_route_into_the_envelope_needs_no_schema() {
    for schema in ["", "schema: ../s.proto\n", "schema: reflection\n"] {
        let route = "{ match: { path: \"/**\" }, call: telamon.v1.HttpServlet/Serve }";
        let tree = tree(&format!("{schema}routes: [{route}]\n"));
        let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
        let binding = loaded.servlets["a"].routes[0].binding.clone().unwrap();
        assert_eq!(binding.method.path, "/telamon.v1.HttpServlet/Serve", "{schema}");
    }
}

#[test]
fn it_is_no_part_of_a_rest_surface() {
    let routes =
        "[{ match: { path: /old }, call: telamon.v1.HttpServlet/Serve }, { match: { path: /new }, call: x.S/Do }]";
    let tree = tree(&format!("schema: ../s.proto\nroutes: {routes}\n"));
    let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    let document = openapi(&loaded, "a").unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/new"]);
}
