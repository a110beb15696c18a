//! Reloads, step by step: what is written, when, and what comes of it.

mod claims;
mod schemas;
mod servlets;
mod settings;
mod tables;

use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;

use super::Tree;
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
