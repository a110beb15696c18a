//! Files that people write: read whole or refused, the same whichever way lines end; a table that is written out reads back as it
//! was; every mistake is told at a place that the file has.

use std::path::Path;

use serde_json::{Map, Value, json};
use telamon::config::Settings;
use telamon::discovery::{Problem, Reader, table};
use telamon::model::{EndpointSpec, Group, Table};

use super::draw::Draw;

fn check_places(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty(), "a refusal says why");
    // YAML breaks lines at a carriage return, too.
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = unix.split('\n').collect();
    for problem in problems {
        let Some(at) = problem.at else { continue };
        let (line, column) = (at.line as usize, at.column as usize);
        assert!(line >= 1 && column >= 1 && line <= lines.len() + 1, "{problem}");
        let written = lines.get(line - 1).map_or(0, |line| line.chars().count());
        assert!(column <= written + 1, "{problem}");
    }
}

/// A table in JSON, which is YAML.
fn written(table: &Table) -> String {
    let endpoints = |group: &Group| -> Value {
        let line =
            |endpoint: &EndpointSpec| json!({ "address": endpoint.address.to_string(), "weight": endpoint.weight });
        group.endpoints.iter().map(line).collect()
    };
    let value = match &table.groups[..] {
        [group] if group.name.is_empty() => json!({ "endpoints": endpoints(group) }),
        groups => {
            let group = |group: &Group| {
                (group.name.to_string(), json!({ "weight": group.weight, "endpoints": endpoints(group) }))
            };
            json!({ "groups": groups.iter().map(group).collect::<Map<_, _>>() })
        }
    };
    value.to_string()
}

fn by_name(mut table: Table) -> Table {
    table.groups.sort_by(|one, other| one.name.cmp(&other.name));
    table
}

/// A table of endpoints and groups as the bytes say.
fn made(data: &[u8]) -> Table {
    let (mut draw, mut port) = (Draw(data), 0);
    let mut endpoints = |draw: &mut Draw<'_>| -> Vec<EndpointSpec> {
        let each = (0..draw.byte() % 4).map(|_| {
            port += 1;
            let address = format!("127.0.0.{}:{port}", draw.byte()).parse().expect("an address");
            EndpointSpec { address, weight: u32::from(draw.byte()) * 3921 }
        });
        each.collect()
    };
    if draw.flag() {
        return Table::flat(endpoints(&mut draw));
    }
    let groups = (0..draw.byte() % 4).map(|number| {
        let weight = u32::from(draw.byte());
        Group { name: format!("{number}: {}", draw.byte()).into(), weight, endpoints: endpoints(&mut draw) }
    });
    Table { groups: groups.collect() }
}

fn settings(text: &str) -> Result<Settings, Vec<Problem>> {
    let mut reader = Reader::new("telamon.yaml", "/etc");
    let settings = reader.document::<Settings>(text);
    let problems = reader.into_problems();
    settings.filter(|_| problems.is_empty()).ok_or(problems)
}

pub fn check(data: &[u8]) {
    let table = |text: &str| table::parse("endpoints/a.yaml", Path::new("/etc"), text);
    let made = by_name(made(data));
    assert_eq!(table(&written(&made)).map(by_name), Ok(made));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (read, set) = (table(text), settings(text));
    if !text.contains('\r') {
        let dos = text.replace('\n', "\r\n");
        assert_eq!(table(&dos).ok(), read.as_ref().ok().cloned());
        assert_eq!(settings(&dos).ok(), set.as_ref().ok().cloned());
    }
    if let Ok(read) = &read {
        assert_eq!(table(&written(read)).map(by_name), Ok(by_name(read.clone())));
    }
    for problems in [read.err(), set.err()].into_iter().flatten() {
        check_places(text, &problems);
    }
}
