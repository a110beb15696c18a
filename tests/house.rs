//! Holds the house to its plan (`src/lib.rs`): arrows point down, cores know nothing of the world, a file is one concept, and the
//! tree in the README is the tree on disk. It reads the sources as text: a rule that a person can check with their eyes.

#[path = "house/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, own_lines, paths, production, stripped};

/// Past this, it is two concepts.
const MOST_LINES: usize = 500;

/// Ranks up to this are cores.
const LAST_CORE: u32 = 3;

/// Crates that touch the world, or tell it something.
const WORLDLY_CRATES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "h2",
    "socket2",
    "notify",
    "rustix",
    "rand",
    "fastrand",
    "tracing",
    "log",
    "prometheus",
];

/// Two names in a row that do: sockets, files, clocks, threads. Addresses are nouns, and allowed.
const WORLDLY_PATHS: &[[&str; 2]] = &[
    ["net", "TcpStream"],
    ["net", "TcpListener"],
    ["net", "UdpSocket"],
    ["net", "UnixStream"],
    ["net", "UnixListener"],
    ["net", "UnixDatagram"],
    ["net", "ToSocketAddrs"],
    ["std", "fs"],
    ["std", "env"],
    ["std", "process"],
    ["std", "thread"],
    ["Instant", "now"],
    ["SystemTime", "now"],
];

const WORLDLY_MACROS: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "managers", "type", "types", "misc", "shared_types"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source below `src/` but `lib.rs` and `main.rs`, which stand above all.
fn sources() -> Vec<Source> {
    let sources: Vec<Source> =
        Source::all(&root().join("src")).into_iter().filter(|source| source.top().is_some()).collect();
    assert!(!sources.is_empty());
    sources
}

/// The list in the head of `lib.rs`: a rank for each folder.
fn ranks() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is there");
    let mut ranks = BTreeMap::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix("//! |") else { continue };
        let mut cells = row.split('|').map(str::trim);
        let (Some(rank), Some(names)) = (cells.next(), cells.next()) else { continue };
        let Ok(rank) = rank.parse() else { continue };
        for name in names.split(',') {
            let name = name.trim().trim_matches('`').to_owned();
            assert!(ranks.insert(name.clone(), rank).is_none(), "`{name}` is in the list twice");
        }
    }
    assert!(ranks.len() > 10, "the list in src/lib.rs is not read: {ranks:?}");
    ranks
}

fn told(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn arrows_point_down() {
    let ranks = ranks();
    let mut faults = Vec::new();
    for source in sources() {
        let top = source.top().expect("the roots are left out").to_owned();
        let Some(rank) = ranks.get(&top) else { continue };
        for target in source.targets() {
            match ranks.get(&target) {
                None => faults.push(format!("{}: `crate::{target}` is not in the list of src/lib.rs", source.shown())),
                Some(other) if target != top && other >= rank => {
                    faults.push(format!("{}: `{top}` ({rank}) imports `{target}` ({other})", source.shown()));
                }
                Some(_) => {}
            }
        }
    }
    told(&faults);
}

#[test]
fn cores_know_nothing_of_the_world() {
    let ranks = ranks();
    let mut faults = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        if source.top().and_then(|top| ranks.get(top)).is_some_and(|rank| *rank <= LAST_CORE) {
            faults.extend(worldly(&source.text).into_iter().map(|what| format!("{}: {what}", source.shown())));
        }
    }
    told(&faults);
}

/// What the code names of the world, its tests aside.
fn worldly(text: &str) -> BTreeSet<String> {
    let code = production(&stripped(text));
    let mut named = BTreeSet::new();
    for path in paths(&code) {
        if path.len() > 1 && path.first().is_some_and(|first| WORLDLY_CRATES.contains(&first.as_str())) {
            named.insert(path.join("::"));
        }
        for pair in path.windows(2) {
            if WORLDLY_PATHS.iter().any(|worldly| worldly.iter().eq(pair)) {
                named.insert(path.join("::"));
            }
        }
    }
    for name in WORLDLY_MACROS {
        if code
            .match_indices(&format!("{name}!"))
            .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        {
            named.insert(format!("{name}!"));
        }
    }
    named
}

#[test]
fn a_file_is_one_concept() {
    let mut faults = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        let lines = own_lines(&production(&stripped(&source.text)));
        if lines > MOST_LINES {
            faults.push(format!("{}: {lines} lines of code; past {MOST_LINES} it is two concepts", source.shown()));
        }
    }
    told(&faults);
}

#[test]
fn the_list_is_the_tree() {
    let ranks = ranks();
    let on_disk: BTreeSet<String> = sources().iter().filter_map(|source| source.top().map(str::to_owned)).collect();
    let listed: BTreeSet<String> = ranks.keys().cloned().collect();
    assert_eq!(listed, on_disk, "left: the list in src/lib.rs; right: src/ on disk");

    let text = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is there");
    let declared: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)).collect();
    assert_eq!(declared, on_disk, "left: `pub mod` in src/lib.rs; right: src/ on disk");
}

#[test]
fn the_readme_shows_the_house() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    let shown = readme_tree(&readme).expect("README.md has a block that starts with ```text house");
    assert_eq!(shown, ranks(), "left: the tree in README.md; right: the list in src/lib.rs");
}

/// Folders and ranks in the fenced block `text house`: a line each, first the name, last the rank.
fn readme_tree(readme: &str) -> Option<BTreeMap<String, u32>> {
    let (_, rest) = readme.split_once("```text house\n")?;
    let (block, _) = rest.split_once("\n```")?;
    let mut tree = BTreeMap::new();
    for line in block.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(rank)) = (words.next(), words.last()) else { continue };
        let name = name.trim_start_matches(['├', '└', '│', '─']);
        let Some(name) = name.strip_suffix('/').or(name.strip_suffix(".rs")) else { continue };
        let name = name.strip_prefix("src/").unwrap_or(name);
        if name == "lib" || name == "main" {
            continue;
        }
        if let Ok(rank) = rank.parse() {
            tree.insert(name.to_owned(), rank);
        }
    }
    Some(tree)
}

#[test]
fn names_say_something() {
    let mut faults = Vec::new();
    for source in Source::all(&root().join("src")) {
        for name in source.modules() {
            if EMPTY_NAMES.contains(&name.as_str()) {
                faults.push(format!("{}: `{name}` says nothing of what is inside", source.shown()));
            }
        }
        if source.modules() == ["error"] {
            faults.push(format!("{}: one error for everybody knows everybody", source.shown()));
        }
    }
    told(&faults);
}

#[test]
fn every_allow_bears_its_reason() {
    let mut faults = Vec::new();
    for dir in ["src", "tests", "benches"] {
        for source in Source::all(&root().join(dir)) {
            faults.extend(unreasoned(&source.text).into_iter().map(|line| format!("{}:{line}", source.shown())));
        }
    }
    told(&faults);
}

/// The lines that switch a lint off and do not say why, there or in a comment above.
fn unreasoned(text: &str) -> Vec<usize> {
    let code = stripped(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let opens = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
        if !opens.iter().any(|open| line.trim_start().starts_with(open)) {
            continue;
        }
        // An attribute may go on over a few lines.
        let attribute: String =
            code.lines().skip(index).take(6).take_while_inclusive(|line| !line.contains(")]")).collect();
        let above = index
            .checked_sub(1)
            .and_then(|above| lines.get(above))
            .is_some_and(|line| line.trim_start().starts_with("//"));
        let beside = lines.get(index).is_some_and(|line| line.contains("//"));
        if !attribute.contains("reason") && !above && !beside {
            found.push(index + 1);
        }
    }
    found
}

/// Like `take_while`, with the first that ends it.
trait TakeWhileInclusive: Iterator + Sized {
    fn take_while_inclusive(self, keep: impl Fn(&Self::Item) -> bool) -> impl Iterator<Item = Self::Item> {
        let mut ended = false;
        self.take_while(move |item| {
            let take = !ended;
            ended |= !keep(item);
            take
        })
    }
}

impl<I: Iterator> TakeWhileInclusive for I {}

#[test]
fn a_breach_would_be_seen() {
    let worldly_code = [
        "use tokio::time;",
        "use std::{fmt, fs::File};",
        "fn f() { let _ = std::time::Instant::now(); }",
        "use std::time::SystemTime as S; fn f() { SystemTime::now(); }",
        "fn f(_: std::net::TcpStream) {}",
        "use std::net::{IpAddr, UdpSocket};",
        "fn f() { println!(\"x\") }",
        "fn f() { tracing::info!(\"x\") }",
        "use std::{thread};",
    ];
    for code in worldly_code {
        assert!(!worldly(code).is_empty(), "{code}");
    }
    let pure_code = [
        "// use tokio::time;",
        "const S: &str = \"tokio::time std::fs\";",
        "use std::net::{IpAddr, SocketAddr};",
        "#[cfg(test)]\nmod tests { fn f() { std::time::Instant::now(); println!(\"\"); } }",
        "fn f(log: u8) { log.min(1); my_println!(); }",
        "/* std::fs /* nested */ std::thread */ use std::fmt;",
    ];
    for code in pure_code {
        assert_eq!(worldly(code), BTreeSet::new(), "{code}");
    }
    assert_eq!(
        unreasoned("#[allow(dead_code)]\nfn f() {}\n\n// because\n#[allow(x)]\n#[allow(y, reason = \"z\")]\n"),
        [1]
    );
    assert_eq!(unreasoned("#![allow(\n    a,\n    reason = \"b\"\n)]\n// \n"), [0; 0]);
    let tree =
        readme_tree("a\n```text house\nsrc/\n  model/  the nouns   0\n  cli.rs  it 10\n  main.rs 11\n```\nb").unwrap();
    assert_eq!(tree, BTreeMap::from([("model".to_owned(), 0), ("cli".to_owned(), 10)]));
    assert_eq!(readme_tree("nothing"), None);
}

#[test]
fn an_arrow_would_be_seen() {
    let source = |path: &str, text: &str| Source { path: Path::new("src").join(path), text: text.to_owned() };
    let targets = |path: &str, text: &str| source(path, text).targets().into_iter().collect::<Vec<_>>();
    assert_eq!(targets("a/mod.rs", "use crate::b::C; fn f() { crate::d::e() }"), ["b", "d"]);
    assert_eq!(targets("a/mod.rs", "use crate::{b::{self, C}, d, e::F as G};"), ["b", "d", "e"]);
    assert_eq!(targets("a/mod.rs", "use super::{b, d::E};"), ["b", "d"]);
    assert_eq!(targets("a.rs", "use super::b;"), ["b"]);
    assert_eq!(targets("a/x.rs", "use super::b; use super::super::d::E;"), ["d"]);
    assert_eq!(targets("a/x.rs", "mod t { use super::super::b; use super::super::super::d; }"), ["d"]);
    assert_eq!(targets("a/x/tests.rs", "use super::super::b; use super::super::super::{d};"), ["d"]);
    assert_eq!(targets("a/x.rs", "pub(in crate::b) fn f() {} // crate::d\n const S: &str = r#\"crate::e\"#;"), ["b"]);
    assert_eq!(
        targets("a/x.rs", "macro_rules! m { () => { $crate::b::C } } fn f<'a>(_: &'a str) { '\\''; crate :: d; }"),
        ["b", "d"]
    );
}
