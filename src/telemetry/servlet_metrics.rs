//! One servlet's counts, found when the servlet is built: a call adds to what is held here and looks nothing up. They are plain numbers
//! side by side, a kilobyte a servlet, and become series only in the text of a scrape: a process may have ten thousand servlets, and a
//! library's counter takes half a kilobyte for each of a hundred series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::call::{CallRecord, side_name};
use super::exposition::Family;
use super::metrics::{FaultCounts, Metrics};
use super::unused;
use crate::model::{Code, HttpProtocol, Kind};
use crate::translate::Dialect;

/// Upper bounds in seconds, and their texts. They start where a sidecar's own cost ends, are 2 to 2.5 apart so that a quantile is read to
/// within that factor, have an edge at 15 s, the default timeout of a unary call, and end where only streams are left.
const DURATION_BUCKETS: [(f64, &str); 15] = [
    (0.0005, "0.0005"),
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (15.0, "15"),
    (60.0, "60"),
];

/// The classes of an HTTP status, and what is counted when the caller left before there was one.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const PROTOCOLS: usize = HttpProtocol::ALL.len();

/// What is counted of one servlet.
struct Counts {
    /// Whether its calls are plain HTTP: then much is never counted.
    plain: AtomicBool,
    /// By dialect, then protocol.
    requests: [AtomicU64; Dialect::ALL.len() * PROTOCOLS],
    /// By gRPC code.
    codes: [AtomicU64; Code::ALL.len()],
    /// By the first digit of the status; 0 is none.
    classes: [AtomicU64; CLASSES.len()],
    faults: FaultCounts,
    durations: Durations,
    retries: AtomicU64,
    legacy: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// How long calls took.
struct Durations {
    /// Of each call the bucket that it falls into; the last is for what is above all bounds.
    buckets: [AtomicU64; DURATION_BUCKETS.len() + 1],
    nanos: AtomicU64,
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = DURATION_BUCKETS.iter().position(|(bound, _)| seconds <= *bound).unwrap_or(DURATION_BUCKETS.len());
        add(&self.buckets, at, 1);
        self.nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn write(&self, servlet: &str, family: &mut Family<'_>) {
        let mut count = 0;
        let bounds = DURATION_BUCKETS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count += bucket.load(Relaxed);
            family.part("_bucket", &[("servlet", servlet), ("le", bound)], count);
        }
        family.part("_sum", &[("servlet", servlet)], Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64());
        family.part("_count", &[("servlet", servlet)], count);
    }
}

impl Counts {
    fn new() -> Counts {
        Counts {
            plain: AtomicBool::new(false),
            requests: [const { AtomicU64::new(0) }; Dialect::ALL.len() * PROTOCOLS],
            codes: [const { AtomicU64::new(0) }; Code::ALL.len()],
            classes: [const { AtomicU64::new(0) }; CLASSES.len()],
            faults: FaultCounts::default(),
            durations: Durations {
                buckets: [const { AtomicU64::new(0) }; DURATION_BUCKETS.len() + 1],
                nanos: AtomicU64::new(0),
            },
            retries: AtomicU64::new(0),
            legacy: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    fn is_plain(&self) -> bool {
        self.plain.load(Relaxed)
    }
}

fn add(counts: &[AtomicU64], index: usize, count: u64) {
    if let Some(counter) = counts.get(index) {
        counter.fetch_add(count, Relaxed);
    }
}

/// The counts of all servlets, by name.
#[derive(Default)]
pub(super) struct AllServlets(Mutex<BTreeMap<Arc<str>, Arc<Counts>>>);

impl AllServlets {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Counts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a servlet's series out.
    pub(super) fn forget(&self, servlet: &str) {
        self.lock().remove(servlet);
    }

    /// How often this has happened to any servlet's calls.
    pub(super) fn faults(&self, kind: Kind) -> u64 {
        self.lock().values().map(|counts| counts.faults.get(kind)).sum()
    }

    /// Writes their series, but for zeros that say nothing.
    pub(super) fn write(&self, text: &mut String) {
        // Nobody waits for a scrape: what is written is read from a copy of the list.
        let all: Vec<(Arc<str>, Arc<Counts>)> =
            self.lock().iter().map(|(name, counts)| (Arc::clone(name), Arc::clone(counts))).collect();
        write_calls(&all, text);
        write_answers(&all, text);
        let durations = "From the head of a request to the end of its answer; streams included.";
        let mut family = Family::histogram(text, "telamon_request_duration_seconds", durations);
        all.iter().for_each(|(servlet, counts)| counts.durations.write(servlet, &mut family));
        type Column = (&'static str, &'static str, fn(&Counts) -> &AtomicU64);
        let columns: [Column; 4] = [
            ("telamon_retries_total", "Tries after a call's first.", |counts| &counts.retries),
            ("telamon_legacy_requests_total", "Calls over HTTP/1.0.", |counts| &counts.legacy),
            ("telamon_received_bytes_total", "Body bytes from callers.", |counts| &counts.received),
            ("telamon_sent_bytes_total", "Body bytes to callers.", |counts| &counts.sent),
        ];
        for (name, help, read) in columns {
            let mut family = Family::counter(text, name, help);
            all.iter().for_each(|(servlet, counts)| family.line(&[("servlet", servlet)], read(counts).load(Relaxed)));
        }
    }
}

fn write_calls(all: &[(Arc<str>, Arc<Counts>)], text: &mut String) {
    let help = "Calls that ended, by what the caller speaks.";
    let mut family = Family::counter(text, "telamon_requests_total", help);
    for (servlet, counts) in all {
        let spoken = Dialect::ALL.iter().flat_map(|dialect| HttpProtocol::ALL.map(|protocol| (*dialect, protocol)));
        for ((dialect, protocol), count) in spoken.zip(&counts.requests) {
            let count = count.load(Relaxed);
            if count > 0 || unused::speaks(dialect, protocol, counts.is_plain()) {
                family.line(&[("dialect", dialect.name()), ("protocol", protocol.name()), ("servlet", servlet)], count);
            }
        }
    }
    let help = "Answers that Telamon gave itself and streams that it ended, by the flag of the fault.";
    let mut family = Family::counter(text, "telamon_faults_total", help);
    for (servlet, counts) in all {
        for (kind, count) in counts.faults.shown(|kind| unused::fails(kind, counts.is_plain())) {
            let side = side_name(kind.side());
            family.line(&[("flag", kind.flag()), ("servlet", servlet), ("side", side)], count);
        }
    }
}

fn write_answers(all: &[(Arc<str>, Arc<Counts>)], text: &mut String) {
    let help = "Calls that ended, by gRPC code; calls of untranslated servlets have none.";
    let mut family = Family::counter(text, "telamon_grpc_responses_total", help);
    for (servlet, counts) in all {
        for code in Code::ALL {
            let count = counts.codes.get(usize::from(code.number())).map_or(0, |count| count.load(Relaxed));
            if count > 0 || !counts.is_plain() {
                family.line(&[("code", code.name()), ("servlet", servlet)], count);
            }
        }
    }
    let help = "Calls that ended, by class of the HTTP status sent; callers that speak gRPC see codes instead.";
    let mut family = Family::counter(text, "telamon_http_responses_total", help);
    for (servlet, counts) in all {
        for (class, count) in CLASSES.iter().zip(&counts.classes) {
            let count = count.load(Relaxed);
            if count > 0 || unused::answers(class, counts.is_plain()) {
                family.line(&[("class", class), ("servlet", servlet)], count);
            }
        }
    }
}

/// The handle on one servlet's counts. Made again for the same name, it goes on where the one before stopped.
pub struct ServletMetrics(Arc<Counts>);

impl ServletMetrics {
    /// `translated`: calls of all dialects become gRPC; else they are plain HTTP, carried through.
    pub fn new(metrics: &Metrics, servlet: &str, translated: bool) -> ServletMetrics {
        let mut all = metrics.families().servlets.lock();
        let counts = match all.get(servlet) {
            Some(counts) => Arc::clone(counts),
            None => Arc::clone(all.entry(Arc::from(servlet)).or_insert_with(|| Arc::new(Counts::new()))),
        };
        counts.plain.store(!translated, Relaxed);
        ServletMetrics(counts)
    }

    /// Counts a call that ended.
    pub fn finished(&self, call: &CallRecord<'_>) {
        let counts = &*self.0;
        if let Some(dialect) = call.dialect {
            add(&counts.requests, dialect as usize * PROTOCOLS + call.protocol as usize, 1);
        }
        if let Some(code) = call.reply.code {
            add(&counts.codes, usize::from(code.number()), 1);
        }
        if call.dialect != Some(Dialect::Grpc) {
            add(&counts.classes, call.reply.status.map_or(0, |status| usize::from(status.as_u16() / 100)), 1);
        }
        if let Some(kind) = call.reply.fault {
            counts.faults.inc(kind);
        }
        if call.attempts > 1 {
            counts.retries.fetch_add(u64::from(call.attempts - 1), Relaxed);
        }
        if call.protocol == HttpProtocol::Http10 {
            counts.legacy.fetch_add(1, Relaxed);
        }
        counts.durations.observe(call.duration);
        counts.received.fetch_add(call.bytes_in, Relaxed);
        counts.sent.fetch_add(call.bytes_out, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::super::Reply;
    use super::*;

    /// The value of a series.
    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map(|value| value.parse().unwrap())
    }

    #[test]
    fn a_call_is_counted_under_what_it_was() {
        for dialect in Dialect::ALL {
            for protocol in HttpProtocol::ALL {
                let metrics = Metrics::new();
                let servlet = ServletMetrics::new(&metrics, "s", true);
                servlet.finished(&CallRecord { dialect: Some(dialect), protocol, ..CallRecord::example() });
                let text = metrics.render();
                let counted: Vec<_> = text
                    .lines()
                    .filter(|line| line.starts_with("telamon_requests_total") && !line.ends_with(" 0"))
                    .collect();
                let labels = format!("dialect=\"{}\",protocol=\"{}\",servlet=\"s\"", dialect.name(), protocol.name());
                assert_eq!(counted, [format!("telamon_requests_total{{{labels}}} 1")]);
                let legacy = f64::from(u8::from(protocol == HttpProtocol::Http10));
                assert_eq!(value(&metrics, "telamon_legacy_requests_total{servlet=\"s\"}"), Some(legacy));
            }
        }
    }

    #[test]
    fn answers_are_counted_by_code_class_and_flag() {
        let metrics = Metrics::new();
        let servlet = ServletMetrics::new(&metrics, "s", true);
        for code in Code::ALL {
            let reply = Reply { status: Some(code.http_status()), code: Some(*code), fault: None };
            servlet.finished(&CallRecord { reply, ..CallRecord::example() });
        }
        for code in Code::ALL {
            let series = format!("telamon_grpc_responses_total{{code=\"{}\",servlet=\"s\"}}", code.name());
            assert_eq!(value(&metrics, &series), Some(1.0), "{series}");
        }
        let class =
            |class| value(&metrics, &format!("telamon_http_responses_total{{class=\"{class}\",servlet=\"s\"}}"));
        assert_eq!([class("2xx"), class("4xx"), class("5xx"), class("none")], [1.0, 10.0, 6.0, 0.0].map(Some));

        let gone = Reply { status: None, code: None, fault: Some(Kind::CallerGone) };
        servlet.finished(&CallRecord { reply: gone, ..CallRecord::example() });
        assert_eq!(value(&metrics, "telamon_http_responses_total{class=\"none\",servlet=\"s\"}"), Some(1.0));
        let series = "telamon_faults_total{flag=\"caller_gone\",servlet=\"s\",side=\"caller\"}";
        assert_eq!(value(&metrics, series), Some(1.0));

        let cut = Reply { fault: Some(Kind::Draining), ..Reply::default() };
        assert_eq!(metrics.cut(), 0);
        servlet.finished(&CallRecord { reply: cut, ..CallRecord::example() });
        ServletMetrics::new(&metrics, "t", true).finished(&CallRecord { reply: cut, ..CallRecord::example() });
        assert_eq!(metrics.cut(), 2);
    }

    #[test]
    fn a_status_beyond_the_classes_is_counted_nowhere() {
        let metrics = Metrics::new();
        let servlet = ServletMetrics::new(&metrics, "s", true);
        let reply = Reply { status: StatusCode::from_u16(999).ok(), ..Reply::default() };
        servlet.finished(&CallRecord { reply, ..CallRecord::example() });
        let text = metrics.render();
        let classes = text.lines().filter(|line| line.starts_with("telamon_http_responses_total"));
        assert!(classes.into_iter().all(|line| line.ends_with(" 0")));
    }

    #[test]
    fn sums_add_up_and_go_on_over_a_rebuild() {
        let metrics = Metrics::new();
        for attempts in [0, 1, 3] {
            let servlet = ServletMetrics::new(&metrics, "s", true);
            let duration = Duration::from_millis(300);
            let call = CallRecord { attempts, bytes_in: 10, bytes_out: 7, duration, ..CallRecord::example() };
            servlet.finished(&call);
        }
        let series = |name: &str| value(&metrics, &format!("telamon_{name}{{servlet=\"s\"}}"));
        assert_eq!(series("retries_total"), Some(2.0));
        assert_eq!(series("received_bytes_total"), Some(30.0));
        assert_eq!(series("sent_bytes_total"), Some(21.0));
        assert_eq!(series("request_duration_seconds_count"), Some(3.0));
        let bucket =
            |le| value(&metrics, &format!("telamon_request_duration_seconds_bucket{{servlet=\"s\",le=\"{le}\"}}"));
        assert_eq!([bucket("0.25"), bucket("0.5")], [Some(0.0), Some(3.0)]);
    }

    #[test]
    fn a_servlet_that_is_forgotten_leaves_no_series() {
        let metrics = Metrics::new();
        let gone = ServletMetrics::new(&metrics, "gone", true);
        let _stays = ServletMetrics::new(&metrics, "stays", true);
        metrics.forget_servlet("gone");
        gone.finished(&CallRecord::example());
        let text = metrics.render();
        assert!(text.contains("servlet=\"stays\"") && !text.contains("servlet=\"gone\""), "{text}");
    }
}
