//! Servlet files: new, changed, refused, moved and gone.

use std::fs;
use std::time::Duration;

use super::{NOTHING, Rig};

#[test]
fn a_bad_servlet_file_keeps_its_table_too() {
    let mut rig = Rig::start();
    rig.tree.write("servlets/a.yaml", "service: [a.v1.S]\n");
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 9 }]\n");
    let told = rig.reload();
    assert!(told.len() == 1 && told[0].starts_with("a: refused, running true: servlets/a.yaml:1:1: "), "{told:?}");
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S]\n");
    assert_eq!(
        rig.reload(),
        ["a: Table, endpoint table: 1 reweighted (127.0.0.1:1 5→9)"],
        "both at once, when both are whole"
    );
}

#[test]
fn a_servlet_is_gone_when_its_file_has_been_gone_long_enough() {
    let mut rig = Rig::start();
    rig.tree.remove("servlets/a.yaml");
    assert_eq!(rig.reload(), NOTHING);
    assert_eq!(rig.reloader.next_check(), Some(rig.now + Duration::from_millis(500)));
    rig.now += Duration::from_millis(499);
    assert_eq!(rig.reload(), NOTHING);
    rig.now += Duration::from_millis(1);
    assert_eq!(rig.reload(), ["a: removed"]);
    assert_eq!(rig.reloader.next_check(), None);
    assert_eq!(rig.reload(), NOTHING);
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S]\n");
    assert_eq!(rig.reload(), ["a: New, new, with 1 endpoint"]);
}

#[test]
fn a_file_deleted_and_created_anew_is_only_changed() {
    let mut rig = Rig::start();
    for wait in [0, 499] {
        rig.tree.remove("servlets/a.yaml");
        assert_eq!(rig.reload(), NOTHING);
        rig.now += Duration::from_millis(wait);
        rig.tree.write("servlets/a.yaml", format!("services: [a.v1.S]\ntimeout: {}s\n", wait + 1));
        assert_eq!(rig.reload(), ["a: Whole, changed: timeout"]);
        assert_eq!(rig.reloader.next_check(), None);
    }
    // Renamed from .yaml to .yml it is the same servlet.
    fs::rename(rig.tree.path("servlets/a.yaml"), rig.tree.path("servlets/a.yml")).unwrap();
    assert_eq!(rig.reload(), ["a: Whole, its files changed, and mean the same"]);
}

#[test]
fn a_new_file_is_a_new_servlet() {
    let mut rig = Rig::start();
    rig.tree.write("servlets/c.yaml", "services: [c.v1.S]\n");
    assert_eq!(
        rig.reload(),
        ["c: refused, running false: endpoints/c.yaml: no such file; the endpoint table of servlets/c.yaml"]
    );
    rig.tree.write("endpoints/c.yaml", "endpoints: []\n");
    assert_eq!(rig.reload(), ["c: New, new, with 0 endpoints"]);

    for name in [".hidden.yaml", "note.txt", "d.yaml~"] {
        rig.tree.write(&format!("servlets/{name}"), "this is not read");
    }
    assert_eq!(rig.reload(), NOTHING);

    rig.tree.write("servlets/d.yaml", "broken: [\n");
    assert_eq!(rig.reload().len(), 1);
    rig.tree.remove("servlets/d.yaml");
    assert_eq!(rig.reload(), NOTHING, "what never ran is not removed");
    assert_eq!(rig.reloader.next_check(), None);
}

#[test]
fn what_runs_keeps_what_it_has() {
    let mut rig = Rig::start();
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S, b.v1.S]\n");
    let refused = "a: refused, running true: servlets/a.yaml:1:20: services[1]: service `b.v1.S` is claimed twice: also by servlets/b.yaml:1:12";
    assert_eq!(rig.reload(), [refused]);
    assert_eq!(rig.reload(), NOTHING);
    rig.tree.write("endpoints/b.yaml", "endpoints: []\n");
    assert_eq!(rig.reload(), ["b: Table, endpoint table: 1 removed (127.0.0.1:1)"], "told once, and the other goes on");

    rig.tree.write("servlets/b.yaml", "services: [b.v1.T]\n");
    assert_eq!(
        rig.reload(),
        ["a: Whole, changed: services", "b: Whole, changed: services"],
        "given up and taken over at once"
    );
}

#[test]
fn two_that_change_and_claim_the_same_are_both_refused() {
    let mut rig = Rig::start();
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S, x.v1.S]\n");
    rig.tree.write("servlets/b.yaml", "services: [b.v1.S, x.v1.S]\n");
    let told = rig.reload();
    assert!(told.len() == 2 && told.iter().all(|one| one.contains("refused, running true")), "{told:?}");
    rig.tree.write("servlets/b.yaml", "services: [b.v1.S]\n");
    assert_eq!(rig.reload(), ["a: Whole, changed: services", "b: Nothing, as it was accepted before"]);
}

#[test]
fn a_servlet_that_moves_to_another_file_goes_on_until_the_old_one_is_gone() {
    let mut rig = Rig::start();
    fs::rename(rig.tree.path("servlets/a.yaml"), rig.tree.path("servlets/z.yaml")).unwrap();
    fs::rename(rig.tree.path("endpoints/a.yaml"), rig.tree.path("endpoints/z.yaml")).unwrap();
    let told = rig.reload();
    assert!(told.len() == 1 && told[0].starts_with("z: refused, running false: "), "{told:?}");
    rig.now += Duration::from_millis(500);
    assert_eq!(rig.reload(), ["a: removed", "z: New, new, with 1 endpoint"]);
}

#[test]
fn a_directory_that_is_away_takes_nothing_with_it() {
    let mut rig = Rig::start();
    fs::rename(rig.tree.path("servlets"), rig.tree.path("away")).unwrap();
    let told = rig.reload();
    assert_eq!(told[0], "settings refused: servlets: no such directory");
    assert!(told[1..].iter().all(|one| one.contains("refused, running true")), "{told:?}");
    rig.now += Duration::from_secs(60);
    assert_eq!(rig.reload(), NOTHING);
    fs::rename(rig.tree.path("away"), rig.tree.path("servlets")).unwrap();
    let told = rig.reload();
    assert_eq!(told, ["a: Nothing, as it was accepted before", "b: Nothing, as it was accepted before"]);
}
