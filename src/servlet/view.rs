//! What an operator sees of an endpoint: what its weight promises, what it got, and why they differ.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::aside::Standing;
use super::{Endpoint, EndpointId, GroupState, Member, Servlet};
use crate::balance::{Past, Policy};
use crate::model::Address;

/// What an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Serving,
    /// Its weight, or its group's, is 0.
    Draining,
    /// Connections to it fail, and none has come up since.
    SetAside,
    /// It is slower than its peers and gets less.
    Penalised,
}

impl State {
    pub const ALL: [State; 4] = [State::Serving, State::Draining, State::SetAside, State::Penalised];

    pub fn name(self) -> &'static str {
        match self {
            State::Serving => "serving",
            State::Draining => "draining",
            State::SetAside => "set_aside",
            State::Penalised => "penalised",
        }
    }
}

/// For how long a state is told that is over: as long as a share over ten minutes may show it.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Quantiles of the time from a lease to the head of its answer, of good calls in the last five to ten minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

/// One endpoint at one moment.
#[derive(Clone, Debug)]
pub struct EndpointView {
    pub id: EndpointId,
    pub address: Address,
    /// Empty in a table without groups.
    pub group: Arc<str>,
    /// As the table gives it.
    pub configured_weight: u32,
    /// What is left of it while the endpoint is slower than its peers; 0 while it is set aside.
    pub effective_weight: f64,
    /// The part of the servlet's calls that the weights promise it, from 0 to 1.
    pub expected_share: f64,
    /// The part that it was given in the last minute and in the last ten; `None` when nobody was given any.
    pub observed_share_1m: Option<f64>,
    pub observed_share_10m: Option<f64>,
    pub in_flight: u64,
    pub requests: u64,
    pub failures: u64,
    /// `None` when no call went well lately.
    pub latency: Option<Latencies>,
    pub state: State,
    /// While it is set aside: until when nothing is sent there. In the past when the next call tries it.
    pub set_aside_until: Option<Instant>,
    /// The reason for the state, and what was against it in the last ten minutes, as a sentence.
    pub why: String,
}

impl Servlet {
    /// Every endpoint of the table, in its order.
    pub fn views(&self, now: Instant) -> Vec<EndpointView> {
        let snapshot = self.snapshot();
        let nanos = self.epoch().nanos(now);
        let total: u64 = snapshot.groups.iter().filter(|g| g.is_serving()).map(|g| u64::from(g.weight)).sum();
        let sum = |whole| snapshot.endpoints().map(|endpoint| endpoint.given(whole, nanos)).sum::<u64>();
        let (minute, ten) = (sum(6), sum(60));
        let mut views = Vec::new();
        for group in &snapshot.groups {
            let group_share = if group.is_serving() { f64::from(group.weight) / total as f64 } else { 0.0 };
            for member in group.members.iter() {
                let endpoint = &member.endpoint;
                let (state, factor, why) = judge(group, member, snapshot.policy, nanos);
                let within = group.endpoint_weight();
                let share = if within == 0 { 0.0 } else { f64::from(member.weight) / within as f64 };
                views.push(EndpointView {
                    id: endpoint.id(),
                    address: endpoint.address().clone(),
                    group: group.name.clone(),
                    configured_weight: member.weight,
                    effective_weight: f64::from(member.weight) * factor,
                    expected_share: group_share * share,
                    observed_share_1m: part(endpoint.given(6, nanos), minute),
                    observed_share_10m: part(endpoint.given(60, nanos), ten),
                    in_flight: endpoint.in_flight(),
                    requests: endpoint.requests(),
                    failures: endpoint.failures(),
                    latency: latencies(endpoint, nanos),
                    state,
                    set_aside_until: (state == State::SetAside).then(|| self.epoch().instant(endpoint.aside.until())),
                    why,
                });
            }
        }
        views
    }
}

fn part(count: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| count as f64 / total as f64)
}

fn latencies(endpoint: &Endpoint, now: u64) -> Option<Latencies> {
    let [p50, p90, p99, p999] = endpoint.latency.quantiles(&endpoint.recent, [0.5, 0.9, 0.99, 0.999], now)?;
    Some(Latencies { p50, p90, p99, p999 })
}

fn judge(group: &GroupState, member: &Member, policy: Policy, nanos: u64) -> (State, f64, String) {
    let endpoint = &member.endpoint;
    if member.weight == 0 || group.weight == 0 {
        let whose = if member.weight == 0 { "its weight" } else { "the weight of its group" };
        let left = match endpoint.in_flight() {
            0 => "nothing is in flight".to_owned(),
            1 => "1 call is in flight".to_owned(),
            count => format!("{count} calls are in flight"),
        };
        return (State::Draining, 0.0, format!("{whose} is 0: no new calls; {left}"));
    }
    if let Some(why) = why_aside(endpoint, nanos) {
        return (State::SetAside, 0.0, why);
    }
    let factor = match policy {
        Policy::FairLeastRequest => endpoint.stats.factor(&group.pool, group.endpoint_weight() as f64, nanos),
        Policy::RoundRobin => 1.0,
    };
    if factor < 1.0 {
        let (times, percent) = (endpoint.stats.slowness(nanos), factor * 100.0);
        let why = format!("its calls take {times:.1} times as long as its peers'; it gets {percent:.0} % of its share");
        return (State::Penalised, factor, why + &past(endpoint, nanos));
    }
    (State::Serving, 1.0, "it takes calls by its weight".to_owned() + &past(endpoint, nanos))
}

/// What was against an endpoint lately and is not now: `; it was set aside 2 times so far, for 12.0 s in all, until 40.0 s ago`.
fn past(endpoint: &Endpoint, now: u64) -> String {
    let tell = |what: &str, past: Option<Past>| {
        let Past { times, total, ago } = past.filter(|past| past.ago <= REMEMBERED)?;
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times so far") };
        let (total, ago) = (total.as_secs_f64(), ago.as_secs_f64());
        Some(format!("; it was {what} {times}, for {total:.1} s in all, until {ago:.1} s ago"))
    };
    let away = tell("set aside", endpoint.away.past(now, None));
    let slow = tell("held to be slower than its peers", endpoint.stats.was_penalised(now));
    away.into_iter().chain(slow).collect()
}

/// What is against an endpoint until a connection to it has come up again; `None` when nothing is.
fn why_aside(endpoint: &Endpoint, now: u64) -> Option<String> {
    let next = match endpoint.aside.standing(now) {
        Standing::Fine => return None,
        Standing::Waiting => {
            let wait = endpoint.aside.until().saturating_sub(now) as f64 / 1e9;
            format!("it is tried again in {wait:.1} s")
        }
        Standing::Due => "the next call tries it again".to_owned(),
        Standing::OnTrial => "a call is trying it now".to_owned(),
    };
    let times = match endpoint.aside.failures() {
        0 | 1 => "the last connection to it failed".to_owned(),
        failures => format!("{failures} connections in a row to it failed"),
    };
    Some(format!("{times}; {next}; the reason: {}", endpoint.complaint()))
}

#[cfg(test)]
mod tests;
