//! What is told of endpoints, read at the scrape: a table edit is seen at once, and a removed endpoint leaves no series behind.

use super::exposition::Family;
use crate::servlet::EndpointView;

/// One endpoint at the moment of a scrape. Shares are of the servlet's calls, from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointSample {
    pub servlet: String,
    /// Empty in a table without groups.
    pub group: String,
    pub address: String,
    /// As the table has it.
    pub weight: u32,
    /// What is left of it at the moment.
    pub effective_weight: f64,
    pub expected_share: f64,
    /// Over the last minute; `None` without a call in it.
    pub observed_share: Option<f64>,
    pub in_flight: u64,
    /// Tries that ended, ever.
    pub requests: u64,
    /// Those that spoke against the endpoint.
    pub failures: u64,
    /// A word, such as `serving`.
    pub state: &'static str,
}

impl EndpointSample {
    pub fn new(servlet: &str, view: &EndpointView) -> EndpointSample {
        EndpointSample {
            servlet: servlet.to_owned(),
            group: view.group.to_string(),
            address: view.address.to_string(),
            weight: view.configured_weight,
            effective_weight: view.effective_weight,
            expected_share: view.expected_share,
            observed_share: view.observed_share_1m,
            in_flight: view.in_flight,
            requests: view.requests,
            failures: view.failures,
            state: view.state.name(),
        }
    }
}

/// A family's name, its explanation, and how it is read from a sample.
type Column<T> = (&'static str, &'static str, fn(&EndpointSample) -> T);

/// Writes the families of `samples`.
pub(super) fn write(samples: &[EndpointSample], text: &mut String) {
    let gauges: [Column<Option<f64>>; 5] = [
        ("telamon_endpoint_weight", "As the table has it.", |sample| Some(f64::from(sample.weight))),
        ("telamon_endpoint_effective_weight", "What it is at the moment.", |sample| Some(sample.effective_weight)),
        ("telamon_endpoint_expected_share", "Of the servlet's calls, by weight.", |sample| Some(sample.expected_share)),
        ("telamon_endpoint_observed_share", "Of the servlet's calls in the last minute.", |sample| {
            sample.observed_share
        }),
        ("telamon_endpoint_in_flight", "Tries that have not ended.", |sample| Some(sample.in_flight as f64)),
    ];
    let counters: [Column<u64>; 2] = [
        ("telamon_endpoint_requests_total", "Tries that ended.", |sample| sample.requests),
        ("telamon_endpoint_failures_total", "Tries whose end spoke against the endpoint.", |sample| sample.failures),
    ];
    for (name, help, read) in gauges {
        let mut family = Family::gauge(text, name, help);
        for (sample, value) in samples.iter().filter_map(|sample| Some((sample, read(sample)?))) {
            family.line(&labels(sample), value);
        }
    }
    for (name, help, read) in counters {
        let mut family = Family::counter(text, name, help);
        samples.iter().for_each(|sample| family.line(&labels(sample), read(sample)));
    }
    // The state is a label, so that a query can ask for it by its word.
    let mut family = Family::gauge(text, "telamon_endpoint_state", "Always 1; the label says what the endpoint is at.");
    for sample in samples {
        let [endpoint, group, servlet] = labels(sample);
        family.line(&[endpoint, group, servlet, ("state", sample.state)], 1);
    }
}

fn labels(sample: &EndpointSample) -> [(&str, &str); 3] {
    [("endpoint", &sample.address), ("group", &sample.group), ("servlet", &sample.servlet)]
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::Metrics;
    use super::*;

    fn sample(address: &str) -> EndpointSample {
        EndpointSample {
            servlet: "echo".into(),
            group: "stable".into(),
            address: address.into(),
            weight: 3,
            effective_weight: 1.5,
            expected_share: 0.25,
            observed_share: Some(0.125),
            in_flight: 4,
            requests: 1_000,
            failures: 5,
            state: "penalised",
        }
    }

    #[test]
    fn a_scrape_tells_what_is_true_now() {
        let table = Arc::new(Mutex::new(vec![sample("1.1.1.1:1"), sample("[::1]:2")]));
        let metrics = Metrics::new();
        let source = Arc::clone(&table);
        metrics.endpoints_from(move || source.lock().unwrap().clone());

        let text = metrics.render();
        let one = "{endpoint=\"1.1.1.1:1\",group=\"stable\",servlet=\"echo\"}";
        for (name, value) in [
            ("weight", "3"),
            ("effective_weight", "1.5"),
            ("expected_share", "0.25"),
            ("observed_share", "0.125"),
            ("in_flight", "4"),
            ("requests_total", "1000"),
            ("failures_total", "5"),
        ] {
            assert!(text.contains(&format!("telamon_endpoint_{name}{one} {value}\n")), "{name}: {text}");
        }
        assert!(text.contains("endpoint=\"[::1]:2\",group=\"stable\",servlet=\"echo\",state=\"penalised\"} 1\n"));

        table.lock().unwrap().remove(0);
        let text = metrics.render();
        assert!(!text.contains("1.1.1.1:1") && text.contains("[::1]:2"));
        table.lock().unwrap().clear();
        assert!(!metrics.render().contains("telamon_endpoint_"));
    }

    #[test]
    fn without_traffic_there_is_no_observed_share() {
        let metrics = Metrics::new();
        metrics.endpoints_from(|| vec![EndpointSample { observed_share: None, ..sample("1.1.1.1:1") }]);
        assert!(!metrics.render().contains("telamon_endpoint_observed_share"));
    }
}
