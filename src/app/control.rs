//! The one loop that changes what runs: files change, are read and checked whole, and are put in force with one store each.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use super::reflection::Fetcher;
use super::retired::Retired;
use super::routing::{Fleet, Running, mount, routing};
use super::state::{Shared, Vital};
use crate::config::{Change, Event, ReloadReport, Reloader, ServletDef};
use crate::discovery::Problem;
use crate::route::Conflict;
use crate::runtime::watch::{Notice, Watcher};
use crate::runtime::{Stopwatch, give_way, stand_back};
use crate::servlet::{Prepared, Servlet};

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Files may have changed.
    Look,
    /// The operator wants everything read again, and to know where things stand.
    Reload,
    /// An endpoint of the servlet told its descriptors.
    Fetched {
        servlet: String,
        bytes: Vec<u8>,
    },
    /// Changes are found by looking alone, for this reason.
    Polling(String),
    Stop,
}

/// The loop's state.
pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) fleet: Fleet,
    pub(super) reloader: Reloader,
    pub(super) fetcher: Fetcher,
    pub(super) retired: Retired,
}

/// Starts watching; what is seen is sent to `sender`.
pub(super) fn watch(reloader: &Reloader, sender: Sender<Message>) -> std::io::Result<Watcher> {
    Watcher::start(reloader.watched(), move |notice| {
        // The loop has ended when nobody receives.
        let _ = sender.send(match notice {
            Notice::Changed => Message::Look,
            Notice::Polling(why) => Message::Polling(why),
        });
    })
}

impl Control {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self, receiver: &Receiver<Message>, watcher: Option<Watcher>) {
        let _vital = Vital::new(&self.shared, "control".into());
        stand_back();
        self.fetcher.follow(&self.fleet, &self.reloader);
        loop {
            let check = self.reloader.next_check();
            let wait =
                check.map(|at| at.saturating_duration_since(Instant::now())).into_iter().chain(self.retired.wait());
            let asked = match receiver.recv_timeout(wait.min().unwrap_or(Duration::from_secs(3600))) {
                Ok(Message::Reload) => {
                    self.reloader.read_anew();
                    self.fetcher.again();
                    true
                }
                Ok(Message::Look) => false,
                Err(RecvTimeoutError::Timeout) => {
                    self.retired.free();
                    if check.is_none_or(|at| Instant::now() < at) {
                        continue;
                    }
                    false
                }
                Ok(Message::Fetched { servlet, bytes }) => {
                    self.reloader.fetched(&servlet, bytes);
                    false
                }
                Ok(Message::Polling(why)) => {
                    tracing::warn!(%why, "the kernel tells nothing of changed files; they are looked for instead");
                    continue;
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            };
            let (now, watch) = (Instant::now(), Stopwatch::start());
            let events = self.reloader.reload(now);
            let standing = if asked { self.reloader.standing(&events) } else { Vec::new() };
            if !events.is_empty() {
                self.apply(&events);
            }
            // It is in the reports already: the log answers whoever asked.
            for event in standing {
                log(&event, &event.report(SystemTime::now()));
            }
            self.fetcher.follow(&self.fleet, &self.reloader);
            for (servlet, error) in self.reloader.save() {
                tracing::warn!(servlet, %error, "the fetched schema is not kept for the next start");
            }
            // Nothing told does not mean that the same files matter.
            if let Some(watcher) = &watcher {
                if let Some(watched) = self.reloader.watched_anew() {
                    watcher.set(watched);
                }
                watcher.took(watch.elapsed());
            }
        }
    }

    /// Everything is built aside, so that nothing stands between the stores: a route that met the endpoints of another version would send
    /// them what they do not know. What cannot be in force is told as refused, whatever a reload thought of it.
    fn apply(&mut self, events: &[Event]) {
        self.retired.free();
        let now = Instant::now();
        let before = events.iter().any(reroutes).then(|| self.fleet.clone());
        let (mut removed, mut tables, mut tables_with_routes) = (Vec::new(), Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Accepted { change: Change::Nothing, .. } => {}
                Event::Accepted { servlet: def, change: Change::Table, .. } => {
                    tables.push(def);
                    if let Some(running) = self.fleet.get_mut(&*def.name) {
                        running.def = Arc::clone(def);
                    }
                }
                Event::Accepted { servlet: def, change: Change::New | Change::Whole, .. } => {
                    let servlet = match self.shared.registry.get(&def.name) {
                        Some(servlet) => {
                            tables_with_routes.push(def);
                            servlet
                        }
                        // No route leads to it yet.
                        None => {
                            let prepared = self.prepare(def, now);
                            self.put(prepared)
                        }
                    };
                    let mount = mount(def, servlet, &self.shared.metrics);
                    self.fleet.insert(def.name.to_string(), Running { def: Arc::clone(def), mount });
                }
                Event::Removed { name, .. } => {
                    self.fleet.remove(name);
                    removed.push(name);
                }
                Event::Refused { .. }
                | Event::SettingsRefused { .. }
                | Event::SettingsChanged { .. }
                | Event::Unchanged { .. } => {}
            }
        }
        let routing =
            match before.map(|before| routing(&self.fleet).map_err(|conflicts| (before, conflicts))).transpose() {
                Ok(routing) => routing,
                Err((before, conflicts)) => return self.give_up(events, &conflicts, before),
            };
        let tables = tables.into_iter().chain(tables_with_routes);
        let prepared: Vec<Prepared> = tables.map(|def| self.prepare(def, now)).collect();
        // Told before it is in force: what is seen of it has its report.
        events.iter().for_each(|event| self.tell(event));
        for prepared in prepared {
            self.put(prepared);
        }
        if let Some(routing) = routing {
            self.retired.keep_routing(self.shared.routing.swap(Arc::new(routing)));
            self.shared.runs(&self.fleet);
        }
        removed.into_iter().for_each(|name| self.forget(name));
        self.shared.wake();
    }

    /// Goes on with the fleet of `before`: no routes can be made from what it would be after these events. A reload accepts nothing of
    /// the kind.
    fn give_up(&mut self, events: &[Event], conflicts: &[Conflict], before: Fleet) {
        self.fleet = before;
        let problems: Vec<Problem> = conflicts
            .iter()
            .map(|Conflict { what, first, second }| {
                let wrong = format!("is claimed twice: also by {second}");
                Problem::new(first.to_string(), None, "", wrong).value(what.as_str())
            })
            .collect();
        for event in events {
            let (name, files) = match event {
                Event::Accepted { servlet, files, .. } => (&*servlet.name, files),
                Event::Removed { name, files } => (name.as_str(), files),
                other => {
                    self.tell(other);
                    continue;
                }
            };
            let running = self.fleet.contains_key(name);
            if !running {
                self.forget(name);
            }
            let (name, files) = (name.to_owned(), files.clone());
            self.tell(&Event::Refused {
                name,
                running,
                files,
                problems: problems.clone(),
                changes: Vec::new(),
                again: false,
            });
        }
    }

    /// No route leads to it any more.
    fn forget(&self, name: &str) {
        if let Some(servlet) = self.shared.registry.remove(name) {
            self.shared.leave(servlet.snapshot().endpoints());
        }
        self.shared.metrics.forget_servlet(name);
    }

    /// Builds the endpoints of this version.
    fn prepare(&self, def: &ServletDef, now: Instant) -> Prepared {
        self.shared.registry.prepare(&def.name, def.options.balance.policy, &def.table, now, &mut give_way)
    }

    /// Makes them the truth.
    fn put(&mut self, prepared: Prepared) -> Arc<Servlet> {
        let applied = self.shared.registry.put(prepared);
        self.shared.leave(&applied.change.removed);
        self.retired.keep_snapshots(applied.before);
        applied.servlet
    }

    /// Logs, counts and keeps what was found.
    fn tell(&self, event: &Event) {
        let time = SystemTime::now();
        let report = event.report(time);
        log(event, &report);
        if event.waits_for_restart() {
            self.shared.metrics.reload_postponed();
        } else if report.accepted {
            self.shared.metrics.reload_accepted(time);
        } else {
            self.shared.metrics.reload_rejected();
            if event.is_newly_gated() {
                self.shared.metrics.schema_change_refused();
            }
        }
        self.shared.keep(report);
    }
}

/// Whether the routes differ after it.
fn reroutes(event: &Event) -> bool {
    matches!(event, Event::Accepted { change: Change::New | Change::Whole, .. } | Event::Removed { .. })
}

/// One line, and one more for each problem. A warning is for the operator to act on.
fn log(event: &Event, report: &ReloadReport) {
    let outcome = if report.accepted { "reloaded" } else { "not reloaded" };
    // Without a servlet it is about `telamon.yaml`, and the field is left out.
    let servlet = report.servlet.as_deref().map(tracing::field::display);
    if event.needs_attention() {
        tracing::warn!(servlet, "{outcome}: {}", report.summary);
    } else {
        tracing::info!(servlet, "{outcome}: {}", report.summary);
    }
    for problem in &report.problems {
        tracing::warn!(servlet, "{problem}");
    }
    // Of what was refused, the problems have told it.
    for change in report.changes.iter().filter(|_| report.accepted) {
        match change.breaks.is_empty() {
            true => tracing::info!(servlet, "{change}"),
            false => tracing::warn!(servlet, "{change}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::state::tests::shared;
    use super::*;
    use crate::config::{Loaded, load};

    /// What the servlets of these names, each with its file's text, come to.
    fn loaded(directory: &Path, servlets: &[(&str, &str)]) -> Loaded {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
        for (name, text) in servlets {
            write(&format!("servlets/{name}.yaml"), text);
            write(&format!("endpoints/{name}.yaml"), "endpoints: [{ address: 127.0.0.1:1 }]\n");
        }
        load(&directory.join("telamon.yaml")).unwrap_or_else(|report| panic!("{report}"))
    }

    fn accepted(servlet: &Arc<ServletDef>, change: Change) -> Event {
        let (summary, files, changes) = (String::new(), Vec::new(), Vec::new());
        Event::Accepted { servlet: Arc::clone(servlet), change, summary, files, changes }
    }

    #[test]
    fn what_no_routes_can_be_made_from_is_told_as_refused_and_leaves_no_trace() {
        let (shared, _drain) = shared();
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let old = loaded(directories[0].path(), &[("a", "services: [a.S]\n")]);
        let new = loaded(directories[1].path(), &[("a", "services: [a.T]\n"), ("b", "services: [a.S, b.S]\n")]);
        let (_, reloader) = Reloader::start(&directories[0].path().join("telamon.yaml")).ok().unwrap();
        let fetcher = Fetcher::new(std::sync::mpsc::channel().0);
        let (fleet, retired) = (Fleet::new(), Retired::default());
        let mut control = Control { shared: Arc::clone(&shared), fleet, reloader, fetcher, retired };
        let outcomes = || -> Vec<(Option<String>, bool)> {
            shared.reports().into_iter().map(|report| (report.servlet, report.accepted)).rev().collect()
        };
        control.apply(&[accepted(&old.servlets["a"], Change::New)]);
        assert_eq!(outcomes(), [(Some("a".into()), true)]);
        let routing = shared.routing.load_full();

        // `a` is changed in a way that claims nothing else, beside a `b` that is in its way.
        control.apply(&[accepted(&old.servlets["a"], Change::Whole), accepted(&new.servlets["b"], Change::New)]);
        assert_eq!(outcomes()[1..], [(Some("a".into()), false), (Some("b".into()), false)]);
        let told = shared.reports()[0].problems[0].to_string();
        assert!(told.contains("a.yaml:1:12") && told.contains("b.yaml:1:12"), "{told}");
        assert!(Arc::ptr_eq(&routing, &shared.routing.load()), "what ran goes on");
        assert!(shared.registry.get("b").is_none() && shared.servlets.load().len() == 1);

        // The next change is not in its way.
        let next = [accepted(&new.servlets["a"], Change::Whole), accepted(&new.servlets["b"], Change::New)];
        control.apply(&next);
        assert_eq!(outcomes()[3..], [(Some("a".into()), true), (Some("b".into()), true)]);
        assert_eq!(shared.servlets.load().len(), 2);
    }
}
