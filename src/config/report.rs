//! What a load or a reload has to say: events for the process to act on, and the plain form of them that is kept for operators.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::protos::Compiled;
use super::routing::claims;
use super::{SchemaChange, ServletDef, Settings, Sources};
use crate::discovery::Problem;
use crate::telemetry::rfc3339_millis;

/// Everything that was loaded at start.
#[derive(Debug)]
pub struct Loaded {
    /// `telamon.yaml`, as it was named.
    pub file: PathBuf,
    pub settings: Settings,
    pub servlets: BTreeMap<String, Arc<ServletDef>>,
    /// The files that each servlet was made from.
    pub sources: BTreeMap<String, Sources>,
    pub(super) compiled: BTreeMap<String, Arc<Compiled>>,
}

impl Loaded {
    /// How many rules lead to its servlets: services, the HTTP rules of their methods, and routes beside them.
    pub fn routes(&self) -> usize {
        claims(self.servlets.values()).len()
    }
}

/// All that is wrong, in all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub problems: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// How far a change of a servlet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The servlet did not run before.
    New,
    /// The files are again as they were when the servlet was last accepted: nothing to do.
    Nothing,
    /// Only its endpoint table.
    Table,
    /// Its own file, its schema or what it inherits.
    Whole,
}

/// What a reload found.
#[derive(Clone, Debug)]
pub enum Event {
    /// To be put in force. `changes` are those that callers may notice.
    Accepted {
        servlet: Arc<ServletDef>,
        change: Change,
        summary: String,
        files: Vec<String>,
        changes: Vec<SchemaChange>,
    },
    /// Its file is gone.
    Removed { name: String, files: Vec<String> },
    /// Not accepted; `running` when an earlier version goes on. `changes` when it is only refused because it would break callers:
    /// all changes of the schema, of which `problems` are those that do. `again` when nothing differs from what was refused before but
    /// the table.
    Refused {
        name: String,
        running: bool,
        files: Vec<String>,
        problems: Vec<Problem>,
        changes: Vec<SchemaChange>,
        again: bool,
    },
    /// `telamon.yaml` or the servlets' directory cannot be read; everything goes on as it was.
    SettingsRefused { file: String, problems: Vec<Problem> },
    /// `telamon.yaml` has changed. `defaults` are in force, by an event for each servlet that they touch; `restart` lists the keys
    /// that wait for a restart.
    SettingsChanged { file: String, settings: Box<Settings>, restart: Vec<&'static str> },
    /// The operator asked for a reload, everything was read again, and all of it is as it runs. `pending` are the servlets whose schemas
    /// no endpoint has told.
    Unchanged { file: String, servlets: usize, pending: Vec<String> },
}

/// An event as it is kept for operators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReloadReport {
    /// When it was found: RFC 3339, in UTC.
    pub time: String,
    /// `None` for `telamon.yaml`.
    pub servlet: Option<String>,
    pub accepted: bool,
    /// One sentence.
    pub summary: String,
    pub files: Vec<String>,
    pub problems: Vec<Problem>,
    /// What is different for callers, the breaking changes first.
    pub changes: Vec<SchemaChange>,
}

impl Event {
    /// What a new version of a servlet changes for its callers.
    fn changes(&self) -> &[SchemaChange] {
        match self {
            Event::Accepted { changes, .. } | Event::Refused { changes, .. } => changes,
            Event::Removed { .. }
            | Event::SettingsRefused { .. }
            | Event::SettingsChanged { .. }
            | Event::Unchanged { .. } => &[],
        }
    }

    /// Whether it is a reload that was refused for nothing but what it would break.
    pub fn is_gated(&self) -> bool {
        matches!(self, Event::Refused { changes, .. } if !changes.is_empty())
    }

    /// Whether it is the first of the reloads that were refused for what this schema would break.
    pub fn is_newly_gated(&self) -> bool {
        self.is_gated() && matches!(self, Event::Refused { again: false, .. })
    }

    /// The event as it is kept; `time` is when it was found.
    pub fn report(&self, time: SystemTime) -> ReloadReport {
        let time = rfc3339_millis(time);
        let report =
            |servlet: Option<&str>, accepted, summary: String, files: &[String], problems: &[Problem]| ReloadReport {
                time: time.clone(),
                servlet: servlet.map(str::to_owned),
                accepted,
                summary,
                files: files.to_vec(),
                problems: problems.to_vec(),
                changes: self.changes().to_vec(),
            };
        match self {
            Event::Accepted { servlet, summary, files, .. } => {
                report(Some(&servlet.name), true, summary.clone(), files, &[])
            }
            Event::Removed { name, files } => report(Some(name), true, "removed: its file is gone".into(), files, &[]),
            Event::Refused { name, running, files, problems, .. } => {
                let goes_on = if *running { "the version before goes on" } else { "it does not run" };
                report(
                    Some(name),
                    false,
                    format!("refused, {}: {goes_on}", count(problems.len(), "problem")),
                    files,
                    problems,
                )
            }
            Event::SettingsRefused { file, problems } => {
                let summary = format!("refused, {}: everything goes on as it was", count(problems.len(), "problem"));
                report(None, false, summary, std::slice::from_ref(file), problems)
            }
            Event::SettingsChanged { file, restart, .. } => {
                let summary = if restart.is_empty() {
                    "settings changed; nothing waits for a restart".to_owned()
                } else {
                    format!("settings changed; needs a restart: {}", restart.join(", "))
                };
                report(None, true, summary, std::slice::from_ref(file), &[])
            }
            Event::Unchanged { file, servlets, pending } => {
                let waiting = match pending.as_slice() {
                    [] => String::new(),
                    names => format!("; no endpoint has told the schema of {}", names.join(", ")),
                };
                let summary = format!("nothing changed ({}){waiting}", count(*servlets, "servlet"));
                report(None, true, summary, std::slice::from_ref(file), &[])
            }
        }
    }

    /// Whether it is accepted, and in force only after a restart.
    pub fn waits_for_restart(&self) -> bool {
        matches!(self, Event::SettingsChanged { restart, .. } if !restart.is_empty())
    }

    /// Whether the operator has to do something about it.
    pub fn needs_attention(&self) -> bool {
        match self {
            Event::Refused { .. } | Event::SettingsRefused { .. } => true,
            Event::SettingsChanged { restart, .. } => !restart.is_empty(),
            Event::Accepted { .. } | Event::Removed { .. } | Event::Unchanged { .. } => false,
        }
    }
}

/// `1 problem`, `2 problems`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
