//! Shares follow the weights when endpoints are equally fast.

use crate::ours::fair;
use crate::world::{Arrivals, Scenario, Service, run};

pub(crate) const TABLES: [&[u32]; 4] =
    [&[5, 2], &[3, 2, 1], &[100, 1], &[100, 100, 100, 100, 100, 100, 100, 100, 100, 10]];

/// The contract's figure, relative to the share.
const MOST: f64 = 0.01;
/// An order starts and ends within a call or two of the exact share, and each worker has one: so many calls to the lightest endpoint
/// keep that error of the meter well below the figure.
const FEWEST_TO_THE_LIGHTEST: f64 = 400.0;
const FEWEST_BY_EIGHT_WORKERS: f64 = 900.0;
/// And so many in all, by which an endpoint that chance made look slow for a while has made up for it.
const FEWEST_CALLS: f64 = 40_000.0;

fn holds(scenario: Scenario) {
    let weights: Vec<u32> = scenario.weights.iter().flatten().copied().collect();
    let lightest = f64::from(*weights.iter().min().unwrap()) / f64::from(weights.iter().sum::<u32>());
    let fewest = if scenario.workers == 1 { FEWEST_TO_THE_LIGHTEST } else { FEWEST_BY_EIGHT_WORKERS };
    let scenario = Scenario { calls: (fewest / lightest).max(FEWEST_CALLS) as usize, ..scenario };
    let report = run(&scenario, fair);
    let error = report.worst_error(&weights);
    assert!(
        error <= MOST,
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
    for weights in TABLES {
        for load in [0.01, 1.0, 10.0, 40.0, 200.0] {
            for seed in [1, 2, 3] {
                holds(Scenario { seed, ..Scenario::new(weights, load) });
            }
        }
    }
}

#[test]
fn within_one_percent_with_uneven_service() {
    for weights in TABLES {
        for service in Service::ALL {
            for load in [1.0, 40.0] {
                for seed in [4, 5] {
                    holds(Scenario { service, seed, ..Scenario::new(weights, load) });
                }
            }
        }
    }
}

#[test]
fn within_one_percent_with_many_workers_and_bursts() {
    for (workers, arrivals) in [(2, Arrivals::Poisson), (8, Arrivals::Poisson), (8, Arrivals::Bursts(16))] {
        for service in [Service::Exponential, Service::Bimodal] {
            for weights in TABLES {
                for seed in [7, 8] {
                    holds(Scenario { workers, arrivals, service, seed, ..Scenario::new(weights, 40.0) });
                }
            }
        }
    }
}

#[test]
fn a_thousand_random_weights_within_five_calls() {
    for seed in [1, 2, 3] {
        let mut chance = telamon::balance::SplitMix::new(seed);
        let weights: Vec<u32> = (0..1000).map(|_| 1 + (chance.unit() * 100.0) as u32).collect();
        let scenario = Scenario { calls: 100_000, seed, ..Scenario::new(&weights, 40.0) };
        let counts = run(&scenario, fair).counts();
        let total: u32 = weights.iter().sum();
        for (count, weight) in counts.into_iter().zip(weights) {
            let fair = f64::from(weight) / f64::from(total) * 100_000.0;
            assert!((count as f64 - fair).abs() <= 5.0, "seed {seed}, weight {weight}: {count} instead of {fair:.1}");
        }
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
