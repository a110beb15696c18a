//! What the workers of a process know together: calls in flight, and how much slower than its peers an endpoint is.
//!
//! Relaxed atomics. Counts are exact; a statistic may lose a sample when two workers finish at once. The estimate of slowness is
//! paired: each latency is taken against the pool's of the moment, so that a slow hour slows nobody's share. It leans towards
//! believing that an endpoint is fine: a penalty needs evidence well above the noise.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{Past, Spells};

/// How far above the pool counts as slower at all: ln 1.5.
const DEAD_ZONE: f64 = 0.405_465_108_108_164_4;
/// Each unit of slowness above the dead zone costs e^-3: a smaller exponent leaves too much on the slow one.
const STEEPNESS: f64 = 3.0;
/// The share that is left is never below this part, so that a recovery is noticed.
const FLOOR: f64 = 0.03;
/// What was measured is forgotten with a time constant of 30 s, in ticks; quicker makes a slow endpoint be tried again too often.
const MEMORY_TICKS: f64 = MEMORY_NANOS / (1_u64 << TICK_BITS) as f64;
const MEMORY_NANOS: f64 = 30e9;
/// When an endpoint was last measured is known in ticks of 2^27 ns, an eighth of a second: 31 bits of them are nine years.
const TICK_BITS: u32 = 27;
/// The lowest bit of [`Stats::state`]: held to be slower than its peers. Above it is the tick.
const PENALISED: u32 = 1;
/// Samples before an opinion is formed.
const FEWEST_SAMPLES: f64 = 8.0;
/// A penalty begins this many standard errors above the pool: at 1,000 endpoints, fewer would punish the unlucky.
const SURENESS: f64 = 4.0;
/// What the variance is held to be while little is known of it: above the pi^2 / 6 of exponential service. At 1, one start in ten at
/// 200 calls in flight shed an endpoint that was only unlucky.
const FIRST_VARIANCE: f64 = 2.0;
/// Weight that is shed is counted in whole parts of this size of a unit of weight.
const SHED_UNITS: f64 = 1024.0;
/// Good calls that the mean latency is over.
const LATENCY_WINDOW: u64 = 100;
/// How long a failed call holds its place while no good call has told how long one takes.
const ASSUMED_LATENCY: f64 = 0.1;

/// An f64 in an atomic.
#[derive(Debug, Default)]
struct Real(AtomicU64);

impl Real {
    fn new(value: f64) -> Real {
        Real(AtomicU64::new(value.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }
}

/// Statistics over the endpoints that are compared with each other: one pool a group. On cache lines of its own, because every
/// worker writes the count.
#[derive(Debug)]
#[repr(align(128))]
pub struct Pool {
    in_flight: AtomicU64,
    /// The sums of what is counted in [`Stats::counted`] and [`Stats::shed`]; they wrap while two workers are between their halves
    /// of a change.
    penalised: AtomicU64,
    shed: AtomicU64,
    /// Failed calls that still hold a place somewhere, as of `ghosts_at`: the sum of the endpoints'.
    ghosts: Real,
    ghosts_at: AtomicU64,
    /// Moving averages of good calls: their latency in seconds, its logarithm, and the variance of one sample about it.
    latency: Real,
    log_latency: Real,
    variance: Real,
    /// Up to as many as matter.
    samples: AtomicU64,
    id: u32,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool::new()
    }
}

impl Pool {
    pub fn new() -> Pool {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Pool {
            in_flight: AtomicU64::new(0),
            penalised: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            ghosts: Real::new(0.0),
            ghosts_at: AtomicU64::new(0),
            latency: Real::new(0.0),
            log_latency: Real::new(0.0),
            variance: Real::new(FIRST_VARIANCE),
            samples: AtomicU64::new(0),
            id: NEXT.fetch_add(1, Relaxed),
        }
    }

    /// Calls in flight on all endpoints of the pool.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// The weight of the endpoints that are held to be slow.
    pub fn penalised_weight(&self) -> u64 {
        self.penalised.load(Relaxed)
    }

    /// The part of `total` that is left when the shares that slow endpoints lose are taken off.
    pub(super) fn remaining_weight(&self, total: f64) -> f64 {
        let shed = self.shed.load(Relaxed);
        if shed == 0 || self.penalised_weight() as f64 > total / 2.0 {
            return total;
        }
        // Never below half, which is what the penalised may be at most.
        (total - shed as f64 / SHED_UNITS).max(total / 2.0)
    }

    /// Calls in flight, and failed ones that still hold a place.
    pub(super) fn load(&self, now: u64) -> f64 {
        self.in_flight() as f64 + self.fade(self.ghosts.get(), &self.ghosts_at, now)
    }

    /// What is left at `now` of so many ghosts that there were at `at`.
    fn fade(&self, ghosts: f64, at: &AtomicU64, now: u64) -> f64 {
        if ghosts < 1e-3 {
            return 0.0;
        }
        let since = now.saturating_sub(at.load(Relaxed)) as f64 / 1e9;
        ghosts * (-since / self.typical_latency()).exp()
    }

    /// Makes an endpoint a member with this weight, or changes its weight. Leaving another pool comes first.
    pub fn admit(&self, stats: &Stats, weight: u32) {
        stats.pool.store(self.id, Relaxed);
        stats.weight.store(weight, Relaxed);
        stats.count_penalty(self);
    }

    /// Ends a membership: calls that are still in flight end without a trace in the statistics.
    pub fn dismiss(&self, stats: &Stats) {
        stats.pool.store(0, Relaxed);
        stats.weight.store(0, Relaxed);
        stats.count_penalty(self);
    }

    /// What a good call takes, in seconds.
    fn typical_latency(&self) -> f64 {
        let latency = self.latency.get();
        if latency > 0.0 { latency } else { ASSUMED_LATENCY }
    }

    /// Takes in one latency and its logarithm, and returns how far that is from the pool's.
    fn learn(&self, latency: f64, log: f64) -> f64 {
        let samples = self.samples.load(Relaxed) + 1;
        if samples <= LATENCY_WINDOW {
            self.samples.store(samples, Relaxed);
        }
        let mean = self.latency.get();
        self.latency.set(mean + (latency - mean) / samples.min(LATENCY_WINDOW) as f64);
        let centre = self.log_latency.get();
        let centre = centre + (log - centre) / samples.min(32) as f64;
        self.log_latency.set(centre);
        let residual = log - centre;
        let variance = self.variance.get();
        self.variance.set(variance + (residual * residual - variance) / 256.0);
        residual
    }
}

/// Statistics of one endpoint. They outlive a change of the table.
///
/// What every call touches comes first and fits 40 bytes: with many endpoints, the lines fetched are what a call costs.
#[derive(Debug)]
#[repr(C)]
pub struct Stats {
    /// Calls begun and calls over. One step each; what is between them is in flight.
    begun: AtomicU64,
    ended: AtomicU64,
    /// An [`Estimate`].
    estimate: AtomicU64,
    /// The tick of the estimate, and [`PENALISED`].
    state: AtomicU32,
    /// The pool's id, 0 for none, and the weight there.
    pool: AtomicU32,
    weight: AtomicU32,
    /// Failed calls that still hold a place, as of `ghosts_at`: the bits of an f32.
    ghosts: AtomicU32,
    ghosts_at: AtomicU64,
    /// What it adds to [`Pool::penalised`]; swapped whole, so that the sum stays exact whoever races.
    counted: AtomicU64,
    /// The same for [`Pool::shed`].
    shed: AtomicU64,
    /// When it was held to be slower than its peers.
    slow: Spells,
}

/// How slow an endpoint is, as far as one knows. Both halves are read and written as one.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    /// Mean distance of the logarithm of its latency from the pool's, and the samples in it.
    delta: f32,
    samples: f32,
}

impl Estimate {
    fn from_bits(bits: u64) -> Estimate {
        Estimate { delta: f32::from_bits((bits >> 32) as u32), samples: f32::from_bits(bits as u32) }
    }

    fn to_bits(self) -> u64 {
        (u64::from(self.delta.to_bits()) << 32) | u64::from(self.samples.to_bits())
    }
}

impl Default for Stats {
    fn default() -> Stats {
        Stats::new()
    }
}

impl Stats {
    pub fn new() -> Stats {
        Stats {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            estimate: AtomicU64::new(Estimate { delta: 0.0, samples: 0.0 }.to_bits()),
            state: AtomicU32::new(0),
            pool: AtomicU32::new(0),
            weight: AtomicU32::new(0),
            ghosts: AtomicU32::new(0.0_f32.to_bits()),
            ghosts_at: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            slow: Spells::default(),
        }
    }

    pub fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Relaxed);
        self.begun().saturating_sub(ended)
    }

    /// Calls counted in so far.
    pub fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Whether it is held to be slower than its peers.
    pub fn is_penalised(&self) -> bool {
        self.state.load(Relaxed) & PENALISED != 0
    }

    /// When it was that, if it is not any more: what nobody measures is forgotten in time.
    pub fn was_penalised(&self, now: u64) -> Option<Past> {
        let faded = self.is_penalised().then(|| faded(self.state.load(Relaxed), self.estimate()));
        self.slow.past(now, faded)
    }

    /// How many times as long as the pool's its calls take, as far as that is remembered at `now`.
    pub fn slowness(&self, now: u64) -> f64 {
        (f64::from(self.estimate().delta) * remembered(self.state.load(Relaxed), now)).exp()
    }

    /// Counts a call in, on the endpoint and on the pool. Returns how many were begun before it.
    pub fn begin(&self, pool: &Pool) -> u64 {
        pool.in_flight.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed)
    }

    /// Counts a call out, with no word about how it went. Returns how many were in flight with it.
    pub fn end(&self, pool: &Pool) -> u64 {
        pool.in_flight.fetch_sub(1, Relaxed);
        let ended = self.ended.fetch_add(1, Relaxed);
        self.begun().saturating_sub(ended)
    }

    /// Counts a call out that went well after `latency` seconds, of which `log` is the natural logarithm.
    pub fn end_good(&self, pool: &Pool, latency: f64, log: f64, now: u64) {
        let window = 4.0 * self.end(pool) as f64;
        if self.pool.load(Relaxed) != pool.id {
            return;
        }
        let residual = pool.learn(latency, log);
        let state = self.state.load(Relaxed);
        let penalised = state & PENALISED != 0;
        let (most, quickest) = if penalised { (32.0, 32.0) } else { (128.0, 64.0) };
        let before = self.estimate();
        let samples = (f64::from(before.samples) * remembered(state, now) + 1.0).min(f64::max(most, window));
        let delta = f64::from(before.delta);
        let delta = delta + (residual - delta) / samples.min(f64::max(quickest, window));
        self.estimate.store(Estimate { delta: delta as f32, samples: samples as f32 }.to_bits(), Relaxed);
        let threshold = if penalised || delta <= DEAD_ZONE {
            DEAD_ZONE
        } else {
            (SURENESS * SURENESS * pool.variance.get() / samples).sqrt().max(DEAD_ZONE)
        };
        let slow = samples >= FEWEST_SAMPLES && delta > threshold;
        let next = tick(now) << 1 | u32::from(slow);
        if next != state {
            self.state.store(next, Relaxed);
        }
        if slow || penalised {
            self.count_penalty(pool);
            match (penalised, slow) {
                (false, _) => self.slow.begin(now),
                (true, false) => self.slow.end(now.min(faded(state, before))),
                (true, true) => {}
            }
        }
    }

    /// Counts a call out that failed: it holds its place for about as long as a good one would have, so that failing at once
    /// attracts no traffic.
    pub fn end_bad(&self, pool: &Pool, now: u64) {
        self.end(pool);
        let ghosts = self.ghosts(pool, now) + 1.0;
        self.ghosts.store((ghosts as f32).to_bits(), Relaxed);
        self.ghosts_at.store(now, Relaxed);
        pool.ghosts.set(pool.fade(pool.ghosts.get(), &pool.ghosts_at, now) + 1.0);
        pool.ghosts_at.store(now, Relaxed);
    }

    /// Failed calls that still hold a place.
    pub(super) fn ghosts(&self, pool: &Pool, now: u64) -> f64 {
        pool.fade(f64::from(f32::from_bits(self.ghosts.load(Relaxed))), &self.ghosts_at, now)
    }

    /// The part of its share that is left to it, from 0.03 to 1. `total` is the weight of all that may be chosen: when more than half
    /// of that is slow, nobody is, since shedding would bury the rest.
    pub fn factor(&self, pool: &Pool, total: f64, now: u64) -> f64 {
        let state = self.state.load(Relaxed);
        if state & PENALISED == 0 || pool.penalised_weight() as f64 > total / 2.0 {
            return 1.0;
        }
        part_left(f64::from(self.estimate().delta) * remembered(state, now))
    }

    fn estimate(&self) -> Estimate {
        Estimate::from_bits(self.estimate.load(Relaxed))
    }

    fn count_penalty(&self, pool: &Pool) {
        let weight = if self.is_penalised() { self.weight.load(Relaxed) } else { 0 };
        let counted = self.counted.swap(u64::from(weight), Relaxed);
        if u64::from(weight) != counted {
            pool.penalised.fetch_add(u64::from(weight).wrapping_sub(counted), Relaxed);
        }
        let lost = 1.0 - part_left(f64::from(self.estimate().delta));
        let shed = (f64::from(weight) * lost * SHED_UNITS) as u64;
        let counted = self.shed.swap(shed, Relaxed);
        if shed != counted {
            pool.shed.fetch_add(shed.wrapping_sub(counted), Relaxed);
        }
    }
}

/// The tick of a time in nanoseconds of the epoch.
fn tick(now: u64) -> u32 {
    (now >> TICK_BITS) as u32 & (u32::MAX >> 1)
}

/// The part of an estimate of this state that is remembered at `now`.
fn remembered(state: u32, now: u64) -> f64 {
    match tick(now).saturating_sub(state >> 1) {
        0 => 1.0,
        ticks => (-f64::from(ticks) / MEMORY_TICKS).exp(),
    }
}

/// When an estimate of this state is forgotten as far as it takes nothing from a share, in nanoseconds of the epoch.
fn faded(state: u32, estimate: Estimate) -> u64 {
    let lasts = MEMORY_NANOS * (f64::from(estimate.delta) / DEAD_ZONE).max(1.0).ln();
    (u64::from(state >> 1) << TICK_BITS).saturating_add(lasts as u64)
}

/// The part of its share that is left to one whose log latency is so far above the pool's.
fn part_left(delta: f64) -> f64 {
    let excess = delta - DEAD_ZONE;
    if excess <= 0.0 { 1.0 } else { (-STEEPNESS * excess).exp().max(FLOOR) }
}

#[cfg(test)]
mod tests;
