//! A reload that an operator asked for. One that follows a change of a file tells only what is new; whoever asks wants to know where
//! things stand, so that what is still broken is told again, and that nothing changed is an answer too.

use super::{Event, Reloader};
use crate::discovery::display_name;

impl Reloader {
    /// What there is to say, beside what a reload has just `told`, to whoever asked for it: everything that is still refused or waits
    /// for a restart, or that there is nothing.
    pub fn standing(&self, told: &[Event]) -> Vec<Event> {
        let mut standing = self.to_see_to();
        standing.retain(|one| !told.iter().any(|told| is_about_the_same(one, told)));
        if told.is_empty() && standing.is_empty() {
            let running = || self.entries.iter().filter_map(|(name, entry)| Some((name, &entry.running.as_ref()?.def)));
            let pending = running().filter(|(_, def)| def.pending().is_some()).map(|(name, _)| name.clone()).collect();
            standing.push(Event::Unchanged { file: display_name(&self.file), servlets: running().count(), pending });
        }
        standing
    }

    /// What an operator has yet to see to.
    fn to_see_to(&self) -> Vec<Event> {
        let file = || display_name(&self.file);
        let refused = |problems| Event::SettingsRefused { file: file(), problems };
        let mut standing = Vec::new();
        if let Some((_, problems)) = &self.settings_told {
            standing.push(refused(problems.clone()));
        } else if !self.restart.is_empty() {
            let settings = Box::new(self.settings.clone());
            standing.push(Event::SettingsChanged { file: file(), settings, restart: self.restart.clone() });
        }
        standing.extend(self.directory_told.iter().map(|problem| refused(vec![problem.clone()])));
        standing.extend(self.entries.iter().filter_map(|(name, entry)| {
            let (attempt, problems) = match (&entry.told, &entry.trial, &entry.held) {
                (Some((_, problems)), ..) => (&entry.attempt, problems),
                (None, Some(trial), Some((_, problems))) => (trial, problems),
                (None, ..) => return None,
            };
            Some(Event::Refused {
                name: name.clone(),
                running: entry.running.is_some(),
                files: attempt.sources.names(),
                problems: problems.clone(),
                changes: if attempt.gated { attempt.changes.clone() } else { Vec::new() },
                again: true,
            })
        }));
        standing
    }
}

fn is_about_the_same(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (Event::Refused { name, .. }, Event::Refused { name: other, .. }) => name == other,
        (Event::SettingsRefused { problems, .. }, Event::SettingsRefused { problems: other, .. }) => problems == other,
        (Event::SettingsChanged { .. }, Event::SettingsChanged { .. }) => true,
        _ => false,
    }
}
