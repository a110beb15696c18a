//! Who still speaks HTTP/1.0, to which servlet, how often: what an operator needs to know before that contract can ever end.
//!
//! Each worker tallies for itself, behind a lock that only a reader of the admin page ever contends for. Memory is bounded: when a
//! worker knows too many callers it forgets the one longest unseen, and only counts it. We would rather lose a name than a count.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Callers remembered by each worker; some 100 KiB with names of the usual length.
const MOST_ROWS: usize = 512;

/// A user agent longer than this is cut: it is there to tell programs apart.
const MOST_AGENT: usize = 120;

/// The tallies of all workers. Counts outlive their worker.
#[derive(Clone, Default)]
pub struct LegacyCallers(Arc<Mutex<Vec<Arc<Mutex<Tally>>>>>);

/// One worker's tally.
pub struct LegacyTally(Arc<Mutex<Tally>>);

/// A caller over HTTP/1.0 and one servlet that it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyCaller {
    /// `None` over a Unix socket.
    pub peer: Option<IpAddr>,
    /// `None` when no route matched.
    pub servlet: Option<Arc<str>>,
    pub requests: u64,
    pub last_seen: SystemTime,
    /// The last one it gave.
    pub user_agent: Option<String>,
}

/// All that is known, most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyView {
    pub callers: Vec<LegacyCaller>,
    /// Requests of callers that were forgotten to bound the memory.
    pub forgotten: u64,
}

#[derive(Default)]
struct Tally {
    rows: HashMap<Option<IpAddr>, Vec<LegacyCaller>>,
    count: usize,
    forgotten: u64,
}

impl LegacyCallers {
    pub fn new() -> LegacyCallers {
        LegacyCallers::default()
    }

    /// A tally for one more worker.
    pub fn worker(&self) -> LegacyTally {
        let tally = Arc::new(Mutex::new(Tally::default()));
        locked(&self.0).push(Arc::clone(&tally));
        LegacyTally(tally)
    }

    pub fn view(&self) -> LegacyView {
        let mut merged: HashMap<(Option<IpAddr>, Option<Arc<str>>), LegacyCaller> = HashMap::new();
        let mut forgotten = 0;
        for tally in locked(&self.0).iter() {
            let tally = locked(tally);
            forgotten += tally.forgotten;
            for row in tally.rows.values().flatten() {
                let known = merged.entry((row.peer, row.servlet.clone()));
                known.and_modify(|known| known.absorb(row)).or_insert_with(|| row.clone());
            }
        }
        let mut callers: Vec<LegacyCaller> = merged.into_values().collect();
        callers.sort_by(|a, b| {
            b.requests.cmp(&a.requests).then(a.peer.cmp(&b.peer)).then_with(|| a.servlet.cmp(&b.servlet))
        });
        LegacyView { callers, forgotten }
    }
}

impl LegacyTally {
    /// Counts one HTTP/1.0 request.
    pub fn seen(&self, peer: Option<IpAddr>, servlet: Option<&str>, user_agent: Option<&[u8]>, now: SystemTime) {
        let mut tally = locked(&self.0);
        let known =
            tally.rows.get_mut(&peer).and_then(|rows| rows.iter_mut().find(|row| row.servlet.as_deref() == servlet));
        if let Some(row) = known {
            row.requests += 1;
            row.last_seen = row.last_seen.max(now);
            if row.user_agent.as_deref().map(str::as_bytes) != user_agent.map(cut) {
                row.user_agent = agent(user_agent);
            }
            return;
        }
        if tally.count >= MOST_ROWS {
            tally.forget_one();
        }
        let servlet = servlet.map(Arc::from);
        let row = LegacyCaller { peer, servlet, requests: 1, last_seen: now, user_agent: agent(user_agent) };
        tally.rows.entry(peer).or_default().push(row);
        tally.count += 1;
    }
}

impl LegacyCaller {
    fn absorb(&mut self, other: &LegacyCaller) {
        self.requests += other.requests;
        if other.last_seen > self.last_seen {
            self.last_seen = other.last_seen;
            self.user_agent.clone_from(&other.user_agent);
        }
    }
}

impl Tally {
    /// A walk over all rows: only callers beyond the bound pay it.
    fn forget_one(&mut self) {
        let oldest = self.rows.values().flatten().min_by_key(|row| row.last_seen);
        let Some((peer, servlet)) = oldest.map(|row| (row.peer, row.servlet.clone())) else { return };
        let Some(rows) = self.rows.get_mut(&peer) else { return };
        if let Some(at) = rows.iter().position(|row| row.servlet == servlet) {
            self.forgotten += rows.swap_remove(at).requests;
            self.count -= 1;
        }
        if rows.is_empty() {
            self.rows.remove(&peer);
        }
    }
}

fn cut(agent: &[u8]) -> &[u8] {
    agent.get(..MOST_AGENT).unwrap_or(agent)
}

fn agent(text: Option<&[u8]>) -> Option<String> {
    text.map(|text| String::from_utf8_lossy(cut(text)).into_owned())
}

/// A tally is whole after every step, so that a panic elsewhere under the lock leaves nothing to mistrust.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn ip(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[test]
    fn workers_add_up_and_the_last_word_on_the_agent_wins() {
        let callers = LegacyCallers::new();
        let (one, two) = (callers.worker(), callers.worker());
        one.seen(ip(1), Some("echo"), Some(b"ab/2.3"), at(10));
        one.seen(ip(1), Some("echo"), Some(b"ab/2.4"), at(30));
        two.seen(ip(1), Some("echo"), Some(b"curl"), at(20));
        two.seen(ip(1), Some("shop"), None, at(25));
        two.seen(None, None, Some(b"nc\xff"), at(5));
        drop(two);
        let row = |peer, servlet: Option<&str>, requests, last, agent: Option<&str>| LegacyCaller {
            peer,
            servlet: servlet.map(Arc::from),
            requests,
            last_seen: at(last),
            user_agent: agent.map(str::to_owned),
        };
        let expected = vec![
            row(ip(1), Some("echo"), 3, 30, Some("ab/2.4")),
            row(None, None, 1, 5, Some("nc\u{fffd}")),
            row(ip(1), Some("shop"), 1, 25, None),
        ];
        assert_eq!(callers.view(), LegacyView { callers: expected, forgotten: 0 });
    }

    #[test]
    fn memory_is_bounded_and_no_request_is_lost() {
        let callers = LegacyCallers::new();
        let tally = callers.worker();
        let total = 3 * MOST_ROWS as u32;
        for number in 0..total {
            tally.seen(ip(number), Some("echo"), Some(&[b'a'; 100_000]), at(u64::from(number)));
            tally.seen(ip(0), Some("echo"), None, at(u64::from(number)));
        }
        let view = callers.view();
        assert_eq!(view.callers.len(), MOST_ROWS);
        assert!(view.callers.iter().all(|row| row.user_agent.as_ref().is_none_or(|agent| agent.len() <= MOST_AGENT)));
        let known: u64 = view.callers.iter().map(|row| row.requests).sum();
        assert_eq!(known + view.forgotten, 2 * u64::from(total));
        // The one that keeps calling is remembered with all its calls; of the others, the latest are.
        assert_eq!(view.callers.first().map(|row| (row.peer, row.requests)), Some((ip(0), u64::from(total) + 1)));
        assert!(view.callers.iter().any(|row| row.peer == ip(total - 1)));
        assert!(!view.callers.iter().any(|row| row.peer == ip(1)));
    }
}
