//! The simulator: seeded, discrete events, callers that balance on one side and servers with their troubles on the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use telamon::balance::SplitMix;
use telamon::servlet::Lease;

/// Nanoseconds.
pub(crate) type Time = u64;

/// How long a call is worked on at speed 1; each has a mean of [`MEAN`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Service {
    Constant,
    Exponential,
    /// One in twenty takes 21 times as long.
    Bimodal,
    /// Tail exponent 1.5, cut at 100 times the mean.
    Pareto,
    /// Sigma 1.
    Lognormal,
}

pub(crate) const MEAN: f64 = 0.010;

impl Service {
    pub(crate) const ALL: [Service; 5] =
        [Service::Constant, Service::Exponential, Service::Bimodal, Service::Pareto, Service::Lognormal];

    fn draw(self, chance: &mut SplitMix) -> f64 {
        let u = 1.0 - chance.unit();
        MEAN * match self {
            Service::Constant => 1.0,
            Service::Exponential => -u.ln(),
            Service::Bimodal if u < 0.05 => 10.5,
            Service::Bimodal => 0.5,
            // The cut takes 1 - 1 / sqrt(300) of the mean away.
            Service::Pareto => (u.powf(-1.0 / 1.5) / 3.0).min(100.0) / 0.962,
            Service::Lognormal => {
                let angle = chance.unit() * std::f64::consts::TAU;
                ((-2.0 * u.ln()).sqrt() * angle.cos() - 0.5).exp()
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrivals {
    Poisson,
    /// So many at one instant, at Poisson times.
    Bursts(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Calls begun meanwhile take so many times as long.
    Slow(f64),
    /// Nothing is worked on.
    Stall,
    /// Answers with a failure after 0.2 ms.
    Fail,
}

/// What is wrong with an endpoint, when (in seconds).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) endpoint: usize,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) kind: Kind,
}

/// One run. `None` as a weight: not in the table.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) weights: Vec<Option<u32>>,
    /// Calls offered in flight: arrival rate times [`MEAN`].
    pub(crate) load: f64,
    pub(crate) service: Service,
    pub(crate) arrivals: Arrivals,
    /// How many calls an endpoint works on at once; the others queue.
    pub(crate) slots: usize,
    /// Processes, each seeing its own calls alone, and the workers in each.
    pub(crate) clients: usize,
    pub(crate) workers: usize,
    pub(crate) troubles: Vec<Trouble>,
    /// At so many seconds, another table.
    pub(crate) tables: Vec<(f64, Vec<Option<u32>>)>,
    pub(crate) calls: usize,
    /// The first calls, which are in no figure.
    pub(crate) warm_up: usize,
    pub(crate) seed: u64,
}

impl Scenario {
    pub(crate) fn new(weights: &[u32], load: f64) -> Scenario {
        Scenario {
            weights: weights.iter().map(|weight| Some(*weight)).collect(),
            load,
            service: Service::Exponential,
            arrivals: Arrivals::Poisson,
            slots: usize::MAX,
            clients: 1,
            workers: 1,
            troubles: Vec::new(),
            tables: Vec::new(),
            calls: 20_000,
            warm_up: 0,
            seed: 1,
        }
    }

    pub(crate) fn slow(self, endpoint: usize, times: f64) -> Scenario {
        self.trouble(endpoint, 0.0, f64::INFINITY, Kind::Slow(times))
    }

    pub(crate) fn trouble(mut self, endpoint: usize, from: f64, to: f64, kind: Kind) -> Scenario {
        self.troubles.push(Trouble { endpoint, from, to, kind });
        self
    }
}

/// What balances, for one process: the real thing or a rival.
pub(crate) trait Balancer {
    fn pick(&mut self, worker: usize, now: Time) -> (usize, Option<Lease>);
    fn finish(&mut self, worker: usize, endpoint: usize, lease: Option<Lease>, begun: Time, good: bool, now: Time);
    fn apply(&mut self, weights: &[Option<u32>], now: Time);
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Time and endpoint of every pick after the warm-up.
    pub(crate) picks: Vec<(Time, usize)>,
    /// Sorted.
    latencies: Vec<Time>,
    /// The time that each endpoint worked.
    pub(crate) busy: Vec<f64>,
    endpoints: usize,
}

impl Report {
    pub(crate) fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.endpoints];
        for (_, endpoint) in &self.picks {
            counts[*endpoint] += 1;
        }
        counts
    }

    pub(crate) fn share(&self, endpoint: usize) -> f64 {
        self.counts()[endpoint] as f64 / self.picks.len() as f64
    }

    /// A quantile of the latencies, in milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let rank = (quantile * self.latencies.len() as f64).ceil() as usize;
        self.latencies[rank.clamp(1, self.latencies.len()) - 1] as f64 / 1e6
    }

    /// The worst of the endpoints' relative distances from the share that its weight promises.
    pub(crate) fn worst_error(&self, weights: &[u32]) -> f64 {
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let errors = self.counts().into_iter().zip(weights).map(|(count, weight)| {
            let fair = f64::from(*weight) / total * self.picks.len() as f64;
            (count as f64 / fair - 1.0).abs()
        });
        errors.fold(0.0, f64::max)
    }

    /// The most of an endpoint's share in any window of this length that starts with one of its calls from `from` on.
    pub(crate) fn most_in_window(&self, endpoint: usize, from: f64, window: f64) -> f64 {
        let (from, window) = ((from * 1e9) as Time, (window * 1e9) as Time);
        let (mut end, mut own, mut worst) = (0, 0, 0.0_f64);
        for (start, (time, chosen)) in self.picks.iter().enumerate() {
            while end < self.picks.len() && self.picks[end].0 < time + window {
                own += usize::from(self.picks[end].1 == endpoint);
                end += 1;
            }
            if *time >= from && *chosen == endpoint && end < self.picks.len() {
                worst = worst.max(own as f64 / (end - start) as f64);
            }
            own -= usize::from(*chosen == endpoint);
        }
        worst
    }

    /// The longest run of calls to one endpoint.
    pub(crate) fn longest_run(&self, endpoint: usize, from: f64, to: f64) -> usize {
        let (mut run, mut longest) = (0, 0);
        let span = (from * 1e9) as Time..(to * 1e9) as Time;
        for (_, chosen) in self.picks.iter().filter(|(time, _)| span.contains(time)) {
            run = if *chosen == endpoint { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    }

    /// The busiest endpoint against the average.
    pub(crate) fn unevenness(&self) -> f64 {
        let most = self.busy.iter().copied().fold(0.0, f64::max);
        most * self.busy.len() as f64 / self.busy.iter().sum::<f64>()
    }
}

struct Call {
    client: usize,
    worker: usize,
    endpoint: usize,
    lease: Option<Lease>,
    begun: Time,
    counted: bool,
}

#[derive(Default)]
struct Server {
    working: usize,
    queue: VecDeque<Call>,
}

enum Event {
    Arrival,
    Table(usize),
    Done(Call),
    Failed(Call),
}

struct At(Time, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &At) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &At) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &At) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct World<'a> {
    scenario: &'a Scenario,
    clients: Vec<Box<dyn Balancer>>,
    servers: Vec<Server>,
    events: BinaryHeap<Reverse<At>>,
    serial: u64,
    chance: SplitMix,
    arrived: usize,
    report: Report,
}

/// Runs a scenario until its last call is over. `balancer` gets the number of the process.
pub(crate) fn run(scenario: &Scenario, mut balancer: impl FnMut(&Scenario, usize) -> Box<dyn Balancer>) -> Report {
    let endpoints = scenario.weights.len();
    let mut world = World {
        scenario,
        clients: (0..scenario.clients).map(|client| balancer(scenario, client)).collect(),
        servers: (0..endpoints).map(|_| Server::default()).collect(),
        events: BinaryHeap::new(),
        serial: 0,
        chance: SplitMix::new(scenario.seed),
        arrived: 0,
        report: Report { busy: vec![0.0; endpoints], endpoints, ..Report::default() },
    };
    for (index, (at, _)) in scenario.tables.iter().enumerate() {
        world.push((at * 1e9) as Time, Event::Table(index));
    }
    world.push(1, Event::Arrival);
    while let Some(Reverse(At(now, _, event))) = world.events.pop() {
        world.step(now, event);
    }
    world.report.latencies.sort_unstable();
    world.report
}

impl World<'_> {
    fn push(&mut self, at: Time, event: Event) {
        self.serial += 1;
        self.events.push(Reverse(At(at, self.serial, event)));
    }

    fn step(&mut self, now: Time, event: Event) {
        match event {
            Event::Table(index) => {
                for client in &mut self.clients {
                    client.apply(&self.scenario.tables[index].1, now);
                }
            }
            Event::Arrival => self.arrive(now),
            Event::Done(call) => {
                let endpoint = call.endpoint;
                self.finish(call, true, now);
                self.servers[endpoint].working -= 1;
                if let Some(next) = self.servers[endpoint].queue.pop_front() {
                    self.work(next, now);
                }
            }
            Event::Failed(call) => self.finish(call, false, now),
        }
    }

    fn arrive(&mut self, now: Time) {
        let at_once = match self.scenario.arrivals {
            Arrivals::Poisson => 1,
            Arrivals::Bursts(size) => size,
        };
        for _ in 0..at_once {
            self.call(now);
            self.arrived += 1;
        }
        if self.arrived < self.scenario.calls {
            let gap = MEAN / self.scenario.load * at_once as f64;
            let wait = -(1.0 - self.chance.unit()).ln() * gap;
            self.push(now + (wait * 1e9) as Time, Event::Arrival);
        }
    }

    fn call(&mut self, now: Time) {
        let client = (self.chance.unit() * self.scenario.clients as f64) as usize;
        // Squared: the first worker has several times as many connections as the last.
        let worker = (self.chance.unit().powi(2) * self.scenario.workers as f64) as usize;
        let (endpoint, lease) = self.clients[client].pick(worker, now);
        let counted = self.arrived >= self.scenario.warm_up;
        if counted {
            self.report.picks.push((now, endpoint));
        }
        let call = Call { client, worker, endpoint, lease, begun: now, counted };
        if self.trouble(endpoint, now, |kind| matches!(kind, Kind::Fail)).is_some() {
            self.push(now + 200_000, Event::Failed(call));
        } else if self.servers[endpoint].working < self.scenario.slots {
            self.work(call, now);
        } else {
            self.servers[endpoint].queue.push_back(call);
        }
    }

    fn work(&mut self, call: Call, now: Time) {
        let endpoint = call.endpoint;
        let times = match self.trouble(endpoint, now, |kind| matches!(kind, Kind::Slow(_))) {
            Some(Trouble { kind: Kind::Slow(times), .. }) => times,
            _ => 1.0,
        };
        let seconds = self.scenario.service.draw(&mut self.chance) * times;
        if call.counted {
            self.report.busy[endpoint] += seconds;
        }
        let mut end = now + (seconds * 1e9) as Time;
        for stall in self.scenario.troubles.iter().filter(|t| t.endpoint == endpoint && matches!(t.kind, Kind::Stall)) {
            let (from, to) = ((stall.from * 1e9) as Time, (stall.to * 1e9) as Time);
            if now < to && end > from {
                end += to - from.max(now);
            }
        }
        self.servers[endpoint].working += 1;
        self.push(end, Event::Done(call));
    }

    fn finish(&mut self, call: Call, good: bool, now: Time) {
        if call.counted && good {
            self.report.latencies.push(now - call.begun);
        }
        self.clients[call.client].finish(call.worker, call.endpoint, call.lease, call.begun, good, now);
    }

    fn trouble(&self, endpoint: usize, now: Time, wanted: impl Fn(Kind) -> bool) -> Option<Trouble> {
        let now = now as f64 / 1e9;
        let mut troubles = self.scenario.troubles.iter();
        troubles.find(|t| t.endpoint == endpoint && t.from <= now && now < t.to && wanted(t.kind)).copied()
    }
}
