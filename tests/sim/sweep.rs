//! The rows of the contract that are about shares and joining, over many seeds: what is measured, told apart from the meter's own
//! error. Printed by `just sim`.

use crate::ours::fair;
use crate::shares::TABLES;
use crate::trouble::joining;
use crate::world::{Arrivals, Scenario, Service, run};

/// Twenty seeds of so many calls; with more calls, fewer.
const CALLS: [usize; 3] = [30_000, 120_000, 480_000];
const SEEDS: usize = 20;

/// An error of the rule stays when the calls are more; one of the meter (a call or two for each worker's order, wherever it stood
/// at the first and at the last call) goes down with their number.
#[test]
#[ignore = "prints the distribution of share errors; run by `just sim`"]
fn table_of_share_errors() {
    println!("{:<36}{:>10}{:>28}{:>12}{:>12}", "worst of the tables and loads", "calls", "arrivals", "median", "worst");
    for (workers, arrivals) in [(1, Arrivals::Poisson), (8, Arrivals::Poisson), (8, Arrivals::Bursts(16))] {
        for service in [Service::Exponential, Service::Bimodal, Service::Pareto] {
            for calls in CALLS {
                let seeds = (SEEDS * CALLS[0] / calls).max(2) as u64;
                let (mut median, mut worst) = (0.0_f64, 0.0_f64);
                for weights in TABLES {
                    for load in [1.0, 10.0, 40.0, 200.0] {
                        let base = Scenario { calls, workers, arrivals, service, ..Scenario::new(weights, load) };
                        let error = |seed| run(&Scenario { seed, ..base.clone() }, fair).worst_error(weights);
                        let mut errors: Vec<f64> = (1..=seeds).map(error).collect();
                        errors.sort_by(f64::total_cmp);
                        median = median.max(errors[errors.len() / 2]);
                        worst = errors.last().copied().unwrap_or(0.0).max(worst);
                    }
                }
                let case = format!("{service:?}, {workers} workers");
                let arrivals = format!("{arrivals:?}");
                println!("{case:<36}{calls:>10}{arrivals:>28}{:>10.2} %{:>10.2} %", median * 100.0, worst * 100.0);
            }
        }
    }
}

#[test]
#[ignore = "prints the distribution of the longest runs to a joiner; run by `just sim`"]
fn table_of_joiners() {
    println!(
        "longest run of calls in the 50 ms after joining, the same 200 ms later, most of fair in 50 ms; of 60 seeds"
    );
    for (load, weight) in [(40.0, 1), (40.0, 3), (400.0, 1), (400.0, 3)] {
        let (mut joining_runs, mut later_runs, mut most) = ([0; 12], [0; 12], 0.0_f64);
        for seed in 1..=60 {
            let report = run(&joining(load, weight, 1, seed), fair);
            joining_runs[report.longest_run(3, 1.0, 1.05).min(11)] += 1;
            later_runs[report.longest_run(3, 1.2, 1.25).min(11)] += 1;
            most = most.max(report.most_in_window(3, 1.0, 0.05) * f64::from(3 + weight) / f64::from(weight));
        }
        println!("L {load}, weight {weight}: {joining_runs:?}, {later_runs:?}, {most:.2}");
    }
}
