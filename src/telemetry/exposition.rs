//! The text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats), written as the numbers are read: a tree of all
//! series with ten thousand servlets or endpoints would be as large as what it tells of, and then be made into this text.

use std::fmt::{Display, Write};

/// The text of one family; its head is written with its first series, since a family without one tells nothing.
pub(super) struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    begun: bool,
}

impl<'t> Family<'t> {
    /// What only grows; its name ends in `_total`.
    pub(super) fn counter(text: &'t mut String, name: &'static str, help: &'static str) -> Family<'t> {
        Family { text, name, help, kind: "counter", begun: false }
    }

    pub(super) fn gauge(text: &'t mut String, name: &'static str, help: &'static str) -> Family<'t> {
        Family { kind: "gauge", ..Family::counter(text, name, help) }
    }

    pub(super) fn histogram(text: &'t mut String, name: &'static str, help: &'static str) -> Family<'t> {
        Family { kind: "histogram", ..Family::counter(text, name, help) }
    }

    /// One series. `labels` in the order of their names, as tools print them.
    pub(super) fn line(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// One line of a histogram's series: `_bucket`, `_sum` or `_count`.
    pub(super) fn part(&mut self, part: &str, labels: &[(&str, &str)], value: impl Display) {
        let (name, text) = (self.name, &mut *self.text);
        if !std::mem::replace(&mut self.begun, true) {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", self.help, self.kind);
        }
        text.push_str(name);
        text.push_str(part);
        for (place, (label, value)) in labels.iter().enumerate() {
            text.push(if place == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            escape(value, text);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

fn escape(value: &str, text: &mut String) {
    for part in value.split_inclusive(['\\', '"', '\n']) {
        let (before, last) = match part.char_indices().next_back() {
            Some((at, last @ ('\\' | '"' | '\n'))) => (part.get(..at).unwrap_or_default(), Some(last)),
            _ => (part, None),
        };
        text.push_str(before);
        match last {
            Some('\n') => text.push_str("\\n"),
            Some(last) => text.extend(['\\', last]),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_told_with_its_first_series() {
        let mut text = String::new();
        Family::counter(&mut text, "nothing_total", "Of it.");
        let mut family = Family::counter(&mut text, "calls_total", "Of all.");
        family.line(&[], 7_u64);
        family.line(&[("a", "x"), ("b", "\\ \"y\"\n")], 1.5_f64);
        let mut family = Family::histogram(&mut text, "time", "Taken.");
        family.part("_bucket", &[("le", "0.5")], 3_u64);
        family.part("_sum", &[], 0.25_f64);
        Family::gauge(&mut text, "now", "Or never.").line(&[], 0.1 + 0.2);
        assert_eq!(
            text,
            "# HELP calls_total Of all.\n# TYPE calls_total counter\ncalls_total 7\n\
             calls_total{a=\"x\",b=\"\\\\ \\\"y\\\"\\n\"} 1.5\n\
             # HELP time Taken.\n# TYPE time histogram\ntime_bucket{le=\"0.5\"} 3\ntime_sum 0.25\n\
             # HELP now Or never.\n# TYPE now gauge\nnow 0.30000000000000004\n"
        );
    }
}
