//! Who steps back when two servlets would claim the same: whoever claims something new, else whoever gave up the service that kept the two
//! apart. Leans towards what runs, where nobody is in another's way: whoever has changed nothing is never to blame.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::ServletDef;
use super::conflicts::{Conflict, Side};
use super::routing::{Claim, Owners, claims};
use crate::discovery::Problem;

/// A servlet that has to step back.
pub(super) struct Culprit {
    pub(super) servlet: String,
    /// What it is told.
    pub(super) problem: Problem,
    /// Whether it is to blame for what it does not claim any more: only the version that runs will do then.
    pub(super) gave_up: bool,
}

/// The claims of what runs.
pub(super) struct Before<'r> {
    running: BTreeMap<&'r str, &'r Arc<ServletDef>>,
    owners: Owners<'r>,
    /// By servlet and text.
    claimed: HashSet<(&'r str, String)>,
    /// What each would claim if there were no other: service and text. Worked out when a conflict asks for it.
    alone: HashMap<&'r str, HashSet<(Option<String>, String)>>,
}

impl<'r> Before<'r> {
    pub(super) fn of(running: BTreeMap<&'r str, &'r Arc<ServletDef>>) -> Before<'r> {
        let all: Vec<&Arc<ServletDef>> = running.values().copied().collect();
        let of_claim = |claim: &Claim<'r>| Some((*running.get_key_value(&*claim.servlet.name)?.0, claim.text()));
        let claimed = claims(all.iter().copied()).iter().filter_map(of_claim).collect();
        Before { owners: Owners::of(&all), claimed, alone: HashMap::new(), running }
    }

    /// Who has to step back for this conflict between versions in `accepted`, of which `is_changed` tells those that do not run yet. There is
    /// somebody unless all of them run.
    pub(super) fn culprits(
        &mut self,
        conflict: &Conflict,
        accepted: &BTreeMap<String, Arc<ServletDef>>,
        is_changed: impl Fn(&str) -> bool,
    ) -> Vec<Culprit> {
        let told =
            |servlet: &str| Culprit { servlet: servlet.to_owned(), problem: conflict.problem(servlet), gave_up: false };
        let changed: Vec<&Side> = conflict.sides.iter().filter(|side| is_changed(&side.servlet)).collect();
        let mut intruders: BTreeSet<&str> = BTreeSet::new();
        for side in &changed {
            if !self.would_claim(side) {
                intruders.insert(&side.servlet);
            }
        }
        if !intruders.is_empty() {
            return intruders.into_iter().map(told).collect();
        }
        // All of it was claimed already, and one of the two was not heard: a third had the service.
        let quitters: BTreeMap<&str, Culprit> =
            conflict.sides.iter().filter_map(|side| self.quitter(conflict, side, accepted)).collect();
        if !quitters.is_empty() {
            return quitters.into_values().collect();
        }
        changed.into_iter().map(|side| &*side.servlet).collect::<BTreeSet<_>>().into_iter().map(told).collect()
    }

    /// Whether the version that runs has this claim, or would have it but for another servlet that has the service.
    fn would_claim(&mut self, side: &Side) -> bool {
        let Some((name, running)) = self.running.get_key_value(&*side.servlet) else { return false };
        let alone = self.alone.entry(name).or_insert_with(|| {
            claims([*running]).iter().map(|claim| (claim.service().map(str::to_owned), claim.text())).collect()
        });
        self.claimed.contains(&(*name, side.claim.clone()))
            || alone.contains(&(side.service.clone(), side.claim.clone()))
    }

    /// Who has the service of this claim as long as what runs goes on, and gives it up.
    fn quitter(
        &self,
        conflict: &Conflict,
        side: &Side,
        accepted: &BTreeMap<String, Arc<ServletDef>>,
    ) -> Option<(&'r str, Culprit)> {
        let (owner, _, line) = self.owners.owner(side.service.as_deref()?)?;
        let (name, _) = self.running.get_key_value(&*owner.name)?;
        let after = accepted.get(*name);
        let still = after.is_some_and(|after| after.services.iter().any(|service| service.pattern == line.pattern));
        if still {
            return None;
        }
        let problem = conflict.problem_of_giving_up(owner, &line.pattern, after.map(Arc::as_ref));
        Some((*name, Culprit { servlet: (*name).to_owned(), problem, gave_up: true }))
    }
}
