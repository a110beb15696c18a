//! Why a request meets the rule that it meets: every rule whose path fits, in the order in which they are asked. Goes through the rules
//! one by one, for a person who waits, never for traffic.

use std::cmp::Ordering;

use http::{HeaderMap, HeaderName, Method};

use super::entry::{Entry, Origin, Tier};
use super::host::{HostPattern, spelled};
use super::table::{Search, Table};

/// A rule that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub tier: Tier,
    /// The rule: `GET *.example.com/v1/* [x-env: a]`.
    pub rule: String,
    pub origin: Origin,
    pub verdict: Verdict,
}

/// What came of a rule whose path fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request goes there.
    Chosen,
    /// It would fit, but the chosen one comes before it.
    After,
    /// It is for another host.
    OtherHost,
    /// It is for another method.
    OtherMethod,
    /// The request has no such header, or none with that value.
    NoHeader(HeaderName),
    /// The path is read as ending in a verb, which this rule does not have.
    NoVerb,
}

impl<T> Table<T> {
    /// Every rule whose path fits, first asked first. Arguments as for [`Table::find`].
    pub fn explain(&self, host: Option<&str>, method: &Method, path: &str, headers: &HeaderMap) -> Vec<Step> {
        let tiers = [Tier::Routes, Tier::Services];
        let mut search = Search { entries: &self.entries, method, headers, asked: false, others: Vec::new() };
        let chosen = self.find_number(&tiers, host, path, &mut search);
        let name = host.and_then(spelled);
        let host_fits = |entry: &Entry<T>| match (&name, host) {
            (Some(name), _) => entry.host.fits(name),
            (None, Some(_)) => entry.host == HostPattern::Any,
            (None, None) => true,
        };
        let mut fitting: Vec<(usize, &Entry<T>)> =
            self.entries.iter().enumerate().filter(|(_, entry)| entry.path.matches(path)).collect();
        fitting.sort_by(|(_, one), (_, two)| precedence(one, two, host.is_some()));
        let read_with_verb = |entry: &Entry<T>| {
            let shadows = |other: &Entry<T>| {
                other.tier == entry.tier && other.path.verb().is_some() && (host.is_none() || other.host == entry.host)
            };
            entry.path.verb().is_none() && fitting.iter().any(|(_, other)| shadows(other))
        };
        let verdict = |number: usize, entry: &Entry<T>| {
            if chosen == Some(number) {
                Verdict::Chosen
            } else if !host_fits(entry) {
                Verdict::OtherHost
            } else if read_with_verb(entry) {
                Verdict::NoVerb
            } else if let Some(header) = entry.missing(headers) {
                Verdict::NoHeader(header.name.clone())
            } else if !entry.takes(method) {
                Verdict::OtherMethod
            } else {
                Verdict::After
            }
        };
        let step = |(number, entry): &(usize, &Entry<T>)| Step {
            tier: entry.tier,
            rule: entry.to_string(),
            origin: entry.origin.clone(),
            verdict: verdict(*number, entry),
        };
        fitting.iter().map(step).collect()
    }
}

/// Which of two rules is asked first. Without a host, the path decides before the host does.
fn precedence<T>(one: &Entry<T>, two: &Entry<T>, with_host: bool) -> Ordering {
    let host = one.host.rank().cmp(&two.host.rank());
    let hostless = one.host.rank_without_host().cmp(&two.host.rank_without_host());
    let path = (one.path.verb().is_none().cmp(&two.path.verb().is_none()))
        .then_with(|| one.path.segments().cmp(two.path.segments()));
    let rest = one.order(two);
    let tier = one.tier.cmp(&two.tier);
    if with_host { tier.then(host).then(path).then(rest) } else { tier.then(path).then(rest).then(hostless) }
}
