use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;

use super::*;

/// Longer than any machine takes; only a watcher that does not work waits for it.
const FOREVER: Duration = Duration::from_secs(60);

/// Longer than any test runs: what is found then is found without it.
const NEVER: Duration = Duration::from_secs(3600);

const SOON: Duration = Duration::from_millis(100);

struct Rig {
    directory: tempfile::TempDir,
    watcher: Watcher,
    notices: mpsc::Receiver<Notice>,
}

impl Rig {
    /// Watches by the kernel alone, by looking alone, or both, and never supposes a change.
    fn new(files: &[&str], use_kernel: bool, look: Duration) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("servlets")).unwrap();
        for file in files {
            fs::write(directory.path().join(file), "old").unwrap();
        }
        let (sender, notices) = mpsc::channel();
        let watched = Rig::watched(directory.path(), files);
        let pace = Pace { look, sweep: NEVER };
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

fn every_kind_of_change_is_told(use_kernel: bool, look: Duration) {
    let rig = Rig::new(&["a.yaml"], use_kernel, look);
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
    every_kind_of_change_is_told(false, SOON);
}

#[test]
fn a_directory_made_again_is_watched_again() {
    let rig = Rig::new(&[], true, SOON);
    rig.tells("removed", |rig| fs::remove_dir_all(rig.path("servlets")).unwrap());
    rig.tells("made again", |rig| {
        fs::create_dir(rig.path("servlets")).unwrap();
        fs::write(rig.path("servlets/c.yaml"), "c").unwrap();
    });
    rig.tells("and what is in it", |rig| fs::write(rig.path("servlets/d.yaml"), "d").unwrap());
}

/// The kernel's watch on a directory ends with what happens to it, though the directory looks the same as before.
#[test]
fn what_becomes_of_a_directory_does_not_end_its_watch() {
    let rig = Rig::new(&[], true, NEVER);
    let write = |rig: &Rig| fs::write(rig.path("servlets/a.yaml"), "x").unwrap();
    for round in 0..3 {
        rig.tells("moved away and back", |rig| {
            fs::rename(rig.path("servlets"), rig.path("aside")).unwrap();
            fs::rename(rig.path("aside"), rig.path("servlets")).unwrap();
        });
        rig.tells(&format!("after the move {round}"), write);
        rig.tells("made again", |rig| {
            fs::remove_dir_all(rig.path("servlets")).unwrap();
            fs::create_dir(rig.path("servlets")).unwrap();
        });
        rig.tells(&format!("after it was made again {round}"), write);
    }
    rig.tells("removed", |rig| fs::remove_dir_all(rig.path("servlets")).unwrap());
    rig.tells("back", |rig| fs::create_dir(rig.path("servlets")).unwrap());
    rig.tells("after it came back", write);
}

#[test]
fn a_directory_that_is_watched_by_two_names_is_watched_by_the_one_that_is_left() {
    let rig = Rig::new(&["a.yaml"], true, NEVER);
    fs::create_dir(rig.path("own")).unwrap();
    for (link, gone) in [("alias", "alias"), ("zalias", "zalias"), ("alias", "own"), ("zalias", "own")] {
        if !rig.path(link).exists() {
            symlink("own", rig.path(link)).unwrap();
        }
        let files = |directories: &[&str]| {
            let files: Vec<String> = directories.iter().map(|directory| format!("{directory}/t.yaml")).collect();
            Rig::watched(rig.directory.path(), &files.iter().map(String::as_str).collect::<Vec<_>>())
        };
        rig.tells("two", |rig| rig.watcher.set(files(&["own", link])));
        let left = if gone == "own" { link } else { "own" };
        rig.tells("one", |rig| rig.watcher.set(files(&[left])));
        rig.tells(&format!("{link} without {gone}"), |rig| fs::write(rig.path("own/t.yaml"), "x").unwrap());
    }
}

#[test]
fn a_missing_directory_is_seen_to_come() {
    let rig = Rig::new(&[], true, NEVER);
    rig.tells("watched", |rig| rig.watcher.set(Rig::watched(rig.directory.path(), &["later/and/deep/a.yaml"])));
    for directory in ["later", "later/and", "later/and/deep"] {
        rig.tells(directory, |rig| fs::create_dir(rig.path(directory)).unwrap());
    }
    rig.tells("the file", |rig| fs::write(rig.path("later/and/deep/a.yaml"), "x").unwrap());
}

/// Kubernetes mounts a ConfigMap as links through `..data`, which is swapped as a whole.
#[test]
fn a_swapped_config_map_is_told() {
    for use_kernel in [true, false] {
        // The kernel's notices follow the links; only what they lead to after a swap has to be looked for.
        let rig = Rig::new(&[], use_kernel, SOON);
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
    let rig = Rig::new(&[], true, SOON);
    rig.tells("watched", |rig| rig.watcher.set(Rig::watched(rig.directory.path(), &["later/deep/a.yaml"])));
    rig.tells("created", |rig| {
        fs::create_dir_all(rig.path("later/deep")).unwrap();
        fs::write(rig.path("later/deep/a.yaml"), "x").unwrap();
    });
}

#[test]
fn a_slow_reload_puts_off_no_more_than_what_follows_it() {
    let (sender, notices) = mpsc::channel();
    let pace = Pace { look: SOON, sweep: Duration::from_millis(500) };
    let notice = move |notice| drop(sender.send(notice));
    let watcher = Watcher::start_with(Watched::default(), false, pace, notice).unwrap();
    assert_eq!(notices.recv_timeout(FOREVER), Ok(Notice::Changed), "at first");
    watcher.took(FOREVER);
    watcher.took(Duration::ZERO);
    assert_eq!(notices.recv_timeout(FOREVER), Ok(Notice::Changed), "a sweep as soon as after any quick one");
}

#[test]
fn links_in_a_circle_end() {
    let directory = tempfile::tempdir().unwrap();
    symlink("b", directory.path().join("a")).unwrap();
    symlink("a", directory.path().join("b")).unwrap();
    let watched = Watched { files: vec![directory.path().join("a")], directories: Vec::new() };
    assert_eq!(watched.to_watch().0.keys().collect::<Vec<_>>(), [directory.path()]);
    let names = RandomState::new();
    assert_eq!(Look::at(&watched, &names), Look::at(&watched, &names));
}

#[test]
fn a_reason_for_polling_is_told_once() {
    let (sender, notices) = mpsc::channel();
    let notice = move |notice| drop(sender.send(notice));
    let watched = Watched::default();
    let mut state = State::new(watched, notice);
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
    let mut state = State::new(watched, notice);
    let (touched, _receiver) = channel();
    state.ask_kernel(touched);
    assert!(state.kernel.is_some());
    assert!(!state.have_kernel_watch(BTreeMap::from([(PathBuf::from("/no/such/directory"), (1, 1))])));
    assert_eq!(notices.try_iter().next(), None);
}

/// A state that watches by the kernel and has told nothing.
fn seeing(watched: Watched) -> State<impl FnMut(Notice)> {
    let mut state = State::new(watched, |_| {});
    let (touched, _receiver) = channel();
    state.ask_kernel(touched);
    state.watch();
    state
}

fn at(kind: EventKind, path: &Path) -> notify::Event {
    notify::Event::new(kind).add_path(path.to_owned())
}

const MODIFIED: EventKind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

#[test]
fn a_half_written_file_is_not_told_before_its_close_or_rename() {
    use notify::event::{MetadataKind, RenameMode};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    fs::write(&file, "half").unwrap();
    let state = seeing(Watched { files: vec![file.clone()], directories: Vec::new() });
    let start = Instant::now();
    let later = start + Duration::from_millis(60);
    let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    for begin in [EventKind::Create(CreateKind::File), MODIFIED] {
        for end in [CLOSED, renamed] {
            let mut burst = Burst::default();
            state.see(&at(begin, &file), &mut burst, start);
            state.see(&at(MODIFIED, &file), &mut burst, later);
            state.see(&at(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), &file), &mut burst, later);
            assert_eq!(burst.tell_at(), Some(start + burst::PATIENCE), "{begin:?}");
            state.see(&at(end, &file), &mut burst, later);
            assert_eq!(burst.tell_at(), Some(later + burst::QUIET), "{end:?}");
        }
    }
    // A link is whole as soon as it is there.
    fs::remove_file(&file).unwrap();
    symlink("elsewhere", &file).unwrap();
    let mut burst = Burst::default();
    state.see(&at(EventKind::Create(CreateKind::File), &file), &mut burst, start);
    assert_eq!(burst.tell_at(), Some(start + burst::QUIET));
}

#[test]
fn what_happens_beside_a_file_is_of_no_concern() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["servlets", "..1", "other"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("..1/linked.yaml"), "x").unwrap();
    symlink("..1", path("..data")).unwrap();
    symlink("..data/linked.yaml", path("linked.yaml")).unwrap();
    // The same directory by another name: the kernel tells only one of them.
    symlink(".", path("alias")).unwrap();
    let files = ["telamon.yaml", "linked.yaml", "alias/aliased.yaml", "missing.proto"];
    let state = seeing(Watched { files: files.map(path).to_vec(), directories: vec![path("servlets")] });
    let told = |name: &str| {
        let mut burst = Burst::default();
        state.see(&at(CLOSED, &path(name)), &mut burst, Instant::now());
        burst.tell_at().is_some()
    };
    for name in ["access.log", "other", "..data/other.yaml", "telamon.yaml~"] {
        assert!(!told(name), "{name}");
    }
    for name in [
        "telamon.yaml",
        "linked.yaml",
        "..data",
        "..data/linked.yaml",
        "aliased.yaml",
        "alias/telamon.yaml",
        "missing.proto",
        "servlets",
        "servlets/new.yaml",
        "unknown/place",
    ] {
        assert!(told(name), "{name}");
    }
    let mut burst = Burst::default();
    state.see(&notify::Event::new(EventKind::Other), &mut burst, Instant::now());
    assert!(burst.tell_at().is_some(), "lost notices");
}
