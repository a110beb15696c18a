//! gRPC paths: `/pkg.Service/Method`, by the service's exact name, then the longest package, then all.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::entry::Origin;

/// Who serves a gRPC path.
#[derive(Debug)]
pub struct ServiceMatch<'t, 'p, T> {
    pub target: &'t T,
    /// `pkg.Service`, from the path.
    pub service: &'p str,
    /// From the path; whether the service has it is not known here.
    pub method: &'p str,
    /// What matched: `pkg.Service`, `pkg.*` or `*`.
    pub pattern: &'t str,
    pub origin: &'t Origin,
}

#[derive(Debug)]
pub(super) struct Services<T> {
    exact: HashMap<Box<str>, Claim<T>, FixedState>,
    /// By package, without `.*`.
    packages: HashMap<Box<str>, Claim<T>, FixedState>,
    all: Option<Claim<T>>,
    /// The longest package's length: a longer prefix is not looked up.
    longest: usize,
}

#[derive(Debug)]
struct Claim<T> {
    pattern: Box<str>,
    origin: Origin,
    target: T,
}

impl<T> Default for Services<T> {
    fn default() -> Services<T> {
        Services { exact: HashMap::default(), packages: HashMap::default(), all: None, longest: 0 }
    }
}

impl<T> Services<T> {
    /// Adds a pattern; gives back whose it is already.
    pub(super) fn insert(&mut self, pattern: &str, origin: Origin, target: T) -> Result<(), (Origin, Origin)> {
        let claim = Claim { pattern: pattern.into(), origin, target };
        let map = if pattern == "*" {
            return match &self.all {
                Some(first) => Err((first.origin.clone(), claim.origin)),
                None => {
                    self.all = Some(claim);
                    Ok(())
                }
            };
        } else if let Some(package) = pattern.strip_suffix(".*") {
            self.longest = self.longest.max(package.len());
            (&mut self.packages, package)
        } else {
            (&mut self.exact, pattern)
        };
        if let Some(first) = map.0.get(map.1) {
            return Err((first.origin.clone(), claim.origin));
        }
        map.0.insert(map.1.into(), claim);
        Ok(())
    }

    pub(super) fn find<'p>(&self, path: &'p str) -> Option<ServiceMatch<'_, 'p, T>> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        if service.is_empty() || method.is_empty() || method.contains('/') {
            return None;
        }
        let claim = self.exact.get(service).or_else(|| self.package_of(service)).or(self.all.as_ref())?;
        Some(ServiceMatch { target: &claim.target, service, method, pattern: &claim.pattern, origin: &claim.origin })
    }

    /// A package holds what is in the packages within it; the longest that has a claim wins.
    fn package_of(&self, service: &str) -> Option<&Claim<T>> {
        if self.packages.is_empty() {
            return None;
        }
        // One byte more than the longest package, for the dot after it: what is looked up is bounded by the table, not the caller.
        let mut end = self.longest.saturating_add(1).min(service.len());
        loop {
            let dot = service.as_bytes().get(..end)?.iter().rposition(|byte| *byte == b'.')?;
            if let Some(claim) = self.packages.get(service.get(..dot)?) {
                return Some(claim);
            }
            end = dot;
        }
    }
}
