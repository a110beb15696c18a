use super::*;

const SECOND: u64 = 1_000_000_000;

/// Four endpoints of weight 10, 40 calls of 10 ms each; the first ones take `times` as long.
fn stage(slow: usize, times: f64) -> (Pool, Vec<Stats>) {
    let pool = Pool::new();
    let all: Vec<Stats> = (0..4).map(|_| Stats::new()).collect();
    all.iter().for_each(|stats| pool.admit(stats, 10));
    for call in 0..160 {
        let latency = if call % 4 < slow { 0.01 * times } else { 0.01 };
        call_once(&pool, &all[call % 4], latency);
    }
    (pool, all)
}

fn call_once(pool: &Pool, stats: &Stats, latency: f64) {
    stats.begin(pool);
    stats.end_good(pool, latency, latency.max(1e-9).ln(), SECOND);
}

#[test]
fn one_that_is_slower_than_its_peers_keeps_a_part_of_its_share() {
    let (pool, all) = stage(1, 10.0);
    assert!(all[0].is_penalised() && !all[1].is_penalised());
    assert_eq!(pool.penalised_weight(), 10);
    let factor = all[0].factor(&pool, 40.0, SECOND);
    assert!((FLOOR..0.1).contains(&factor), "{factor}");
    assert_eq!(all[1].factor(&pool, 40.0, SECOND), 1.0);
    assert!(all[0].factor(&pool, 40.0, SECOND + 300 * SECOND) > 0.99, "forgotten with time");
}

#[test]
fn all_slower_at_once_slows_nobody() {
    let (pool, all) = stage(4, 10.0);
    for stats in all.iter().cycle().take(400) {
        call_once(&pool, stats, 3.0);
    }
    assert!(all.iter().all(|stats| !stats.is_penalised()));
}

#[test]
fn when_most_are_slow_nobody_is_shed() {
    let (pool, all) = stage(1, 10.0);
    assert_eq!(all[0].factor(&pool, 19.0, SECOND), 1.0);
    assert!(all[0].factor(&pool, 20.0, SECOND) < 1.0);
}

#[test]
fn one_that_is_as_quick_again_is_trusted_again() {
    let (pool, all) = stage(1, 10.0);
    for stats in all.iter().cycle().take(600) {
        call_once(&pool, stats, 0.01);
    }
    assert!(!all[0].is_penalised());
    assert_eq!(pool.penalised_weight(), 0);
}

#[test]
fn a_failure_holds_its_place_as_long_as_a_good_call_would() {
    let (pool, all) = stage(0, 1.0);
    all[0].begin(&pool);
    all[0].end_bad(&pool, SECOND);
    assert_eq!((all[0].in_flight(), pool.in_flight()), (0, 0));
    assert_eq!(all[0].ghosts(&pool, SECOND), 1.0);
    let later = all[0].ghosts(&pool, SECOND + 10_000_000);
    assert!((later - (-1.0_f64).exp()).abs() < 0.01, "{later}");
    assert!(all[0].ghosts(&pool, 2 * SECOND) < 1e-6);
}

#[test]
fn a_call_that_says_nothing_moves_nothing() {
    let (pool, all) = stage(0, 1.0);
    let told = || format!("{pool:?} {:?} {:?} {}", all[0].estimate(), all[0].state, all[0].in_flight());
    let before = told();
    all[0].begin(&pool);
    assert_eq!(all[0].end(&pool), 1);
    assert_eq!(told(), before);
}

#[test]
fn one_that_left_the_pool_takes_its_penalty_along_and_leaves_no_trace() {
    let (pool, all) = stage(1, 10.0);
    all[0].begin(&pool);
    pool.dismiss(&all[0]);
    assert_eq!(pool.penalised_weight(), 0);
    let samples = pool.samples.load(Relaxed);
    all[0].end_good(&pool, 9.0, 9.0_f64.ln(), SECOND);
    assert_eq!((pool.samples.load(Relaxed), pool.in_flight()), (samples, 0));
}

/// Latencies of any kind leave numbers behind.
#[test]
fn odd_latencies_leave_numbers() {
    let (pool, all) = stage(0, 1.0);
    for latency in [0.0, 1e-300, 1e300, -1.0] {
        call_once(&pool, &all[0], latency);
    }
    let factor = all[0].factor(&pool, 40.0, 0);
    assert!((FLOOR..=1.0).contains(&factor), "{factor}");
    assert!(all[0].slowness(SECOND).is_finite());
}

#[test]
fn the_penalised_weight_is_exact_whoever_races() {
    let pool = Pool::new();
    let all: Vec<Stats> = (0..4).map(|_| Stats::new()).collect();
    all.iter().for_each(|stats| pool.admit(stats, 3));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (pool, all) = (&pool, &all);
            scope.spawn(move || {
                for round in 0..2_000_u32 {
                    let latency = if (round / 100 + thread).is_multiple_of(2) { 1.0 } else { 0.001 };
                    call_once(pool, &all[(round % 4) as usize], latency * f64::from(round % 4 + 1));
                    if round % 50 == 0 {
                        pool.admit(&all[(round % 3) as usize], round % 7);
                    }
                }
            });
        }
    });
    assert_eq!(pool.penalised_weight(), all.iter().map(|stats| stats.counted.load(Relaxed)).sum::<u64>());
    assert_eq!(pool.in_flight(), 0);
}
