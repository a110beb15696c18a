//! Tells that files may have changed, soon and surely. Soon by the kernel's notices on the directories that they are in, since a
//! file's own watch dies with a rename; surely by looking at them beside it, twice a second or as seldom as costs little, because a network
//! mount sends no notice, the kernel's watches run out, and a directory may be swapped above the one that is watched. Says too much rather
//! than too little: whoever is told compares contents.

mod burst;
mod look;
mod pace;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::RandomState;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{EventKind, RecursiveMode, Watcher as _};

use super::{Stopwatch, stand_back};
use burst::Burst;
use look::{Directories, DirectoryId, Look, Wanted, directory_at};
use pace::Pace;

/// What the watcher has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something may have changed.
    Changed,
    /// The kernel's notices are not to be had, for this reason; changes are still found, by looking. Told once for each reason.
    Polling(String),
}

/// Files and directories to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Files, there or not. Symlinks are followed, and the links themselves watched too.
    pub files: Vec<PathBuf>,
    /// Directories in which files may come and go.
    pub directories: Vec<PathBuf>,
}

enum Message {
    Watch(Watched),
    Took(Duration),
    Event(notify::Event),
    Failed(String),
    Stop,
}

/// A thread that watches. Dropping it ends the thread and waits for it, so `notice` must not be what drops it.
pub struct Watcher {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts watching; `notice` is called on the watcher's own thread, and once soon after the start for what changed before it.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(watched: Watched, notice: impl FnMut(Notice) + Send + 'static) -> std::io::Result<Watcher> {
        Watcher::start_with(watched, true, Pace::default(), notice)
    }

    fn start_with(
        watched: Watched,
        use_kernel: bool,
        pace: Pace,
        notice: impl FnMut(Notice) + Send + 'static,
    ) -> std::io::Result<Watcher> {
        let (sender, receiver) = channel();
        let touched = sender.clone();
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
            stand_back();
            let mut state = State::new(watched, notice);
            if use_kernel {
                state.ask_kernel(touched);
            }
            state.watch();
            state.run(&receiver, pace);
        })?;
        Ok(Watcher { sender, thread: Some(thread) })
    }

    /// Watches these from now on, and none that are not among them.
    pub fn set(&self, watched: Watched) {
        // The thread ends only when this is dropped.
        let _ = self.sender.send(Message::Watch(watched));
    }

    /// Acting on a notice took so long: when nothing shows a change, the next one is told as seldom as makes that cheap.
    pub fn took(&self, time: Duration) {
        let _ = self.sender.send(Message::Took(time));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State<N> {
    notice: N,
    /// The reasons for polling that have been told.
    told: BTreeSet<String>,
    kernel: Option<notify::RecommendedWatcher>,
    /// The directories that the kernel watches, and which directory that was then.
    by_kernel: BTreeMap<PathBuf, DirectoryId>,
    /// Those that it is to watch, there or not.
    directories: Directories,
    /// What in them matters.
    wanted: Wanted,
    watched: Watched,
    look: Look,
    names: RandomState,
}

impl<N: FnMut(Notice)> State<N> {
    fn new(watched: Watched, notice: N) -> Self {
        let names = RandomState::new();
        State {
            notice,
            told: BTreeSet::new(),
            kernel: None,
            by_kernel: BTreeMap::new(),
            directories: Directories::new(),
            wanted: Wanted::default(),
            look: Look::at(&watched, &names),
            watched,
            names,
        }
    }

    fn ask_kernel(&mut self, touched: Sender<Message>) {
        let handler = move |event: notify::Result<notify::Event>| {
            let message = match event {
                // Our own reading is an event too.
                Ok(event) => match event.kind {
                    EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => return,
                    _ => Message::Event(event),
                },
                Err(error) => Message::Failed(error.to_string()),
            };
            let _ = touched.send(message);
        };
        match notify::recommended_watcher(handler) {
            Ok(kernel) => self.kernel = Some(kernel),
            Err(error) => self.poll_because(error.to_string()),
        }
    }

    fn poll_because(&mut self, reason: String) {
        if self.told.insert(reason.clone()) {
            (self.notice)(Notice::Polling(reason));
        }
    }

    fn run(&mut self, messages: &Receiver<Message>, pace: Pace) {
        let mut now = Instant::now();
        let mut look_at = now + pace.look;
        let (mut looked_at, mut told_at) = (now, now);
        let mut reload = Duration::ZERO;
        let mut burst = Burst::default();
        // What changed before the watch began has been missed: at first something is supposed to have.
        burst.touch(now);
        loop {
            let wake_at = burst.tell_at().map_or(look_at, |at| at.min(look_at));
            let message = messages.recv_timeout(wake_at.saturating_duration_since(now));
            now = Instant::now();
            match message {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Event(event)) => {
                    self.see(&event, &mut burst, now);
                    self.distrust(&event);
                }
                Ok(Message::Failed(reason)) => {
                    self.poll_because(reason);
                    burst.touch(now);
                }
                Ok(Message::Watch(watched)) => {
                    if self.watched != watched {
                        self.watched = watched;
                        self.watch();
                        self.look = Look::at(&self.watched, &self.names);
                        // What changed before it was watched has been missed.
                        burst.touch(now);
                    }
                }
                Ok(Message::Took(time)) => reload = time,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if now >= look_at {
                let watch = Stopwatch::start();
                if self.look() {
                    // After a long time it is not known when, and the change that it is has a writer's patience before it.
                    let lately = now.checked_sub(pace.look.min(burst::PATIENCE)).unwrap_or(looked_at);
                    burst.found(looked_at.max(lately), now);
                } else if now >= told_at + pace.next_sweep(reload) {
                    burst.touch(now);
                }
                look_at = Instant::now() + pace.next_look(watch.elapsed());
                looked_at = now;
            }
            if burst.tell_at().is_some_and(|at| now >= at) {
                // Before it is told: what is written while it is read is seen by the next look.
                let changed = self.look();
                looked_at = now;
                if !burst.goes_on(changed, now) {
                    burst = Burst::default();
                    told_at = now;
                    (self.notice)(Notice::Changed);
                }
            }
        }
    }

    /// Takes a notice of the kernel for what it means to the files that matter.
    fn see(&self, event: &notify::Event, burst: &mut Burst, now: Instant) {
        if event.paths.is_empty() {
            // Notices were lost.
            burst.touch(now);
        }
        for path in event.paths.iter().filter(|path| self.matters(path)) {
            match event.kind {
                EventKind::Create(kind) if kind != CreateKind::Folder && is_written(path) => burst.written(path, now),
                EventKind::Modify(ModifyKind::Data(_)) => burst.written(path, now),
                EventKind::Access(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                    burst.done(path, now);
                }
                _ => burst.touch(now),
            }
        }
    }

    /// Whether what happens at this path is to be told. What is not known to be of no concern is.
    fn matters(&self, path: &Path) -> bool {
        if self.by_kernel.contains_key(path) {
            return true;
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return true };
        self.by_kernel.get(directory).is_none_or(|directory| self.wanted.has(*directory, name))
    }

    /// Lets go of the kernel's watches that may have ended with this. What is still there is watched again before the change is told.
    fn distrust(&mut self, event: &notify::Event) {
        if event.paths.is_empty() {
            self.unwatch(self.by_kernel.keys().cloned().collect());
        }
        if !matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            return;
        }
        for gone in &event.paths {
            if !self.by_kernel.contains_key(gone) {
                continue;
            }
            // Its watch takes along those of what was beneath it.
            let beneath = self.by_kernel.keys().filter(|path| path.starts_with(gone)).cloned().collect();
            self.unwatch(beneath);
        }
    }

    /// Has the kernel watch these no longer, nor the same directories by other names: all of a directory's names share one watch.
    fn unwatch(&mut self, paths: Vec<PathBuf>) {
        let Some(kernel) = &mut self.kernel else { return };
        let ids: HashSet<DirectoryId> = paths.iter().filter_map(|path| self.by_kernel.get(path).copied()).collect();
        if ids.is_empty() {
            return;
        }
        for (path, _) in self.by_kernel.extract_if(.., |_, id| ids.contains(id)) {
            // It may be gone, and its watch with it.
            let _ = kernel.unwatch(&path);
        }
    }

    /// Looks at everything. Whether something has changed; then other directories may matter than before.
    fn look(&mut self) -> bool {
        let before = std::mem::replace(&mut self.look, Look::at(&self.watched, &self.names));
        let changed = before != self.look;
        let moved = changed && self.look.is_relinked(&before, &self.watched)
            || self.directories.iter().any(|(path, known)| directory_at(path) != *known);
        let missed = (moved || self.is_unwatched()) && self.watch();
        changed || missed
    }

    /// Whether the kernel does not watch a directory that was there: it refused once and may not again.
    fn is_unwatched(&self) -> bool {
        let there = || self.directories.iter().filter(|(_, id)| id.is_some()).count();
        self.kernel.is_some() && self.by_kernel.len() < there()
    }

    /// Has the kernel watch the directories that are there now. Whether something may have been missed before it did.
    fn watch(&mut self) -> bool {
        let (directories, wanted) = self.watched.to_watch();
        self.wanted = wanted;
        let there = directories.iter().filter_map(|(path, id)| Some((path.clone(), (*id)?))).collect();
        self.directories = directories;
        self.have_kernel_watch(there)
    }

    /// Whether a directory is watched anew, so that something in it may have been missed.
    fn have_kernel_watch(&mut self, directories: BTreeMap<PathBuf, DirectoryId>) -> bool {
        let stale: Vec<PathBuf> = self
            .by_kernel
            .iter()
            .filter(|(path, id)| directories.get(*path) != Some(*id))
            .map(|(path, _)| path.clone())
            .collect();
        self.unwatch(stale);
        let Some(kernel) = &mut self.kernel else { return false };
        let mut failed = None;
        let mut anew = false;
        for (path, id) in directories {
            if self.by_kernel.contains_key(&path) {
                continue;
            }
            match kernel.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    anew = true;
                    self.by_kernel.insert(path, id);
                }
                // It went away since it was looked at; the next look sees that.
                Err(error) if is_gone(&error) => {}
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            self.poll_because(error.to_string());
        }
        anew
    }
}

/// Whether a close will follow its creation; none follows a link's.
fn is_written(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
