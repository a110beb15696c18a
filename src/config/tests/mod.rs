mod bindings;
mod envelope;
mod gate;
mod messages;
mod reflection;
mod reloading;
mod samples;
mod schemas;

use std::path::{Path, PathBuf};

/// A directory of files, gone at the end of the test.
pub(super) struct Tree(tempfile::TempDir);

impl Tree {
    pub(super) fn new() -> Tree {
        Tree(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// The text without the name of the directory, which differs from run to run.
    pub(super) fn local(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }
}

/// Reloading happens on a thread of its own, and what it finds goes to others.
#[test]
fn what_reloading_holds_and_finds_may_change_threads() {
    fn may<T: Send>() {}
    may::<super::Reloader>();
    may::<super::Event>();
    may::<super::Loaded>();
}
