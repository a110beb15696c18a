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

#[test]
fn what_was_against_it_is_told_for_as_long_as_its_share_may_show_it() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let specs: &[(u16, u32)] = &[(1, 10), (2, 10), (3, 10), (4, 10)];
    let servlet = Servlet::new(Arc::from("echo"), Policy::default(), &table(&[("", 1, specs)]), start);
    let why = |now| -> Vec<String> { servlet.views(now).into_iter().map(|view| view.why).collect() };
    let plain = "it takes calls by its weight";
    assert!(why(start).iter().all(|why| why == plain));

    let endpoint = servlet.snapshot().endpoints().next().unwrap().clone();
    endpoint.connect_failed(at(10), "connection refused");
    endpoint.connect_failed(at(11), "connection refused");
    assert!(endpoint.connected(at(14)));
    assert!(!endpoint.connected(at(15)));
    assert_eq!(why(at(16))[0], format!("{plain}; it was set aside once, for 4.0 s in all, until 2.0 s ago"));
    endpoint.connect_failed(at(20), "connection refused");
    let now = why(at(20)).remove(0);
    assert!(now.starts_with("the last connection to it failed") && !now.contains("it was"), "{now}");
    // By a good answer to the call that tries it.
    let mut picker = servlet.picker(3);
    let trial = loop {
        let lease = picker.pick(at(22), &[]).unwrap();
        if lease.endpoint().id() == endpoint.id() {
            break lease;
        }
    };
    assert!(trial.conclude(&Outcome::Grpc(Code::Ok), at(22)));
    let twice = format!("{plain}; it was set aside 2 times so far, for 6.0 s in all, until 600.0 s ago");
    assert_eq!(why(at(622)), [twice.as_str(), plain, plain, plain]);
    assert_eq!(why(at(623))[0], plain, "no share shows it any more");

    // The second is slow for a while.
    let call = |picker: &mut crate::servlet::Picker, second: u64, slow: bool| {
        let lease = picker.pick(at(second), &[]).unwrap();
        let takes = if slow && lease.endpoint().address().to_string().ends_with(":2") { 200 } else { 10 };
        lease.finish(&Outcome::Grpc(Code::Ok), at(second) + Duration::from_millis(takes));
    };
    (0..400).for_each(|_| call(&mut picker, 700, true));
    assert_eq!(servlet.views(at(700))[1].state, State::Penalised);
    assert!(why(at(700)).iter().all(|why| !why.contains("it was")));
    // Nobody calls: what was measured is forgotten.
    let (faded, told) =
        (servlet.views(at(800)).remove(1), format!("{plain}; it was held to be slower than its peers once, for "));
    assert_eq!(faded.state, State::Serving);
    assert!(faded.why.starts_with(&told), "{}", faded.why);
    (0..4_000).for_each(|turn| call(&mut picker, 801 + turn / 100, false));
    let views = servlet.views(at(845));
    assert_eq!(views[1].state, State::Serving);
    assert!(views[1].why.starts_with(&told) && views[1].why.ends_with(" s ago"), "{}", views[1].why);
    assert!(views[2].why == plain && views[0].why == plain);
}
