//! The one loop that changes what runs: files change, are read and checked whole, and are put in force with one store each.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use super::reflection::Fetcher;
use super::retired::Retired;
use super::routing::{Fleet, Running, mount, routing};
use super::state::{Shared, Vital};
use crate::config::{Change, Event, ReloadReport, Reloader, ServletDef};
use crate::runtime::stand_back;
use crate::runtime::watch::{Notice, Watcher};
use crate::servlet::Servlet;

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
            let now = Instant::now();
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
                watcher.took(now.elapsed());
            }
        }
    }

    /// Everything is built aside, so that nothing stands between the stores: a route that met the endpoints of another version would send
    /// them what they do not know.
    fn apply(&mut self, events: &[Event]) {
        self.retired.free();
        let now = Instant::now();
        let mut rerouted = false;
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
                        None => self.table(def, now),
                    };
                    let mount = mount(def, servlet, &self.shared.metrics);
                    self.fleet.insert(def.name.to_string(), Running { def: Arc::clone(def), mount });
                    rerouted = true;
                }
                Event::Removed { name, .. } => {
                    self.fleet.remove(name);
                    removed.push(name);
                    rerouted = true;
                }
                Event::Refused { .. }
                | Event::SettingsRefused { .. }
                | Event::SettingsChanged { .. }
                | Event::Unchanged { .. } => {}
            }
        }
        let routing = rerouted.then(|| routing(&self.fleet));
        // Told before it is in force: what is seen of it has its report.
        events.iter().for_each(|event| self.tell(event));
        for def in tables.into_iter().chain(tables_with_routes) {
            self.table(def, now);
        }
        match routing {
            Some(Ok(routing)) => self.retired.keep_routing(self.shared.routing.swap(Arc::new(routing))),
            Some(Err(conflicts)) => {
                conflicts.iter().for_each(|conflict| tracing::error!(%conflict, "the routes stay as they were"))
            }
            None => {}
        }
        if rerouted {
            self.shared.runs(&self.fleet);
        }
        removed.into_iter().for_each(|name| self.forget(name));
        self.shared.wake();
    }

    /// No route leads to it any more.
    fn forget(&self, name: &str) {
        if let Some(servlet) = self.shared.registry.remove(name) {
            self.shared.leave(servlet.snapshot().endpoints());
        }
        self.shared.metrics.forget_servlet(name);
    }

    /// Makes the table of this version the truth.
    fn table(&mut self, def: &ServletDef, now: Instant) -> Arc<Servlet> {
        let applied = self.shared.registry.apply(&def.name, def.options.balance.policy, &def.table, now);
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
