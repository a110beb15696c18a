//! One listener's connections: open, accepted, turned away.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::metrics::{Metrics, Register};

/// Those of all listeners.
pub(super) struct ListenerFamilies {
    open: IntGaugeVec,
    accepted: IntCounterVec,
    refused: IntCounterVec,
}

impl ListenerFamilies {
    pub(super) fn new(register: &Register) -> ListenerFamilies {
        let open = Opts::new("telamon_connections_open", "Connections from callers.");
        ListenerFamilies {
            open: register.family(IntGaugeVec::new(open, &["listener"])),
            accepted: register.counters(
                "telamon_connections_accepted_total",
                "Connections from callers.",
                &["listener"],
            ),
            refused: register.counters(
                "telamon_connections_refused_total",
                "Connections turned away before their first request, by the limit that did it.",
                &["listener", "reason"],
            ),
        }
    }
}

/// Why a listener turns a connection away: the limit is reached, `accept` failed for want of a resource, the first bytes never came.
const REFUSALS: [&str; 2] = ["connections", "accept"];

/// One listener's connections.
pub struct ListenerMetrics {
    open: IntGauge,
    accepted: IntCounter,
    refused: IntCounterVec,
    listener: String,
}

impl ListenerMetrics {
    pub fn new(metrics: &Metrics, listener: &str) -> ListenerMetrics {
        let all = &metrics.families().listeners;
        for reason in REFUSALS {
            all.refused.with_label_values(&[listener, reason]);
        }
        ListenerMetrics {
            open: all.open.with_label_values(&[listener]),
            accepted: all.accepted.with_label_values(&[listener]),
            refused: all.refused.clone(),
            listener: listener.to_owned(),
        }
    }

    /// A connection was taken. `closed` is for the Drop of whoever holds it.
    pub fn opened(&self) {
        self.accepted.inc();
        self.open.inc();
    }

    pub fn closed(&self) {
        self.open.dec();
    }

    /// A connection was turned away. Looks the reason up: no call is waiting for it.
    pub fn refused(&self, why: &'static str) {
        self.refused.with_label_values(&[self.listener.as_str(), why]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        let listener = ListenerMetrics::new(&metrics, "in");
        assert!(
            metrics.render().contains("telamon_connections_refused_total{listener=\"in\",reason=\"connections\"} 0\n")
        );
        listener.opened();
        listener.opened();
        listener.closed();
        listener.refused("connections");
        let text = metrics.render();
        assert!(text.contains("telamon_connections_open{listener=\"in\"} 1\n"), "{text}");
        assert!(text.contains("telamon_connections_accepted_total{listener=\"in\"} 2\n"));
        assert!(text.contains("telamon_connections_refused_total{listener=\"in\",reason=\"connections\"} 1\n"));
    }
}
