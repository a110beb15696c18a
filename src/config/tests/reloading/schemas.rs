//! Schemas: part of their servlet, and compiled when they change.

use std::sync::Arc;

use super::{Rig, SETTINGS};
use crate::config::tests::Tree;

#[test]
fn a_schema_is_part_of_its_servlet_with_all_that_it_imports() {
    let proto = "syntax = \"proto3\"; import \"x/m.proto\"; package a.v1; service S { rpc Do(x.M) returns (x.M); }";
    let message = "syntax = \"proto3\"; package x; message M {}";
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", "schema: ../p/s.proto\nservices: [a.v1.S]\nschema_changes: allow\n");
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write("p/s.proto", proto);
    tree.write("protos/x/m.proto", message);
    let mut rig = Rig::over(tree);
    let whole = ["a: Whole, changed: schema"];

    rig.tree.write("p/s.proto", format!("{proto} message New {{}}"));
    assert_eq!(rig.reload(), whole);
    rig.tree.write("protos/x/m.proto", message.replace("{}", "{ string text = 1; }"));
    assert_eq!(rig.reload(), whole);
    rig.tree.write("x/m.proto", message.replace("{}", "{ string nearer = 1; }"));
    assert_eq!(rig.reload(), whole, "a file that comes first where imports are looked for");
    rig.tree.write("x/m.proto", "syntax = \"proto3\"; package x; message N {}");
    let told = rig.reload();
    assert!(told.len() == 1 && told[0].starts_with("a: refused, running true: p/s.proto:1:"), "{told:?}");
    rig.tree.remove("x/m.proto");
    assert_eq!(rig.reload(), whole, "again the one in protos/");
}

#[test]
fn a_schema_is_compiled_again_only_when_its_files_change() {
    let message = "syntax = \"proto3\"; package x; message M {}";
    let servlet = "schema: ../p/s.proto\nservices: [a.v1.S]\n";
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", servlet);
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write(
        "p/s.proto",
        "syntax = \"proto3\"; import \"x/m.proto\"; package a.v1; service S { rpc Do(x.M) returns (x.M); }",
    );
    tree.write("protos/x/m.proto", message);
    let mut rig = Rig::over(tree);
    let schema = |rig: &Rig| rig.reloader.entries["a"].running.as_ref().unwrap().def.schema.clone().unwrap();
    let first = schema(&rig);

    rig.table("endpoints: [{ address: 127.0.0.1:1 }]\n");
    assert_eq!(rig.reload().len(), 1);
    rig.tree.write("servlets/a.yaml", format!("{servlet}timeout: 5s\n"));
    assert_eq!(rig.reload().len(), 1);
    rig.tree.write("p/s.proto", "broken");
    assert_eq!(rig.reload().len(), 1);
    assert!(Arc::ptr_eq(&first, &schema(&rig)), "the schema's files are the same");

    let watched = rig.reloader.watched().files;
    rig.tree.write(
        "p/s.proto",
        "syntax = \"proto3\"; import \"x/m.proto\"; package a.v1; service S { rpc Do(x.M) returns (x.M); }",
    );
    rig.table("endpoints: [{ address: 127.0.0.1:2 }]\n");
    assert_eq!(rig.reload().len(), 1);
    assert!(Arc::ptr_eq(&first, &schema(&rig)), "a mistake that was undone");
    assert!(rig.reloader.watched().files.len() >= watched.len(), "files of a schema in use are still watched");
    assert!(rig.reloader.watched().files.contains(&rig.tree.path("protos/x/m.proto")));

    rig.tree.write("x/m.proto", message);
    assert_eq!(rig.reload().len(), 1);
    assert!(!Arc::ptr_eq(&first, &schema(&rig)), "a nearer file that was not there");
}
