use std::collections::HashMap as Map;
use std::time::Duration;

use super::*;
use crate::balance::Policy;
use crate::model::{Address, Code, EndpointSpec, Group, Outcome, Table};
use crate::servlet::Endpoint;

fn group(name: &str, weight: u32, specs: &[(u16, u32)]) -> Group {
    let spec = |(port, weight): &(u16, u32)| EndpointSpec {
        address: Address::Tcp(([127, 0, 0, 1], *port).into()),
        weight: *weight,
    };
    Group { name: Arc::from(name), weight, endpoints: specs.iter().map(spec).collect() }
}

fn servlet(groups: Vec<Group>) -> (Arc<Servlet>, Instant) {
    let now = Instant::now();
    (Servlet::new(Arc::from("echo"), Policy::default(), &Table { groups }, now), now)
}

fn port(endpoint: &Endpoint) -> u16 {
    match endpoint.address() {
        Address::Tcp(address) => address.port(),
        Address::Unix(_) => 0,
    }
}

/// Calls one after another, each answered at once.
fn counts(picker: &mut Picker, now: Instant, calls: usize) -> Map<u16, usize> {
    let mut counts = Map::new();
    for _ in 0..calls {
        let lease = picker.pick(now, &[]).unwrap();
        *counts.entry(port(lease.endpoint())).or_default() += 1;
    }
    counts
}

fn get(counts: &Map<u16, usize>, port: u16) -> usize {
    counts.get(&port).copied().unwrap_or(0)
}

fn of(servlet: &Servlet, wanted: u16) -> Arc<Endpoint> {
    servlet.snapshot().endpoints().find(|endpoint| port(endpoint) == wanted).unwrap().clone()
}

#[test]
fn a_groups_share_does_not_depend_on_how_many_it_has() {
    let stable: Vec<(u16, u32)> = (1..=10).map(|port| (port, 1)).collect();
    let (servlet, now) = servlet(vec![group("stable", 95, &stable), group("canary", 5, &[(20, 1), (21, 3)])]);
    let counts = counts(&mut servlet.picker(1), now, 10_000);
    assert!(get(&counts, 20).abs_diff(125) <= 2 && get(&counts, 21).abs_diff(375) <= 2, "{counts:?}");
    assert!((1..=10).all(|port| get(&counts, port).abs_diff(950) <= 2), "{counts:?}");
}

#[test]
fn a_group_with_nobody_to_serve_leaves_its_share_to_the_others() {
    for canary in [group("canary", 5, &[]), group("canary", 5, &[(9, 0)]), group("canary", 0, &[(9, 4)])] {
        let (servlet, now) = servlet(vec![group("stable", 95, &[(1, 1)]), canary]);
        assert_eq!(counts(&mut servlet.picker(1), now, 100), Map::from([(1, 100)]));
    }
    let (servlet, now) = servlet(vec![group("stable", 95, &[(1, 1)]), group("canary", 5, &[(2, 1)])]);
    of(&servlet, 2).connect_failed(now, "connection refused");
    assert_eq!(counts(&mut servlet.picker(1), now, 100), Map::from([(1, 100)]));
}

#[test]
fn weight_zero_gets_nothing_and_a_new_table_acts_on_the_next_pick() {
    let (servlet, now) = servlet(vec![group("", 1, &[(1, 1), (2, 0)])]);
    let mut picker = servlet.picker(1);
    assert_eq!(counts(&mut picker, now, 50), Map::from([(1, 50)]));
    servlet.apply(&Table { groups: vec![group("", 1, &[(1, 0), (2, 1)])] }, now);
    assert_eq!(counts(&mut picker, now, 50), Map::from([(2, 50)]));
    assert_eq!(picker.endpoints().serving().map(|endpoint| port(endpoint)).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_table_that_says_the_same_again_disturbs_nothing() {
    let table = || vec![group("", 1, &[(1, 5), (2, 2), (3, 1)])];
    let (servlet, now) = servlet(table());
    let mut picker = servlet.picker(1);
    let mut counts: Map<u16, usize> = Map::new();
    for _ in 0..800 {
        *counts.entry(port(picker.pick(now, &[]).unwrap().endpoint())).or_default() += 1;
        servlet.apply(&Table { groups: table() }, now);
    }
    assert!(get(&counts, 1).abs_diff(500) <= 1 && get(&counts, 2).abs_diff(200) <= 1, "{counts:?}");
}

#[test]
fn one_set_aside_gets_nothing_the_others_keep_their_proportions_and_it_returns_without_a_burst() {
    let (servlet, now) = servlet(vec![group("", 1, &[(1, 4), (2, 2), (3, 1)])]);
    let mut picker = servlet.picker(1);
    counts(&mut picker, now, 70);
    let mut before = (0..7).map(|_| picker.pick(now, &[]).unwrap());
    let before = before.find(|lease| port(lease.endpoint()) == 2).unwrap();
    let told = of(&servlet, 2).connect_failed(now, "connection refused").unwrap();
    before.finish(&Outcome::Grpc(Code::Ok), now);
    let away = counts(&mut picker, now, 5_000);
    assert!(get(&away, 2) == 0 && get(&away, 1).abs_diff(4_000) <= 2, "{away:?}");
    let later = now + told.wait + Duration::from_millis(1);
    let lease = (0..7).map(|_| picker.pick(later, &[]).unwrap()).find(|lease| port(lease.endpoint()) == 2).unwrap();
    assert_eq!(get(&counts(&mut picker, later, 100), 2), 0, "one call tries it, the others wait for what comes of it");
    lease.finish(&Outcome::Grpc(Code::Ok), later);
    let back: Vec<u16> = (0..700).map(|_| port(picker.pick(later, &[]).unwrap().endpoint())).collect();
    let most = back.windows(7).map(|window| window.iter().filter(|port| **port == 2).count()).max();
    assert!(most <= Some(3), "{most:?} of 7");
    assert!(back.iter().filter(|port| **port == 2).count().abs_diff(200) <= 2);
}

#[test]
fn a_trial_that_fails_waits_longer() {
    let (servlet, now) = servlet(vec![group("", 1, &[(1, 1), (2, 1)])]);
    let mut picker = servlet.picker(1);
    let endpoint = of(&servlet, 2);
    let first = endpoint.connect_failed(now, "connection refused").unwrap();
    let later = now + first.wait + Duration::from_millis(1);
    let lease = (0..3).map(|_| picker.pick(later, &[]).unwrap()).find(|lease| port(lease.endpoint()) == 2);
    assert!(lease.is_some());
    let second = endpoint.connect_failed(later, "connection refused").unwrap();
    assert!(second.wait > first.wait * 3 / 2 && second.failures == 2);
    assert!(endpoint.set_aside_until(later).is_some());
    assert!(endpoint.connected(later) && endpoint.set_aside_until(later).is_none());
}

#[test]
fn when_all_are_set_aside_all_are_tried() {
    for groups in [vec![group("", 1, &[(1, 1), (2, 1)])], vec![group("a", 1, &[(1, 1)]), group("b", 1, &[(2, 1)])]] {
        let (servlet, now) = servlet(groups);
        let mut picker = servlet.picker(1);
        for port in [1, 2] {
            of(&servlet, port).connect_failed(now, "connection refused");
        }
        let counts = counts(&mut picker, now, 100);
        assert!(get(&counts, 1).abs_diff(50) <= 1 && get(&counts, 2).abs_diff(50) <= 1, "{counts:?}");
    }
}

#[test]
fn a_call_tries_each_endpoint_once_and_those_set_aside_last() {
    for groups in [
        vec![group("", 1, &[(1, 1), (2, 5), (3, 1)])],
        vec![group("a", 9, &[(1, 1)]), group("b", 1, &[(2, 1), (3, 1)])],
    ] {
        let (servlet, now) = servlet(groups);
        let mut picker = servlet.picker(1);
        of(&servlet, 2).connect_failed(now, "connection refused");
        let mut tried = Vec::new();
        let mut ports = Vec::new();
        while let Ok(lease) = picker.pick(now, &tried) {
            tried.push(lease.endpoint().id());
            ports.push(port(lease.endpoint()));
        }
        assert_eq!(ports.last(), Some(&2));
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3]);
        assert!(picker.pick(now, &[]).is_ok(), "the next call finds them all there");
    }
}

#[test]
fn a_refusal_tells_why() {
    let cases = [
        (vec![], 0, "no endpoint in its table"),
        (vec![group("", 1, &[])], 0, "no endpoint in its table"),
        (vec![group("", 1, &[(1, 0), (2, 0)])], 0, "has weight 0"),
        (vec![group("a", 0, &[(1, 5)])], 0, "has weight 0"),
        (vec![group("", 1, &[(1, 1), (2, 1)])], 2, "all 2 endpoints of servlet echo were tried"),
    ];
    for (groups, tries, part) in cases {
        let (servlet, now) = servlet(groups);
        let mut picker = servlet.picker(1);
        let mut tried = Vec::new();
        for _ in 0..tries {
            tried.push(picker.pick(now, &tried).unwrap().endpoint().id());
        }
        let fault = picker.pick(now, &tried).unwrap_err();
        assert_eq!((fault.kind, fault.stage), (Kind::NoEndpoint, Stage::Pick));
        assert!(fault.message.contains(part), "{}", fault.message);
    }
}
