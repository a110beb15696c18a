//! Settings: what waits for a restart, and the defaults that do not.

use std::time::Duration;

use super::{NOTHING, Rig, SETTINGS};
use crate::balance::Policy;
use crate::config::Event;

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
    assert_eq!((a.timeout, a.unary_timeout), (None, Duration::from_secs(3)));
    assert_eq!(
        (a.options.connect_timeout, b.options.connect_timeout),
        (Duration::from_secs(2), Duration::from_secs(7))
    );
    assert_eq!(b.timeout, Some(Duration::from_secs(9)));
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
    assert_eq!((&*servlet.name, servlet.unary_timeout), ("a", Duration::from_secs(3)));
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
