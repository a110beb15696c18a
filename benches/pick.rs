//! What a pick and its finish cost: a whole lease through a picker, and the order alone.
//!
//! Prints nanoseconds; the figures to hold are 150 ns at 100 endpoints and 250 ns at 10,000 with 30 % passed over.
#![allow(clippy::indexing_slicing, reason = "a benchmark over its own fixed arrays")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use telamon::balance::{Candidate, Order, Policy, Pool, SplitMix, Stats};
use telamon::model::{Address, Code, EndpointSpec, Outcome, Table};
use telamon::servlet::{Lease, Picker, Servlet};

const ROUNDS: u32 = 2_000_000;
const RUNS: usize = 5;
/// Calls in flight all the while, as many as give each endpoint something to compare.
const IN_FLIGHT: usize = 64;

fn main() {
    println!("{:<44}{:>10}{:>10}{:>10}", "ns a pick and finish, best of 5", "3", "100", "10,000");
    let sizes = [3, 100, 10_000];
    print("four atomic additions, to compare with", [best(four_additions); 3]);
    print("order and statistics alone", sizes.map(|size| best(|| order(size, 0.0))));
    print("order and statistics alone, 30 % passed over", sizes.map(|size| best(|| order(size, 0.3))));
    print("lease through a picker", sizes.map(|size| best(|| alone(&servlet(size, 0.0)))));
    print("lease through a picker, 30 % passed over", sizes.map(|size| best(|| alone(&servlet(size, 0.3)))));
    print("the same, two workers at once", sizes.map(|size| best(|| contended(&servlet(size, 0.3)))));
}

fn print(case: &str, figures: [f64; 3]) {
    println!("{case:<44}{:>10.0}{:>10.0}{:>10.0}", figures[0], figures[1], figures[2]);
}

fn best(mut run: impl FnMut() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// What no lease can do without: what it counts, in cache.
fn four_additions() -> f64 {
    let counts = [const { AtomicU64::new(0) }; 4];
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(&counts).iter().for_each(|count| _ = count.fetch_add(1, Relaxed));
    }
    start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

fn weights(size: usize) -> impl Iterator<Item = u32> {
    let mut chance = SplitMix::new(1);
    (0..size).map(move |_| 1 + (chance.unit() * 10.0) as u32)
}

struct Plain(Stats);

impl Candidate for Plain {
    fn stats(&self) -> &Stats {
        &self.0
    }

    fn ready_at(&self) -> u64 {
        0
    }
}

/// `busy`: the part of the endpoints that holds far more calls than its weight explains.
fn order(size: usize, busy: f64) -> f64 {
    let pool = Pool::new();
    let all: Vec<Plain> = weights(size).map(|_| Plain(Stats::new())).collect();
    all.iter().zip(weights(size)).for_each(|(plain, weight)| pool.admit(&plain.0, weight));
    let mut order = Order::new(Policy::FairLeastRequest, 1);
    order.rebuild(Policy::FairLeastRequest, weights(size).map(|weight| (None, weight)));
    let mut held = vec![0; IN_FLIGHT];
    for slot in &mut held {
        *slot = order.pick(&pool, &all, 1, |_| false).unwrap_or(0);
        all[*slot].0.begin(&pool);
    }
    for plain in all.iter().take((size as f64 * busy) as usize) {
        (0..10).for_each(|_| _ = plain.0.begin(&pool));
    }
    let start = Instant::now();
    for round in 0..ROUNDS {
        let now = u64::from(round) * 1_000;
        let slot = &mut held[round as usize % IN_FLIGHT];
        all[*slot].0.end_good(&pool, 0.01, 0.01_f64.ln(), now);
        *slot = order.pick(&pool, &all, now, |_| false).unwrap_or(0);
        all[*slot].0.begin(&pool);
    }
    start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

struct Stage {
    servlet: Arc<Servlet>,
    start: Instant,
    _busy: Vec<Lease>,
}

fn servlet(size: usize, busy: f64) -> Stage {
    let start = Instant::now();
    let spec = |(port, weight): (usize, u32)| EndpointSpec {
        address: Address::Tcp(([127, 0, 0, 1], 1000 + port as u16).into()),
        weight,
    };
    let table = Table::flat(weights(size).enumerate().map(spec).collect());
    let servlet = Servlet::new(Arc::from("bench"), Policy::FairLeastRequest, &table, start);
    // Busy endpoints get there as real ones do: when they were the whole table, calls went to them and have not ended yet.
    let busy = (size as f64 * busy) as usize;
    let mut held = Vec::new();
    if busy > 0 {
        let only = Table::flat(table.endpoints().take(busy).cloned().collect());
        servlet.apply(&only, start);
        let mut picker = servlet.picker(9);
        held.extend((0..busy * 10).filter_map(|_| picker.pick(start, &[]).ok()));
        servlet.apply(&table, start);
    }
    Stage { servlet, start, _busy: held }
}

fn rounds(picker: &mut Picker, start: Instant, rounds: u32) {
    let outcome = Outcome::Grpc(Code::Ok);
    let mut held: Vec<Option<Lease>> = (0..IN_FLIGHT).map(|_| picker.pick(start, &[]).ok()).collect();
    for round in 0..rounds {
        let now = start + Duration::from_micros(u64::from(round));
        let slot = &mut held[round as usize % IN_FLIGHT];
        if let Some(mut lease) = slot.take() {
            lease.head_arrived(now);
            lease.finish(&outcome, now);
        }
        *slot = black_box(picker.pick(now, &[]).ok());
    }
}

fn leases(servlet: &Arc<Servlet>, epoch: Instant, seed: u64) -> f64 {
    let mut picker = servlet.picker(seed);
    let start = Instant::now();
    rounds(&mut picker, epoch, ROUNDS);
    start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

fn alone(stage: &Stage) -> f64 {
    leases(&stage.servlet, stage.start, 1)
}

fn contended(stage: &Stage) -> f64 {
    let (servlet, start) = (&stage.servlet, stage.start);
    thread::scope(|scope| {
        let threads = [1, 2].map(|seed| scope.spawn(move || leases(servlet, start, seed)));
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}
