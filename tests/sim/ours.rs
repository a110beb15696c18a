//! The code under test: a servlet, a picker for each worker, and leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use telamon::balance::Policy;
use telamon::model::{Address, Code, EndpointSpec, Outcome, Table};
use telamon::servlet::{Lease, Picker, Servlet};

use crate::world::{Balancer, Scenario, Time};

const FIRST_PORT: u16 = 1000;

pub(crate) struct Ours {
    start: Instant,
    pub(crate) servlet: Arc<Servlet>,
    pickers: Vec<Picker>,
}

pub(crate) fn table(weights: &[Option<u32>]) -> Table {
    let spec = |(index, weight): (usize, &Option<u32>)| {
        let port = FIRST_PORT + index as u16;
        Some(EndpointSpec { address: Address::Tcp(([127, 0, 0, 1], port).into()), weight: (*weight)? })
    };
    Table::flat(weights.iter().enumerate().filter_map(spec).collect())
}

/// Which of the scenario's endpoints a lease is on.
fn index(lease: &Lease) -> usize {
    match lease.endpoint().address() {
        Address::Tcp(address) => usize::from(address.port() - FIRST_PORT),
        Address::Unix(_) => unreachable!("the simulation has no sockets of this kind"),
    }
}

impl Ours {
    pub(crate) fn new(scenario: &Scenario, client: usize, policy: Policy) -> Ours {
        let start = Instant::now();
        let servlet = Servlet::new(Arc::from("sim"), policy, &table(&scenario.weights), start);
        let seed = |worker: usize| scenario.seed ^ ((client * 64 + worker + 1) as u64 * 0x1_0000_0001);
        let pickers = (0..scenario.workers).map(|worker| servlet.picker(seed(worker))).collect();
        Ours { start, servlet, pickers }
    }

    fn at(&self, now: Time) -> Instant {
        self.start + Duration::from_nanos(now)
    }
}

impl Balancer for Ours {
    fn pick(&mut self, worker: usize, now: Time) -> (usize, Option<Lease>) {
        let now = self.at(now);
        let lease = self.pickers[worker].pick(now, &[]).unwrap();
        (index(&lease), Some(lease))
    }

    fn finish(&mut self, _: usize, _: usize, lease: Option<Lease>, _: Time, good: bool, now: Time) {
        let now = self.at(now);
        let mut lease = lease.unwrap();
        lease.head_arrived(now);
        lease.finish(&Outcome::Grpc(if good { Code::Ok } else { Code::Unavailable }), now);
    }

    fn apply(&mut self, weights: &[Option<u32>], now: Time) {
        self.servlet.apply(&table(weights), self.at(now));
    }
}

pub(crate) fn fair(scenario: &Scenario, client: usize) -> Box<dyn Balancer> {
    Box::new(Ours::new(scenario, client, Policy::FairLeastRequest))
}

pub(crate) fn round_robin(scenario: &Scenario, client: usize) -> Box<dyn Balancer> {
    Box::new(Ours::new(scenario, client, Policy::RoundRobin))
}
