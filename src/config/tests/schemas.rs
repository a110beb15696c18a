//! Where a schema's imports are found, and that one file is one file however it is named.

use super::Tree;
use crate::config::load;

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";

fn tree(schema: &str, protos: &[(&str, &str)]) -> Tree {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", format!("schema: {schema}\nservices: [\"*\"]\n"));
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    for (name, text) in protos {
        tree.write(name, format!("syntax = \"proto3\";\n{text}"));
    }
    tree
}

fn services(tree: &Tree) -> Vec<String> {
    let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    let schema = loaded.servlets["a"].schema.clone().unwrap();
    let mut names: Vec<String> = schema.services().map(|service| service.full_name.to_string()).collect();
    names.sort();
    names
}

const SERVICE: &str = "service S { rpc Do(x.M) returns (x.M); }";
const MESSAGE: (&str, &str) = ("", "package x; message M {}");

#[test]
fn imports_are_found_beside_above_and_in_protos() {
    for place in ["deep/er/x/m.proto", "deep/x/m.proto", "x/m.proto", "protos/x/m.proto"] {
        let service = format!("import \"x/m.proto\"; {SERVICE}");
        let tree = tree("../deep/er/s.proto", &[("deep/er/s.proto", &service), (place, MESSAGE.1)]);
        assert_eq!(services(&tree), ["S"], "{place}");
    }
}

#[test]
fn the_nearest_import_is_taken() {
    let service = format!("import \"x/m.proto\"; {SERVICE}");
    let near = ("deep/x/m.proto", MESSAGE.1);
    let tree = tree("../deep/s.proto", &[("deep/s.proto", &service), near, ("x/m.proto", "this is not read")]);
    assert_eq!(services(&tree), ["S"]);
}

#[test]
fn a_file_that_is_listed_and_imported_is_one_file() {
    let service = format!("import \"x/m.proto\"; {SERVICE}");
    let message = "package x; message M {} service T { rpc Do(M) returns (M); }";
    let tree = tree(
        "[../protos/x/m.proto, ../protos/y/s.proto]",
        &[("protos/y/s.proto", &service), ("protos/x/m.proto", message)],
    );
    assert_eq!(services(&tree), ["S", "x.T"]);
}

#[test]
fn files_of_one_name_in_two_directories_are_two() {
    let tree = tree(
        "[../one/s.proto, ../two/s.proto]",
        &[
            ("one/s.proto", "package one; message M {} service S { rpc Do(M) returns (M); }"),
            ("two/s.proto", "package two; message M {} service S { rpc Do(M) returns (M); }"),
        ],
    );
    assert_eq!(services(&tree), ["one.S", "two.S"]);
}

#[test]
fn an_import_does_not_leave_its_directories() {
    let outside = Tree::new();
    outside.write("m.proto", "syntax = \"proto3\"; package x; message M {}");
    for import in [outside.path("m.proto").display().to_string(), "../../m.proto".into()] {
        let service = format!("import \"{import}\"; {SERVICE}");
        let tree = tree("../p/s.proto", &[("p/s.proto", &service), ("../m.proto", MESSAGE.1)]);
        let told = load(&tree.path("telamon.yaml")).unwrap_err().to_string();
        assert!(told.contains("import"), "{told}");
        assert!(tree.root().exists());
    }
}
