//! Shows what happens: shares while calls come in, and every reload with its report. Redrawn in place on a terminal, a line a second
//! elsewhere, and nothing at all while nothing happens.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::shares::{Row, Shares};
use super::{Replica, client};

/// The running watcher.
pub(super) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(admin: SocketAddr, replicas: Vec<Replica>) -> Watch {
        let (stop, stopped) = channel();
        let screen = Screen { in_place: io::stdout().is_terminal(), drawn: 0 };
        let thread = thread::spawn(move || watch(admin, &replicas, screen, &stopped));
        Watch { stop, thread }
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn watch(admin: SocketAddr, replicas: &[Replica], mut screen: Screen, stopped: &Receiver<()>) {
    let mut shares = Shares::default();
    let mut known = reloads(admin);
    shares.tick(rows(admin, replicas));
    while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        let reports = reloads(admin);
        // The newest comes first.
        let new: Vec<&Value> = reports.iter().take_while(|report| !known.contains(report)).collect();
        for report in new.into_iter().rev() {
            screen.say(&told(report));
        }
        if !reports.is_empty() {
            known = reports;
        }
        if shares.tick(rows(admin, replicas)) {
            screen.show(&shares);
        }
    }
}

/// The replicas' own counts beside what the admin API says of the table in force.
fn rows(admin: SocketAddr, replicas: &[Replica]) -> Vec<Row> {
    let body = ask(admin, "/api/v1/servlets/bakery/endpoints");
    let row = |replica: &Replica| {
        let address = replica.address.to_string();
        let endpoints = body.get("endpoints").and_then(Value::as_array);
        let endpoint =
            endpoints.and_then(|all| all.iter().find(|one| one.get("address").is_some_and(|at| *at == address)));
        let field = |key: &str| endpoint.and_then(|endpoint| endpoint.get(key));
        Row {
            name: replica.bakery.name().to_owned(),
            calls: replica.bakery.calls(),
            weight: field("configured_weight").and_then(Value::as_u64),
            expected: field("expected_share").and_then(Value::as_f64).unwrap_or(0.0),
        }
    };
    replicas.iter().map(row).collect()
}

fn reloads(admin: SocketAddr) -> Vec<Value> {
    match ask(admin, "/api/v1/reloads").get_mut("reloads").map(Value::take) {
        Some(Value::Array(reports)) => reports,
        _ => Vec::new(),
    }
}

fn ask(admin: SocketAddr, path: &str) -> Value {
    client::get(admin, path).ok().and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
}

/// A report as lines to read.
fn told(report: &Value) -> String {
    let text = |value: &Value, key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let accepted = report.get("accepted") == Some(&Value::Bool(true));
    let mut lines = format!("{}: {}", if accepted { "reloaded" } else { "not reloaded" }, text(report, "summary"));
    for problem in report.get("problems").and_then(Value::as_array).into_iter().flatten() {
        // As `telamon check` says it.
        lines += &format!("\n  {}", text(problem, "file"));
        if let Some(at) = problem.get("at").filter(|at| !at.is_null()) {
            lines += &format!(":{}:{}", text(at, "line"), text(at, "column"));
        }
        let before_wrong = if text(problem, "value").is_empty() { ": " } else { " " };
        let parts = [(": ", "path"), (": ", "value"), (before_wrong, "wrong"), (": ", "allowed"), ("; ", "hint")];
        for (before, key) in parts.into_iter().filter(|(_, key)| !text(problem, key).is_empty()) {
            lines += &format!("{before}{}", text(problem, key));
        }
    }
    lines
}

/// Standard output, with a block at its end that is drawn over itself.
struct Screen {
    in_place: bool,
    /// Lines of the block that is the last thing on the screen.
    drawn: usize,
}

impl Screen {
    fn say(&mut self, text: &str) {
        self.drawn = 0;
        let _ = writeln!(io::stdout(), "{text}");
    }

    fn show(&mut self, shares: &Shares) {
        let mut out = io::stdout().lock();
        if !self.in_place {
            let _ = writeln!(out, "{}", shares.line());
            return;
        }
        if self.drawn > 0 {
            let _ = write!(out, "\u{1b}[{}A", self.drawn); // up
        }
        let lines = shares.block();
        for line in &lines {
            let _ = writeln!(out, "\u{1b}[2K{line}"); // over what is there
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_told_with_every_problem_and_its_place() {
        let accepted = json!({ "accepted": true, "summary": "bakery: weights changed", "problems": [] });
        assert_eq!(told(&accepted), "reloaded: bakery: weights changed");
        let rejected = json!({ "accepted": false, "summary": "refused, 2 problems", "problems": [
            { "file": "e.yaml", "at": { "line": 3, "column": 9 }, "path": "endpoints[0].weight", "value": "-1",
              "wrong": "is not allowed", "allowed": "an integer from 0 to 1000000" },
            { "file": "f.yaml", "at": null, "path": "", "value": null, "wrong": "cannot be read", "allowed": null },
        ]});
        let lines = [
            "not reloaded: refused, 2 problems",
            "  e.yaml:3:9: endpoints[0].weight: -1 is not allowed: an integer from 0 to 1000000",
            "  f.yaml: cannot be read",
        ];
        assert_eq!(told(&rejected), lines.join("\n"));
        assert_eq!(told(&Value::Null), "not reloaded: ");
    }
}
