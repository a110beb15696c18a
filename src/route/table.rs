//! The routing table: built aside from all servlets' rules, checked for ties, then only read.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::FixedState;
use http::{HeaderMap, Method};

use super::entry::{Entry, Origin, Tier};
use super::host::{HostPattern, spelled};
use super::path::{Paths, Probe};
use super::service::{ServiceMatch, Services};
use crate::schema::{CaptureError, Captures, RequestPath, Template};

/// Collects rules.
#[derive(Debug)]
pub struct TableBuilder<T> {
    entries: Vec<Entry<T>>,
    services: Services<T>,
    conflicts: Vec<Conflict>,
}

/// Two rules of equal right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What both claim.
    pub what: String,
    pub first: Origin,
    pub second: Origin,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: claimed by {} and by {}", self.what, self.first, self.second)
    }
}

impl std::error::Error for Conflict {}

/// All rules, ready to be asked. Costs the same for ten rules as for thousands.
#[derive(Debug)]
pub struct Table<T> {
    pub(super) entries: Vec<Entry<T>>,
    routes: Hosts,
    services: Hosts,
    names: Services<T>,
}

/// The rules of one tier.
#[derive(Debug, Default)]
struct Hosts {
    exact: HashMap<Box<str>, Paths, FixedState>,
    /// By suffix, `.example.com`.
    under: HashMap<Box<str>, Paths, FixedState>,
    any: Paths,
    /// All of the above, for requests without a host: they are matched on path alone.
    hostless: Paths,
}

/// The rule that a request meets.
#[derive(Debug)]
pub struct Match<'t, T> {
    pub target: &'t T,
    pub tier: Tier,
    pub template: &'t Template,
    pub origin: &'t Origin,
}

impl<T> Match<'_, T> {
    /// What the path holds for the template's variables, decoded.
    ///
    /// # Errors
    /// When a value is not UTF-8; the fault is the caller's (`Kind::InvalidRequest`).
    pub fn captures<'p>(&self, path: &'p str) -> Result<Captures<'p>, CaptureError> {
        self.template.captures(path)
    }
}

/// No rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No rule has this host and path.
    NotFound,
    /// Rules do, for other methods: these, sorted, each once.
    MethodNotAllowed(Vec<Method>),
}

impl<T> Default for TableBuilder<T> {
    fn default() -> TableBuilder<T> {
        TableBuilder { entries: Vec::new(), services: Services::default(), conflicts: Vec::new() }
    }
}

impl<T> TableBuilder<T> {
    pub fn new() -> TableBuilder<T> {
        TableBuilder::default()
    }

    pub fn push(&mut self, entry: Entry<T>) {
        self.entries.push(entry);
    }

    /// Gives gRPC paths to a target: `pkg.Service`, `pkg.*` for a package and those within it, or `*`.
    pub fn service(&mut self, pattern: &str, origin: Origin, target: T) {
        if let Err((first, second)) = self.services.insert(pattern, origin, target) {
            self.conflicts.push(Conflict { what: format!("service `{pattern}`"), first, second });
        }
    }

    /// # Errors
    /// Every tie: two rules of the same tier, host, path, method and number of headers that one request can fit, or a service
    /// twice.
    pub fn build(self) -> Result<Table<T>, Vec<Conflict>> {
        let TableBuilder { entries, services: names, mut conflicts } = self;
        let mut table = Table { entries, routes: Hosts::default(), services: Hosts::default(), names };
        for tier in [Tier::Routes, Tier::Services] {
            let hosts = match tier {
                Tier::Routes => &mut table.routes,
                Tier::Services => &mut table.services,
            };
            hosts.fill(tier, &table.entries, &mut conflicts);
        }
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts) }
    }
}

impl Hosts {
    fn fill<T>(&mut self, tier: Tier, entries: &[Entry<T>], conflicts: &mut Vec<Conflict>) {
        let own = || entries.iter().enumerate().filter(|(_, entry)| entry.tier == tier);
        for (number, entry) in own() {
            let paths = match &entry.host {
                HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
                HostPattern::Under(suffix) => self.under.entry(suffix.clone()).or_default(),
                HostPattern::Any => &mut self.any,
            };
            paths.insert(&entry.path, number);
        }
        let exact = self.exact.values_mut().chain(self.under.values_mut());
        for set in exact.chain(std::iter::once(&mut self.any)).flat_map(Paths::sets) {
            set.sort_by(|one, two| by_number(entries, *one, *two, Entry::order));
            ties(entries, set, conflicts);
        }
        conflicts.sort_by(|one, two| one.what.cmp(&two.what));
        if self.has_names() {
            for (number, entry) in own() {
                self.hostless.insert(&entry.path, number);
            }
            for set in self.hostless.sets() {
                set.sort_by(|one, two| {
                    by_number(entries, *one, *two, |one, two| {
                        one.order(two).then_with(|| one.host.rank_without_host().cmp(&two.host.rank_without_host()))
                    })
                });
            }
        }
    }

    fn has_names(&self) -> bool {
        !(self.exact.is_empty() && self.under.is_empty())
    }

    fn find(&self, host: Option<&str>, path: RequestPath<'_>, probe: &mut impl Probe) -> Option<usize> {
        if !self.has_names() {
            return self.any.find(path, probe);
        }
        let Some(host) = host else { return self.hostless.find(path, probe) };
        self.find_by_name(host, path, probe).or_else(|| self.any.find(path, probe))
    }

    fn find_by_name(&self, host: &str, path: RequestPath<'_>, probe: &mut impl Probe) -> Option<usize> {
        let host = spelled(host)?;
        if let Some(found) = self.exact.get(&*host).and_then(|paths| paths.find(path, probe)) {
            return Some(found);
        }
        if self.under.is_empty() {
            return None;
        }
        // From the left, so that the longest suffix comes first.
        let suffixes = host.match_indices('.').filter(|(dot, _)| *dot > 0).filter_map(|(dot, _)| host.get(dot..));
        suffixes.filter_map(|suffix| self.under.get(suffix)).find_map(|paths| paths.find(path, probe))
    }
}

fn by_number<T>(
    entries: &[Entry<T>],
    one: usize,
    two: usize,
    order: impl Fn(&Entry<T>, &Entry<T>) -> std::cmp::Ordering,
) -> std::cmp::Ordering {
    match (entries.get(one), entries.get(two)) {
        (Some(first), Some(second)) => order(first, second).then(one.cmp(&two)),
        _ => one.cmp(&two),
    }
}

/// Tells the ties in a set, which is in order: those that tie are of one run.
fn ties<T>(entries: &[Entry<T>], set: &[usize], conflicts: &mut Vec<Conflict>) {
    let entries = || set.iter().filter_map(|number| entries.get(*number));
    for (place, second) in entries().enumerate() {
        if let Some(first) = entries().take(place).find(|first| first.ties(second)) {
            let what = format!("`{second}`");
            conflicts.push(Conflict { what, first: first.origin.clone(), second: second.origin.clone() });
        }
    }
}

impl<T> Table<T> {
    /// The rule for a request: in `Routes`, else in `Services`. `host` is the `Host` or `:authority` as sent, port and all; without
    /// one, rules are matched on path alone. `path` is without its query, exactly as it will be forwarded.
    ///
    /// # Errors
    /// [`Miss::NotFound`] is a 404, [`Miss::MethodNotAllowed`] a 405 with what goes into `Allow`.
    pub fn find(
        &self,
        host: Option<&str>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Match<'_, T>, Miss> {
        self.find_among(&[Tier::Routes, Tier::Services], host, method, path, headers)
    }

    /// As [`Table::find`], in one tier: a gRPC call looks for a route first, then for its service by name.
    ///
    /// # Errors
    /// As [`Table::find`].
    pub fn find_in(
        &self,
        tier: Tier,
        host: Option<&str>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Match<'_, T>, Miss> {
        self.find_among(&[tier], host, method, path, headers)
    }

    /// Who serves a gRPC path, `/pkg.Service/Method`: the exact service, else the longest package, else `*`.
    pub fn service<'p>(&self, path: &'p str) -> Option<ServiceMatch<'_, 'p, T>> {
        self.names.find(path)
    }

    /// Every rule with its target, in the order they were pushed.
    pub fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    fn find_among(
        &self,
        tiers: &[Tier],
        host: Option<&str>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Match<'_, T>, Miss> {
        let mut search = Search { entries: &self.entries, method, headers, asked: false, others: Vec::new() };
        let found = self.find_number(tiers, host, path, &mut search);
        match found.and_then(|number| self.entries.get(number)) {
            Some(entry) => {
                Ok(Match { target: &entry.target, tier: entry.tier, template: &entry.path, origin: &entry.origin })
            }
            None if search.others.is_empty() => Err(Miss::NotFound),
            None => {
                let mut others: Vec<Method> = search.others.into_iter().cloned().collect();
                others.sort_by(|one, two| one.as_str().cmp(two.as_str()));
                others.dedup();
                Err(Miss::MethodNotAllowed(others))
            }
        }
    }

    pub(super) fn find_number(
        &self,
        tiers: &[Tier],
        host: Option<&str>,
        path: &str,
        search: &mut Search<'_, T>,
    ) -> Option<usize> {
        let path = RequestPath::of(path)?;
        tiers.iter().find_map(|tier| {
            let hosts = match tier {
                Tier::Routes => &self.routes,
                Tier::Services => &self.services,
            };
            hosts.find(host, path, search)
        })
    }
}

/// A request on its way through the table.
pub(super) struct Search<'s, T> {
    pub(super) entries: &'s [Entry<T>],
    pub(super) method: &'s Method,
    pub(super) headers: &'s HeaderMap,
    pub(super) asked: bool,
    /// The methods of rules that fit in all but the method.
    pub(super) others: Vec<&'s Method>,
}

impl<T> Probe for Search<'_, T> {
    fn ask(&mut self, entries: &[usize]) -> Option<usize> {
        self.asked = true;
        for number in entries {
            let Some(entry) = self.entries.get(*number) else { continue };
            if entry.missing(self.headers).is_some() {
                continue;
            }
            if entry.takes(self.method) {
                return Some(*number);
            }
            self.others.extend(&entry.method);
        }
        None
    }

    fn was_asked(&self) -> bool {
        self.asked
    }

    fn forget(&mut self) {
        self.asked = false;
    }
}
