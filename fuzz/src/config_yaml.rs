//! Files that people write: read whole or refused, and every mistake is told at a place that the file has.

use std::path::Path;

use telamon::config::Settings;
use telamon::discovery::{Problem, Reader, table};

fn check_places(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty(), "a refusal says why");
    // YAML breaks lines at a carriage return, too.
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = unix.split('\n').collect();
    for problem in problems {
        let Some(at) = problem.at else { continue };
        let (line, column) = (at.line as usize, at.column as usize);
        assert!(line >= 1 && column >= 1 && line <= lines.len() + 1, "{problem}");
        let written = lines.get(line - 1).map_or(0, |line| line.chars().count());
        assert!(column <= written + 1, "{problem}");
    }
}

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match table::parse("endpoints/a.yaml", Path::new("/etc"), text) {
        Ok(table) => assert_eq!(table::parse("endpoints/a.yaml", Path::new("/etc"), text), Ok(table)),
        Err(problems) => check_places(text, &problems),
    }
    let mut reader = Reader::new("telamon.yaml", "/etc");
    let settings = reader.document::<Settings>(text);
    let problems = reader.into_problems();
    if settings.is_none() || !problems.is_empty() {
        check_places(text, &problems);
    }
}
