//! Endpoint tables: whole or not at all, however they are written.

use std::fs;
use std::os::unix::fs::symlink;

use super::{NOTHING, Rig, SETTINGS};
use crate::config::Event;
use crate::config::tests::Tree;

#[test]
fn a_table_is_taken_however_it_is_written() {
    let mut rig = Rig::start();
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 7 }]\n");
    assert_eq!(rig.reload(), ["a: Table, endpoint table: 1 reweighted (127.0.0.1:1 5→7)"], "in place");

    rig.tree.write("endpoints/.tmp", "endpoints: [{ address: 127.0.0.1:2 }, { address: 127.0.0.1:3 }]\n");
    fs::rename(rig.tree.path("endpoints/.tmp"), rig.tree.path("endpoints/a.yaml")).unwrap();
    assert_eq!(
        rig.reload(),
        ["a: Table, endpoint table: 2 added (127.0.0.1:2, 127.0.0.1:3), 1 removed (127.0.0.1:1)"],
        "renamed over"
    );

    rig.table("endpoints: []\n");
    let events = rig.events();
    let [Event::Accepted { servlet, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(servlet.table.endpoints().count(), 0);
    assert_eq!(rig.reload(), NOTHING);
}

#[test]
fn a_swapped_config_map_is_taken_whole() {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    for (version, weight) in [("..1", 1), ("..2", 2)] {
        tree.write(
            &format!("servlets/{version}/a.yaml"),
            format!("services: [a.v1.S]\nendpoints: ..data/a.table\ntimeout: {weight}s\n"),
        );
        tree.write(
            &format!("servlets/{version}/a.table"),
            format!("endpoints: [{{ address: 127.0.0.1:1, weight: {weight} }}]\n"),
        );
    }
    symlink("..1", tree.path("servlets/..data")).unwrap();
    symlink("..data/a.yaml", tree.path("servlets/a.yaml")).unwrap();
    let mut rig = Rig::over(tree);
    symlink("..2", rig.tree.path("servlets/..tmp")).unwrap();
    fs::rename(rig.tree.path("servlets/..tmp"), rig.tree.path("servlets/..data")).unwrap();
    let told = rig.reload();
    assert_eq!(told, ["a: Whole, changed: timeout; endpoint table: 1 reweighted (127.0.0.1:1 1→2)"]);
}

#[test]
fn a_bad_table_changes_nothing_and_is_told_once() {
    let mut rig = Rig::start();
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: -5 }]\n");
    let refused = "a: refused, running true: endpoints/a.yaml:1:45: endpoints[0].weight: -5 is not allowed: an integer from 0 to 1000000";
    assert_eq!(rig.reload(), [refused]);
    assert_eq!(rig.reload(), NOTHING, "told already");

    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: -5 }] # the same mistake in another version\n");
    assert_eq!(rig.reload(), [refused]);

    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 5 }]\n");
    assert_eq!(rig.reload(), ["a: Nothing, as it was accepted before"], "as it was");
    assert_eq!(rig.reload(), NOTHING);

    rig.table("");
    assert_eq!(rig.reload(), ["a: refused, running true: endpoints/a.yaml:1:1: the file is empty"]);
    rig.tree.remove("endpoints/a.yaml");
    assert_eq!(
        rig.reload(),
        ["a: refused, running true: endpoints/a.yaml: no such file; the endpoint table of servlets/a.yaml"]
    );
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 6 }]\n");
    assert_eq!(rig.reload(), ["a: Table, endpoint table: 1 reweighted (127.0.0.1:1 5→6)"]);
}
