//! The comparison, printed: `just sim`.

use crate::ours::{fair, round_robin};
use crate::rivals::{Rule, rival};
use crate::world::{Kind, Report, Scenario, run};

const COLUMNS: [&str; 6] = ["fair", "two-choice", "Envoy", "weighted rr", "peak-EWMA", "distinct pairs"];

fn columns(scenario: &Scenario, figure: impl Fn(&Report) -> String) -> Vec<String> {
    let rivals = [Rule::TwoChoice, Rule::Envoy, Rule::RoundRobin, Rule::PeakEwma, Rule::PeakEwmaDistinct];
    let mut cells = vec![figure(&run(scenario, fair))];
    cells.extend(rivals.map(|rule| figure(&run(scenario, rival(rule)))));
    cells
}

fn print(case: &str, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>18}")).collect();
    println!("{case:<52}{}", cells.join(""));
}

pub(crate) fn tail(report: &Report) -> String {
    format!("{:.0} / {:.0}", report.quantile(0.99), report.quantile(0.999))
}

/// 50 processes, ten endpoints of 10 slots each at 70 % of the speed there is, one of them 3 times slower.
pub(crate) fn sidecars(calls: usize) -> Scenario {
    let capacity = 10.0 * (9.0 + 1.0 / 3.0);
    Scenario {
        slots: 10,
        clients: 50,
        calls,
        warm_up: calls / 3,
        ..Scenario::new(&[1; 10], 0.7 * capacity).slow(0, 3.0)
    }
}

#[test]
#[ignore = "prints the comparison; run by `just sim`"]
fn table() {
    let calls = 200_000;
    print("", &COLUMNS.map(str::to_owned));
    let mut worst = vec![0.0_f64; COLUMNS.len()];
    for weights in [&[5, 2][..], &[3, 2, 1], &[100, 1], &[100, 100, 100, 100, 100, 100, 100, 100, 100, 10]] {
        for load in [0.01, 1.0, 4.0, 16.0, 40.0] {
            let scenario = Scenario { calls, ..Scenario::new(weights, load) };
            let errors = columns(&scenario, |report| report.worst_error(weights).to_string());
            for (worst, error) in worst.iter_mut().zip(errors) {
                *worst = worst.max(error.parse().unwrap());
            }
        }
    }
    print("worst share error, L <= 40", &worst.iter().map(|w| format!("{:.2} %", w * 100.0)).collect::<Vec<_>>());
    for load in [1.0, 40.0] {
        let scenario = Scenario { calls, warm_up: calls / 4, ..Scenario::new(&[1; 4], load) }.slow(0, 10.0);
        print(
            &format!("one of four 10 x slower, L = {load}: share, p99 ms"),
            &columns(&scenario, |report| format!("{:.3}, {:.0}", report.share(0), report.quantile(0.99))),
        );
    }
    let scenario = Scenario { calls, warm_up: calls / 4, ..Scenario::new(&[1; 4], 10.0) }.slow(0, 2.0);
    print("one of four 2 x slower, L = 10: share", &columns(&scenario, |report| format!("{:.3}", report.share(0))));
    let scenario = sidecars(calls * 3);
    print("50 sidecars, 70 %, one 3 x slower: p99 / p99.9 ms", &columns(&scenario, tail));
    print("the same: utilisation max / average", &columns(&scenario, |report| format!("{:.2}", report.unevenness())));
    let scenario = Scenario { slots: 10, calls, warm_up: calls / 4, ..Scenario::new(&[1; 10], 90.0) };
    print("equal speed, 90 % load: p99 / p99.9 ms", &columns(&scenario, tail));
    for load in [1.0, 40.0] {
        let scenario = Scenario { calls, warm_up: calls / 4, ..Scenario::new(&[1; 4], load) };
        let scenario = scenario.trouble(0, 0.0, f64::INFINITY, Kind::Fail);
        print(
            &format!("a black hole among four (fair .25), L = {load}"),
            &columns(&scenario, |report| format!("{:.3}", report.share(0))),
        );
    }
    let join = vec![Some(1); 4];
    let mut scenario = Scenario { calls: 100_000, tables: vec![(1.0, join)], ..Scenario::new(&[1; 4], 400.0) };
    scenario.weights[3] = None;
    print(
        "join of a fourth, L = 400: longest run, most in 50 ms",
        &columns(&scenario, |report| {
            format!(
                "{}, {}, {:.2}",
                report.longest_run(3, 1.0, 1.05),
                report.longest_run(3, 1.0, 100.0),
                report.most_in_window(3, 1.0, 0.05)
            )
        }),
    );
}

#[test]
fn our_round_robin_is_the_weighted_order() {
    let scenario = Scenario { calls: 5_000, ..Scenario::new(&[5, 2], 40.0) }.slow(0, 10.0);
    let report = run(&scenario, round_robin);
    assert!(report.worst_error(&[5, 2]) < 0.002, "{:?}", report.counts());
}
