//! The file of counts: a line a work, so that a diff shows what a change costs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) made_with: String,
    pub(crate) counts: BTreeMap<String, u64>,
}

const MADE_WITH: &str = "# with ";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
}

pub(crate) fn read() -> Result<Stored, String> {
    let file = file();
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut stored = Stored::default();
    for line in text.lines() {
        if let Some(made_with) = line.strip_prefix(MADE_WITH) {
            stored.made_with = made_with.to_owned();
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            let entry = line.split_once(' ').and_then(|(name, count)| Some((name, count.trim().parse().ok()?)));
            let (name, count) = entry.ok_or_else(|| format!("{}: not a count: {line}", file.display()))?;
            stored.counts.insert(name.to_owned(), count);
        }
    }
    Ok(stored)
}

pub(crate) fn write(stored: &Stored) -> Result<(), String> {
    let mut text = format!(
        "# Instructions of each work, once. Made by `just counts --update`; CI holds them to 3 %.\n{MADE_WITH}{}\n",
        stored.made_with
    );
    for (name, count) in &stored.counts {
        let _ = writeln!(text, "{name:<28}{count:>12}");
    }
    fs::write(file(), text).map_err(|error| format!("{}: {error}", file().display()))
}
