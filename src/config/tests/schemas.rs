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
fn an_import_is_taken_from_around_the_file_that_imports_it() {
    let service = |package: &str, kind: &str| {
        format!("import \"{package}/m.proto\"; package {package}; service S {{ rpc Do({kind}) returns ({kind}); }}")
    };
    // Beside the first file there is one that the second must not get.
    let tree = tree(
        "[../one/s.proto, ../two/t.proto]",
        &[
            ("one/s.proto", &service("a", "M")),
            ("one/a/m.proto", "package a; message M {}"),
            ("one/b/m.proto", "package b; message Other {}"),
            ("two/t.proto", &service("b", "M")),
            ("two/b/m.proto", "import \"b/n.proto\"; package b; message M { N n = 1; }"),
            ("one/b/n.proto", "package b; message Other {}"),
            ("two/b/n.proto", "package b; message N {}"),
        ],
    );
    assert_eq!(services(&tree), ["a.S", "b.S"]);
}

#[test]
fn a_name_that_leads_to_different_files_is_told() {
    let service = |package: &str| {
        format!("import \"x/m.proto\"; import \"google/protobuf/empty.proto\"; package {package}; {SERVICE}")
    };
    let files = |second: &str| {
        tree(
            "[../one/s.proto, ../two/t.proto]",
            &[
                ("one/s.proto", &service("a")),
                ("one/x/m.proto", MESSAGE.1),
                ("one/google/protobuf/empty.proto", "this is not read"),
                ("two/t.proto", &service("b")),
                ("two/x/m.proto", second),
            ],
        )
    };
    assert_eq!(services(&files(MESSAGE.1)), ["a.S", "b.S"], "two copies of one file");
    let tree = files("package x; message M { string text = 1; }");
    let told = tree.local(&load(&tree.path("telamon.yaml")).unwrap_err().to_string());
    let expected = "leads to two/x/m.proto for the import `x/m.proto`, but one/s.proto to one/x/m.proto";
    assert!(told.starts_with("servlets/a.yaml:1:") && told.contains(expected), "{told}");
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

#[test]
fn servlets_over_the_same_files_share_one_schema() {
    let messages = "package x; message M {} service A { rpc Do(M) returns (M); } service B { rpc Do(M) returns (M); }";
    let tree = tree("../s.proto", &[("s.proto", messages)]);
    for name in ["a", "b"] {
        let service = name.to_uppercase();
        tree.write(&format!("servlets/{name}.yaml"), format!("schema: ../s.proto\nservices: [x.{service}]\n"));
        tree.write(&format!("endpoints/{name}.yaml"), "endpoints: []\n");
    }
    let schemas = |loaded: &crate::config::Loaded| {
        ["a", "b"].map(|name| std::sync::Arc::as_ptr(loaded.servlets[name].schema.as_ref().unwrap()))
    };
    let loaded = load(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    let [one, other] = schemas(&loaded);
    assert!(std::ptr::eq(one, other));
}
