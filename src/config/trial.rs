//! What an endpoint tells is tried on its servlet beside what was accepted before. Nobody here wrote it, so it may cost nobody anything:
//! whatever is wrong with it, the servlet goes on with the schema that it has, and its file and its table are still its operator's to change.

use std::path::Path;
use std::sync::Arc;

use super::directory::Listed;
use super::load::Surroundings;
use super::reading::{Read, Reading};
use super::reload::{Entry, attempt};
use super::{Event, ServletDef};
use crate::discovery::Problem;

impl Entry {
    /// Another attempt, after something has changed, and one beside it with what is `on_trial`.
    pub(super) fn try_again(
        &mut self,
        name: &str,
        listed: &Listed,
        around: &Surroundings<'_>,
        reading: &mut Reading,
        on_trial: Option<(&Path, Read)>,
    ) {
        let starts = self.running.as_ref().is_none_or(|running| running.def.pending().is_some());
        self.attempt = attempt(name, listed, around, reading, self.attempt.compiled.take(), starts);
        let compiled = self.trial.take().and_then(|trial| trial.compiled);
        self.trial = on_trial.filter(|_| self.attempt.asks.is_some()).map(|(path, read)| {
            let accepted = reading.put(path, Some(read));
            let trial = attempt(name, listed, around, reading, compiled, false);
            reading.put(path, accepted);
            trial
        });
    }

    /// Holds what was tried against what runs, of which `fleet` is all.
    pub(super) fn pass_gate(&mut self, fleet: &[Arc<ServletDef>]) {
        let Some(running) = &self.running else { return };
        for attempt in std::iter::once(&mut self.attempt).chain(&mut self.trial) {
            attempt.pass_gate(&running.def, fleet);
        }
    }

    /// Tells what is wrong with what is on trial, once: why it does not fit, or what of it `conflicts` with other servlets.
    pub(super) fn hold(&mut self, name: &str, kept: &Path, conflicts: Option<&Vec<Problem>>) -> Option<Event> {
        let trial = self.trial.as_ref()?;
        let problems = match &trial.result {
            Err(problems) => problems,
            Ok(_) => conflicts?,
        };
        let told = (trial.sources.files.get(kept)?.clone(), problems.clone());
        if self.held.as_ref() == Some(&told) {
            return None;
        }
        let again = self.held.as_ref().is_some_and(|(before, _)| *before == told.0);
        let event = Event::Refused {
            name: name.to_owned(),
            running: self.running.is_some(),
            files: trial.sources.names(),
            problems: problems.clone(),
            changes: if trial.gated { trial.changes.clone() } else { Vec::new() },
            again,
        };
        self.held = Some(told);
        Some(event)
    }
}
