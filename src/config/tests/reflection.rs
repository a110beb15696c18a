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
    assert_eq!(reloader.asks("a").unwrap().services, ["a.S"]);

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
    assert_eq!(reloader.asks("a").unwrap().services, ["a.S", "a.T"], "the endpoints are asked for it");
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

/// Runs with an accepted schema.
fn running(tree: &Tree) -> Reloader {
    let (_, mut reloader) = start(tree);
    reloader.fetched("a", set(&["S"], "text"));
    reload(&mut reloader).unwrap().unwrap();
    saved(&mut reloader);
    reloader
}

fn weights(reloader: &mut Reloader, tree: &Tree, weight: u32) -> Option<Result<std::sync::Arc<ServletDef>, String>> {
    tree.write("endpoints/a.yaml", format!("endpoints: [{{ address: 127.0.0.1:1, weight: {weight} }}]\n"));
    reload(reloader)
}

#[test]
fn what_an_endpoint_tells_and_is_refused_takes_nothing_from_the_operator() {
    // The one breaks callers, the other does not fit the servlet's file.
    for (refused, told) in [(breaking(), "a.M.more: removed"), (set(&["Other"], "text"), "a.S is not in the schema")] {
        let tree = tree();
        let (_, mut reloader) = start(&tree);
        reloader.fetched("a", with_more());
        reload(&mut reloader).unwrap().unwrap();
        reloader.fetched("a", refused.clone());
        let problems = reload(&mut reloader).unwrap().unwrap_err();
        assert!(problems.contains(told), "{problems}");
        // Weights are the operator's, with the schema that was accepted; and what was refused is told once.
        let def = weights(&mut reloader, &tree, 0).unwrap().unwrap();
        assert_eq!(def.table.endpoints().map(|one| one.weight).collect::<Vec<_>>(), [0]);
        assert!(def.schema.is_some());
        reloader.fetched("a", refused.clone());
        assert!(reload(&mut reloader).is_none());
        let standing: Vec<String> = reloader.standing(&[]).iter().map(|event| format!("{event:?}")).collect();
        assert!(standing.len() == 1 && standing[0].contains("Refused"), "{standing:?}");
        // The endpoint goes back to what runs, and there is nothing to be told any more.
        reloader.fetched("a", with_more());
        assert!(reload(&mut reloader).is_none());
        assert!(matches!(reloader.standing(&[])[..], [Event::Unchanged { .. }]));
    }
}

/// The schema with a field more than the route needs, and without it.
fn with_more() -> Vec<u8> {
    let text = "syntax = \"proto3\"; package a; service S { rpc Do(M) returns (M); } message M { string text = 1; string more = 2; }";
    let file = protox::file::File::from_source("a.proto", text).unwrap();
    FileDescriptorSet { file: vec![file.file_descriptor_proto().clone()] }.encode_to_vec()
}

fn breaking() -> Vec<u8> {
    set(&["S"], "text")
}

#[test]
fn a_refused_schema_that_is_meant_is_taken_by_the_operators_word() {
    let tree = tree();
    let (_, mut reloader) = start(&tree);
    reloader.fetched("a", with_more());
    reload(&mut reloader).unwrap().unwrap();
    reloader.fetched("a", breaking());
    reload(&mut reloader).unwrap().unwrap_err();
    tree.write("servlets/a.yaml", format!("{SERVLET}schema_changes: allow\n"));
    let def = reload(&mut reloader).unwrap().unwrap();
    let schema = def.schema.as_ref().unwrap();
    let input = schema.method("a.S", "Do").unwrap().input;
    assert_eq!(schema.messages().get(input).fields().len(), 1, "the new one is in force");
    assert!(reload(&mut reloader).is_none());
}

#[test]
fn a_refused_schema_is_counted_once() {
    let tree = tree();
    let (_, mut reloader) = start(&tree);
    reloader.fetched("a", with_more());
    reload(&mut reloader).unwrap().unwrap();
    reloader.fetched("a", breaking());
    let gated =
        |reloader: &mut Reloader| reloader.reload(Instant::now()).iter().filter(|event| event.is_newly_gated()).count();
    assert_eq!(gated(&mut reloader), 1);
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    assert_eq!(gated(&mut reloader), 0);
}

#[test]
fn endpoints_that_come_with_the_services_are_asked() {
    let tree = tree();
    let mut reloader = running(&tree);
    tree.write("servlets/a.yaml", "schema: reflection\nservices: [a.T]\n");
    tree.write("endpoints/a.yaml", "endpoints: [{ address: 127.0.0.1:2 }]\n");
    reload(&mut reloader).unwrap().unwrap_err();
    let asks = reloader.asks("a").unwrap();
    let table: Vec<String> = asks.table.as_ref().unwrap().endpoints().map(|one| one.address.to_string()).collect();
    assert_eq!((asks.services.clone(), table), (vec!["a.T".to_owned()], vec!["127.0.0.1:2".to_owned()]));
    reloader.fetched("a", set(&["T"], "text"));
    assert!(reload(&mut reloader).unwrap().unwrap().schema.as_ref().unwrap().service("a.T").is_some());
}

#[test]
fn a_servlet_that_comes_again_starts_anew() {
    let tree = tree();
    let mut reloader = running(&tree);
    assert!(tree.path(KEPT).exists());
    tree.remove("servlets/a.yaml");
    let began = Instant::now();
    assert!(reloader.reload(began).is_empty());
    assert_eq!(reloader.reload(began + crate::config::GONE_AFTER).len(), 1);
    // What is told too late is of nobody.
    reloader.fetched("a", set(&["S"], "text"));
    saved(&mut reloader);
    assert!(!tree.path(KEPT).exists(), "gone with its servlet");
    tree.write("servlets/a.yaml", "schema: reflection\nservices: [a.Other]\n");
    assert!(reload(&mut reloader).unwrap().unwrap().pending().is_some());
    reloader.fetched("a", set(&["Other"], "text"));
    assert!(reload(&mut reloader).unwrap().unwrap().schema.is_some());
    saved(&mut reloader);
    assert!(tree.path(KEPT).exists());
}

#[test]
fn what_becomes_of_the_kept_file_is_nothing_to_what_runs() {
    for content in [None, Some("no descriptors")] {
        let tree = tree();
        tree.write(KEPT, set(&["S"], "text"));
        let (def, mut reloader) = start(&tree);
        assert!(def.schema.is_some());
        match content {
            None => tree.remove(KEPT),
            Some(text) => tree.write(KEPT, text),
        }
        assert!(reload(&mut reloader).is_none());
        let def = weights(&mut reloader, &tree, 7).unwrap().unwrap();
        assert!(def.schema.is_some() && def.pending().is_none());
    }
}

#[test]
fn a_kept_schema_that_never_fitted_stands_in_no_ones_way() {
    let tree = tree();
    tree.write(KEPT, set(&["Old"], "text"));
    let (def, mut reloader) = start(&tree);
    assert!(def.pending().is_some());
    assert!(weights(&mut reloader, &tree, 7).unwrap().unwrap().pending().is_some());
}

#[test]
fn what_is_told_and_meets_anothers_routes_is_held_back_alone() {
    let tree = tree();
    tree.write("servlets/b.yaml", "schema: ../b.proto\nservices: [b.B]\n");
    tree.write("endpoints/b.yaml", "endpoints: []\n");
    let rule = "option (google.api.http) = { post: \"/a.S/More\" body: \"*\" };";
    let other = format!(
        "syntax = \"proto3\"; package b; import \"google/api/annotations.proto\"; message M {{}}
        service B {{ rpc Do(M) returns (M) {{ {rule} }} }}"
    );
    tree.write("b.proto", other);
    let mut reloader = running(&tree);
    let text = "syntax = \"proto3\"; package a; message M { string text = 1; }
        service S { rpc Do(M) returns (M); rpc More(M) returns (M); }";
    let file = protox::file::File::from_source("a.proto", text).unwrap();
    let told = FileDescriptorSet { file: vec![file.file_descriptor_proto().clone()] }.encode_to_vec();
    reloader.fetched("a", told);
    let problems = reload(&mut reloader).unwrap().unwrap_err();
    assert!(problems.contains("is claimed twice: also by"), "{problems}");
    assert!(weights(&mut reloader, &tree, 0).unwrap().is_ok());
    // The other gives it up, and nobody has to tell it again.
    tree.write("b.proto", "syntax = \"proto3\"; package b; message M {} service B { rpc Do(M) returns (M); }");
    tree.write("servlets/b.yaml", "schema: ../b.proto\nservices: [b.B]\nschema_changes: allow\n");
    let events = reloader.reload(Instant::now());
    let taken = events.iter().filter_map(|event| match event {
        Event::Accepted { servlet, .. } => Some(&*servlet.name),
        _ => None,
    });
    assert_eq!(taken.collect::<Vec<_>>(), ["a", "b"], "{events:?}");
}

#[test]
fn what_a_killed_process_left_is_cleared() {
    let tree = tree();
    let alive = std::os::unix::process::parent_id();
    for name in
        [format!("a.{}.new", std::process::id()), format!("a.{alive}.new"), "a.binpb".into(), "notes.new".into()]
    {
        tree.write(&format!(".telamon/{name}"), set(&["S"], "text"));
    }
    tree.write(&format!(".telamon/b.{}.new", i32::MAX), "half");
    let (_, reloader) = start(&tree);
    reloader.clear_leftovers();
    let mut left: Vec<String> = fs::read_dir(tree.path(".telamon"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let mut expected = [format!("a.{alive}.new"), "a.binpb".to_owned(), "notes.new".to_owned()];
    expected.sort();
    assert_eq!(left, expected);
}
