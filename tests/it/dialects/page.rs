//! `docs/dialects.md`: its tables are what the matrix found. What stands between their marks is by hand.

use std::fmt::Write;
use std::path::PathBuf;

use super::cell::{Cell, Coding, Http, Kind, Outcome, Way};
use super::told::{End, How, Told};

/// What became of a cell.
#[derive(Clone, Debug)]
pub struct Found {
    pub cell: Cell,
    pub told: Told,
    /// The servlet was called.
    pub carried: bool,
    /// The servlet got compressed messages.
    pub passed_gzip: bool,
}

/// Set to write the page instead of comparing it.
const WRITE: &str = "TELAMON_WRITE_DIALECTS";

/// Holds the page to what was found.
pub fn check(found: &[Found]) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md"));
    let committed = std::fs::read_to_string(&path).unwrap();
    let mut page = committed.clone();
    for (name, table) in [("carried", carried(found)), ("refused", refused(found)), ("errors", errors(found))] {
        page = with(&page, name, &table);
    }
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    for (is, should) in committed.lines().zip(page.lines()) {
        assert_eq!(is, should, "docs/dialects.md is not what the matrix found; `just dialects` writes it");
    }
    assert_eq!(committed.len(), page.len(), "docs/dialects.md is not what the matrix found; `just dialects` writes it");
}

/// The page with `table` between the marks of that name.
fn with(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- matrix: {name} -->\n"), format!("<!-- /matrix: {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no mark {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no mark {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

/// The cells of a way that are alike but for HTTP's version.
fn over_http(found: &[Found], way: Way, kind: Kind, coding: Coding, outcome: Outcome) -> Vec<&Found> {
    let fits = |cell: &Cell| (cell.way, cell.kind, cell.coding, cell.outcome) == (way, kind, coding, outcome);
    found.iter().filter(|one| fits(&one.cell)).collect()
}

/// A text for each, said once where all are alike.
fn said(texts: Vec<(Http, String)>) -> String {
    let mut groups: Vec<(String, Vec<Http>)> = Vec::new();
    for (http, text) in texts {
        match groups.iter_mut().find(|(own, _)| *own == text) {
            Some((_, all)) => all.push(http),
            None => groups.push((text, vec![http])),
        }
    }
    if groups.len() == 1 {
        return groups.remove(0).0;
    }
    let of = |all: &[Http]| match all {
        [Http::V10, Http::V11] => "HTTP/1",
        [one] => one.word(),
        _ => "others",
    };
    let each: Vec<String> = groups.iter().map(|(text, all)| format!("{}: {text}", of(all))).collect();
    each.join("; ")
}

fn carried(found: &[Found]) -> String {
    let mut table =
        "| | unary | client streaming | server streaming | both ways | gzip |\n|---|---|---|---|---|---|\n".to_owned();
    for way in Way::ALL {
        write!(table, "| {} |", way.name()).unwrap();
        for kind in Kind::ALL {
            let cells = over_http(found, way, kind, Coding::Identity, Outcome::Ok);
            let text = |one: &Found| match one.told.end {
                End::Ok => format!("✓ {}", form(way, kind)).trim_end().to_owned(),
                _ => format!("✗ {}", error_text(&one.told.end, way)),
            };
            write!(table, " {} |", said(cells.iter().map(|one| (one.cell.http, text(one))).collect())).unwrap();
        }
        writeln!(table, " {} |", gzip(found, way)).unwrap();
    }
    table
}

/// What messages are written in, there and back.
fn form(way: Way, kind: Kind) -> String {
    let (up, down) = (kind.streams_up(), kind.streams_down());
    let array = |streams: bool| if streams { "array" } else { "JSON" };
    let (sent, answered) = match way {
        Way::Json => (array(up), array(down)),
        Way::Lines => (if up { "lines" } else { "JSON" }, if down { "lines" } else { "JSON" }),
        Way::Events => (array(up), if down { "events" } else { "JSON" }),
        Way::Form => (if up { "one form" } else { "form" }, array(down)),
        Way::Multipart if up => ("a file", "bytes"),
        Way::Multipart => ("form", array(down)),
        _ => return String::new(),
    };
    format!("{sent} → {answered}")
}

fn gzip(found: &[Found], way: Way) -> String {
    let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
    for kind in Kind::ALL {
        let plain = over_http(found, way, kind, Coding::Identity, Outcome::Ok);
        let cells = over_http(found, way, kind, Coding::Gzip, Outcome::Ok);
        // What is carried in no coding says nothing of this one.
        let carried = cells.iter().zip(&plain).filter(|(_, plain)| plain.carried).map(|(one, _)| *one);
        let text = |one: &Found| match (one.told.end, one.passed_gzip, one.told.gzip) {
            (End::Ok, true, _) => "✓ passed through".to_owned(),
            (End::Ok, false, true) => "✓".to_owned(),
            (End::Ok, false, false) => "✓ taken, not given".to_owned(),
            (end, ..) => format!("✗ {}", error_text(&end, way)),
        };
        let texts_of: Vec<_> = carried.map(|one| (one.cell.http, text(one))).collect();
        if texts_of.is_empty() {
            continue;
        }
        let text = said(texts_of);
        match texts.iter_mut().find(|(own, _)| *own == text) {
            Some((_, kinds)) => kinds.push(kind.word()),
            None => texts.push((text, vec![kind.word()])),
        }
    }
    if let [(text, _)] = &texts[..] {
        return text.clone();
    }
    let each: Vec<String> = texts.iter().map(|(text, kinds)| format!("{}: {text}", kinds.join(", "))).collect();
    each.join("; ")
}

/// Calls that are not carried, in the words that their callers get.
fn refused(found: &[Found]) -> String {
    let mut list = String::new();
    for one in found.iter().filter(|one| one.cell.outcome == Outcome::Ok && one.told.end != End::Ok) {
        let Cell { way, kind, coding, http, .. } = one.cell;
        // What is refused in any coding, or over any earlier HTTP, is told once.
        let is_told = found.iter().any(|other| {
            let of = other.cell;
            (of.way, of.kind, of.outcome) == (way, kind, Outcome::Ok)
                && (of.coding, of.http) < (coding, http)
                && other.told.end == one.told.end
        });
        if is_told {
            continue;
        }
        let words = one.told.words.replace("|", "\\|");
        let gzip = if coding == Coding::Gzip { ", gzip" } else { "" };
        let end = error_text(&one.told.end, way);
        writeln!(list, "- {}, {}{gzip}: {end}, “{words}”", way.name(), kind.word()).unwrap();
    }
    if list.is_empty() { "Nothing.\n".into() } else { list }
}

fn errors(found: &[Found]) -> String {
    let columns = [Outcome::Before, Outcome::Midway, Outcome::Cut, Outcome::Deadline];
    let mut table = "| | | an error at once | an error behind a message | the servlet breaks off | the deadline |\n\
        |---|---|---|---|---|---|\n"
        .to_owned();
    for way in Way::ALL {
        let mut rows: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
        for (kind, answer) in [(Kind::Unary, "one message"), (Kind::Server, "a stream")] {
            let row: Vec<String> = columns
                .iter()
                .map(|outcome| {
                    let cells = over_http(found, way, kind, Coding::Identity, *outcome);
                    let carried = cells.iter().filter(|one| one.carried);
                    said(carried.map(|one| (one.cell.http, error_text(&one.told.end, way))).collect())
                })
                .collect();
            if row.iter().all(String::is_empty) {
                continue;
            }
            match rows.iter_mut().find(|(_, own)| *own == row) {
                Some((answers, _)) => answers.push(answer),
                None => rows.push((vec![answer], row)),
            }
        }
        for (index, (answers, row)) in rows.iter().enumerate() {
            let name = if index == 0 { way.name() } else { "" };
            let answers = if answers.len() == 2 { "any answer".to_owned() } else { answers.concat() };
            writeln!(table, "| {name} | {answers} | {} |", row.join(" | ")).unwrap();
        }
    }
    table
}

/// An end, as a reader of the page sees it.
fn error_text(end: &End, way: Way) -> String {
    let (code, how) = match end {
        End::Ok => return "✓".into(),
        End::Broken => return "a break".into(),
        End::Gone => return "nobody to tell".into(),
        End::Error(code, how) => (*code, *how),
    };
    let word = match code {
        3 => "invalid_argument",
        4 => "deadline_exceeded",
        5 => "not_found",
        12 => "unimplemented",
        14 => "unavailable",
        8 => "resource_exhausted",
        _ => "another",
    };
    match how {
        How::Trailers => format!("`grpc-status: {code}` in the trailers"),
        How::Head => format!("`grpc-status: {code}` in the head"),
        How::TrailerFrame => format!("`grpc-status: {code}` in the last frame"),
        How::Connect(status) => format!("`{status}` `{{\"code\":\"{word}\"}}`"),
        How::EndFrame => format!("`{{\"error\":{{\"code\":\"{word}\"}}}}` in the last frame"),
        How::Status(status) => format!("`{status}` `{{\"code\":{code}}}`"),
        How::StatusProto(status) => format!("`{status}` `google.rpc.Status` of code {code}"),
        How::Record if way == Way::Events => format!("`event: error` with `{{\"code\":{code}}}`, then a break"),
        How::Record => format!("`{{\"error\":{{\"code\":{code}}}}}`, then a break"),
        How::Own(status) => format!("`{status}` of the servlet's own"),
    }
}
