use super::*;

struct Plain {
    stats: Stats,
    ready_at: u64,
}

impl Candidate for Plain {
    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn ready_at(&self) -> u64 {
        self.ready_at
    }
}

const SECOND: u64 = 1_000_000_000;

fn stage(policy: Policy, weights: &[u32]) -> (Order, Pool, Vec<Plain>) {
    let pool = Pool::new();
    let plain = |weight: &u32| {
        let plain = Plain { stats: Stats::new(), ready_at: 0 };
        pool.admit(&plain.stats, *weight);
        plain
    };
    let candidates = weights.iter().map(plain).collect();
    let mut order = Order::new(policy, 11);
    order.rebuild(policy, weights.iter().map(|weight| (None, *weight)));
    (order, pool, candidates)
}

/// Picks and finishes at once, and counts who got how many.
fn counts(order: &mut Order, pool: &Pool, candidates: &[Plain], calls: usize) -> Vec<usize> {
    let mut counts = vec![0; candidates.len()];
    for _ in 0..calls {
        let index = order.pick(pool, candidates, SECOND, |_| false).unwrap();
        candidates[index].stats.begin(pool);
        candidates[index].stats.end_good(pool, 0.01, 0.01_f64.ln(), SECOND);
        counts[index] += 1;
    }
    counts
}

#[test]
fn calls_one_after_another_follow_the_weights_to_the_call() {
    for policy in Policy::ALL {
        let (mut order, pool, candidates) = stage(policy, &[5, 2, 1]);
        let counts = counts(&mut order, &pool, &candidates, 8_000);
        assert!(counts[0].abs_diff(5_000) <= 1 && counts[1].abs_diff(2_000) <= 1, "{policy:?}: {counts:?}");
    }
}

#[test]
fn more_in_flight_than_the_weight_explains_is_passed_over() {
    let (mut order, pool, candidates) = stage(Policy::FairLeastRequest, &[1, 1, 1, 1]);
    counts(&mut order, &pool, &candidates, 4);
    for _ in 0..8 {
        candidates[0].stats.begin(&pool);
    }
    assert_eq!(counts(&mut order, &pool, &candidates, 40)[0], 0);
    for _ in 0..8 {
        candidates[0].stats.end(&pool);
    }
    let back = counts(&mut order, &pool, &candidates, 400)[0];
    assert!((100..=100 + 17).contains(&back), "its share and at most 16 strides of credit: {back}");
}

#[test]
fn round_robin_is_blind_to_load() {
    let (mut order, pool, candidates) = stage(Policy::RoundRobin, &[1, 1]);
    for _ in 0..100 {
        candidates[0].stats.begin(&pool);
    }
    assert!(counts(&mut order, &pool, &candidates, 100)[0].abs_diff(50) <= 1);
}

#[test]
fn when_all_look_busy_the_least_busy_takes_it() {
    let (mut order, pool, candidates) = stage(Policy::FairLeastRequest, &[1, 1, 1]);
    counts(&mut order, &pool, &candidates, 3);
    for (candidate, ghosts) in candidates.iter().zip([9, 4, 7]) {
        for _ in 0..ghosts {
            candidate.stats.begin(&pool);
            candidate.stats.end_bad(&pool, SECOND);
        }
    }
    assert_eq!(order.pick(&pool, &candidates, SECOND, |_| false), Some(1));
}

#[test]
fn who_is_avoided_is_next_for_the_next_call() {
    let (mut order, pool, candidates) = stage(Policy::FairLeastRequest, &[1, 1, 1]);
    let mut twin = order.clone();
    let first = twin.pick(&pool, &candidates, SECOND, |_| false).unwrap();
    assert_ne!(order.pick(&pool, &candidates, SECOND, |index| index == first), Some(first));
    assert_eq!(order.pick(&pool, &candidates, SECOND, |_| false), Some(first));
    assert_eq!(order.pick(&pool, &candidates, SECOND, |_| true), None);
    assert!(order.pick(&pool, &candidates, SECOND, |_| false).is_some(), "they are all there again");
}

#[test]
fn who_is_not_ready_is_left_out_unless_nobody_is() {
    let (mut order, pool, mut candidates) = stage(Policy::FairLeastRequest, &[1, 1]);
    candidates[0].ready_at = 5 * SECOND;
    let told = order.refresh(&candidates, SECOND);
    assert_eq!(told, Availability { any: true, next: 5 * SECOND });
    assert_eq!(counts(&mut order, &pool, &candidates, 50), [0, 50]);
    candidates[1].ready_at = 3 * SECOND;
    assert_eq!(order.refresh(&candidates, SECOND), Availability { any: false, next: 3 * SECOND });
    assert!(counts(&mut order, &pool, &candidates, 50)[0].abs_diff(25) <= 1);
    assert_eq!(order.refresh(&candidates, 5 * SECOND), Availability { any: true, next: u64::MAX });
}

#[test]
fn a_list_that_does_not_fit_the_order_chooses_nobody_rather_than_panic() {
    let (mut order, pool, _) = stage(Policy::FairLeastRequest, &[1, 1]);
    assert_eq!(order.pick::<Plain>(&pool, &[], SECOND, |_| false), None);
}
