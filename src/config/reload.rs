//! Loading everything at start, and again whatever has changed since.
//!
//! Two layers, so that nothing depends on the order of events: what the files say now (an attempt for each servlet), and what runs.
//! Each reload brings the first up to date by content hash and then settles the second against it, as far as servlets do not claim
//! the same. Leans towards what runs: it stays until something whole and free of conflicts replaces it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{Listed, list};
use super::last_good::{self, Fetched};
use super::load::{Attempt, Surroundings, servlet};
use super::protos::Compiled;
use super::reading::{Reading, Seen, Sources, Stamps};
use super::settings::{Defaults, Settings};
use super::{Change, Event, Loaded, Report, ServletDef};
use crate::discovery::{Problem, display_name};
use crate::runtime::watch::Watched;

/// How long a servlet's file must be gone before the servlet is: some editors and deployers delete a file before they create it anew.
pub const GONE_AFTER: Duration = Duration::from_millis(500);

/// Loads `telamon.yaml` at `file` and everything that it leads to.
///
/// # Errors
/// All that is wrong with any of it.
pub fn load(file: &Path) -> Result<Loaded, Report> {
    Reloader::start(file).map(|(loaded, _)| loaded)
}

/// What the files say and what runs.
pub struct Reloader {
    pub(super) file: PathBuf,
    pub(super) settings: Settings,
    settings_seen: Seen,
    /// What was told last of the settings and the directory, to tell it once.
    pub(super) settings_told: Option<(Seen, Vec<Problem>)>,
    pub(super) directory_told: Option<Problem>,
    /// The keys of the settings that wait for a restart.
    pub(super) restart: Vec<&'static str>,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) fetched: Fetched,
    /// By which files are known again that need not be read.
    stamps: Stamps,
    /// Whether other files may matter than when that was asked last.
    is_to_watch: bool,
}

/// One servlet.
pub(super) struct Entry {
    listed: Listed,
    /// What its files come to, with the schema that its endpoints told and that was accepted.
    pub(super) attempt: Attempt,
    /// The same with what an endpoint told since; there as long as that is held back.
    pub(super) trial: Option<Attempt>,
    /// What was told last of a trial: what was tried, and what is wrong with it.
    pub(super) held: Option<(Seen, Vec<Problem>)>,
    /// What the attempt was made with: a servlet whose file was away when they changed is still to follow.
    inherited: Defaults,
    pub(super) running: Option<Running>,
    /// The problems that were told last, and with which files.
    pub(super) told: Option<(Sources, Vec<Problem>)>,
    gone_since: Option<Instant>,
    /// Its file has been gone long enough. It is still there when others would not get on without it.
    pub(super) leaves: bool,
}

impl Entry {
    fn new(listed: Listed, attempt: Attempt, inherited: &Defaults) -> Entry {
        Entry {
            listed,
            attempt,
            trial: None,
            held: None,
            inherited: inherited.clone(),
            running: None,
            told: None,
            gone_since: None,
            leaves: false,
        }
    }

    fn is_there(&mut self) {
        self.gone_since = None;
        self.leaves = false;
    }
}

/// The version of a servlet that is in force.
pub(super) struct Running {
    pub(super) def: Arc<ServletDef>,
    pub(super) sources: Sources,
}

impl Reloader {
    /// Loads everything and remembers it.
    ///
    /// # Errors
    /// All that is wrong with any of it.
    pub fn start(file: &Path) -> Result<(Loaded, Reloader), Report> {
        let mut reading = Reading::default();
        let mut problems = Vec::new();
        let settings_seen = reading.seen(file);
        let text = reading
            .for_servlet(&mut Sources::default())
            .text(file)
            .map_err(|problem| Report { problems: vec![*problem] })?;
        let root = directory_of(file);
        let (settings, directory, named_at) = Settings::read(&display_name(file), root, &text, &mut problems);
        let mut entries = BTreeMap::new();
        let defaults = settings.as_ref().map(|settings| settings.defaults.clone()).unwrap_or_default();
        let state = settings.as_ref().map(|settings| settings.state.0.clone()).unwrap_or_default();
        let around = Surroundings { root, state: &state, defaults: &defaults };
        match list(&directory) {
            Ok(listed) => {
                for (name, listed) in listed {
                    let attempt = attempt(&name, &listed, &around, &mut reading, None, true);
                    entries.insert(name, Entry::new(listed, attempt, around.defaults));
                }
            }
            Err(problem) => {
                let wrong = format!("cannot be read: {}: {}", problem.file, problem.wrong);
                problems.push(Problem::new(display_name(file), named_at, "servlets", wrong));
            }
        }
        let mut reloader = match settings {
            Some(settings) => Some(Reloader {
                file: file.to_owned(),
                settings,
                settings_seen,
                settings_told: None,
                directory_told: None,
                restart: Vec::new(),
                entries,
                fetched: Fetched::default(),
                stamps: Stamps::default(),
                is_to_watch: true,
            }),
            None => {
                problems.extend(
                    entries.values().filter_map(|entry| entry.attempt.result.as_ref().err()).flatten().cloned(),
                );
                None
            }
        };
        for event in reloader.iter_mut().flat_map(|reloader| reloader.settle(&mut reading)) {
            if let Event::Refused { problems: more, .. } = event {
                problems.extend(more);
            }
        }
        match reloader {
            Some(mut reloader) if problems.is_empty() => {
                reloader.stamps = reading.into_stamps();
                Ok((reloader.loaded(), reloader))
            }
            _ => Err(Report { problems }),
        }
    }

    fn loaded(&self) -> Loaded {
        let running = || self.entries.iter().filter_map(|(name, entry)| Some((name.clone(), entry.running.as_ref()?)));
        Loaded {
            file: self.file.clone(),
            settings: self.settings.clone(),
            servlets: running().map(|(name, running)| (name, Arc::clone(&running.def))).collect(),
            sources: running().map(|(name, running)| (name, running.sources.clone())).collect(),
            compiled: self
                .entries
                .iter()
                .filter_map(|(name, entry)| Some((name.clone(), entry.attempt.compiled.clone()?)))
                .collect(),
        }
    }

    /// Looks at everything again and says what has changed. Servlets are settled together, so put all events in force before
    /// building routes from them: one servlet may take over what another gives up.
    pub fn reload(&mut self, now: Instant) -> Vec<Event> {
        let mut reading = self.fetched.reading(std::mem::take(&mut self.stamps));
        let mut events = Vec::new();
        let mut dirty = self.reload_settings(&mut reading, &mut events);
        let listed = self.list(&mut events);
        // Whether other files may matter now.
        let mut others = self.see_off(&listed, now, &mut reading);
        dirty |= others;
        let around = Surroundings {
            root: directory_of(&self.file),
            state: &self.settings.state.0,
            defaults: &self.settings.defaults,
        };
        let stays = self.entries.values().filter(|entry| !entry.leaves);
        let running: Vec<Arc<ServletDef>> =
            stays.filter_map(|entry| Some(Arc::clone(&entry.running.as_ref()?.def))).collect();
        for (name, listed) in listed {
            let known = self.entries.get_mut(&name);
            let kept = last_good::path(around.state, &name);
            dirty |= known.as_ref().is_some_and(|entry| entry.leaves);
            let unchanged = known.as_ref().is_some_and(|entry| {
                entry.inherited == *around.defaults
                    && entry.listed == listed
                    && !self.fetched.is_untried(&kept)
                    && reading.matches(&entry.attempt.sources)
            });
            match known {
                Some(entry) if unchanged => entry.is_there(),
                Some(entry) => {
                    dirty = true;
                    let on_trial = self.fetched.on_trial(&kept).map(|read| (kept.as_path(), read));
                    others |= on_trial.is_some() || entry.trial.is_some();
                    let before: Vec<PathBuf> = entry.attempt.sources.files.keys().cloned().collect();
                    entry.try_again(&name, &listed, &around, &mut reading, on_trial);
                    others |= !entry.attempt.sources.files.keys().eq(&before);
                    entry.pass_gate(&running);
                    entry.inherited = around.defaults.clone();
                    entry.listed = listed;
                    entry.is_there();
                }
                None => {
                    (dirty, others) = (true, true);
                    let attempt = attempt(&name, &listed, &around, &mut reading, None, true);
                    self.entries.insert(name, Entry::new(listed, attempt, around.defaults));
                }
            }
        }
        if dirty {
            let before = self.entries.len();
            events.extend(self.settle(&mut reading));
            others |= self.entries.len() != before;
        }
        self.is_to_watch |= others;
        self.stamps = reading.into_stamps();
        events
    }

    /// Lets the next reload read every file, whatever it looks like.
    pub fn read_anew(&mut self) {
        self.stamps.clear();
    }

    /// When to look again without being told of a change: a file that is gone has been gone long enough then.
    pub fn next_check(&self) -> Option<Instant> {
        let going = self.entries.values().filter(|entry| !entry.leaves);
        going.filter_map(|entry| entry.gone_since).min().map(|since| since + GONE_AFTER)
    }

    /// [`Reloader::watched`], if that may be other files than when this was asked last.
    pub fn watched_anew(&mut self) -> Option<Watched> {
        std::mem::take(&mut self.is_to_watch).then(|| self.watched())
    }

    /// Everything whose change matters: files, some of which are not there, and the servlets' directory. It may be other files
    /// after each reload.
    pub fn watched(&self) -> Watched {
        let mut files: Vec<PathBuf> = vec![self.file.clone()];
        for entry in self.entries.values() {
            files.extend(entry.attempt.sources.files.keys().cloned());
        }
        files.sort();
        files.dedup();
        Watched { files, directories: vec![self.settings.servlets.0.clone()] }
    }

    /// Brings the settings up to date. Whether what servlets inherit has changed.
    fn reload_settings(&mut self, reading: &mut Reading, events: &mut Vec<Event>) -> bool {
        let seen = reading.seen(&self.file);
        if seen == self.settings_seen {
            return false;
        }
        self.settings_seen = seen.clone();
        let file = display_name(&self.file);
        let mut problems = Vec::new();
        let settings = match reading.for_servlet(&mut Sources::default()).text(&self.file) {
            Ok(text) => Settings::read(&file, directory_of(&self.file), &text, &mut problems).0,
            Err(problem) => {
                problems.push(*problem);
                None
            }
        };
        let Some(settings) = settings else {
            let told = Some((seen, problems.clone()));
            if self.settings_told != told {
                self.settings_told = told;
                events.push(Event::SettingsRefused { file, problems });
            }
            return false;
        };
        let restart = self.settings.differ_until_restart(&settings);
        let inherited = self.settings.defaults != settings.defaults;
        let was_refused = self.settings_told.take().is_some();
        let waited = !std::mem::replace(&mut self.restart, restart.clone()).is_empty();
        if inherited || waited || !restart.is_empty() || was_refused {
            self.settings.defaults = settings.defaults;
            events.push(Event::SettingsChanged { file, settings: Box::new(self.settings.clone()), restart });
        }
        inherited
    }

    /// The servlets that have files. When the directory cannot be read, those that were known.
    fn list(&mut self, events: &mut Vec<Event>) -> BTreeMap<String, Listed> {
        match list(&self.settings.servlets.0) {
            Ok(listed) => {
                self.directory_told = None;
                listed
            }
            Err(problem) => {
                if self.directory_told.as_ref() != Some(&*problem) {
                    self.directory_told = Some((*problem).clone());
                    events.push(Event::SettingsRefused { file: display_name(&self.file), problems: vec![*problem] });
                }
                self.entries.iter().map(|(name, entry)| (name.clone(), entry.listed.clone())).collect()
            }
        }
    }

    /// Finds the servlets whose files have been gone long enough. Whether there are any that were not known to be.
    fn see_off(&mut self, listed: &BTreeMap<String, Listed>, now: Instant, reading: &mut Reading) -> bool {
        let mut any = false;
        self.entries.retain(|name, entry| {
            if listed.contains_key(name) || entry.leaves {
                return true;
            }
            let since = *entry.gone_since.get_or_insert(now);
            // A file that never led to a servlet leaves nothing behind.
            if entry.running.is_none() {
                reading.forget(&entry.attempt.sources);
                any = true;
                return false;
            }
            entry.leaves = now.saturating_duration_since(since) >= GONE_AFTER;
            any |= entry.leaves;
            true
        });
        any
    }
}

pub(super) fn attempt(
    name: &str,
    listed: &Listed,
    around: &Surroundings<'_>,
    reading: &mut Reading,
    compiled: Option<Arc<Compiled>>,
    starts: bool,
) -> Attempt {
    match listed.path(name) {
        Ok(path) => servlet(name, path, around, reading, compiled, starts),
        Err(problem) => Attempt::new(Err(vec![*problem]), Sources::default(), compiled),
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

impl Change {
    /// How far `new` goes beyond what runs.
    pub(super) fn between(running: Option<&Running>, new: &ServletDef, sources: &Sources) -> Change {
        let Some(running) = running else { return Change::New };
        let inherited = running.def.options != new.options || running.def.unary_timeout != new.unary_timeout;
        if inherited {
            Change::Whole
        } else if running.sources == *sources {
            Change::Nothing
        } else if sources.differ_in_table_only(&running.sources) {
            Change::Table
        } else {
            Change::Whole
        }
    }
}
