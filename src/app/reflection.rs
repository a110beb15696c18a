//! Schemas that endpoints tell: who is asked, when, and again when. On a thread of its own, so that a replica that hangs stalls neither
//! traffic nor reloads; what was fetched goes to the control loop, which treats it like a changed file.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::control::Message;
use super::routing::Fleet;
use crate::config::{Reloader, ServletDef};
use crate::discovery::ContentHash;
use crate::model::{Address, Table};
use crate::runtime::stand_back;
use crate::schema::Reflection;
use crate::upstream::{self, Options};

/// How often descriptors are fetched that nothing seems to have changed: a replica may be replaced behind one address.
const INTERVAL: Duration = Duration::from_secs(60);
/// After a round in which no endpoint answered; doubled up to the interval, so that a servlet that starts is found soon.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The endpoints that are asked in one round. One is enough when all is well.
const ASKED: usize = 5;

/// What is asked for one servlet.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    services: Vec<String>,
    endpoints: Vec<Address>,
    connect_timeout: Duration,
}

enum Order {
    /// From now on these, by the servlet's name.
    Want(BTreeMap<Arc<str>, Wanted>),
    /// All of them now.
    Again,
}

/// The thread, which starts when there is something to fetch and ends when this is dropped.
pub(super) struct Fetcher {
    found: Sender<Message>,
    wanted: BTreeMap<Arc<str>, Wanted>,
    running: Option<(mpsc::UnboundedSender<Order>, JoinHandle<()>)>,
}

impl Fetcher {
    /// What is fetched is sent to `found`.
    pub(super) fn new(found: Sender<Message>) -> Fetcher {
        Fetcher { found, wanted: BTreeMap::new(), running: None }
    }

    /// Follows the servlets that run: what their files ask about, and their endpoints.
    pub(super) fn follow(&mut self, fleet: &Fleet, reloader: &Reloader) {
        let wanted: BTreeMap<Arc<str>, Wanted> =
            fleet.values().filter_map(|running| wanted(&running.def, reloader)).collect();
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted.clone();
        if self.running.is_none() {
            self.running = start(self.found.clone());
        }
        self.order(Order::Want(wanted));
    }

    /// Fetches everything now.
    pub(super) fn again(&self) {
        self.order(Order::Again);
    }

    fn order(&self, order: Order) {
        if let Some((orders, _)) = &self.running {
            // A thread that has ended has told why.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        if let Some((orders, thread)) = self.running.take() {
            drop(orders);
            let _ = thread.join();
        }
    }
}

fn wanted(def: &ServletDef, reloader: &Reloader) -> Option<(Arc<str>, Wanted)> {
    let asks = reloader.asks(&def.name)?;
    let mut endpoints = to_ask(&def.table);
    // Endpoints that are to come may be the only ones to know services that are to come with them.
    if let Some(table) = asks.table.as_ref().filter(|table| **table != def.table) {
        let mut first = to_ask(table);
        let known: HashSet<Address> = first.iter().cloned().collect();
        first.extend(endpoints.into_iter().filter(|address| !known.contains(address)));
        endpoints = first;
    }
    let wanted = Wanted { services: asks.services.clone(), endpoints, connect_timeout: def.options.connect_timeout };
    Some((Arc::clone(&def.name), wanted))
}

/// The endpoints of a table that may be asked. What is drained may be an old version on its way out; it is better than nobody.
fn to_ask(table: &Table) -> Vec<Address> {
    let all = || table.groups.iter().flat_map(|group| group.endpoints.iter().map(move |one| (group.weight, one)));
    let serving: Vec<Address> =
        all().filter(|(group, one)| *group > 0 && one.weight > 0).map(|(_, one)| one.address.clone()).collect();
    if serving.is_empty() { all().map(|(_, one)| one.address.clone()).collect() } else { serving }
}

fn start(found: Sender<Message>) -> Option<(mpsc::UnboundedSender<Order>, JoinHandle<()>)> {
    let (orders, inbox) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name("reflection".into()).spawn(move || {
        stand_back();
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(run(inbox, found)),
            Err(error) => tracing::error!(%error, "no schema is fetched: there is no runtime"),
        }
    });
    match thread {
        Ok(thread) => Some((orders, thread)),
        Err(error) => {
            tracing::error!(%error, "no schema is fetched: there is no thread");
            None
        }
    }
}

/// Keeps a task a servlet until nobody gives orders any more.
async fn run(mut orders: mpsc::UnboundedReceiver<Order>, found: Sender<Message>) {
    let mut tasks: BTreeMap<Arc<str>, watch::Sender<Wanted>> = BTreeMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Again => tasks.values().for_each(|task| task.send_modify(|_| {})),
            Order::Want(wanted) => {
                // A task ends when its sender is gone.
                tasks.retain(|name, _| wanted.contains_key(name));
                for (name, wanted) in wanted {
                    if let Some(task) = tasks.get(&name) {
                        task.send_if_modified(|now| {
                            let changed = *now != wanted;
                            *now = wanted;
                            changed
                        });
                    } else {
                        let (task, follow) = watch::channel(wanted);
                        tokio::spawn(keep_fetching(Arc::clone(&name), follow, found.clone()));
                        tasks.insert(name, task);
                    }
                }
            }
        }
    }
}

/// Fetches for one servlet, again and again, and at once when what is wanted changes.
async fn keep_fetching(servlet: Arc<str>, mut wanted: watch::Receiver<Wanted>, found: Sender<Message>) {
    let mut told = Told::default();
    let mut round: usize = 0;
    let mut failures: u32 = 0;
    loop {
        let now = wanted.borrow_and_update().clone();
        let fetched = tokio::select! {
            fetched = fetch(&now, round) => fetched,
            changed = wanted.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        round = round.wrapping_add(1);
        let wait = match fetched {
            Ok((from, bytes)) => {
                failures = 0;
                round = 0;
                told.well(&servlet, &from);
                if told.is_new(&bytes) && found.send(Message::Fetched { servlet: servlet.to_string(), bytes }).is_err()
                {
                    return;
                }
                INTERVAL
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                told.badly(&servlet, why);
                INTERVAL.min(FIRST_RETRY.saturating_mul(1 << failures.min(10).saturating_sub(1)))
            }
        };
        let changed = tokio::time::timeout(spread(wait), wanted.changed()).await;
        match changed {
            Ok(Err(_)) => return,
            Ok(Ok(())) => failures = 0,
            Err(_) => {}
        }
    }
}

/// From the first endpoint that tells everything; after a round in which none did, the next ones are asked.
async fn fetch(wanted: &Wanted, round: usize) -> Result<(Address, Vec<u8>), String> {
    let options = Options { connect_timeout: wanted.connect_timeout, ..Options::default() };
    let reflection = Reflection::of(wanted.services.iter().map(String::as_str));
    let skip = if wanted.endpoints.is_empty() { 0 } else { round.wrapping_mul(ASKED) % wanted.endpoints.len() };
    let asked = wanted.endpoints.iter().cycle().skip(skip).take(ASKED.min(wanted.endpoints.len()));
    let mut why = "its table has no endpoint".to_owned();
    for address in asked {
        match upstream::reflect(address, &options, &reflection).await {
            Ok(bytes) => return Ok((address.clone(), bytes)),
            Err(wrong) => why = format!("{address}: {wrong}"),
        }
    }
    Err(why)
}

/// A tenth more or less, so that a hundred proxies that started together do not ask together.
fn spread(wait: Duration) -> Duration {
    let chance = (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64;
    wait.mul_f64(0.9 + 0.2 * chance)
}

/// What was said last, so that the log tells changes.
#[derive(Default)]
struct Told {
    failed: Option<String>,
    sent: Option<ContentHash>,
}

impl Told {
    fn is_new(&mut self, bytes: &[u8]) -> bool {
        let hash = ContentHash::of(bytes);
        self.sent.replace(hash) != Some(hash)
    }

    fn well(&mut self, servlet: &str, from: &Address) {
        if self.failed.take().is_some() || self.sent.is_none() {
            tracing::info!(servlet, %from, "the schema was fetched");
        }
    }

    fn badly(&mut self, servlet: &str, why: String) {
        if self.failed.as_ref() != Some(&why) {
            tracing::warn!(servlet, %why, "the schema cannot be fetched; what is known of it goes on");
            self.failed = Some(why);
        }
    }
}
