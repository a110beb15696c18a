//! Schemas that change while they are in use: what is told, what is refused, and what the operator's word changes about it.

use std::time::{Instant, SystemTime};

use super::Tree;
use crate::config::{Event, Reloader, compare, load};

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";
const SERVLET: &str = "schema: ../protos/s.proto\nservices: [a.v1.S]\n";

/// A schema with these fields in its one message, and these rules of its one method.
fn proto(fields: &str, rule: &str) -> String {
    format!(
        "syntax = \"proto3\";\npackage a.v1;\nimport \"google/api/annotations.proto\";\n\
         service S {{\n  rpc Do(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}\n}}\n\
         service Other {{ rpc Do(N) returns (N); }}\nmessage N {{ string n = 1; }}\nmessage M {{\n{fields}\n}}\n"
    )
}

fn files(fields: &str, rule: &str) -> Tree {
    let tree = Tree::new();
    tree.write("telamon.yaml", SETTINGS);
    tree.write("servlets/a.yaml", SERVLET);
    tree.write("endpoints/a.yaml", "endpoints: []\n");
    tree.write("protos/s.proto", proto(fields, rule));
    tree
}

struct Rig {
    tree: Tree,
    reloader: Reloader,
}

impl Rig {
    fn start() -> Rig {
        let tree = files("  string a = 1;", "get: \"/v1/a\"");
        let (_, reloader) = Reloader::start(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
        Rig { tree, reloader }
    }

    fn schema(&self, fields: &str, rule: &str) {
        self.tree.write("protos/s.proto", proto(fields, rule));
    }

    /// What a reload finds: whether it is accepted, its problems, its changes, and whether it was for callers' sake.
    fn reload(&mut self) -> Vec<(bool, Vec<String>, Vec<String>)> {
        let events = self.reloader.reload(Instant::now());
        let servlet = |event: &&Event| !matches!(event, Event::SettingsChanged { .. });
        let told = |event: &Event| {
            let report = event.report(SystemTime::UNIX_EPOCH);
            assert_eq!(event.is_gated(), !report.accepted && !report.changes.is_empty());
            let local = |text: String| self.tree.local(&text);
            let problems = report.problems.iter().map(|problem| local(problem.to_string())).collect();
            let changes = report.changes.iter().map(|change| local(change.to_string())).collect();
            (report.accepted, problems, changes)
        };
        events.iter().filter(servlet).map(told).collect()
    }
}

const REMOVED: &str = "protos/s.proto:9:1: a.v1.M.a: removed, which breaks JSON callers; `schema_changes: allow` in servlets/a.yaml takes it";

#[test]
fn what_breaks_callers_is_refused_and_the_last_good_one_goes_on() {
    let mut rig = Rig::start();
    rig.schema("  string b = 2;", "get: \"/v1/a\"");
    let [(accepted, problems, changes)] = &rig.reload()[..] else { panic!() };
    assert!(!accepted);
    assert_eq!(problems, &[REMOVED]);
    assert_eq!(
        changes,
        &["protos/s.proto:9:1: a.v1.M.a: removed (breaks JSON callers)", "protos/s.proto:10:3: a.v1.M.b: added"]
    );
    assert!(rig.reload().is_empty(), "told once");

    // The table still moves, with the schema that is held back.
    rig.tree.write("endpoints/a.yaml", "endpoints: [{ address: 127.0.0.1:1 }]\n");
    let told = rig.reload();
    assert!(!told[0].0 && told[0].1 == [REMOVED], "{told:?}");

    rig.schema("  string a = 1;", "get: \"/v1/a\"");
    let [(true, problems, changes)] = &rig.reload()[..] else { panic!() };
    assert!(problems.is_empty() && changes.is_empty(), "as it was: {changes:?}");
}

#[test]
fn what_only_adds_is_taken_and_told() {
    let mut rig = Rig::start();
    rig.schema(
        "  string a = 1;\n  string b = 2;",
        "get: \"/v1/a\" additional_bindings { post: \"/v1/a\" body: \"*\" }",
    );
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert_eq!(
        changes,
        &["protos/s.proto:5:62: POST /v1/a: added; it leads to a.v1.S/Do", "protos/s.proto:11:3: a.v1.M.b: added"]
    );
    // Comments mean nothing to callers.
    rig.schema(
        "  // First.\n  string a = 1;\n  string b = 2;",
        "get: \"/v1/a\" additional_bindings { post: \"/v1/a\" body: \"*\" }",
    );
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn what_is_not_served_may_change_as_it_likes() {
    let mut rig = Rig::start();
    let text = proto("  string a = 1;", "get: \"/v1/a\"");
    rig.tree.write("protos/s.proto", text.replace("string n = 1", "bytes other = 2"));
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn the_servlets_file_or_the_defaults_let_it_through() {
    for (file, text) in [
        ("servlets/a.yaml", format!("{SERVLET}schema_changes: allow\n")),
        ("telamon.yaml", format!("{SETTINGS}defaults: {{ schema_changes: allow }}\n")),
    ] {
        let mut rig = Rig::start();
        rig.schema("  int32 a = 1;", "get: \"/v2/a\"");
        assert!(!rig.reload()[0].0);
        rig.tree.write(file, text);
        let [(true, problems, changes)] = &rig.reload()[..] else { panic!("{file}") };
        assert!(problems.is_empty());
        assert_eq!(
            changes,
            &[
                "protos/s.proto:5:3: GET /v1/a: removed; it led to a.v1.S/Do (breaks JSON callers)",
                "protos/s.proto:10:3: a.v1.M.a: retyped from string to int32 (breaks JSON and gRPC callers)",
                "protos/s.proto:5:62: GET /v2/a: added; it leads to a.v1.S/Do",
            ],
            "{file}"
        );
        assert!(rig.reload().is_empty());
    }
}

#[test]
fn a_servlet_may_refuse_what_the_defaults_allow() {
    let mut rig = Rig::start();
    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ schema_changes: allow }}\n"));
    rig.tree.write("servlets/a.yaml", format!("{SERVLET}schema_changes: refuse\n"));
    rig.reload();
    rig.schema("  string b = 2;", "get: \"/v1/a\"");
    assert_eq!(rig.reload()[0].1, [REMOVED]);
}

#[test]
fn a_schema_that_is_gone_breaks_all_but_grpc() {
    let mut rig = Rig::start();
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S]\n");
    assert_eq!(
        rig.reload()[0].1,
        [
            "servlets/a.yaml: GET /v1/a: removed: there is no schema any more, which breaks JSON callers; `schema_changes: allow` in servlets/a.yaml takes it"
        ]
    );
}

#[test]
fn what_the_servlets_own_file_says_is_its_operators_word() {
    let mut rig = Rig::start();
    let with = |services: &str, call: &str| {
        format!(
            "schema: ../protos/s.proto\nservices: [{services}]\nroutes:\n  - {{ match: {{ host: x.example, path: /old/**, method: GET }}, call: {call} }}\n"
        )
    };
    rig.tree.write("servlets/a.yaml", with("a.v1.S", "a.v1.S/Do"));
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert_eq!(changes, &["servlets/a.yaml:4:5: GET x.example/old/**: new among `routes`; it leads to a.v1.S/Do"]);
    rig.tree.write("servlets/a.yaml", with("a.v1.Other", "a.v1.Other/Do"));
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert_eq!(
        changes,
        &[
            "servlets/a.yaml: a.v1.S: no longer among `services` (breaks JSON and gRPC callers)",
            "servlets/a.yaml:2:12: a.v1.Other: new among `services`",
            "servlets/a.yaml:4:5: GET x.example/old/**: led to a.v1.S/Do, and leads to a.v1.Other/Do (breaks JSON callers)",
        ]
    );
    rig.tree.write("servlets/a.yaml", "schema: ../protos/s.proto\nservices: [a.v1.Other]\n");
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert_eq!(changes, &["servlets/a.yaml: GET x.example/old/**: no longer among `routes` (breaks JSON callers)"]);
}

#[test]
fn a_method_that_only_a_route_leads_to_is_reached() {
    let mut rig = Rig::start();
    rig.tree.write(
        "servlets/a.yaml",
        "schema: ../protos/s.proto\nroutes:\n  - { match: { path: /old }, call: a.v1.Other/Do }\n",
    );
    assert!(rig.reload()[0].0);
    let text = proto("  int32 not_reached = 7;", "get: \"/v9/not/reached\"");
    rig.tree.write("protos/s.proto", text.replace("string n = 1", "string n = 2"));
    assert_eq!(
        rig.reload()[0].1,
        [
            "protos/s.proto:8:13: a.v1.N.n: renumbered from 1 to 2, which breaks gRPC callers; `schema_changes: allow` in servlets/a.yaml takes it"
        ]
    );
}

#[test]
fn an_import_is_told_by_its_file() {
    let tree = files("  string a = 1;", "get: \"/v1/a\"");
    let service = "syntax = \"proto3\"; package a.v1; import \"x/m.proto\"; service S { rpc Do(x.M) returns (x.M); }";
    tree.write("protos/s.proto", service);
    tree.write("protos/x/m.proto", "syntax = \"proto3\";\npackage x;\nmessage M { string a = 1; }\n");
    let (_, reloader) = Reloader::start(&tree.path("telamon.yaml")).unwrap();
    let mut rig = Rig { tree, reloader };
    rig.tree.write("protos/x/m.proto", "syntax = \"proto3\";\npackage x;\n\nmessage M { string a = 4; }\n");
    assert!(rig.reload()[0].1[0].starts_with("protos/x/m.proto:4:13: x.M.a: renumbered from 1 to 4, "));
}

#[test]
fn a_servlet_that_comes_anew_has_no_callers_to_break() {
    let mut rig = Rig::start();
    rig.tree.remove("servlets/a.yaml");
    let began = Instant::now();
    rig.reloader.reload(began);
    rig.reloader.reload(began + crate::config::GONE_AFTER);
    rig.schema("  string b = 2;", "get: \"/v2\"");
    rig.tree.write("servlets/a.yaml", SERVLET);
    let [(true, _, changes)] = &rig.reload()[..] else { panic!() };
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn two_trees_are_compared_without_running_either() {
    let (old, new) = (files("  string a = 1;", "get: \"/v1/a\""), files("  int32 a = 1;", "get: \"/v1/a\""));
    let load = |tree: &Tree| load(&tree.path("telamon.yaml")).unwrap();
    new.write("servlets/b.yaml", "services: [b.v1.S]\n");
    new.write("endpoints/b.yaml", "endpoints: []\n");
    let found = compare(&load(&old), &load(&new));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!((found["a"].changes.len(), found["a"].problems.len()), (1, 1));
    new.write("servlets/a.yaml", format!("{SERVLET}schema_changes: allow\n"));
    let found = compare(&load(&old), &load(&new));
    assert_eq!((found["a"].changes.len(), found["a"].problems.len()), (1, 0));
    assert!(compare(&load(&old), &load(&old))["a"].changes.is_empty());
}

#[test]
fn a_service_that_another_servlet_has_is_not_this_ones_to_break() {
    let tree = files("  string a = 1;", "get: \"/v1/a\"");
    tree.write("servlets/all.yaml", "schema: ../protos/all.proto\nservices: [\"*\"]\n");
    tree.write("endpoints/all.yaml", "endpoints: []\n");
    tree.write("protos/all.proto", proto("  string a = 1;", "get: \"/v1/a\""));
    let (_, reloader) = Reloader::start(&tree.path("telamon.yaml")).unwrap();
    let mut rig = Rig { tree, reloader };
    rig.tree.write("protos/all.proto", proto("  string other = 2;", "get: \"/v9/a\""));
    let [(true, problems, changes)] = &rig.reload()[..] else { panic!() };
    assert!(problems.is_empty() && changes.is_empty(), "a.v1.S is the other's: {changes:?}");
    // What it does have is held against it.
    rig.tree.write(
        "protos/all.proto",
        proto("  string other = 2;", "get: \"/v9/a\"").replace("string n = 1", "bytes other = 2"),
    );
    assert!(!rig.reload()[0].0);
}

#[test]
fn what_is_not_known_is_not_compared() {
    let (old, new) = (files("  string a = 1;", "get: \"/v1/a\""), files("", ""));
    new.write("servlets/a.yaml", "schema: reflection\nservices: [a.v1.S]\n");
    let load = |tree: &Tree| load(&tree.path("telamon.yaml")).unwrap();
    for (old, new, told) in [(&old, &new, "the new schema"), (&new, &old, "the schema before")] {
        let found = &compare(&load(old), &load(new))["a"];
        assert!(found.unknown.is_some_and(|why| why.starts_with(told)), "{found:?}");
        assert!(found.changes.is_empty() && found.problems.is_empty(), "{found:?}");
    }
}
