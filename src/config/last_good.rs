//! Descriptors that endpoints told: those of this run in memory, and the last good ones on disk for the next. What was fetched stands in
//! for the file on disk, so that it takes the way of every changed file: read, checked, settled, and refused with a report when it is
//! wrong. Only what was accepted is written, so the disk never holds worse than what ran.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Sources;
use super::reading::{Read, Reading};
use super::reload::Reloader;
use crate::discovery::{ContentHash, FileText};

/// Where the descriptors of a servlet are kept.
pub(super) fn path(state: &Path, servlet: &str) -> PathBuf {
    state.join(format!("{servlet}.binpb"))
}

/// What was fetched in this run, by the path at which it would be kept.
#[derive(Default)]
pub(super) struct Fetched {
    sets: BTreeMap<PathBuf, Set>,
}

struct Set {
    read: Read,
    /// Whether it has been written, or could not be.
    saved: bool,
}

impl Fetched {
    pub(super) fn has(&self, path: &Path) -> bool {
        self.sets.contains_key(path)
    }

    /// A reading of the disk in which what was fetched stands in for what is kept.
    pub(super) fn reading(&self) -> Reading {
        Reading::with(self.sets.iter().map(|(path, set)| (path.clone(), Arc::clone(&set.read))).collect())
    }
}

impl Reloader {
    /// Takes the descriptors that an endpoint of `servlet` told, a `google.protobuf.FileDescriptorSet`. The next reload acts on them.
    pub fn fetched(&mut self, servlet: &str, bytes: Vec<u8>) {
        let path = path(&self.settings.state.0, servlet);
        let hash = ContentHash::of(&bytes);
        let known = self
            .fetched
            .sets
            .get(&path)
            .is_some_and(|set| set.read.as_ref().as_ref().is_ok_and(|file| file.hash == hash));
        if !known {
            let read = Arc::new(Ok(FileText { bytes, hash }));
            self.fetched.sets.insert(path, Set { read, saved: false });
        }
    }

    /// The services that the endpoints of `servlet` are to be asked about, as its file has it now: what does not fit what was fetched
    /// before may fit what is fetched next. `None` unless its schema is theirs to tell.
    pub fn asks(&self, servlet: &str) -> Option<&[String]> {
        self.entries.get(servlet)?.attempt.asks.as_deref()
    }

    /// Writes what was fetched and accepted since the last time. Tells which servlet's could not be written, and why; that is not
    /// tried again before they change.
    pub fn save(&mut self) -> Vec<(String, io::Error)> {
        let mut failed = Vec::new();
        for (name, entry) in &self.entries {
            let path = path(&self.settings.state.0, name);
            let Some(set) = self.fetched.sets.get_mut(&path).filter(|set| !set.saved) else { continue };
            let Ok(file) = &*set.read else { continue };
            let runs = |sources: &Sources| sources.files.get(&path) == Some(&Ok(file.hash));
            if !entry.running.as_ref().is_some_and(|running| runs(&running.sources)) {
                continue;
            }
            if let Err(error) = write(&path, &file.bytes) {
                failed.push((name.clone(), error));
            }
            set.saved = true;
        }
        failed
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
