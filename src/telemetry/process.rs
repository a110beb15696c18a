//! What the kernel knows of this process, read from /proc at the scrape. Where there is no /proc, nothing is told.

use std::fs;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};
use rustix::process::{Resource, getrlimit};

/// In /proc/PID/stat times are in hundredths of a second on every architecture that Linux still runs on (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

pub(super) fn families() -> Vec<MetricFamily> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as f64);
    let gauges = [
        (
            "telamon_process_resident_memory_bytes",
            "Memory in use.",
            status_number(&status, "VmRSS").map(|kib| kib * 1024.0),
        ),
        ("telamon_process_threads", "Threads.", status_number(&status, "Threads")),
        ("telamon_process_open_fds", "Open file descriptors.", descriptors),
        (
            "telamon_process_max_fds",
            "How many file descriptors may be open.",
            getrlimit(Resource::Nofile).current.map(|limit| limit as f64),
        ),
    ];
    let mut families = Vec::new();
    for (name, help, value) in gauges {
        if let (Some(value), Ok(gauge)) = (value, Gauge::new(name, help)) {
            gauge.set(value);
            families.extend(gauge.collect());
        }
    }
    let cpu = Counter::new("telamon_process_cpu_seconds_total", "CPU time, of user and system.");
    if let (Some(seconds), Ok(counter)) = (cpu_seconds(&stat), cpu) {
        counter.inc_by(seconds);
        families.extend(counter.collect());
    }
    families
}

/// The number after `key:` in /proc/PID/status.
fn status_number(status: &str, key: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of /proc/PID/stat. The second field is the program's name in parentheses, which may hold both spaces and
/// parentheses, so counting starts after the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!(status_number(status, "VmRSS"), Some(1234.0));
        assert_eq!(status_number(status, "Threads"), Some(7.0));
        assert_eq!(status_number(status, "Thread"), None);
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("42 (x) S 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }
}
