//! What a reload changed, in one line: the numbers first, then the first few by name, so that an edit of one weight is told whole and
//! one of ten thousand endpoints does not fill the log.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::report::count;
use super::{Change, RouteDef, ServletDef};
use crate::model::{Address, Table};
use crate::runtime::give_way;

/// Of each kind of change, so many are named.
const NAMED: usize = 3;

/// What accepting `def` in place of `before` means.
pub(super) fn summary(change: Change, before: Option<&ServletDef>, def: &ServletDef) -> String {
    let table = before.map(|before| table_change(&before.table, &def.table)).unwrap_or_default();
    match change {
        Change::New => format!("new, with {}", count(def.table.endpoints().count(), "endpoint")),
        Change::Nothing => "as it was accepted before".into(),
        Change::Table => format!("endpoint table: {}", if table.is_empty() { "nothing that counts" } else { &table }),
        Change::Whole => {
            let keys = before.map(|before| keys_changed(before, def)).unwrap_or_default();
            match (keys.is_empty(), table.is_empty()) {
                (true, true) => "its files changed, and mean the same".into(),
                (true, false) => format!("endpoint table: {table}"),
                (false, true) => format!("changed: {}", keys.join(", ")),
                (false, false) => format!("changed: {}; endpoint table: {table}", keys.join(", ")),
            }
        }
    }
}

/// The keys of a servlet's file that mean something else now, whether its own file or `defaults` said so.
fn keys_changed(before: &ServletDef, after: &ServletDef) -> Vec<&'static str> {
    let same_schema = match (&before.schema, &after.schema) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after),
        (None, None) => true,
        _ => false,
    };
    let services = |def: &ServletDef| def.services.iter().map(|one| one.pattern.clone()).collect::<Vec<_>>();
    // Where a route is written does not change what it says, and its method is the schema's.
    let routes = |def: &ServletDef| def.routes.iter().map(route).collect::<Vec<_>>();
    let (one, two) = (&before.options, &after.options);
    let keys = [
        ("schema", !same_schema),
        ("services", services(before) != services(after)),
        ("routes", routes(before) != routes(after)),
        ("upstream", before.upstream != after.upstream),
        ("timeout", before.timeout != after.timeout || before.unary_timeout != after.unary_timeout),
        ("balance", one.balance != two.balance),
        ("connect_timeout", one.connect_timeout != two.connect_timeout),
        ("message_size", one.message_size != two.message_size),
        ("body_size", one.body_size != two.body_size),
        ("replay_size", one.replay_size != two.replay_size),
        ("endpoint_connections", one.endpoint_connections != two.endpoint_connections),
        ("queue_timeout", one.queue_timeout != two.queue_timeout),
        ("endpoint_idle", one.endpoint_idle != two.endpoint_idle),
        ("ping_interval", one.ping_interval != two.ping_interval),
        ("ping_timeout", one.ping_timeout != two.ping_timeout),
        ("tunnel_idle", one.tunnel_idle != two.tunnel_idle),
        ("compression", one.compression != two.compression),
        ("schema_changes", one.schema_changes != two.schema_changes),
        ("cors", one.cors != two.cors),
        ("metadata", one.metadata != two.metadata),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// What a route says, spelled so that the same is the same text.
fn route(route: &RouteDef) -> String {
    let binding = route.binding.as_ref().map(|way| &way.binding);
    let binding = binding.map(|one| (&one.text, &one.body, &one.response_body));
    format!("{:?} {:?} {binding:?}", route.matches, route.call)
}

/// `1 added (127.0.0.1:1), 2 reweighted (127.0.0.1:2 3→5, 127.0.0.1:3 1→0)`; empty when the tables mean the same.
fn table_change(before: &Table, after: &Table) -> String {
    let (old, new) = (lines(before), lines(after));
    // Most lines name whom they named before; only the others go through a map.
    let still = |place: usize| old.get(place).zip(new.get(place)).is_some_and(|(old, new)| old.address == new.address);
    let elsewhere = old.iter().enumerate().filter(|(place, _)| !still(*place));
    let mut elsewhere: HashMap<&Address, Line<'_>, RandomState> =
        elsewhere.map(|(_, line)| (line.address, *line)).collect();
    let (mut added, mut removed, mut reweighted, mut moved, mut groups) =
        (Told::new("added"), Told::new("removed"), Told::new("reweighted"), Told::new("moved"), Told::new(""));
    for (place, &Line { address, weight, group }) in new.iter().enumerate() {
        give_way();
        let stood = if still(place) { old.get(place).copied() } else { elsewhere.remove(address) };
        match stood {
            None => added.push(|| address.to_string()),
            Some(old) if old.weight != weight => reweighted.push(|| format!("{address} {}→{weight}", old.weight)),
            Some(old) if old.group != group => moved.push(|| format!("{address} to group `{group}`")),
            Some(_) => {}
        }
    }
    for Line { address, .. } in &old {
        give_way();
        if elsewhere.contains_key(address) {
            removed.push(|| address.to_string());
        }
    }
    for group in &after.groups {
        let old = before.groups.iter().find(|old| old.name == group.name);
        if let Some(old) = old.filter(|old| old.weight != group.weight) {
            groups.push(|| format!("{} {}→{}", group.name, old.weight, group.weight));
        }
    }
    let mut parts: Vec<String> = [added, removed, reweighted, moved].iter().filter_map(Told::text).collect();
    if groups.number > 0 {
        parts.push(format!("{} reweighted{}", count(groups.number, "group"), groups.names()));
    }
    parts.join(", ")
}

/// One endpoint, as a table gives it.
#[derive(Clone, Copy)]
struct Line<'t> {
    address: &'t Address,
    weight: u32,
    group: &'t str,
}

fn lines(table: &Table) -> Vec<Line<'_>> {
    let lines = table.groups.iter().flat_map(|group| group.endpoints.iter().map(move |one| (group, one)));
    lines.map(|(group, one)| Line { address: &one.address, weight: one.weight, group: &group.name }).collect()
}

/// Changes of one kind: how many, and the first of them.
struct Told {
    what: &'static str,
    number: usize,
    named: Vec<String>,
}

impl Told {
    fn new(what: &'static str) -> Told {
        Told { what, number: 0, named: Vec::new() }
    }

    fn push(&mut self, name: impl FnOnce() -> String) {
        self.number += 1;
        if self.named.len() < NAMED {
            self.named.push(name());
        }
    }

    fn text(&self) -> Option<String> {
        (self.number > 0).then(|| format!("{} {}{}", self.number, self.what, self.names()))
    }

    fn names(&self) -> String {
        let more = if self.number > self.named.len() { ", …" } else { "" };
        format!(" ({}{more})", self.named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ServletOptions;
    use crate::discovery::{Record, table};

    #[test]
    fn every_option_that_changes_is_named() {
        let servlet = |option: &str| {
            let directory = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| {
                let path = directory.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            write("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
            write("servlets/a.yaml", &format!("services: [a.v1.S]\n{option}\n"));
            write("endpoints/a.yaml", "endpoints: []\n");
            let loaded = crate::config::load(&directory.path().join("telamon.yaml"));
            loaded.unwrap_or_else(|report| panic!("{report}")).servlets["a"].clone()
        };
        for key in ServletOptions::KEYS {
            let value = match *key {
                "balance" => "{ policy: round_robin }",
                "compression" => "{ enabled: false }",
                "schema_changes" => "allow",
                "cors" => "{ allow_origins: [\"https://a.example\"] }",
                "metadata" => "{ request: { deny: [\"x-internal-*\"] } }",
                "endpoint_connections" => "7",
                key if key.ends_with("_size") => "7KiB",
                _ => "7s",
            };
            let after = servlet(&format!("{key}: {value}"));
            assert_eq!(keys_changed(&servlet(""), &after), [*key]);
        }
    }

    #[test]
    fn a_change_of_a_table_is_told_by_number_and_by_name() {
        let read = |text: &str| table::parse("t.yaml", Path::new(""), text).unwrap();
        let flat = |lines: &str| read(&format!("endpoints: [{lines}]"));
        let (one, two) = ("{ address: 127.0.0.1:1, weight: 3 }", "{ address: 127.0.0.1:2 }");
        let many = (10..20).map(|port| format!("{{ address: 127.0.0.1:{port} }}")).collect::<Vec<_>>().join(", ");
        let grouped = |stable: u32, canary: u32, place: &str| {
            let (first, second) = if place == "stable" { (format!("{one}, {two}"), "") } else { (one.into(), two) };
            read(&format!(
                "groups: {{ stable: {{ weight: {stable}, endpoints: [{first}] }}, canary: {{ weight: {canary}, endpoints: [{second}] }} }}"
            ))
        };
        let cases = [
            (flat(one), flat(one), ""),
            (flat(one), flat("{ address: 127.0.0.1:1, weight: 5 }"), "1 reweighted (127.0.0.1:1 3→5)"),
            (flat(one), flat(two), "1 added (127.0.0.1:2), 1 removed (127.0.0.1:1)"),
            (flat(&format!("{one}, {two}")), flat(&format!("{two}, {one}")), ""),
            (
                flat(&format!("{many}, {one}, {two}")),
                flat(&format!("{two}, {{ address: 127.0.0.1:1, weight: 5 }}")),
                "10 removed (127.0.0.1:10, 127.0.0.1:11, 127.0.0.1:12, …), 1 reweighted (127.0.0.1:1 3→5)",
            ),
            (flat(""), flat(&many), "10 added (127.0.0.1:10, 127.0.0.1:11, 127.0.0.1:12, …)"),
            (grouped(95, 5, "canary"), grouped(80, 20, "canary"), "2 groups reweighted (stable 95→80, canary 5→20)"),
            (grouped(95, 5, "canary"), grouped(95, 5, "stable"), "1 moved (127.0.0.1:2 to group `stable`)"),
        ];
        for (before, after, told) in cases {
            assert_eq!(table_change(&before, &after), told);
        }
    }
}
