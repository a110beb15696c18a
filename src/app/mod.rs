//! Puts a process together, and takes it apart again: files, tables, sockets, workers, admin, in that order.

mod control;
mod draining;
mod reflection;
mod retired;
mod routing;
mod state;
mod views;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;

use self::control::{Control, Message};
use self::draining::Draining;
use self::reflection::Fetcher;
use self::retired::Retired;
use self::routing::{Fleet, Running};
use self::state::Shared;
use self::worker::{Port, work};
use crate::admin::Admin;
use crate::config::{self, Listener, Loaded, Reflected, Reloader, Settings};
use crate::listener::{ConnectionCounts, Landing, Limits};
use crate::model::Address;
use crate::proxy::{self, Explanation, Routing, Trust};
use crate::runtime::{DrainControl, Signal, Signals, Worker, Workers};
use crate::servlet::{Registry, Servlet};
use crate::telemetry::{AccessLog, Metrics, Target};
use crate::transport::{self, Bound};

/// Why a process does not start, or ends badly. For people to read.
#[derive(Debug)]
pub struct AppError(String);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AppError {}

impl AppError {
    fn new(told: impl fmt::Display) -> AppError {
        AppError(told.to_string())
    }
}

/// A running proxy. Dropping it drains for no time at all: what is in flight is cut.
pub struct Process {
    shared: Arc<Shared>,
    drain: DrainControl,
    workers: Workers,
    control: Option<std::thread::JoinHandle<()>>,
    messages: mpsc::Sender<Message>,
    listeners: Vec<(String, Address)>,
    admin: Option<Admin>,
    drain_limit: Duration,
    _sockets: Vec<Bound>,
}

/// The signals, caught from the moment of its making. To be made before [`Process::start`]: a signal that comes while files are read
/// then waits for [`Process::run`], and does not end the process halfway.
pub struct Caught {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
}

impl Caught {
    /// # Errors
    /// The system refuses signal handlers.
    pub fn new() -> Result<Caught, AppError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::new)?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new().map_err(AppError::new)?
        };
        Ok(Caught { runtime, signals })
    }
}

impl Process {
    /// Reads `telamon.yaml` at `file` and all it leads to, and serves. Ports are open when this returns.
    ///
    /// # Errors
    /// Every mistake in the files, an address that is taken, a thread that cannot be had.
    pub fn start(file: &Path) -> Result<Process, AppError> {
        let (loaded, reloader) = Reloader::start(file).map_err(AppError::new)?;
        raise_descriptor_limit();
        refuse_huge_pages();
        reloader.clear_leftovers();
        let metrics = Metrics::new();
        let (fleet, registry) = muster(&loaded, &metrics);
        let routing = route(&fleet)?;
        let settings = &loaded.settings;
        let access_log = open_access_log(settings, &metrics)?;
        let workers = settings.workers.map_or_else(cores, |workers| routing::size(workers.get().into()));
        let (mut sockets, admin_socket) = bind(settings, workers)?;

        let (drain, draining) = DrainControl::new();
        let shared = Arc::new(Shared::new(routing, registry, metrics, access_log, draining));
        shared.runs(&fleet);
        views::endpoints_at_scrape(&shared);
        let (messages, inbox) = mpsc::channel();
        let watcher = control::watch(&reloader, messages.clone());
        if let Err(error) = &watcher {
            tracing::warn!(%error, "files are not watched: only SIGHUP reloads them");
        }
        let listeners = settings.listeners.0.iter().zip(&sockets);
        // From here on a failure takes apart what already runs, by dropping it.
        let mut process = Process {
            listeners: listeners
                .map(|(listener, bound)| (listener.name.value.clone(), bound.address.clone()))
                .collect(),
            shared: Arc::clone(&shared),
            drain,
            workers: Workers::default(),
            control: None,
            messages,
            admin: None,
            drain_limit: settings.limits.drain,
            _sockets: Vec::new(),
        };
        tell_reflected(&loaded);
        let fetcher = Fetcher::new(process.messages.clone());
        let control = Control { shared: Arc::clone(&shared), fleet, reloader, fetcher, retired: Retired::default() };
        process.control = Some(
            std::thread::Builder::new()
                .name("control".into())
                .spawn(move || control.run(&inbox, watcher.ok()))
                .map_err(AppError::new)?,
        );
        start_workers(&mut process.workers, workers, settings, &mut sockets, &shared)?;
        process._sockets = sockets;
        shared.serving.store(true, Ordering::Release);
        shared.metrics.loaded(SystemTime::now());
        let admin = admin_socket.map(|bound| Admin::start(bound, views::answers(&shared))).transpose();
        process.admin = admin.map_err(|error| AppError(format!("admin: {error}")))?;
        for (listener, address) in &process.listeners {
            tracing::info!(listener, %address, "listening");
        }
        if let Some(address) = process.admin() {
            tracing::info!(%address, "admin listening");
        }
        Ok(process)
    }

    /// The listeners' names and the addresses that they really have.
    pub fn listeners(&self) -> &[(String, Address)] {
        &self.listeners
    }

    /// Where the admin API is.
    pub fn admin(&self) -> Option<Address> {
        self.admin.as_ref().map(|admin| admin.address().clone())
    }

    /// Reads the files again now, fetches what endpoints tell, and tells what is still wrong.
    pub fn reload(&self) {
        let _ = self.messages.send(Message::Reload);
    }

    /// Serves until a signal says to stop and what is in flight has finished (design §3).
    pub fn run(mut self, caught: Caught) {
        let Caught { runtime, mut signals } = caught;
        let workers = std::mem::take(&mut self.workers);
        let mut draining = None;
        runtime.block_on(async {
            let mut ended = join_elsewhere(workers);
            loop {
                tokio::select! {
                    _ = &mut ended => return,
                    signal = signals.next() => match signal {
                        Signal::Reload => self.reload(),
                        Signal::Reopen => if let Some(log) = &self.shared.access_log { log.reopen() },
                        Signal::Stop if self.shared.drain.is_draining() => {
                            draining.iter_mut().for_each(Draining::cut_short);
                            self.drain.end();
                        }
                        Signal::Stop => {
                            draining = Some(Draining::begin(&self.shared, self.drain_limit));
                            self.drain.begin(self.drain_limit);
                        }
                    },
                }
            }
        });
        if let Some(draining) = draining {
            draining.ended(&self.shared);
        }
    }

    /// Drains for up to `limit`, then ends.
    pub fn stop(mut self, limit: Duration) {
        self.drain.begin(limit);
        join(&mut self.workers);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.drain.end();
        join(&mut self.workers);
        let _ = self.messages.send(Message::Stop);
        if let Some(control) = self.control.take() {
            // A panic of it has been told.
            let _ = control.join();
        }
        if let Some(log) = &self.shared.access_log {
            log.flush(Duration::from_secs(1));
        }
    }
}

fn join(workers: &mut Workers) {
    for name in workers.join() {
        tracing::error!(thread = name, "a worker ended by a panic");
    }
}

/// Ready when all workers have ended.
fn join_elsewhere(mut workers: Workers) -> tokio::sync::oneshot::Receiver<()> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        join(&mut workers);
        let _ = sender.send(());
    });
    receiver
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn muster(loaded: &Loaded, metrics: &Metrics) -> (Fleet, Registry) {
    let mut fleet = BTreeMap::new();
    let mut servlets = Vec::with_capacity(loaded.servlets.len());
    for (name, def) in &loaded.servlets {
        let servlet = Servlet::new(Arc::clone(&def.name), def.options.balance.policy, &def.table, Instant::now());
        servlets.push(Arc::clone(&servlet));
        let mount = routing::mount(def, servlet, metrics);
        fleet.insert(name.clone(), Running { def: Arc::clone(def), mount });
    }
    (fleet, Registry::of(servlets))
}

/// Says what the servlets start with whose endpoints tell their schemas.
fn tell_reflected(loaded: &Loaded) {
    for (servlet, def) in &loaded.servlets {
        match &def.reflected {
            None => {}
            Some(Reflected::Known(path)) => {
                let path = path.display();
                tracing::info!(servlet, %path, "starts with the schema that was fetched last, until an endpoint tells it");
            }
            Some(Reflected::Pending(why)) => {
                tracing::warn!(
                    servlet,
                    why,
                    "has no schema yet: only gRPC callers are served until an endpoint tells it"
                );
            }
        }
    }
}

/// What a request would meet, for `telamon explain`.
///
/// # Errors
/// The servlets claim the same.
pub fn explain(loaded: &Loaded, request: &http::Request<()>) -> Result<Explanation, AppError> {
    let routing = assemble(loaded, &Metrics::new())?;
    Ok(proxy::explain(&routing, request, Instant::now()))
}

/// The routing that a process would start with, for whoever puts one call through it without a process.
///
/// # Errors
/// The servlets claim the same.
pub fn assemble(loaded: &Loaded, metrics: &Metrics) -> Result<Routing, AppError> {
    route(&muster(loaded, metrics).0)
}

fn route(fleet: &Fleet) -> Result<Routing, AppError> {
    routing::routing(fleet).map_err(|conflicts| {
        let told: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        AppError(told.join("\n"))
    })
}

fn open_access_log(settings: &Settings, metrics: &Metrics) -> Result<Option<AccessLog>, AppError> {
    let target = match settings.access_log.as_ref().map(|log| &log.value) {
        None => return Ok(None),
        Some(config::AccessLog::Stdout) => Target::Stdout,
        Some(config::AccessLog::File(path)) => Target::File(path.clone()),
    };
    AccessLog::open(target, metrics).map(Some).map_err(|error| AppError(format!("access_log: {error}")))
}

/// The listeners' sockets and admin's; or every address that cannot be had.
fn bind(settings: &Settings, workers: usize) -> Result<(Vec<Bound>, Option<Bound>), AppError> {
    let mut sockets = Vec::new();
    let mut admin_socket = None;
    let mut problems = Vec::new();
    for listener in &settings.listeners.0 {
        match transport::bind(&listener.address.value, workers) {
            Ok(bound) => sockets.push(bound),
            Err(error) => problems.push(format!("listener `{}`: {error}", listener.name.value)),
        }
    }
    if let Some(admin) = &settings.admin {
        match transport::bind(&admin.address.value, 1) {
            Ok(bound) => admin_socket = Some(bound),
            Err(error) => problems.push(format!("admin: {error}")),
        }
    }
    if problems.is_empty() { Ok((sockets, admin_socket)) } else { Err(AppError(problems.join("\n"))) }
}

fn start_workers(
    workers: &mut Workers,
    count: usize,
    settings: &Settings,
    sockets: &mut [Bound],
    shared: &Arc<Shared>,
) -> Result<(), AppError> {
    let counts = ConnectionCounts::new(count);
    let mut ports: Vec<Vec<Port>> = (0..count).map(|_| Vec::new()).collect();
    for (listener, bound) in settings.listeners.0.iter().zip(sockets) {
        let (landing, strips) = Landing::new(count);
        let trusted = listener.trusted_peers.clone();
        let trust: Trust = Arc::new(move |peer| trusted.iter().any(|network| network.contains(peer)));
        for (index, (strip, ports)) in strips.into_iter().zip(&mut ports).enumerate() {
            ports.push(Port {
                name: Arc::from(listener.name.value.as_str()),
                address: bound.address.clone(),
                acceptor: bound.take(index).map(|acceptor| Box::new(acceptor) as _),
                landing: Arc::clone(&landing),
                strip,
                limits: limits(settings, listener),
                trust: Arc::clone(&trust),
            });
        }
        bound.release();
    }
    let (sender, started) = mpsc::channel();
    for (index, ports) in ports.into_iter().enumerate() {
        let (shared, counts, sender) = (Arc::clone(shared), Arc::clone(&counts), sender.clone());
        let place = Worker { index, of: count };
        workers
            .start(format!("worker-{index}"), move || work(place, ports, shared, counts, sender))
            .map_err(|error| AppError(format!("a worker cannot be started: {error}")))?;
    }
    drop(sender);
    for _ in 0..count {
        match started.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(AppError(format!("a worker cannot listen: {error}"))),
            Err(_) => return Err(AppError("a worker ended before it served".into())),
        }
    }
    Ok(())
}

fn limits(settings: &Settings, listener: &Listener) -> Limits {
    let limits = &settings.limits;
    Limits {
        head_bytes: routing::size(limits.header_size.bytes()),
        head_fields: routing::size(limits.header_fields.get().into()),
        head_timeout: limits.header_timeout,
        stall_timeout: limits.body_timeout,
        idle_timeout: limits.idle_timeout,
        connections: routing::size(limits.connections.get().into()),
        streams: limits.streams.get(),
        reply_buffer: routing::size(limits.reply_buffer.bytes()),
        default_host: listener.default_host.as_ref().and_then(|host| HeaderValue::from_str(&host.0).ok()),
        title_case: false,
    }
}

/// Memory in pages of 4 KiB. The allocator asks for huge ones of 2 MiB, each of which is found and cleared when its first byte is written:
/// milliseconds in which a worker may be kept from its core, and memory that nobody wanted. docs/performance.md has what both were.
fn refuse_huge_pages() {
    // A system without huge pages has none to refuse.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// As many descriptors as the system allows: each connection takes one on either side.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
