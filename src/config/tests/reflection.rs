//! Schemas that endpoints tell: what is fetched takes the way of a changed file, and only what was accepted is kept.

use std::fs;
use std::time::Instant;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::Tree;
use crate::config::{Event, Reflected, Reloader, ServletDef, load};

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";
const SERVLET: &str =
    "schema: reflection\nservices: [a.S]\nroutes: [{ match: { path: \"/x/{text}\" }, call: a.S/Do }]\n";
const KEPT: &str = ".telamon/a.binpb";

/// A descriptor set with one file, in which there are these services with a method `Do` each.
fn set(services: &[&str], field: &str) -> Vec<u8> {
    let services: String =
        services.iter().map(|name| format!("service {name} {{ rpc Do(M) returns (M); }} ")).collect();
    let text = format!("syntax = \"proto3\"; package a; {services} message M {{ string {field} = 1; }}");
    let file = protox::file::File::from_source("a.proto", &text).unwrap();
    FileDescriptorSet { file: vec![file.file_descriptor_proto().clone()] }.encode_to_vec()
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", SERVLET);
    tree.write("endpoints/a.yaml", "endpoints: [{ address: 127.0.0.1:1 }]\n");
    tree
}

fn start(tree: &Tree) -> (std::sync::Arc<ServletDef>, Reloader) {
    let (loaded, reloader) = Reloader::start(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
    (loaded.servlets["a"].clone(), reloader)
}

/// What one reload comes to: the servlet when it is accepted, else what is wrong with it; nothing when nothing happens.
fn reload(reloader: &mut Reloader) -> Option<Result<std::sync::Arc<ServletDef>, String>> {
    let mut events = reloader.reload(Instant::now());
    assert!(events.len() <= 1, "{events:?}");
    match events.pop()? {
        Event::Accepted { servlet, .. } => Some(Ok(servlet)),
        Event::Refused { problems, running, .. } => {
            assert!(running);
            Some(Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")))
        }
        other => panic!("{other:?}"),
    }
}

fn saved(reloader: &mut Reloader) {
    let failed = reloader.save();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn what_is_fetched_is_checked_put_in_force_and_kept() {
    let tree = tree();
    let (def, mut reloader) = start(&tree);
    assert!(def.schema.is_none() && def.pending().is_some_and(|why| why.contains("no endpoint has told it")));
    assert!(def.routes[0].call.is_some() && def.routes[0].binding.is_none());
    assert_eq!(reloader.asks("a"), Some(&["a.S".to_owned()][..]));

    let good = set(&["S"], "text");
    reloader.fetched("a", good.clone());
    let def = reload(&mut reloader).unwrap().unwrap();
    assert!(def.schema.is_some() && def.routes[0].binding.is_some() && def.pending().is_none());
    assert!(!tree.path(KEPT).exists(), "kept when it is in force, not before");
    saved(&mut reloader);
    assert_eq!(fs::read(tree.path(KEPT)).unwrap(), good);
    assert_eq!(fs::read_dir(tree.path(".telamon")).unwrap().count(), 1, "nothing is left beside it");
    // The same again is no change, and neither is our own writing.
    reloader.fetched("a", good);
    assert!(reload(&mut reloader).is_none());

    let (def, _) = start(&tree);
    assert_eq!(def.reflected, Some(Reflected::Known(tree.path(KEPT))), "known at the next start");
    assert!(def.schema.is_some());
}

#[test]
fn what_is_wrong_is_refused_and_never_kept() {
    let tree = tree();
    let (_, mut reloader) = start(&tree);
    reloader.fetched("a", set(&["S"], "text"));
    reload(&mut reloader).unwrap().unwrap();
    saved(&mut reloader);
    let kept = fs::read(tree.path(KEPT)).unwrap();
    for (bytes, told) in [
        (set(&["Other"], "text"), "servlets/a.yaml:2:12: services[0]: a.S is not in the schema"),
        (set(&["S"], "other"), "routes[0].match.path: /x/{text} does not fit a.S/Do"),
        (vec![0xff; 10], "not a descriptor set"),
        (Vec::new(), "there is no file in it"),
    ] {
        reloader.fetched("a", bytes);
        let problems = reload(&mut reloader).unwrap().unwrap_err();
        assert!(problems.contains(told), "{problems}");
        saved(&mut reloader);
        assert_eq!(fs::read(tree.path(KEPT)).unwrap(), kept);
        assert!(reload(&mut reloader).is_none(), "told once");
    }
    // What is refused in a schema says whose it is.
    let broken = FileDescriptorSet {
        file: vec![prost_types::FileDescriptorProto {
            name: Some("b.proto".into()),
            dependency: vec!["none.proto".into()],
            ..Default::default()
        }],
    };
    reloader.fetched("a", broken.encode_to_vec());
    let problems = reload(&mut reloader).unwrap().unwrap_err();
    assert!(
        problems.contains("b.proto (as the endpoints of a tell it): import `none.proto` is not found"),
        "{problems}"
    );
}

#[test]
fn a_file_that_asks_for_more_waits_for_it() {
    let tree = tree();
    let (_, mut reloader) = start(&tree);
    reloader.fetched("a", set(&["S"], "text"));
    reload(&mut reloader).unwrap().unwrap();
    tree.write("servlets/a.yaml", "schema: reflection\nservices: [a.S, a.T]\n");
    let problems = reload(&mut reloader).unwrap().unwrap_err();
    assert!(problems.contains("a.T is not in the schema"), "{problems}");
    assert_eq!(reloader.asks("a"), Some(&["a.S".to_owned(), "a.T".to_owned()][..]), "the endpoints are asked for it");
    reloader.fetched("a", set(&["S", "T"], "text"));
    assert!(reload(&mut reloader).unwrap().unwrap().schema.as_ref().unwrap().service("a.T").is_some());
}

#[test]
fn a_start_does_not_fail_for_what_was_kept() {
    for (kept, told) in [
        (b"no descriptors".to_vec(), "not a descriptor set"),
        (set(&["Old"], "text"), "a.S is not in the schema"),
        (set(&["S"], "old"), "does not fit a.S/Do"),
    ] {
        let tree = tree();
        tree.write(KEPT, kept);
        let (def, mut reloader) = start(&tree);
        let why = def.pending().unwrap();
        assert!(why.contains("does not fit") && why.contains(told), "{why}");
        reloader.fetched("a", set(&["S"], "text"));
        assert!(reload(&mut reloader).unwrap().unwrap().schema.is_some());
        saved(&mut reloader);
        assert_eq!(fs::read(tree.path(KEPT)).unwrap(), set(&["S"], "text"));
    }
    // A mistake that is the operator's own is one all the same.
    let tree = tree();
    tree.write(KEPT, set(&["S"], "text"));
    tree.write("servlets/a.yaml", "schema: reflection\nservices: [a.S]\ntimeuot: 1s\n");
    let told = load(&tree.path("telamon.yaml")).unwrap_err().to_string();
    assert!(told.contains("timeuot") && !told.contains("fetched"), "{told}");
}

#[test]
fn a_mistake_in_the_file_does_not_take_the_schema_from_what_runs() {
    let tree = tree();
    tree.write(KEPT, set(&["S"], "text"));
    let (def, mut reloader) = start(&tree);
    assert!(def.schema.is_some());
    tree.write("servlets/a.yaml", "schema: reflection\nservices: [a.Misspelt]\n");
    let problems = reload(&mut reloader).unwrap().unwrap_err();
    assert!(problems.contains("a.Misspelt is not in the schema"), "{problems}");
}

#[test]
fn where_nothing_can_be_kept_it_is_told_once() {
    let tree = tree();
    tree.write("telamon.yaml", format!("{SETTINGS}state: telamon.yaml/within-a-file\n"));
    let (_, mut reloader) = start(&tree);
    reloader.fetched("a", set(&["S"], "text"));
    assert!(reload(&mut reloader).unwrap().unwrap().schema.is_some());
    assert_eq!(reloader.save().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    assert!(reloader.save().is_empty());
}
