//! The field's rules, from their descriptions, as what ours is measured against.

use telamon::balance::SplitMix;
use telamon::servlet::Lease;

use crate::world::{Balancer, Scenario, Time};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Two drawn by weight, each for itself, the one with less in flight for its weight.
    TwoChoice,
    /// Earliest deadline, where a turn costs (in flight + 1) / weight: Envoy's least request with unequal weights.
    Envoy,
    /// Smooth weighted round robin.
    RoundRobin,
    /// Two drawn by weight, each for itself, the one with the lower peak-sensitive mean latency times (in flight + 1).
    PeakEwma,
    /// The same over two that differ: the worst one is hardly ever chosen, whatever its weight.
    PeakEwmaDistinct,
}

/// Time constant of the latency mean: Finagle's and Linkerd's default.
const DECAY: f64 = 10.0;

#[derive(Clone)]
struct Endpoint {
    weight: f64,
    in_flight: f64,
    deadline: f64,
    latency: f64,
    latency_at: Time,
}

pub(crate) struct Rival {
    rule: Rule,
    endpoints: Vec<Endpoint>,
    clock: f64,
    chance: SplitMix,
}

pub(crate) fn rival(rule: Rule) -> impl Fn(&Scenario, usize) -> Box<dyn Balancer> {
    move |scenario, client| {
        let mut rival = Rival {
            rule,
            endpoints: Vec::new(),
            clock: 0.0,
            chance: SplitMix::new(scenario.seed.wrapping_mul(31) ^ client as u64),
        };
        rival.apply(&scenario.weights, 0);
        Box::new(rival)
    }
}

impl Rival {
    fn draw(&mut self) -> usize {
        let total: f64 = self.endpoints.iter().map(|endpoint| endpoint.weight).sum();
        let mut at = self.chance.unit() * total;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            at -= endpoint.weight;
            if at < 0.0 {
                return index;
            }
        }
        self.endpoints.len() - 1
    }

    fn better_of_two(&mut self, load: impl Fn(&Endpoint) -> f64) -> usize {
        let (a, mut b) = (self.draw(), self.draw());
        let tries = if self.rule == Rule::PeakEwmaDistinct { 8 } else { 0 };
        for _ in 0..tries {
            if a != b {
                break;
            }
            b = self.draw();
        }
        if load(&self.endpoints[b]) < load(&self.endpoints[a]) { b } else { a }
    }

    fn earliest(&mut self, price: impl Fn(&Endpoint) -> f64) -> usize {
        let with_weight = self.endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.weight > 0.0);
        let (index, _) = with_weight.min_by(|(_, a), (_, b)| a.deadline.total_cmp(&b.deadline)).unwrap();
        self.clock = self.endpoints[index].deadline;
        self.endpoints[index].deadline += price(&self.endpoints[index]);
        index
    }
}

impl Balancer for Rival {
    fn pick(&mut self, _: usize, now: Time) -> (usize, Option<Lease>) {
        let index = match self.rule {
            Rule::TwoChoice => self.better_of_two(|endpoint| endpoint.in_flight / endpoint.weight),
            Rule::Envoy => self.earliest(|endpoint| (endpoint.in_flight + 1.0) / endpoint.weight),
            Rule::RoundRobin => self.earliest(|endpoint| 1.0 / endpoint.weight),
            Rule::PeakEwma | Rule::PeakEwmaDistinct => self.better_of_two(|endpoint| {
                let since = (now - endpoint.latency_at) as f64 / 1e9;
                endpoint.latency * (-since / DECAY).exp() * (endpoint.in_flight + 1.0) / endpoint.weight
            }),
        };
        self.endpoints[index].in_flight += 1.0;
        (index, None)
    }

    fn finish(&mut self, _: usize, endpoint: usize, _: Option<Lease>, begun: Time, good: bool, now: Time) {
        let endpoint = &mut self.endpoints[endpoint];
        endpoint.in_flight -= 1.0;
        if good {
            let latency = (now - begun) as f64 / 1e9;
            let kept = (-((now - endpoint.latency_at) as f64 / 1e9) / DECAY).exp();
            endpoint.latency = latency.max(endpoint.latency * kept + latency * (1.0 - kept));
            endpoint.latency_at = now;
        }
    }

    fn apply(&mut self, weights: &[Option<u32>], _: Time) {
        for (index, weight) in weights.iter().enumerate() {
            let weight = f64::from(weight.unwrap_or(0));
            match self.endpoints.get_mut(index) {
                Some(endpoint) => {
                    if endpoint.weight == 0.0 {
                        endpoint.deadline = self.clock + 1.0 / weight;
                    }
                    endpoint.weight = weight;
                }
                None => {
                    let deadline = self.clock + self.chance.unit() / weight;
                    self.endpoints.push(Endpoint { weight, in_flight: 0.0, deadline, latency: 0.0, latency_at: 0 });
                }
            }
        }
    }
}
