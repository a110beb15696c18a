//! Putting in force what the files say, as far as servlets do not claim the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::blame::{Before, Culprit};
use super::conflicts::conflicts;
use super::differences::summary;
use super::last_good;
use super::load::Attempt;
use super::reading::Reading;
use super::reload::{Entry, Reloader, Running};
use super::{Change, Event, Reflected, ServletDef};
use crate::discovery::Problem;

impl Reloader {
    /// Puts in force every servlet that is whole and claims nothing that another has, and takes away those whose files are gone. A conflict is
    /// settled for what runs: the servlets that brought it about go back to what they were, until nobody is in another's way: from what an
    /// endpoint told to what its own files say, and from there to what runs.
    pub(super) fn settle(&mut self, reading: &mut Reading) -> Vec<Event> {
        let Settled { accepted, trials, own } = self.free_of_conflicts();
        let mut events = Vec::new();
        let mut removed = BTreeSet::new();
        for (name, entry) in &mut self.entries {
            let taken = accepted.get(name);
            let kept = || last_good::path(&self.settings.state.0, name);
            if entry.leaves {
                match own.get(name) {
                    Some(problems) => events.extend(entry.refuse(name, problems.clone())),
                    None => {
                        reading.forget(&entry.attempt.sources);
                        if let Some(Running { def, sources }) = &entry.running {
                            if def.reflected.is_some() {
                                self.fetched.forget(kept());
                            }
                            events.push(Event::Removed { name: name.clone(), files: sources.names() });
                        }
                        removed.insert(name.clone());
                    }
                }
                continue;
            }
            if taken.is_some_and(|taken| entry.is_settled(taken)) {
                continue;
            }
            let kept = kept();
            if let Some(trial) = entry.trial.take_if(|trial| taken.is_some_and(|taken| is_of(trial, taken))) {
                entry.attempt = trial;
                self.fetched.accept_trial(&kept);
            }
            let problems = match &entry.attempt.result {
                Err(problems) => Some(problems),
                Ok(_) => own.get(name),
            };
            match (problems, taken) {
                (Some(problems), _) => events.extend(entry.refuse(name, problems.clone())),
                (None, Some(def)) => {
                    events.extend(entry.hold(name, &kept, trials.get(name)));
                    events.extend(entry.accept(Arc::clone(def)));
                }
                (None, None) => {}
            }
            let runs = entry.running.as_ref().map(|running| &running.def.reflected);
            if runs.is_some_and(|reflected| *reflected == Some(Reflected::Known(kept.clone()))) {
                self.fetched.accept_kept(&kept, reading);
            }
        }
        self.entries.retain(|name, _| !removed.contains(name));
        events
    }

    fn free_of_conflicts(&self) -> Settled {
        let mut accepted: BTreeMap<String, Arc<ServletDef>> = BTreeMap::new();
        for (name, entry) in self.entries.iter().filter(|(_, entry)| !entry.leaves) {
            let trial = entry.trial.as_ref().and_then(|trial| trial.result.as_ref().ok());
            let def =
                trial.or(entry.attempt.result.as_ref().ok()).or(entry.running.as_ref().map(|running| &running.def));
            accepted.extend(def.map(|def| (name.clone(), Arc::clone(def))));
        }
        let (mut trials, mut own) = (HashMap::new(), HashMap::new());
        // Of what runs nobody is in another's way. An edit of a table or a timeout claims nothing new, and what all servlets claim is long.
        let still = |(name, def): (&String, _)| self.running(name).is_some_and(|running| claims_the_same(running, def));
        if !self.entries.values().any(|entry| entry.leaves) && accepted.iter().all(still) {
            return Settled { accepted, trials, own };
        }
        let mut before = None;
        // Each round takes at least one servlet a step back, of three, so the rounds come to an end.
        loop {
            let mut back: HashMap<String, StepBack> = HashMap::new();
            for conflict in conflicts(&accepted) {
                let before = before.get_or_insert_with(|| self.before());
                let is_changed = |name: &str| self.is_changed(name, accepted.get(name));
                for Culprit { servlet, problem, gave_up } in before.culprits(&conflict, &accepted, is_changed) {
                    let step = back.entry(servlet).or_default();
                    step.problems.push(problem);
                    step.to_running |= gave_up;
                }
            }
            if back.is_empty() {
                return Settled { accepted, trials, own };
            }
            for (name, StepBack { problems, to_running }) in back {
                let Some(entry) = self.entries.get(&name) else { continue };
                let was_trial = !to_running
                    && entry.trial.as_ref().zip(accepted.get(&name)).is_some_and(|(one, def)| is_of(one, def));
                let next = if was_trial { entry.attempt.result.as_ref().ok() } else { None };
                match next.or(self.running(&name)) {
                    Some(next) => drop(accepted.insert(name.clone(), Arc::clone(next))),
                    None => drop(accepted.remove(&name)),
                }
                if was_trial {
                    trials.insert(name, problems)
                } else {
                    own.insert(name, problems)
                };
            }
        }
    }
}

/// What is wrong with a version.
#[derive(Default)]
struct StepBack {
    problems: Vec<Problem>,
    /// Whether the one between it and the one that runs has the same fault.
    to_running: bool,
}

/// What may be in force beside each other.
struct Settled {
    accepted: BTreeMap<String, Arc<ServletDef>>,
    /// Of what endpoints told: what of it another servlet has.
    trials: HashMap<String, Vec<Problem>>,
    /// The same of what the servlets' own files say.
    own: HashMap<String, Vec<Problem>>,
}

/// Whether both versions of a servlet stand at the same place among the others. Two schemas are the same when they are one.
fn claims_the_same(running: &Arc<ServletDef>, version: &Arc<ServletDef>) -> bool {
    let services =
        || running.services.iter().map(|one| &one.pattern).eq(version.services.iter().map(|one| &one.pattern));
    let spelled = |def: &ServletDef| def.routes.iter().map(|one| format!("{:?}", one.matches)).collect::<Vec<_>>();
    let routes = || spelled(running) == spelled(version);
    let schema = || match (&running.schema, &version.schema) {
        (Some(running), Some(version)) => Arc::ptr_eq(running, version),
        (running, version) => running.is_none() && version.is_none(),
    };
    Arc::ptr_eq(running, version) || (services() && routes() && schema())
}

/// Whether the attempt made this version.
fn is_of(attempt: &Attempt, version: &Arc<ServletDef>) -> bool {
    attempt.result.as_ref().is_ok_and(|def| Arc::ptr_eq(def, version))
}

impl Reloader {
    fn running(&self, name: &str) -> Option<&Arc<ServletDef>> {
        Some(&self.entries.get(name)?.running.as_ref()?.def)
    }

    fn before(&self) -> Before<'_> {
        Before::of(self.entries.keys().filter_map(|name| Some((name.as_str(), self.running(name)?))).collect())
    }

    fn is_changed(&self, name: &str, candidate: Option<&Arc<ServletDef>>) -> bool {
        match (candidate, self.running(name)) {
            (Some(candidate), Some(running)) => !Arc::ptr_eq(candidate, running),
            (Some(_), None) | (None, Some(_)) => true,
            (None, None) => false,
        }
    }
}

impl Entry {
    /// Whether its last attempt runs already, and there is nothing to tell: of ten thousand servlets, all but a few.
    fn is_settled(&self, taken: &Arc<ServletDef>) -> bool {
        let runs = self.running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.def, taken));
        runs && is_of(&self.attempt, taken) && self.trial.is_none() && self.told.is_none()
    }

    fn refuse(&mut self, name: &str, problems: Vec<Problem>) -> Option<Event> {
        let told = (self.attempt.sources.clone(), problems.clone());
        if self.told.as_ref() == Some(&told) {
            return None;
        }
        let before = self.told.replace(told);
        let again = before
            .is_some_and(|(sources, before)| before == problems && self.attempt.sources.differ_in_table_only(&sources));
        let files = self.attempt.sources.names();
        let changes = if self.attempt.gated { self.attempt.changes.clone() } else { Vec::new() };
        Some(Event::Refused { name: name.to_owned(), running: self.running.is_some(), files, problems, changes, again })
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
