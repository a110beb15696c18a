//! Slow, failing, stuck, joining and returning endpoints.

use crate::ours::fair;
use crate::rivals::{Rule, rival};
use crate::table::sidecars;
use crate::world::{Kind, Report, Scenario, run};

const FOREVER: f64 = f64::INFINITY;

/// Of four, one 10 times slower: the most that it may get.
#[test]
fn a_slow_endpoint_is_shed() {
    for (load, most) in [(1.0, 0.04), (10.0, 0.03), (40.0, 0.02), (200.0, 0.02)] {
        for workers in [1, 4] {
            let base = Scenario::new(&[1; 4], load).slow(0, 10.0);
            let scenario = Scenario { calls: 40_000, warm_up: 10_000, workers, ..base };
            let ours = run(&scenario, fair);
            assert!(ours.share(0) <= most, "{load} in flight, {workers} workers: {:.3}", ours.share(0));
            for rule in [Rule::TwoChoice, Rule::PeakEwma, Rule::Envoy] {
                let (ours, theirs) = (ours.quantile(0.99), run(&scenario, rival(rule)).quantile(0.99));
                assert!(ours < theirs, "{load} in flight: p99 {ours:.0} ms, {rule:?} {theirs:.0} ms");
            }
        }
    }
}

/// What a slow or failing one loses goes to the others by their weights.
#[test]
fn the_others_keep_their_proportions() {
    for kind in [Kind::Slow(10.0), Kind::Slow(3.0), Kind::Fail] {
        for load in [1.0, 40.0, 200.0] {
            let base = Scenario::new(&[2, 6, 2, 1], load).trouble(0, 0.0, FOREVER, kind);
            let counts = run(&Scenario { calls: 60_000, warm_up: 20_000, ..base }, fair).counts();
            for (endpoint, weight) in [(1, 6.0), (2, 2.0)] {
                let error = counts[endpoint] as f64 / counts[3] as f64 / weight - 1.0;
                assert!(error.abs() <= 0.02, "{kind:?} at {load}: {:.2} %, {counts:?}", error * 100.0);
            }
        }
    }
}

#[test]
fn an_endpoint_twice_as_slow_gets_less_and_is_not_starved() {
    let scenario = Scenario { calls: 60_000, warm_up: 20_000, ..Scenario::new(&[1; 4], 10.0).slow(0, 2.0) };
    let share = run(&scenario, fair).share(0);
    assert!((0.05..0.235).contains(&share), "{share:.3}");
}

/// When nine of ten are slow, the tenth is not buried: its share stays near its weight's.
#[test]
fn the_one_that_is_left_is_not_buried() {
    let mut scenario = Scenario { calls: 40_000, warm_up: 10_000, ..Scenario::new(&[1; 10], 20.0) };
    for slow in 0..9 {
        scenario = scenario.slow(slow, 5.0);
    }
    let share = run(&scenario, fair).share(9);
    assert!((0.09..0.35).contains(&share), "{share:.3}");
}

#[test]
fn many_sidecars_do_not_pile_up() {
    let scenario = sidecars(200_000);
    let ours = run(&scenario, fair);
    let theirs = run(&scenario, rival(Rule::PeakEwma));
    assert!(ours.quantile(0.99) <= theirs.quantile(0.99), "p99 {} and {}", ours.quantile(0.99), theirs.quantile(0.99));
    assert!(ours.unevenness() <= 1.2, "{}", ours.unevenness());
}

#[test]
fn a_black_hole_attracts_nobody() {
    for load in [0.1, 1.0, 10.0, 40.0, 200.0] {
        for from in [0.0, 1.0] {
            let base = Scenario::new(&[1; 4], load).trouble(0, from, FOREVER, Kind::Fail);
            let scenario = Scenario { calls: 20_000, ..base };
            let share = run(&scenario, fair).share(0);
            assert!(share <= 1.1 * 0.25, "{load} in flight, from {from} s: {share:.3}");
        }
    }
}

/// At most twice the fair share in any 50 ms.
fn no_burst(report: &Report, endpoint: usize, from: f64, fair: f64, what: &str) {
    let most = report.most_in_window(endpoint, from, 0.05);
    assert!(most <= 2.0 * fair, "{what}: {most:.3} of the calls, fair is {fair:.3}");
}

/// A fourth joins three of weight 1 after a second.
pub(crate) fn joining(load: f64, weight: u32, workers: usize, seed: u64) -> Scenario {
    let mut scenario = Scenario::new(&[1; 4], load);
    scenario.weights[3] = None;
    scenario.tables = vec![(1.0, vec![Some(1), Some(1), Some(1), Some(weight)])];
    Scenario { calls: (load * 150.0) as usize, workers, seed, ..scenario }
}

#[test]
fn no_burst_to_one_that_joins() {
    for load in [40.0, 400.0] {
        for workers in [1, 8] {
            for (weight, seed) in [(1, 1), (1, 2), (1, 3), (3, 1), (3, 2), (3, 3)] {
                let report = run(&joining(load, weight, workers, seed), fair);
                let share = f64::from(weight) / f64::from(3 + weight);
                no_burst(&report, 3, 1.0, share, &format!("join at {load}, {workers} workers, weight {weight}"));
                let run = report.longest_run(3, 1.0, 1.05);
                // An even order gives it its weight in calls between two of another; each worker has its own order.
                let most = if workers == 1 { weight as usize + 1 } else { weight as usize + 7 };
                assert!(run <= most, "{run} calls in a row at {load}, {workers} workers, weight {weight}, seed {seed}");
            }
        }
    }
}

#[test]
fn no_burst_to_one_that_recovers_or_was_stuck() {
    for (kind, to) in [(Kind::Slow(10.0), 2.0), (Kind::Stall, 1.2), (Kind::Stall, 2.0), (Kind::Fail, 2.0)] {
        for load in [40.0, 400.0] {
            for workers in [1, 8] {
                let base = Scenario::new(&[1; 4], load).trouble(0, 1.0, to, kind);
                let scenario = Scenario { calls: (load * 100.0 * (to + 1.0)) as usize, workers, ..base };
                let report = run(&scenario, fair);
                no_burst(&report, 0, to, 0.25, &format!("{kind:?} until {to} s at {load}, {workers} workers"));
            }
        }
    }
}

#[test]
fn one_that_recovers_gets_its_share_again() {
    let base = Scenario::new(&[1; 4], 10.0).trouble(0, 0.0, 20.0, Kind::Slow(10.0));
    let scenario = Scenario { calls: 200_000, warm_up: 150_000, ..base };
    let share = run(&scenario, fair).share(0);
    assert!((0.24..0.26).contains(&share), "two minutes after: {share:.3}");
}
