//! Descriptors that endpoints told: those of this run in memory, and the last good ones on disk for the next. What was accepted stands in
//! for the file on disk, which is read once, when its servlet starts: nobody who writes or removes it takes a schema from what runs. What
//! an endpoint tells beside it is on trial until a reload has accepted it. Only what was accepted is written, so the disk never holds worse
//! than what ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reading::{Read, Reading, Stamps};
use super::reload::Reloader;
use crate::discovery::{ContentHash, FileText};
use crate::model::Table;

/// Where the descriptors of a servlet are kept.
pub(super) fn path(state: &Path, servlet: &str) -> PathBuf {
    state.join(format!("{servlet}.binpb"))
}

/// What is known of descriptors in this run, by the path at which they are kept.
#[derive(Default)]
pub(super) struct Fetched {
    sets: BTreeMap<PathBuf, Set>,
    /// Of servlets that are gone: to be removed from the disk.
    gone: BTreeSet<PathBuf>,
}

/// What is known of one servlet's descriptors.
#[derive(Default)]
struct Set {
    /// What was accepted last: what the servlet is made from.
    accepted: Option<Read>,
    /// Whether that is on disk, or could not be written.
    saved: bool,
    /// What an endpoint told last, until it is accepted.
    trial: Option<Read>,
    /// Whether an attempt was made with it.
    tried: bool,
}

fn hash(read: Option<&Read>) -> Option<ContentHash> {
    read?.as_ref().as_ref().ok().map(|file| file.hash)
}

impl Fetched {
    /// A reading of the disk in which what was accepted stands in for what is kept.
    pub(super) fn reading(&self, known: Stamps) -> Reading {
        let accepted =
            self.sets.iter().filter_map(|(path, set)| Some((path.clone(), Arc::clone(set.accepted.as_ref()?))));
        Reading::with(accepted.collect(), known)
    }

    /// Whether there is something on trial that no attempt was made with.
    pub(super) fn is_untried(&self, path: &Path) -> bool {
        self.sets.get(path).is_some_and(|set| set.trial.is_some() && !set.tried)
    }

    /// What is on trial; it counts as tried from now on.
    pub(super) fn on_trial(&mut self, path: &Path) -> Option<Read> {
        let set = self.sets.get_mut(path)?;
        set.tried = true;
        set.trial.clone()
    }

    /// What was on trial is in force.
    pub(super) fn accept_trial(&mut self, path: &Path) {
        if let Some(set) = self.sets.get_mut(path)
            && let Some(trial) = set.trial.take()
        {
            (set.accepted, set.saved) = (Some(trial), false);
        }
    }

    /// What was read from the disk is in force.
    pub(super) fn accept_kept(&mut self, path: &Path, reading: &mut Reading) {
        let set = self.sets.entry(path.to_owned()).or_default();
        if set.accepted.is_none() {
            (set.accepted, set.saved) = (Some(reading.file(path)), true);
        }
    }

    /// The servlet is gone.
    pub(super) fn forget(&mut self, path: PathBuf) {
        self.sets.remove(&path);
        self.gone.insert(path);
    }
}

/// What the endpoints of a servlet are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asks {
    /// `pkg.v1.Service`, `pkg.v1.*` or `*`.
    pub services: Vec<String>,
    /// Its endpoints as its table has them now, unless that is broken.
    pub table: Option<Table>,
}

impl Reloader {
    /// Takes the descriptors that an endpoint of `servlet` told, a `google.protobuf.FileDescriptorSet`. The next reload acts on them.
    pub fn fetched(&mut self, servlet: &str, bytes: Vec<u8>) {
        // It may have gone while its endpoint was asked.
        let Some(entry) = self.entries.get_mut(servlet) else { return };
        let set = self.fetched.sets.entry(path(&self.settings.state.0, servlet)).or_default();
        let new = ContentHash::of(&bytes);
        if hash(set.accepted.as_ref()) == Some(new) {
            // It tells again what runs: whatever was held back is told no more.
            (set.trial, entry.trial) = (None, None);
        } else if hash(set.trial.as_ref()) != Some(new) {
            set.trial = Some(Arc::new(Ok(FileText::of(bytes))));
            set.tried = false;
        }
    }

    /// What the endpoints of `servlet` are to be asked, as its file and its table are now: what does not fit what was fetched before may
    /// fit what is fetched next. `None` unless its schema is theirs to tell.
    pub fn asks(&self, servlet: &str) -> Option<&Asks> {
        self.entries.get(servlet)?.attempt.asks.as_ref()
    }

    /// Writes what was fetched and accepted since the last time, and removes what is of no servlet any more. Tells which servlet's could
    /// not be written, and why; that is not tried again before they change.
    pub fn save(&mut self) -> Vec<(String, io::Error)> {
        let mut failed = Vec::new();
        for name in self.entries.keys() {
            let path = path(&self.settings.state.0, name);
            self.fetched.gone.remove(&path);
            let Some(set) = self.fetched.sets.get_mut(&path).filter(|set| !set.saved) else { continue };
            let Some(Ok(file)) = set.accepted.as_deref() else { continue };
            if let Err(error) = write(&path, &file.bytes) {
                failed.push((name.clone(), error));
            }
            set.saved = true;
        }
        for path in std::mem::take(&mut self.fetched.gone) {
            // What is left is harmless: a servlet of that name holds it against its files before it uses it.
            let _ = fs::remove_file(path);
        }
        failed
    }

    /// Removes what processes that were killed while they wrote have left. For a process that is about to run.
    pub fn clear_leftovers(&self) {
        let Ok(directory) = fs::read_dir(&self.settings.state.0) else { return };
        for entry in directory.flatten() {
            let name = entry.file_name();
            if name.to_str().and_then(writer).is_some_and(|pid| pid == std::process::id() || !is_alive(pid)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a file whole or not at all: a crash leaves the one before.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|kept| kept == bytes) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // A name of our own, so that two processes over one directory do not write into each other's.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let written = File::create(&fresh)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// The process that writes, or wrote, a file of this name: `echo.4711.new`.
fn writer(name: &str) -> Option<u32> {
    name.strip_suffix(".new")?.rsplit_once('.')?.1.parse().ok()
}

fn is_alive(pid: u32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // One of another user is alive as well.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
