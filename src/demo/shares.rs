//! The shares as they move: counted by the replicas themselves, over the last ten seconds, beside what the table promises. An edit
//! begins them anew, so that what is shown is what the table in force does.

use std::collections::VecDeque;
use std::fmt::Write;

/// Seconds that a share is taken over: short enough to see an edit act, long enough that a share is not noise.
const WINDOW: usize = 10;

/// Characters of a whole bar.
const BAR: usize = 40;

/// One replica at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    /// Calls it has taken, ever.
    pub(super) calls: u64,
    /// From the table that is in force; `None` when the endpoint is not in it.
    pub(super) weight: Option<u64>,
    /// From 0 to 1.
    pub(super) expected: f64,
}

/// Counts of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Calls of each replica, a second each, the latest last.
    history: VecDeque<Vec<u64>>,
    rows: Vec<Row>,
}

impl Shares {
    /// Takes the state after one more second in. Tells whether there is anything new to see: calls, or another table.
    pub(super) fn tick(&mut self, rows: Vec<Row>) -> bool {
        let counts: Vec<u64> = rows.iter().map(|row| row.calls).collect();
        let promised = |rows: &[Row]| rows.iter().map(|row| row.weight).collect::<Vec<_>>();
        let moved = self.history.back().is_some_and(|last| *last != counts);
        let edited = !self.rows.is_empty() && promised(&self.rows) != promised(&rows);
        if edited {
            self.history.clear();
        }
        self.history.push_back(counts);
        if self.history.len() > WINDOW + 1 {
            self.history.pop_front();
        }
        self.rows = rows;
        moved || edited
    }

    /// Calls of the window: of each replica, and in the last second of all.
    fn window(&self) -> (Vec<u64>, u64) {
        let (Some(first), Some(last)) = (self.history.front(), self.history.back()) else { return (Vec::new(), 0) };
        let before = self.history.iter().rev().nth(1).unwrap_or(last);
        let calls = last.iter().zip(first).map(|(last, first)| last.saturating_sub(*first)).collect();
        (calls, last.iter().sum::<u64>().saturating_sub(before.iter().sum()))
    }

    /// One line, for a log.
    pub(super) fn line(&self) -> String {
        let (calls, rate) = self.window();
        let total: u64 = calls.iter().sum();
        let mut line = format!("{rate:>5} calls/s");
        if total == 0 {
            line.push_str(", no calls yet");
        }
        for (row, calls) in self.rows.iter().zip(&calls) {
            let (share, expected) = (shown(percent(*calls, total)), row.expected * 100.0);
            // Writing to a String cannot fail.
            let _ = write!(line, "  |  {} (weight {}) {share} of {expected:.1} %", row.name, weight(row));
        }
        line
    }

    /// Lines to be drawn in place.
    pub(super) fn block(&self) -> Vec<String> {
        let (calls, rate) = self.window();
        let total: u64 = calls.iter().sum();
        let told = match total {
            0 => "no calls yet".to_owned(),
            _ => format!("{rate} calls a second"),
        };
        let mut lines = vec![format!(
            "{told}; shares of the last {WINDOW} s or since the last edit, `|` is what the weights promise"
        )];
        for (row, calls) in self.rows.iter().zip(&calls) {
            let (share, expected) = (percent(*calls, total), row.expected * 100.0);
            let bar = bar(share.unwrap_or(0.0), expected);
            let (weight, share) = (weight(row), shown(share));
            lines.push(format!("  {:<4} weight {weight:>3}  {bar}  {share:>7}  of {expected:>5.1} %", row.name));
        }
        lines
    }
}

fn weight(row: &Row) -> String {
    row.weight.map_or_else(|| "-".to_owned(), |weight| weight.to_string())
}

/// `None` while there are no calls to take a part of.
fn percent(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| part as f64 * 100.0 / total as f64)
}

fn shown(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1} %"))
}

/// A bar of `#`, with a mark where it should end.
fn bar(share: f64, expected: f64) -> String {
    let at = |percent: f64| (percent / 100.0 * BAR as f64).round() as usize;
    let (filled, mark) = (at(share), at(expected));
    let char = |index| match index {
        index if index == mark => '|',
        index if index < filled => '#',
        _ => ' ',
    };
    (0..=BAR).map(char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(calls: [u64; 2]) -> Vec<Row> {
        let row =
            |name: &str, calls, weight, expected| Row { name: name.into(), calls, weight: Some(weight), expected };
        vec![row("ada", calls[0], 3, 0.75), row("bea", calls[1], 1, 0.25)]
    }

    #[test]
    fn a_share_is_of_the_last_ten_seconds() {
        let mut shares = Shares::default();
        // What came before the demo looked does not count.
        shares.tick(rows([1000, 0]));
        for second in 1..=WINDOW as u64 {
            shares.tick(rows([1000 + 3 * second, second]));
        }
        assert_eq!(shares.window(), (vec![30, 10], 4));
        let line = shares.line();
        assert!(line.contains("ada (weight 3) 75.0 % of 75.0 %") && line.contains("bea (weight 1) 25.0 %"), "{line}");
        for second in 1..=WINDOW as u64 {
            shares.tick(rows([1030, 10 + second]));
        }
        assert_eq!(shares.window(), (vec![0, 10], 1));
    }

    #[test]
    fn only_calls_and_edits_are_news() {
        let mut shares = Shares::default();
        assert!(!shares.tick(rows([5, 5])));
        assert!(!shares.tick(rows([5, 5])));
        assert!(shares.tick(rows([6, 5])));
        assert!(!shares.tick(rows([6, 5])));
        let mut edited = rows([6, 5]);
        edited[1].weight = Some(9);
        assert!(shares.tick(edited.clone()));
        assert!(!shares.tick(edited.clone()));
        assert_eq!(shares.window(), (vec![0, 0], 0));
        edited[0].weight = None;
        assert!(shares.tick(edited));
        assert!(shares.line().contains("ada (weight -)"));
    }

    #[test]
    fn nothing_is_divided_by_no_calls() {
        let mut shares = Shares::default();
        assert_eq!(shares.block().len(), 1);
        shares.tick(rows([0, 0]));
        let line = shares.line();
        assert!(line.contains("no calls yet") && line.contains("ada (weight 3) - of 75.0 %"), "{line}");
        let block = shares.block();
        assert!(block[0].starts_with("no calls yet") && !block.concat().contains(" 0.0 %"), "{block:?}");
        assert_eq!(block.len(), 3);
        shares.tick(rows([1, 0]));
        assert!(shares.line().contains("bea (weight 1) 0.0 % of 25.0 %"), "{}", shares.line());
    }

    #[test]
    fn a_bar_never_grows_past_its_field() {
        for (share, expected) in [(0.0, 0.0), (100.0, 100.0), (100.0, 0.0), (0.0, 100.0), (33.3, 50.0)] {
            let bar = bar(share, expected);
            assert_eq!((bar.chars().count(), bar.matches('|').count()), (BAR + 1, 1), "{bar}");
        }
        assert_eq!(bar(50.0, 25.0).matches('#').count(), BAR / 2 - 1);
    }
}
