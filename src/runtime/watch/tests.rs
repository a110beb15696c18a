use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;

use super::*;

/// Longer than any machine takes; only a watcher that does not work waits for it.
const FOREVER: Duration = Duration::from_secs(60);

/// Longer than any test runs: what is found then is found without it.
const NEVER: Duration = Duration::from_secs(3600);

struct Rig {
    directory: tempfile::TempDir,
    watcher: Watcher,
    notices: mpsc::Receiver<Notice>,
}

impl Rig {
    /// Watches by the kernel alone, by looking alone, or both, and never supposes a change.
    fn new(files: &[&str], use_kernel: bool, poll: Duration) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("servlets")).unwrap();
        for file in files {
            fs::write(directory.path().join(file), "old").unwrap();
        }
        let (sender, notices) = mpsc::channel();
        let watched = Rig::watched(directory.path(), files);
        let pace = Pace { poll, sweep: NEVER };
        let watcher = Watcher::start_with(watched, use_kernel, pace, move |notice| drop(sender.send(notice))).unwrap();
        assert_eq!(notices.recv_timeout(FOREVER), Ok(Notice::Changed), "at first");
        Rig { directory, watcher, notices }
    }

    fn watched(root: &Path, files: &[&str]) -> Watched {
        Watched { files: files.iter().map(|file| root.join(file)).collect(), directories: vec![root.join("servlets")] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Does it and waits to be told of it. What was told before counts for nothing.
    fn tells(&self, what: &str, change: impl FnOnce(&Rig)) {
        while self.notices.try_recv().is_ok() {}
        change(self);
        assert_eq!(self.notices.recv_timeout(FOREVER), Ok(Notice::Changed), "{what}");
    }
}

fn every_kind_of_change_is_told(use_kernel: bool, poll: Duration) {
    let rig = Rig::new(&["a.yaml"], use_kernel, poll);
    rig.tells("in place", |rig| fs::write(rig.path("a.yaml"), "newer").unwrap());
    rig.tells("rename over", |rig| {
        fs::write(rig.path("a.tmp"), "renamed").unwrap();
        fs::rename(rig.path("a.tmp"), rig.path("a.yaml")).unwrap();
    });
    rig.tells("delete", |rig| fs::remove_file(rig.path("a.yaml")).unwrap());
    rig.tells("create", |rig| fs::write(rig.path("a.yaml"), "again").unwrap());
    rig.tells("new in a directory", |rig| fs::write(rig.path("servlets/b.yaml"), "b").unwrap());
    rig.tells("directory removed", |rig| fs::remove_dir_all(rig.path("servlets")).unwrap());
}

#[test]
fn the_kernel_tells() {
    every_kind_of_change_is_told(true, NEVER);
}

#[test]
fn looking_tells() {
    every_kind_of_change_is_told(false, POLL);
}

#[test]
fn a_directory_made_again_is_watched_again() {
    let rig = Rig::new(&[], true, POLL);
    rig.tells("removed", |rig| fs::remove_dir_all(rig.path("servlets")).unwrap());
    rig.tells("made again", |rig| {
        fs::create_dir(rig.path("servlets")).unwrap();
        fs::write(rig.path("servlets/c.yaml"), "c").unwrap();
    });
    rig.tells("and what is in it", |rig| fs::write(rig.path("servlets/d.yaml"), "d").unwrap());
}

/// Kubernetes mounts a ConfigMap as links through `..data`, which is swapped as a whole.
#[test]
fn a_swapped_config_map_is_told() {
    for use_kernel in [true, false] {
        // The kernel's notices follow the links; only what they lead to after a swap has to be looked for.
        let rig = Rig::new(&[], use_kernel, POLL);
        for version in ["..1", "..2"] {
            fs::create_dir(rig.path(version)).unwrap();
            fs::write(rig.path(version).join("a.yaml"), version).unwrap();
        }
        symlink("..1", rig.path("..data")).unwrap();
        symlink("..data/a.yaml", rig.path("a.yaml")).unwrap();
        rig.tells("watched", |rig| rig.watcher.set(Rig::watched(rig.directory.path(), &["a.yaml"])));
        rig.tells("swap", |rig| {
            symlink("..2", rig.path("..tmp")).unwrap();
            fs::rename(rig.path("..tmp"), rig.path("..data")).unwrap();
        });
        rig.tells("behind the links", |rig| fs::write(rig.path("..2/a.yaml"), "written in place").unwrap());
    }
}

#[test]
fn what_is_not_there_yet_is_told_when_it_comes() {
    let rig = Rig::new(&[], true, POLL);
    rig.tells("watched", |rig| rig.watcher.set(Rig::watched(rig.directory.path(), &["later/deep/a.yaml"])));
    rig.tells("created", |rig| {
        fs::create_dir_all(rig.path("later/deep")).unwrap();
        fs::write(rig.path("later/deep/a.yaml"), "x").unwrap();
    });
}

#[test]
fn links_in_a_circle_end() {
    let directory = tempfile::tempdir().unwrap();
    symlink("b", directory.path().join("a")).unwrap();
    symlink("a", directory.path().join("b")).unwrap();
    let watched = Watched { files: vec![directory.path().join("a")], directories: Vec::new() };
    assert_eq!(watched.to_watch().keys().collect::<Vec<_>>(), [directory.path()]);
    assert_eq!(Look::at(&watched), Look::at(&watched));
}

#[test]
fn a_reason_for_polling_is_told_once() {
    let (sender, notices) = mpsc::channel();
    let notice = move |notice| drop(sender.send(notice));
    let watched = Watched::default();
    let mut state =
        State { notice, told: BTreeSet::new(), kernel: None, by_kernel: BTreeMap::new(), watched, look: None };
    for reason in ["no more watches", "no more watches", "no more descriptors"] {
        state.poll_because(reason.into());
    }
    let told: Vec<Notice> = notices.try_iter().collect();
    assert_eq!(told, ["no more watches", "no more descriptors"].map(|reason| Notice::Polling(reason.into())));
}

/// What cannot be watched because it has just gone is no reason for polling.
#[test]
fn a_directory_that_went_away_is_no_limit() {
    let (sender, notices) = mpsc::channel();
    let notice = move |notice| drop(sender.send(notice));
    let watched = Watched::default();
    let mut state =
        State { notice, told: BTreeSet::new(), kernel: None, by_kernel: BTreeMap::new(), watched, look: None };
    let (touched, _receiver) = channel();
    state.ask_kernel(touched);
    assert!(state.kernel.is_some());
    assert!(!state.have_kernel_watch(BTreeMap::from([(PathBuf::from("/no/such/directory"), (1, 1))])));
    assert_eq!(notices.try_iter().next(), None);
}
