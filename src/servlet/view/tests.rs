use super::*;
use crate::model::{Code, EndpointSpec, Group, Outcome, Table};

/// A group: name, weight, and its endpoints' ports and weights.
type Lines<'a> = (&'a str, u32, &'a [(u16, u32)]);

fn table(groups: &[Lines<'_>]) -> Table {
    let spec = |(port, weight): &(u16, u32)| EndpointSpec {
        address: Address::Tcp(([127, 0, 0, 1], *port).into()),
        weight: *weight,
    };
    let group = |(name, weight, specs): &Lines<'_>| Group {
        name: Arc::from(*name),
        weight: *weight,
        endpoints: specs.iter().map(spec).collect(),
    };
    Table { groups: groups.iter().map(group).collect() }
}

#[test]
fn shares_are_those_that_the_weights_promise_and_those_that_were_given() {
    let now = Instant::now();
    let groups: &[Lines<'_>] =
        &[("stable", 3, &[(1, 3), (2, 1), (3, 0)]), ("canary", 1, &[(4, 7)]), ("empty", 9, &[]), ("off", 0, &[(5, 1)])];
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &table(groups), now);
    assert!(servlet.views(now).iter().all(|view| view.observed_share_1m.is_none()));
    let mut picker = servlet.picker(3);
    for _ in 0..1_600 {
        picker.pick(now, &[]).unwrap().finish(&Outcome::Grpc(Code::Ok), now + Duration::from_millis(10));
    }
    let views = servlet.views(now);
    let expected: Vec<f64> = views.iter().map(|view| view.expected_share).collect();
    assert_eq!(expected, [9.0 / 16.0, 3.0 / 16.0, 0.0, 0.25, 0.0]);
    for view in &views {
        let observed = view.observed_share_1m.unwrap();
        assert!((observed - view.expected_share).abs() < 0.003, "{view:?}");
        assert_eq!(view.observed_share_1m, view.observed_share_10m);
    }
    let later = servlet.views(now + Duration::from_secs(120));
    assert!(later[0].observed_share_1m.is_none() && later[0].observed_share_10m.is_some());
    assert_eq!(views.iter().map(|view| view.requests).sum::<u64>(), 1_600);
}

#[test]
fn a_state_says_why() {
    let now = Instant::now();
    let specs: &[(u16, u32)] = &[(1, 10), (2, 10), (3, 0), (4, 10), (5, 10)];
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &table(&[("", 1, specs)]), now);
    let mut picker = servlet.picker(3);
    for _ in 0..400 {
        let lease = picker.pick(now, &[]).unwrap();
        let slow = lease.endpoint().address().to_string().ends_with(":2");
        lease.finish(&Outcome::Grpc(Code::Ok), now + Duration::from_millis(if slow { 200 } else { 10 }));
    }
    servlet.snapshot().endpoints().next().unwrap().connect_failed(now, "connection refused");
    let views = servlet.views(now);
    let cases = [
        (
            State::SetAside,
            "the last connection to it failed; it is tried again in 0.1 s; the reason: connection refused",
        ),
        (State::Penalised, "times as long as its peers'; it gets"),
        (State::Draining, "its weight is 0: no new calls; nothing is in flight"),
        (State::Serving, "it takes calls by its weight"),
    ];
    for (view, (state, part)) in views.iter().zip(cases) {
        assert_eq!(view.state, state, "{view:?}");
        assert!(view.why.contains(part), "{}", view.why);
    }
    assert_eq!((views[0].effective_weight, views[3].effective_weight), (0.0, 10.0));
    assert!(views[1].effective_weight > 0.0 && views[1].effective_weight < 5.0, "{}", views[1].effective_weight);
    let latency = views[3].latency.unwrap();
    assert!(latency.p50 <= latency.p90 && latency.p999 < Duration::from_millis(11), "{latency:?}");
}

#[test]
fn an_endpoint_is_set_aside_until_a_connection_comes_up() {
    let now = Instant::now();
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &table(&[("", 1, &[(1, 1)])]), now);
    let endpoint = servlet.snapshot().endpoints().next().unwrap().clone();
    let told = |now| {
        let view = servlet.views(now).remove(0);
        (view.state, view.set_aside_until.map(|until| until > now), view.why)
    };
    assert_eq!(told(now).1, None);
    endpoint.connect_failed(now, "no route to host");
    assert_eq!((told(now).0, told(now).1), (State::SetAside, Some(true)));
    // The wait is over and nobody has called: nothing speaks for it yet.
    let later = now + Duration::from_secs(60);
    let (state, waits, why) = told(later);
    assert_eq!((state, waits), (State::SetAside, Some(false)));
    assert_eq!(why, "the last connection to it failed; the next call tries it again; the reason: no route to host");
    let lease = servlet.picker(1).pick(later, &[]).unwrap();
    assert!(told(later).2.contains("a call is trying it now"), "{}", told(later).2);
    assert!(lease.conclude(&Outcome::Grpc(Code::Ok), later), "it came back by this call");
    assert_eq!((told(later).0, told(later).1), (State::Serving, None));
    let lease = servlet.picker(1).pick(later, &[]).unwrap();
    assert!(!lease.conclude(&Outcome::Grpc(Code::Ok), later), "it had not been away");
}
