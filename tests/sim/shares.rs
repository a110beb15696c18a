//! Shares follow the weights when endpoints are equally fast.

use crate::ours::fair;
use crate::world::{Arrivals, Scenario, Service, run};

const TABLES: [&[u32]; 4] = [&[5, 2], &[3, 2, 1], &[100, 1], &[100, 100, 100, 100, 100, 100, 100, 100, 100, 10]];

fn holds(scenario: &Scenario, bound: f64) {
    let weights: Vec<u32> = scenario.weights.iter().flatten().copied().collect();
    let report = run(scenario, fair);
    let error = report.worst_error(&weights);
    assert!(
        error <= bound,
        "{weights:?} at {} in flight, {:?}, {:?}, {} workers, seed {}: {:.2} %, {:?}",
        scenario.load,
        scenario.service,
        scenario.arrivals,
        scenario.workers,
        scenario.seed,
        error * 100.0,
        report.counts()
    );
}

#[test]
fn within_one_percent_at_any_load() {
    for (seed, weights) in TABLES.into_iter().enumerate() {
        for load in [0.01, 1.0, 10.0, 40.0, 200.0] {
            let scenario = Scenario { calls: 30_300, seed: seed as u64, ..Scenario::new(weights, load) };
            holds(&scenario, 0.01);
        }
    }
}

#[test]
fn within_one_percent_with_uneven_service() {
    for (seed, weights) in TABLES.into_iter().enumerate() {
        for service in Service::ALL {
            for load in [1.0, 40.0] {
                let scenario = Scenario { calls: 30_300, service, seed: seed as u64, ..Scenario::new(weights, load) };
                holds(&scenario, 0.01);
            }
        }
    }
}

#[test]
fn within_one_percent_with_many_workers_and_bursts() {
    for (workers, arrivals) in [(2, Arrivals::Poisson), (8, Arrivals::Poisson), (8, Arrivals::Bursts(16))] {
        for service in [Service::Exponential, Service::Bimodal] {
            for weights in TABLES {
                let base = Scenario::new(weights, 40.0);
                // Each worker's order errs by a call or two of its own, so the lightest needs some thousands of calls.
                let scenario = Scenario { calls: 101_000, workers, arrivals, service, ..base };
                holds(&scenario, 0.02);
            }
        }
    }
}

#[test]
fn a_thousand_random_weights_within_five_calls() {
    let mut chance = telamon::balance::SplitMix::new(5);
    let weights: Vec<u32> = (0..1000).map(|_| 1 + (chance.unit() * 100.0) as u32).collect();
    let scenario = Scenario { calls: 100_000, ..Scenario::new(&weights, 40.0) };
    let counts = run(&scenario, fair).counts();
    let total: u32 = weights.iter().sum();
    for (count, weight) in counts.into_iter().zip(weights) {
        let fair = f64::from(weight) / f64::from(total) * 100_000.0;
        assert!((count as f64 - fair).abs() <= 5.0, "weight {weight}: {count} instead of {fair:.1}");
    }
}

#[test]
fn a_reload_in_mid_run_takes_effect_and_keeps_the_shares() {
    for workers in [1, 8] {
        let after = vec![Some(1), Some(4), Some(0), Some(5)];
        let scenario = Scenario {
            weights: vec![Some(3), Some(2), Some(1), None],
            calls: 82_000,
            warm_up: 42_000,
            workers,
            tables: vec![(10.0, after)],
            ..Scenario::new(&[], 40.0)
        };
        let report = run(&scenario, fair);
        assert_eq!(report.counts()[2], 0, "a drained endpoint gets no new call");
        for (endpoint, share) in [(0, 0.1), (1, 0.4), (3, 0.5)] {
            let error = report.share(endpoint) / share - 1.0;
            assert!(error.abs() <= 0.01, "{endpoint}: {:.2} %", error * 100.0);
        }
    }
}
