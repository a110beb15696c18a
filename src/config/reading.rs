//! One reading of the disk. Every file is read once in it, so that all that is made from a file is made from the same bytes; and
//! what a servlet was made from is known, down to the files that were looked for and not found.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::protos::Outcome;
use crate::discovery::{self, ContentHash, FileText, Problem, Stamp};

/// What was found at a path: content, or why there is none.
pub type Seen = Result<ContentHash, Box<str>>;

/// The files that a servlet was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Its endpoint table.
    pub table: Option<PathBuf>,
    /// All of them, the servlet's own file and the table too, and those that were looked for in vain.
    pub files: BTreeMap<PathBuf, Seen>,
}

impl Sources {
    /// The files that are there, as an operator would name them.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.files.iter().filter(|(_, seen)| seen.is_ok()).map(|(path, _)| discovery::display_name(path)).collect();
        names.dedup();
        names
    }

    /// Whether nothing but the content of the table differs.
    pub(super) fn differ_in_table_only(&self, before: &Sources) -> bool {
        let rest = |sources: &Sources| {
            sources
                .files
                .iter()
                .filter(|(path, _)| Some(*path) != sources.table.as_ref())
                .map(clone)
                .collect::<Vec<_>>()
        };
        self.table == before.table && rest(self) == rest(before)
    }
}

fn clone((path, seen): (&PathBuf, &Seen)) -> (PathBuf, Seen) {
    (path.clone(), seen.clone())
}

/// What was read at a path, or why nothing was.
pub(super) type Read = Arc<Result<FileText, Problem>>;

/// What files held when they were last read, for as long as they look the same: with ten thousand servlets, reading all files to find the
/// one that changed takes most of a second.
pub(super) type Stamps = HashMap<PathBuf, (Stamp, ContentHash), RandomState>;

/// Files read so far.
#[derive(Default)]
pub(super) struct Reading {
    files: BTreeMap<PathBuf, Read>,
    known: Stamps,
    /// What was compiled in it and what came of it, by the files that a servlet names.
    compiled: HashMap<Vec<PathBuf>, Outcome, RandomState>,
}

impl Reading {
    /// A reading in which these files are known already, whatever the disk holds, and those by their stamps.
    pub(super) fn with(files: BTreeMap<PathBuf, Read>, known: Stamps) -> Reading {
        Reading { files, known, ..Reading::default() }
    }

    /// Nobody will ask for these files again.
    pub(super) fn forget(&mut self, sources: &Sources) {
        for path in sources.files.keys() {
            self.known.remove(path);
        }
    }

    /// What is known of files for the next reading.
    pub(super) fn into_stamps(self) -> Stamps {
        self.known
    }

    /// The file, read now unless it has been.
    pub(super) fn file(&mut self, path: &Path) -> Read {
        if let Some(file) = self.files.get(path) {
            return Arc::clone(file);
        }
        let file = Arc::new(discovery::read(path));
        match &*file {
            Ok(FileText { stamp: Some(stamp), hash, .. }) => drop(self.known.insert(path.to_owned(), (*stamp, *hash))),
            Ok(FileText { stamp: None, .. }) | Err(_) => drop(self.known.remove(path)),
        }
        self.files.insert(path.to_owned(), Arc::clone(&file));
        file
    }

    /// Lets `read` stand for what is at the path from now on, or the disk; what stood for it before.
    pub(super) fn put(&mut self, path: &Path, read: Option<Read>) -> Option<Read> {
        match read {
            Some(read) => self.files.insert(path.to_owned(), read),
            None => self.files.remove(path),
        }
    }

    pub(super) fn seen(&mut self, path: &Path) -> Seen {
        if !self.files.contains_key(path)
            && let Some((stamp, hash)) = self.known.get(path)
            && Stamp::at(path) == Some(*stamp)
        {
            return Ok(*hash);
        }
        match &*self.file(path) {
            Ok(file) => Ok(file.hash),
            Err(problem) => Err(problem.wrong.clone()),
        }
    }

    /// Reads for a servlet: what is read becomes one of its sources.
    pub(super) fn for_servlet<'r>(&'r mut self, sources: &'r mut Sources) -> Recorder<'r> {
        Recorder { reading: self, sources }
    }

    /// Whether a servlet that was made from `sources` would be made from the same now.
    pub(super) fn matches(&mut self, sources: &Sources) -> bool {
        sources.files.iter().all(|(path, seen)| self.seen(path) == *seen)
    }
}

/// Reads files for one servlet.
pub(super) struct Recorder<'r> {
    reading: &'r mut Reading,
    sources: &'r mut Sources,
}

impl Recorder<'_> {
    pub(super) fn file(&mut self, path: &Path) -> Read {
        // Read before it is noted, so that what is noted is what was read.
        let read = self.reading.file(path);
        let seen = self.reading.seen(path);
        self.sources.files.insert(path.to_owned(), seen);
        read
    }

    /// What came of the files of these names when they were compiled in this reading.
    pub(super) fn compiled(&self, named: &[PathBuf]) -> Option<Outcome> {
        self.reading.compiled.get(named).cloned()
    }

    pub(super) fn keep_compiled(&mut self, named: Vec<PathBuf>, outcome: Outcome) {
        self.reading.compiled.insert(named, outcome);
    }

    /// Whether all of them are as they were. They become the servlet's own if they are.
    pub(super) fn are_still(&mut self, sources: &Sources) -> bool {
        let still = self.reading.matches(sources);
        if still {
            self.include(sources);
        }
        still
    }

    /// Makes all of them the servlet's own.
    pub(super) fn include(&mut self, sources: &Sources) {
        self.sources.files.extend(sources.files.iter().map(clone));
    }

    /// The same reading for a part of the servlet: what is read becomes one of `sources` only.
    pub(super) fn for_part<'p>(&'p mut self, sources: &'p mut Sources) -> Recorder<'p> {
        Recorder { reading: self.reading, sources }
    }

    /// The file's text.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, Box<Problem>> {
        match &*self.file(path) {
            Ok(file) => file.text(&discovery::display_name(path)).map(str::to_owned).map_err(Box::new),
            Err(problem) => Err(Box::new(problem.clone())),
        }
    }

    /// Like [`Recorder::file`], for the table.
    pub(super) fn table(&mut self, path: &Path) -> Result<String, Box<Problem>> {
        self.sources.table = Some(path.to_owned());
        self.text(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_looks_the_same_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.yaml");
        std::fs::write(&path, "old").unwrap();
        // As if it had held something else when it was last read.
        let known = (Stamp::at(&path).unwrap(), ContentHash::of(b"what it held"));
        let reading = || Reading::with(BTreeMap::new(), Stamps::from_iter([(path.clone(), known)]));
        assert_eq!(reading().seen(&path), Ok(ContentHash::of(b"what it held")));
        assert!(reading().file(&path).is_ok(), "whoever wants the text gets it");
        std::fs::write(directory.path().join("new"), "new").unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert_eq!(reading().seen(&path), Ok(ContentHash::of(b"new")));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(reading().seen(&path), Err("no such file".into()));
    }

    #[test]
    fn a_file_that_was_just_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.yaml");
        std::fs::write(&path, "old").unwrap();
        let mut reading = Reading::default();
        assert_eq!(reading.seen(&path), Ok(ContentHash::of(b"old")));
        let known = reading.into_stamps();
        assert!(!known.contains_key(&path), "the next write may leave it looking the same");
    }
}
