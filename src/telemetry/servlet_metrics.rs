//! One servlet's counters, resolved when the servlet is built: a call adds to what is held here and looks nothing up.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use super::call::{CallRecord, side_name};
use super::metrics::{FaultCounters, Metrics, Register};
use crate::model::{Code, HttpProtocol, Kind};
use crate::translate::Dialect;

/// Upper bounds in seconds. They start where a sidecar's own cost ends, are 2 to 2.5 apart so that a quantile is read to within
/// that factor, have an edge at 15 s, the default timeout of a unary call, and end where only streams are left.
const DURATION_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The classes of an HTTP status, and what is counted when the caller left before there was one.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Those of all servlets.
pub(super) struct ServletFamilies {
    requests: IntCounterVec,
    grpc_responses: IntCounterVec,
    http_responses: IntCounterVec,
    pub(super) faults: IntCounterVec,
    durations: HistogramVec,
    retries: IntCounterVec,
    legacy: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
}

impl ServletFamilies {
    pub(super) fn new(register: &Register) -> ServletFamilies {
        let durations = HistogramOpts::new(
            "telamon_request_duration_seconds",
            "From the head of a request to the end of its answer; streams included.",
        )
        .buckets(DURATION_BUCKETS.to_vec());
        ServletFamilies {
            requests: register.counters(
                "telamon_requests_total",
                "Calls that ended, by what the caller speaks.",
                &["servlet", "dialect", "protocol"],
            ),
            grpc_responses: register.counters(
                "telamon_grpc_responses_total",
                "Calls that ended, by gRPC code; calls of untranslated servlets have none.",
                &["servlet", "code"],
            ),
            http_responses: register.counters(
                "telamon_http_responses_total",
                "Calls that ended, by class of the HTTP status sent; callers that speak gRPC see codes instead.",
                &["servlet", "class"],
            ),
            faults: register.counters(
                "telamon_faults_total",
                "Answers that Telamon gave itself and streams that it ended, by the flag of the fault.",
                &["servlet", "flag", "side"],
            ),
            durations: register.family(HistogramVec::new(durations, &["servlet"])),
            retries: register.counters("telamon_retries_total", "Tries after a call's first.", &["servlet"]),
            legacy: register.counters("telamon_legacy_requests_total", "Calls over HTTP/1.0.", &["servlet"]),
            received: register.counters("telamon_received_bytes_total", "Body bytes from callers.", &["servlet"]),
            sent: register.counters("telamon_sent_bytes_total", "Body bytes to callers.", &["servlet"]),
        }
    }

    /// Takes a servlet's series out.
    pub(super) fn forget(&self, servlet: &str) {
        // An error means that the series never existed.
        for dialect in Dialect::ALL {
            for protocol in HttpProtocol::ALL {
                let _ = self.requests.remove_label_values(&[servlet, dialect.name(), protocol.name()]);
            }
        }
        for code in Code::ALL {
            let _ = self.grpc_responses.remove_label_values(&[servlet, code.name()]);
        }
        for class in CLASSES {
            let _ = self.http_responses.remove_label_values(&[servlet, class]);
        }
        for kind in Kind::ALL {
            let _ = self.faults.remove_label_values(&[servlet, kind.flag(), side_name(kind.side())]);
        }
        for family in [&self.retries, &self.legacy, &self.received, &self.sent] {
            let _ = family.remove_label_values(&[servlet]);
        }
        let _ = self.durations.remove_label_values(&[servlet]);
    }
}

/// The handles of one servlet. Made again for the same name, it goes on where the one before stopped.
pub struct ServletMetrics {
    /// By dialect, then protocol.
    requests: Vec<IntCounter>,
    /// By gRPC code.
    codes: Vec<IntCounter>,
    /// By the first digit of the status; 0 is none.
    classes: Vec<IntCounter>,
    faults: FaultCounters,
    duration: Histogram,
    retries: IntCounter,
    legacy: IntCounter,
    received: IntCounter,
    sent: IntCounter,
}

impl ServletMetrics {
    /// `translated`: calls of all dialects become gRPC; else they are plain HTTP, carried through.
    pub fn new(metrics: &Metrics, servlet: &str, translated: bool) -> ServletMetrics {
        let all = &metrics.families().servlets;
        metrics.carries(servlet, translated);
        let spoken = Dialect::ALL.iter().flat_map(|dialect| HttpProtocol::ALL.map(|protocol| (dialect, protocol)));
        let requests = spoken
            .map(|(dialect, protocol)| all.requests.with_label_values(&[servlet, dialect.name(), protocol.name()]));
        let code = |code: &Code| all.grpc_responses.with_label_values(&[servlet, code.name()]);
        let class = |class: &&str| all.http_responses.with_label_values(&[servlet, class]);
        ServletMetrics {
            requests: requests.collect(),
            codes: Code::ALL.iter().map(code).collect(),
            classes: CLASSES.iter().map(class).collect(),
            faults: FaultCounters::new(&all.faults, &[servlet]),
            duration: all.durations.with_label_values(&[servlet]),
            retries: all.retries.with_label_values(&[servlet]),
            legacy: all.legacy.with_label_values(&[servlet]),
            received: all.received.with_label_values(&[servlet]),
            sent: all.sent.with_label_values(&[servlet]),
        }
    }

    /// Counts a call that ended.
    pub fn finished(&self, call: &CallRecord<'_>) {
        if let Some(dialect) = call.dialect {
            add(&self.requests, dialect as usize * HttpProtocol::ALL.len() + call.protocol as usize);
        }
        if let Some(code) = call.reply.code {
            add(&self.codes, usize::from(code.number()));
        }
        if call.dialect != Some(Dialect::Grpc) {
            add(&self.classes, call.reply.status.map_or(0, |status| usize::from(status.as_u16() / 100)));
        }
        if let Some(kind) = call.reply.fault {
            self.faults.inc(kind);
        }
        if call.attempts > 1 {
            self.retries.inc_by(u64::from(call.attempts - 1));
        }
        if call.protocol == HttpProtocol::Http10 {
            self.legacy.inc();
        }
        self.duration.observe(call.duration.as_secs_f64());
        self.received.inc_by(call.bytes_in);
        self.sent.inc_by(call.bytes_out);
    }
}

fn add(counters: &[IntCounter], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.inc();
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
