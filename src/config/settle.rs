//! Putting in force what the files say, as far as servlets do not claim the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::conflicts::conflicts;
use super::differences::summary;
use super::reload::{Entry, Reloader, Running};
use super::routing::{Claim, claims};
use super::{Change, Event, ServletDef};
use crate::discovery::Problem;

impl Reloader {
    /// Puts in force every servlet that is whole and claims nothing that another has. A conflict is settled for what runs: the
    /// servlets in it that changed go back to what they were, until nobody is in another's way.
    pub(super) fn settle(&mut self) -> Vec<Event> {
        let (accepted, conflicting) = self.free_of_conflicts();
        let mut events = Vec::new();
        for (name, entry) in &mut self.entries {
            let problems = match &entry.attempt.result {
                Err(problems) => Some(problems),
                Ok(_) => conflicting.get(name),
            };
            match (problems, accepted.get(name)) {
                (Some(problems), _) => events.extend(entry.refuse(name, problems.clone())),
                (None, Some(def)) => events.extend(entry.accept(Arc::clone(def))),
                (None, None) => {}
            }
        }
        events
    }

    fn free_of_conflicts(&self) -> (BTreeMap<String, Arc<ServletDef>>, HashMap<String, Vec<Problem>>) {
        let mut accepted: BTreeMap<String, Arc<ServletDef>> = BTreeMap::new();
        for (name, entry) in &self.entries {
            let def = entry.attempt.result.as_ref().ok().or(entry.running.as_ref().map(|running| &running.def));
            accepted.extend(def.map(|def| (name.clone(), Arc::clone(def))));
        }
        let mut conflicting: HashMap<String, Vec<Problem>> = HashMap::new();
        let mut held = Held { reloader: self, claims: HashMap::new() };
        // Each round takes at least one changed servlet back, so there are no more rounds than servlets.
        loop {
            let mut back: HashMap<String, Vec<Problem>> = HashMap::new();
            for conflict in conflicts(&accepted) {
                for name in conflict.intruders(|name, claim| held.has(name, claim)) {
                    if self.is_changed(name, accepted.get(name)) {
                        back.entry(name.to_owned()).or_default().push(conflict.problem(name));
                    }
                }
            }
            if back.is_empty() {
                return (accepted, conflicting);
            }
            for (name, problems) in back {
                match self.running(&name) {
                    Some(running) => drop(accepted.insert(name.clone(), Arc::clone(running))),
                    None => drop(accepted.remove(&name)),
                }
                conflicting.insert(name, problems);
            }
        }
    }
}

impl Reloader {
    fn running(&self, name: &str) -> Option<&Arc<ServletDef>> {
        Some(&self.entries.get(name)?.running.as_ref()?.def)
    }

    fn is_changed(&self, name: &str, candidate: Option<&Arc<ServletDef>>) -> bool {
        match (candidate, self.running(name)) {
            (Some(candidate), Some(running)) => !Arc::ptr_eq(candidate, running),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// What the servlets that run have claimed, worked out when a conflict asks for it.
struct Held<'r> {
    reloader: &'r Reloader,
    claims: HashMap<String, HashSet<String>>,
}

impl Held<'_> {
    fn has(&mut self, servlet: &str, claim: &str) -> bool {
        let running = self.reloader.running(servlet);
        let known =
            self.claims.entry(servlet.to_owned()).or_insert_with(|| claims(running).iter().map(Claim::text).collect());
        known.contains(claim)
    }
}

impl Entry {
    fn refuse(&mut self, name: &str, problems: Vec<Problem>) -> Option<Event> {
        let told = (self.attempt.sources.clone(), problems.clone());
        if self.told.as_ref() == Some(&told) {
            return None;
        }
        self.told = Some(told);
        let files = self.attempt.sources.names();
        let changes = if self.attempt.gated { self.attempt.changes.clone() } else { Vec::new() };
        Some(Event::Refused { name: name.to_owned(), running: self.running.is_some(), files, problems, changes })
    }

    fn accept(&mut self, def: Arc<ServletDef>) -> Option<Event> {
        let changes = std::mem::take(&mut self.attempt.changes);
        let sources = &self.attempt.sources;
        let change = Change::between(self.running.as_ref(), &def, sources);
        let was_refused = self.told.take().is_some();
        if change == Change::Nothing && !was_refused {
            return None;
        }
        let summary = summary(change, self.running.as_ref().map(|running| &*running.def), &def);
        let event = Event::Accepted { servlet: Arc::clone(&def), change, summary, files: sources.names(), changes };
        self.running = Some(Running { def, sources: sources.clone() });
        Some(event)
    }
}
