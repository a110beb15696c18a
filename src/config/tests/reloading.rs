//! Reloads, step by step: what is written, when, and what comes of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Tree;
use proptest::prelude::*;

use crate::balance::Policy;
use crate::config::{Event, Reloader};
use crate::runtime::watch::Watched;

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";

struct Rig {
    tree: Tree,
    reloader: Reloader,
    now: Instant,
}

impl Rig {
    /// Starts with two servlets, `a` and `b`.
    fn start() -> Rig {
        let tree = Tree::new();
        tree.write("telamon.yaml", SETTINGS);
        for name in ["a", "b"] {
            tree.write(&format!("servlets/{name}.yaml"), format!("services: [{name}.v1.S]\n"));
            tree.write(&format!("endpoints/{name}.yaml"), "endpoints: [{ address: 127.0.0.1:1, weight: 5 }]\n");
        }
        Rig::over(tree)
    }

    fn over(tree: Tree) -> Rig {
        let (_, reloader) = Reloader::start(&tree.path("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"));
        Rig { tree, reloader, now: Instant::now() }
    }

    fn events(&mut self) -> Vec<Event> {
        self.reloader.reload(self.now)
    }

    /// What a reload finds, in words.
    fn reload(&mut self) -> Vec<String> {
        let events = self.events();
        self.told(&events)
    }

    /// What a reload finds that somebody asked for.
    fn reload_as_asked(&mut self) -> Vec<String> {
        let mut events = self.events();
        let standing = self.reloader.standing(&events);
        events.extend(standing);
        self.told(&events)
    }

    fn told(&self, events: &[Event]) -> Vec<String> {
        let told = |event: &Event| match event {
            Event::Accepted { servlet, change, summary, .. } => format!("{}: {change:?}, {summary}", servlet.name),
            Event::Removed { name, .. } => format!("{name}: removed"),
            Event::Refused { name, running, problems, .. } => {
                let problems: Vec<String> = problems.iter().map(|one| self.tree.local(&one.to_string())).collect();
                format!("{name}: refused, running {running}: {}", problems.join(" | "))
            }
            Event::SettingsRefused { problems, .. } => {
                let problems: Vec<String> = problems.iter().map(|one| self.tree.local(&one.to_string())).collect();
                format!("settings refused: {}", problems.join(" | "))
            }
            Event::SettingsChanged { restart, .. } => format!("settings changed, restart for {restart:?}"),
            Event::Unchanged { servlets, .. } => format!("{servlets} unchanged"),
        };
        events.iter().map(told).collect()
    }

    fn table(&self, text: &str) {
        self.tree.write("endpoints/a.yaml", text);
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn nothing_comes_of_nothing() {
    let mut rig = Rig::start();
    assert_eq!(rig.reload(), NOTHING);
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 5 }]\n");
    assert_eq!(rig.reload(), NOTHING, "written again, the same");
}

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

#[test]
fn whoever_asks_is_told_where_things_stand() {
    let mut rig = Rig::start();
    assert_eq!(rig.reload_as_asked(), ["2 unchanged"]);
    rig.table("endpoints: []\n");
    assert_eq!(rig.reload_as_asked(), ["a: Table, endpoint table: 1 removed (127.0.0.1:1)"]);
    assert_eq!(rig.reload_as_asked(), ["2 unchanged"]);

    rig.table("endpoints: 5\n");
    let refused = "a: refused, running true: endpoints/a.yaml:1:12: endpoints: 5 is not allowed: a list of endpoints, `[]` for none";
    assert_eq!(rig.reload_as_asked(), [refused], "once");
    assert_eq!(rig.reload_as_asked(), [refused], "and again, as long as it is so");
    rig.tree.write("telamon.yaml", format!("{SETTINGS}workers: 3\n"));
    let restart = "settings changed, restart for [\"workers\"]";
    assert_eq!(rig.reload(), [restart]);
    assert_eq!(rig.reload_as_asked(), [restart, refused]);
    rig.tree.write("telamon.yaml", "listeners: []\n");
    assert_eq!(rig.reload().len(), 1);
    let told = rig.reload_as_asked();
    assert!(told.len() == 2 && told[0].starts_with("settings refused") && told[1] == refused, "{told:?}");

    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ timeout: 3s }}\n"));
    rig.table("endpoints: []\n");
    assert_eq!(
        rig.reload_as_asked(),
        ["settings changed, restart for []", "a: Whole, changed: timeout", "b: Whole, changed: timeout"]
    );
    assert_eq!(rig.reload_as_asked(), ["2 unchanged"]);
    rig.tree.write("telamon.yaml", format!("{SETTINGS}workers: 3\ndefaults: {{ timeout: 3s }}\n"));
    assert_eq!(rig.reload(), [restart]);
    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ timeout: 3s }}\n"));
    assert_eq!(rig.reload(), ["settings changed, restart for []"], "taken back");
}

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
fn settings_wait_for_a_restart_but_for_defaults() {
    let mut rig = Rig::start();
    rig.tree.write("telamon.yaml", "# a comment, and the same again\n\n".to_owned() + SETTINGS);
    assert_eq!(rig.reload(), NOTHING);

    rig.tree.write("telamon.yaml", "listeners: []\n");
    assert_eq!(
        rig.reload(),
        ["settings refused: telamon.yaml:1:12: listeners: an empty list is not allowed: at least one listener"]
    );
    assert_eq!(rig.reload(), NOTHING);
    rig.tree.write("telamon.yaml", SETTINGS);
    assert_eq!(rig.reload(), ["settings changed, restart for []"], "whole again");

    rig.tree.write("telamon.yaml", format!("{SETTINGS}workers: 3\nlimits: {{ drain: 5s }}\n"));
    assert_eq!(rig.reload(), ["settings changed, restart for [\"workers\", \"limits\"]"]);
    assert_eq!(rig.reload(), NOTHING);

    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ timeout: 3s, connect_timeout: 2s }}\n"));
    rig.tree.write("servlets/b.yaml", "services: [b.v1.S]\nconnect_timeout: 7s\ntimeout: 9s\n");
    let events = rig.events();
    let [Event::SettingsChanged { restart, .. }, rest @ ..] = events.as_slice() else { panic!("{events:?}") };
    assert!(restart.is_empty(), "workers and limits are again as they run");
    let [Event::Accepted { servlet: a, .. }, Event::Accepted { servlet: b, .. }] = rest else { panic!("{rest:?}") };
    assert_eq!((a.call_timeout(true), a.call_timeout(false)), (Some(Duration::from_secs(3)), None));
    assert_eq!(
        (a.options.connect_timeout, b.options.connect_timeout),
        (Duration::from_secs(2), Duration::from_secs(7))
    );
    assert_eq!(b.call_timeout(false), Some(Duration::from_secs(9)));
}

#[test]
fn defaults_reach_a_servlet_whose_file_was_away_when_they_changed() {
    let mut rig = Rig::start();
    rig.tree.remove("servlets/a.yaml");
    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ timeout: 3s }}\n"));
    assert_eq!(rig.reload(), ["settings changed, restart for []", "b: Whole, changed: timeout"]);
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S]\n");
    let events = rig.events();
    let [Event::Accepted { servlet, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&*servlet.name, servlet.call_timeout(true)), ("a", Some(Duration::from_secs(3))));
    assert_eq!(rig.reload(), NOTHING);
}

#[test]
fn an_empty_balance_changes_nothing() {
    let mut rig = Rig::start();
    let policies = |rig: &Rig| -> Vec<Policy> {
        let entries = rig.reloader.entries.values();
        entries.map(|entry| entry.running.as_ref().unwrap().def.options.balance.policy).collect()
    };
    assert_eq!(policies(&rig), [Policy::default(), Policy::default()]);
    rig.tree.write("telamon.yaml", format!("{SETTINGS}defaults: {{ balance: {{ policy: round_robin }} }}\n"));
    rig.tree.write("servlets/a.yaml", "services: [a.v1.S]\nbalance: {}\n");
    rig.tree.write("servlets/b.yaml", "services: [b.v1.S]\nbalance: { policy: fair_least_request }\n");
    rig.reload();
    assert_eq!(policies(&rig), [Policy::RoundRobin, Policy::FairLeastRequest]);
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

#[test]
fn everything_that_matters_is_to_be_watched() {
    let rig = Rig::start();
    let Watched { files, directories } = rig.reloader.watched();
    let files: Vec<String> = files.iter().map(|path| rig.tree.local(&path.display().to_string())).collect();
    assert_eq!(files, ["endpoints/a.yaml", "endpoints/b.yaml", "servlets/a.yaml", "servlets/b.yaml", "telamon.yaml"]);
    assert_eq!(directories, [rig.tree.path("servlets")]);
}

#[test]
fn a_report_says_it_in_plain_values() {
    let mut rig = Rig::start();
    rig.table("endpoints: [{ address: 127.0.0.1:1, weight: 6 }]\n");
    rig.tree.write("endpoints/b.yaml", "endpoints: 5\n");
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
    let reports: Vec<_> = rig.events().iter().map(|event| event.report(time)).collect();
    let json = serde_json::to_string(&reports).unwrap();
    let json: serde_json::Value = serde_json::from_str(&rig.tree.local(&json)).unwrap();
    let expected = serde_json::json!([
        {
            "time": "1970-01-01T00:00:01.500Z", "servlet": "a", "accepted": true, "summary": "endpoint table: 1 reweighted (127.0.0.1:1 5→6)",
            "files": ["endpoints/a.yaml", "servlets/a.yaml"], "problems": [], "changes": [],
        },
        {
            "time": "1970-01-01T00:00:01.500Z", "servlet": "b", "accepted": false, "summary": "refused, 1 problem: the version before goes on",
            "files": ["endpoints/b.yaml", "servlets/b.yaml"], "changes": [],
            "problems": [{
                "file": "endpoints/b.yaml", "at": { "line": 1, "column": 12 }, "path": "endpoints", "value": "5",
                "wrong": "is not allowed", "allowed": "a list of endpoints, `[]` for none", "hint": null,
            }],
        },
    ]);
    assert_eq!(json, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is written into whichever file, a reload ends, and what runs is what was whole.
    #[test]
    fn any_text_is_taken_or_refused(
        file in prop::sample::select(vec!["telamon.yaml", "servlets/a.yaml", "endpoints/a.yaml"]),
        text in "\\PC{0,80}|((schema|services|routes|match|call|path|upstream|listeners|limits|endpoints|groups)?[: \\[\\]{},*&\"\n-]{0,4}[a-z0-9/.]{0,6}){0,12}",
    ) {
        let mut rig = Rig::start();
        rig.tree.write(file, &text);
        for event in rig.events() {
            match event {
                Event::Refused { problems, running, .. } => prop_assert!(running && !problems.is_empty()),
                Event::SettingsRefused { problems, .. } => prop_assert!(!problems.is_empty()),
                Event::Accepted { servlet, .. } => prop_assert_eq!(&*servlet.name, "a"),
                Event::Removed { .. } => prop_assert!(false, "no file is gone"),
                Event::SettingsChanged { .. } | Event::Unchanged { .. } => {}
            }
        }
        prop_assert!(rig.reload().is_empty(), "told once");
    }
}
