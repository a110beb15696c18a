use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Code, EndpointSpec, Fault, Group, Kind, Outcome, Stage};
use crate::servlet::Lease;

fn spec(port: u16, weight: u32) -> EndpointSpec {
    EndpointSpec { address: Address::Tcp(([127, 0, 0, 1], port).into()), weight }
}

fn flat(specs: &[(u16, u32)]) -> Table {
    Table::flat(specs.iter().map(|(port, weight)| spec(*port, *weight)).collect())
}

fn ports(endpoints: &[Arc<Endpoint>]) -> Vec<u16> {
    let port = |endpoint: &Arc<Endpoint>| match endpoint.address() {
        Address::Tcp(address) => address.port(),
        Address::Unix(_) => 0,
    };
    endpoints.iter().map(port).collect()
}

#[test]
fn a_table_keeps_its_survivors_and_tells_what_changed() {
    let now = Instant::now();
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &flat(&[(1, 5), (2, 5), (3, 5)]), now);
    let before: Vec<_> = servlet.snapshot().endpoints().cloned().collect();
    let mut picker = servlet.picker(1);
    let leases: Vec<Lease> = (0..6).map(|_| picker.pick(now, &[]).unwrap()).collect();
    let change = servlet.apply(&flat(&[(3, 5), (4, 1), (2, 9)]), now);
    assert_eq!((ports(&change.added), ports(&change.removed)), (vec![4], vec![1]));
    let reweighted: Vec<_> = change.reweighted.iter().map(|(endpoint, old, new)| (endpoint.id(), *old, *new)).collect();
    assert_eq!(reweighted, [(before[1].id(), 5, 9)]);
    assert_eq!(change.kept, 2);
    let after: Vec<_> = servlet.snapshot().endpoints().cloned().collect();
    assert!(Arc::ptr_eq(&after[0], &before[2]) && Arc::ptr_eq(&after[2], &before[1]));
    assert_eq!(after.iter().map(|endpoint| endpoint.in_flight()).collect::<Vec<_>>(), [2, 0, 2]);
    assert_eq!(change.removed[0].in_flight(), 2, "a removed endpoint lives as long as its leases");
    drop(leases);
    assert_eq!(change.removed[0].in_flight(), 0);
    assert_eq!(servlet.snapshot().groups[0].in_flight(), 0);
}

#[test]
fn an_address_that_comes_back_is_another_endpoint() {
    let now = Instant::now();
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &flat(&[(1, 1)]), now);
    let first = servlet.snapshot().endpoints().next().unwrap().id();
    servlet.apply(&flat(&[]), now);
    servlet.apply(&flat(&[(1, 1)]), now);
    assert_ne!(servlet.snapshot().endpoints().next().unwrap().id(), first);
}

#[test]
fn others_have_their_turn_between_two_endpoints() {
    let now = Instant::now();
    let table = |weight| flat(&(1..=100).map(|port| (port, weight)).collect::<Vec<_>>());
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &table(1), now);
    let old = servlet.snapshot();
    let mut turns = 0;
    let (next, _) = servlet.next(Policy::default(), &table(2), now, &mut || turns += 1);
    assert_eq!(turns, 200, "for each that was there and for each that is");
    assert!(Arc::ptr_eq(&old, &servlet.snapshot()), "calls go on by the old table meanwhile");
    servlet.store(next);

    // Those that nobody else holds are freed one by one.
    let members: Vec<_> = old.groups[0].members.iter().map(Arc::downgrade).collect();
    let mut left = Vec::new();
    let still = || members.iter().filter(|member| member.strong_count() > 0).count();
    Snapshot::release(old, &mut || left.push(still()));
    assert_eq!(left[100..], (0..100).rev().collect::<Vec<_>>());
}

#[test]
fn an_endpoint_that_changes_its_group_stays_itself() {
    let now = Instant::now();
    let group = |name: &str, specs: &[(u16, u32)]| Group {
        name: Arc::from(name),
        weight: 1,
        endpoints: specs.iter().map(|(port, weight)| spec(*port, *weight)).collect(),
    };
    let before = Table { groups: vec![group("a", &[(1, 1), (2, 1)]), group("b", &[(3, 1)])] };
    let after = Table { groups: vec![group("a", &[(1, 1)]), group("b", &[(3, 1), (2, 1)])] };
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &before, now);
    let moved = servlet.snapshot().endpoints().nth(1).unwrap().clone();
    let mut picker = servlet.picker(1);
    let leases: Vec<Lease> = (0..8).map(|_| picker.pick(now, &[]).unwrap()).collect();
    let change = servlet.apply(&after, now);
    assert!(change.added.is_empty() && change.removed.is_empty());
    assert!(Arc::ptr_eq(servlet.snapshot().endpoints().nth(2).unwrap(), &moved));
    leases.into_iter().for_each(|lease| lease.finish(&Outcome::Grpc(Code::Ok), now));
    assert_eq!(servlet.snapshot().groups.iter().map(GroupState::in_flight).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn latency_ends_at_the_head_and_only_a_good_end_tells_it() {
    let now = Instant::now();
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &flat(&[(1, 1)]), now);
    let mut picker = servlet.picker(1);
    let outcomes = [
        Outcome::Cancelled,
        Outcome::Grpc(Code::Unavailable),
        Outcome::Fault(Fault::new(Kind::StreamReset, Stage::Wait, "")),
        Outcome::Fault(Fault::new(Kind::CallerGone, Stage::Wait, "")),
    ];
    for outcome in &outcomes {
        picker.pick(now, &[]).unwrap().finish(outcome, now + Duration::from_secs(9));
    }
    assert!(servlet.views(now)[0].latency.is_none());
    assert_eq!((servlet.views(now)[0].requests, servlet.views(now)[0].failures), (4, 2));
    let mut lease = picker.pick(now, &[]).unwrap();
    lease.head_arrived(now + Duration::from_millis(20));
    lease.head_arrived(now + Duration::from_millis(50));
    lease.finish(&Outcome::Grpc(Code::NotFound), now + Duration::from_secs(60));
    let told = servlet.views(now)[0].latency.unwrap().p50.as_secs_f64();
    assert!((told / 0.020 - 1.0).abs() <= 0.05, "{told}");
}

proptest! {
    /// Calls are begun, answered, finished, dropped and cancelled in any order while tables come and go: in the end nothing is
    /// counted that is not there.
    #[test]
    fn counts_are_right_wherever_a_call_ends(steps in prop::collection::vec((0_u8..8, any::<u16>()), 1..200)) {
        let start = Instant::now();
        let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &flat(&[(1, 1), (2, 2)]), start);
        let mut pickers = [servlet.picker(1), servlet.picker(2)];
        let mut leases: Vec<Lease> = Vec::new();
        let mut seen = Vec::new();
        for (step, (action, value)) in steps.into_iter().enumerate() {
            let now = start + Duration::from_millis(step as u64);
            let at = usize::from(value) % leases.len().max(1);
            match action {
                0..=3 => leases.extend(pickers[usize::from(value % 2)].pick(now, &[])),
                4 if !leases.is_empty() => leases[at].head_arrived(now),
                5 if !leases.is_empty() => {
                    let codes = [Code::Ok, Code::Unavailable, Code::Cancelled];
                    leases.swap_remove(at).finish(&Outcome::Grpc(codes[usize::from(value % 3)]), now);
                }
                6 if !leases.is_empty() => drop(leases.swap_remove(at)),
                _ => {
                    let weights = [(1, u32::from(value % 3)), (2, 1), (3, u32::from(value % 5)), (4, 2)];
                    seen.extend(servlet.apply(&flat(&weights[..usize::from(value % 4) + 1]), now).removed);
                }
            }
            let snapshot = servlet.snapshot();
            seen.extend(snapshot.endpoints().cloned());
            seen.sort_by_key(|endpoint| endpoint.id());
            seen.dedup_by_key(|endpoint| endpoint.id());
            prop_assert_eq!(seen.iter().map(|endpoint| endpoint.in_flight()).sum::<u64>(), leases.len() as u64);
            prop_assert_eq!(snapshot.groups[0].in_flight(), leases.len() as u64);
        }
        drop(leases);
        prop_assert!(seen.iter().all(|endpoint| endpoint.in_flight() == 0));
        prop_assert_eq!(servlet.snapshot().groups[0].in_flight(), 0);
    }
}

#[test]
fn many_threads_and_reloads_leave_nothing_in_flight() {
    let now = Instant::now();
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &flat(&[(1, 1), (2, 2), (3, 3)]), now);
    let first: Vec<_> = servlet.snapshot().endpoints().cloned().collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let servlet = &servlet;
            scope.spawn(move || {
                let mut picker = servlet.picker(seed);
                let mut leases = Vec::new();
                for call in 0..3_000_u64 {
                    let now = now + Duration::from_micros(call * 10);
                    leases.push(picker.pick(now, &[]).unwrap());
                    if call % 7 == 0 {
                        let code = if call % 3 == 0 { Code::Ok } else { Code::Internal };
                        leases.drain(..).for_each(|lease| lease.finish(&Outcome::Grpc(code), now));
                    }
                }
            });
        }
        for round in 0..200 {
            servlet.apply(&flat(&[(1, 1 + round % 5), (2, round % 2), (3 + (round % 3) as u16, 3)]), now);
        }
    });
    assert_eq!(servlet.snapshot().groups[0].in_flight(), 0);
    assert!(first.iter().chain(servlet.snapshot().endpoints()).all(|endpoint| endpoint.in_flight() == 0));
}

/// Groups of endpoints with ports of a few, weights among them 0, no port twice.
fn tables() -> impl Strategy<Value = Table> {
    let lines = prop::collection::vec((1_u16..9, 0_u32..3, 0_usize..3), 0..9);
    lines.prop_map(|lines| {
        let mut groups = ["a", "b", "c"].map(|name| Group { name: Arc::from(name), weight: 1, endpoints: Vec::new() });
        let mut seen = std::collections::HashSet::new();
        for (port, weight, group) in lines.into_iter().filter(|(port, ..)| seen.insert(*port)) {
            groups[group].endpoints.push(spec(port, weight));
        }
        Table { groups: groups.into_iter().filter(|group| !group.endpoints.is_empty()).collect() }
    })
}

proptest! {
    /// Workers carry their orders over by it.
    #[test]
    fn a_seat_knows_where_it_was(tables in prop::collection::vec(tables(), 1..5)) {
        let now = Instant::now();
        let servlet = Servlet::new(Arc::from("s"), Policy::default(), &Table::default(), now);
        let mut gone = 0;
        for table in tables {
            let before = servlet.snapshot();
            gone += servlet.apply(&table, now).removed.len() as u64;
            let after = servlet.snapshot();
            prop_assert_eq!(after.departed, gone);
            prop_assert_eq!(after.ids().collect::<Vec<_>>(), after.endpoints().map(|one| one.id()).collect::<Vec<_>>());
            for group in &after.groups {
                let sum: u64 = group.members.iter().map(|member| u64::from(member.weight)).sum();
                prop_assert_eq!(group.endpoint_weight(), sum);
                let known = before.groups.iter().find(|known| known.name == group.name);
                for seat in group.serving.iter() {
                    let mut places = known.into_iter().flat_map(|known| known.serving.iter());
                    let place = places.position(|known| Arc::ptr_eq(&known.endpoint, &seat.endpoint));
                    prop_assert_eq!(seat.before, place.map_or(NOWHERE, |place| place as u32));
                }
            }
        }
    }
}
