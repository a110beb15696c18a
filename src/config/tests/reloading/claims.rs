//! Claims that others shadow, and what becomes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{NOTHING, Rig, SETTINGS};
use crate::config::tests::Tree;
use crate::config::{Event, Way, routing};

const ENDPOINTS: &str = "endpoints: [{ address: 127.0.0.1:1 }]\n";

/// A schema with these services, each of which has a method at `GET /path`.
fn schema(package: &str, services: &[(&str, &str)]) -> String {
    let services = services.iter().map(|(name, path)| {
        format!(
            "service {name} {{ rpc Get(M) returns (M) {{ option (google.api.http) = {{ get: \"/{path}\" }}; }} }}\n"
        )
    });
    let services: String = services.collect();
    format!(
        "syntax = \"proto3\"; import \"google/api/annotations.proto\"; package {package}; message M {{}}\n{services}"
    )
}

/// Over `a`, which has the service `p.A` and no schema, so that the rule for it of `b`, which has the whole package, is not heard; `c` has a
/// rule for the same path.
fn shadowed() -> Rig {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("protos/p.proto", schema("p", &[("A", "x"), ("B", "y")]));
    tree.write("protos/q.proto", schema("q", &[("C", "x")]));
    for (name, text) in [
        ("a", "timeout: 1s\nservices: [p.A, p.a.S]\n"),
        ("b", "schema: ../protos/p.proto\nservices: [\"p.*\"]\n"),
        ("c", "schema: ../protos/q.proto\nservices: [q.C]\nschema_changes: allow\n"),
    ] {
        tree.write(&format!("servlets/{name}.yaml"), text);
        tree.write(&format!("endpoints/{name}.yaml"), ENDPOINTS);
    }
    Rig::over(tree)
}

const TWICE: &str = "`GET /x` is claimed twice: by servlets/b.yaml:2:12 (p.A/Get at protos/p.proto:2:73) and by servlets/c.yaml:2:12 (q.C/Get at protos/q.proto:2:73)";

#[test]
fn a_service_that_keeps_others_apart_is_given_up_only_when_they_get_on() {
    let mut rig = shadowed();
    rig.tree.write("servlets/a.yaml", "timeout: 1s\nservices: [p.a.S]\n");
    rig.tree.write("endpoints/b.yaml", "endpoints: []\n");
    let refused =
        format!("a: refused, running true: servlets/a.yaml:2:11: services: p.A cannot be given up: without it {TWICE}");
    assert_eq!(rig.reload(), [refused.as_str(), "b: Table, endpoint table: 1 removed (127.0.0.1:1)"]);
    assert_eq!(rig.reload(), NOTHING, "told once");
    assert_eq!(rig.reload_as_asked(), [refused], "and to whoever asks");
    // Everybody else may change as ever.
    rig.tree
        .write("servlets/c.yaml", "schema: ../protos/q.proto\nservices: [q.C]\nschema_changes: allow\ntimeout: 1s\n");
    assert_eq!(rig.reload(), ["c: Whole, changed: timeout"]);
    rig.tree.write("servlets/c.yaml", "services: [q.C]\nschema_changes: allow\ntimeout: 1s\n");
    assert_eq!(rig.reload(), ["a: Whole, changed: services", "c: Whole, changed: schema"]);
}

#[test]
fn a_servlet_without_services_gives_them_up_too() {
    let mut rig = shadowed();
    rig.tree.write("servlets/a.yaml", "upstream: http1\nroutes: [{ match: { path: /a } }]\n");
    let told = rig.reload();
    assert!(
        told.len() == 1 && told[0].starts_with("a: refused, running true: servlets/a.yaml:1:1: services: p.A "),
        "{told:?}"
    );
}

#[test]
fn a_servlet_that_keeps_others_apart_outlives_its_file() {
    let mut rig = shadowed();
    let text = std::fs::read(rig.tree.path("servlets/a.yaml")).unwrap();
    rig.tree.remove("servlets/a.yaml");
    assert_eq!(rig.reload(), NOTHING);
    rig.now += Duration::from_millis(500);
    let refused = format!(
        "a: refused, running true: servlets/a.yaml: is gone, and the servlet goes on: without its service p.A, {TWICE}"
    );
    assert_eq!(rig.reload(), [refused.as_str()]);
    assert_eq!(rig.reloader.next_check(), None, "nothing to wait for");
    assert_eq!(rig.reload(), NOTHING, "told once");
    assert_eq!(rig.reload_as_asked(), [refused.as_str()]);

    rig.tree.write("servlets/a.yaml", &text);
    assert_eq!(rig.reload(), ["a: Nothing, as it was accepted before"]);
    rig.tree.remove("servlets/a.yaml");
    assert_eq!(rig.reload(), NOTHING);
    rig.now += Duration::from_millis(500);
    assert_eq!(rig.reload(), [refused.as_str()]);
    rig.tree.write("servlets/c.yaml", "services: [q.C]\nschema_changes: allow\n");
    assert_eq!(rig.reload(), ["a: removed", "c: Whole, changed: schema"]);
}

#[test]
fn who_takes_a_service_over_keeps_it_from_the_others() {
    let mut rig = shadowed();
    rig.tree.write("servlets/a.yaml", "timeout: 1s\nservices: [p.a.S]\n");
    rig.tree.write("servlets/d.yaml", "services: [p.A, q.C]\n");
    rig.tree.write("endpoints/d.yaml", ENDPOINTS);
    let told = rig.reload();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].ends_with(TWICE), "{told:?}");
    assert!(told[1].contains("d: refused") && told[1].contains("service `q.C` is claimed twice"), "{told:?}");
    rig.tree.write("servlets/d.yaml", "services: [p.A]\n");
    assert_eq!(rig.reload(), ["a: Whole, changed: services", "d: New, new, with 1 endpoint"]);
}

#[test]
fn whoever_claims_anew_what_another_gives_free_is_the_one_in_the_way() {
    let mut rig = shadowed();
    rig.tree.write("servlets/c.yaml", "services: [q.C]\nschema_changes: allow\n");
    assert_eq!(rig.reload().len(), 1);
    rig.tree.write("servlets/a.yaml", "timeout: 1s\nservices: [p.a.S]\n");
    rig.tree.write("servlets/c.yaml", "schema: ../protos/q.proto\nservices: [q.C]\nschema_changes: allow\n");
    let told = rig.reload();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "a: Whole, changed: services");
    assert!(told[1].starts_with("c: refused, running true: servlets/c.yaml:2:12: services[0]: "), "{told:?}");
}

/// What a servlet's file may say, and whether it is there.
fn file() -> impl Strategy<Value = Option<String>> {
    let services = prop::sample::subsequence(vec!["p.A", "p.B", "p.*", "q.C", "q.*", "*"], 1..4);
    let schema = prop::sample::select(vec!["", "schema: ../protos/p.proto\n", "schema: ../protos/q.proto\n"]);
    let text = (services, schema)
        .prop_map(|(services, schema)| format!("{schema}services: {services:?}\nschema_changes: allow\n"));
    prop::option::weighted(0.8, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever servlets claim and give up, nobody who runs is in another's way, and what is told as accepted is what runs.
    #[test]
    fn what_is_accepted_can_be_in_force(steps in prop::collection::vec((0..4usize, file(), any::<bool>()), 1..12)) {
        let mut rig = shadowed();
        rig.tree.write("endpoints/d.yaml", ENDPOINTS);
        let running = rig.reloader.entries.values().map(|entry| entry.running.as_ref().unwrap().def.clone());
        let mut runs: BTreeMap<String, _> = running.map(|def| (def.name.to_string(), def)).collect();
        for (servlet, text, reload) in steps {
            let name = format!("servlets/{}.yaml", ["a", "b", "c", "d"][servlet]);
            match text {
                Some(text) => rig.tree.write(&name, text),
                None => drop(std::fs::remove_file(rig.tree.path(&name))),
            }
            if !reload {
                continue;
            }
            for wait in [0, 500, 500] {
                rig.now += Duration::from_millis(wait);
                for event in rig.events() {
                    match event {
                        Event::Accepted { servlet, .. } => drop(runs.insert(servlet.name.to_string(), servlet)),
                        Event::Removed { name, .. } => drop(runs.remove(&name)),
                        Event::Refused { name, running, .. } => prop_assert_eq!(running, runs.contains_key(&name)),
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                let table = routing(runs.values(), |_, _: Way| Some(())).build();
                prop_assert!(table.is_ok(), "{:?}", table.err());
            }
            prop_assert!(rig.events().is_empty(), "told once");
            prop_assert!(rig.reloader.next_check().is_none_or(|at| at > rig.now));
        }
    }
}
