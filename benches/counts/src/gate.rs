//! Runs every work under callgrind and holds what it finds against what is stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::Work;
use crate::section::SWITCHES;
use crate::stored::{self, Stored};

/// A rise beyond this must be explained by storing the new numbers; a fall should be.
const TOLERANCE: f64 = 0.03;

/// As many at a time as CI has cores; counts do not mind.
const AT_ONCE: usize = 2;

/// Counts all and stores it.
pub(crate) fn update(works: &[Work]) -> Result<(), String> {
    let before = stored::read().unwrap_or_default();
    let counts = count(&works.iter().collect::<Vec<_>>())?;
    for (name, count) in &counts {
        println!("{}", row(name, *count, before.counts.get(name).copied()));
    }
    stored::write(&Stored { made_with: made_with()?, counts })
}

/// Counts the works whose names begin with one of `names`, or all, and compares.
pub(crate) fn compare(works: &[Work], names: &[&str]) -> Result<(), String> {
    let stored = stored::read()?;
    let here = made_with()?;
    let asked = |work: &&Work| names.is_empty() || names.iter().any(|name| work.name.starts_with(name));
    let counts = count(&works.iter().filter(asked).collect::<Vec<_>>())?;
    let mut risen = Vec::new();
    let mut fallen = Vec::new();
    let mut unknown = Vec::new();
    for (name, count) in &counts {
        let before = stored.counts.get(name).copied();
        println!("{}", row(name, *count, before));
        match before.map(|before| change(*count, before)) {
            None => unknown.push(name.as_str()),
            Some(change) if change > TOLERANCE => risen.push(name.as_str()),
            Some(change) if change < -TOLERANCE => fallen.push(name.as_str()),
            Some(_) => {}
        }
    }
    unknown.extend(stored.counts.keys().map(String::as_str).filter(|name| works.iter().all(|work| work.name != *name)));
    println!();
    if !fallen.is_empty() {
        println!("fewer by more than 3 %: {}. `just counts --update` keeps it so.", fallen.join(", "));
    }
    if here != stored.made_with {
        println!("stored with {}\n  here with {here}\nso that nothing follows from a difference.", stored.made_with);
        return Ok(());
    }
    if !unknown.is_empty() {
        return Err(format!("stored or counted alone: {}. `just counts --update`", unknown.join(", ")));
    }
    if risen.is_empty() {
        return Ok(());
    }
    Err(format!("more by more than 3 %: {}. If it is worth it, `just counts --update` and say why.", risen.join(", ")))
}

fn change(count: u64, before: u64) -> f64 {
    count as f64 / before.max(1) as f64 - 1.0
}

fn row(name: &str, count: u64, before: Option<u64>) -> String {
    let Some(before) = before else { return format!("{name:<28}{count:>12}           new") };
    let change = change(count, before);
    let mark = if change.abs() > TOLERANCE { " !" } else { "" };
    format!("{name:<28}{count:>12}{before:>12}{:>+9.2} %{mark}", change * 100.0)
}

/// Instructions of one time of each work.
fn count(works: &[&Work]) -> Result<BTreeMap<String, u64>, String> {
    let kept = kept();
    fs::create_dir_all(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(work) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let counted = under_callgrind(work, &kept);
                    if let Ok(mut found) = found.lock() {
                        found.push(counted.map(|count| (work.name.to_owned(), count)));
                    }
                }
            });
        }
    });
    found.into_inner().map_err(|_| "a count was lost".to_owned())?.into_iter().collect()
}

/// Where callgrind's own files go, for `callgrind_annotate`.
fn kept() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("counts")
}

/// What callgrind finds out about a work.
pub(crate) fn callgrind_file(work: &Work) -> Result<String, String> {
    count(&[work])?;
    fs::read_to_string(kept_of(work, &kept())).map_err(|error| error.to_string())
}

fn kept_of(work: &Work, kept: &Path) -> PathBuf {
    kept.join(work.name.replace('/', "."))
}

fn under_callgrind(work: &Work, kept: &Path) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(SWITCHES.map(|name| format!("--toggle-collect={name}")))
        .arg(format!("--callgrind-out-file={}", kept_of(work, kept).display()))
        .arg(own)
        .args(["--work", work.name])
        // What is in the environment lies on the stack.
        .env_clear()
        // An instruction that copies a whole block would count as one a byte, and not every processor is given it.
        .env(
            "GLIBC_TUNABLES",
            "glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000",
        )
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    match collected {
        Some(all) if output.status.success() && all > 0 => {
            Ok((all + u64::from(work.times) / 2) / u64::from(work.times))
        }
        _ => Err(format!("{}: {}\n{told}", work.name, output.status)),
    }
}

/// What the counts depend on beside the code.
fn made_with() -> Result<String, String> {
    let rustc = first_line("rustc", &["-V"])?;
    let libc = first_line("getconf", &["GNU_LIBC_VERSION"])?;
    let valgrind = first_line("valgrind", &["--version"])?;
    Ok(format!("{rustc}, {libc}, {valgrind}, {}{}", std::env::consts::ARCH, avx2()))
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// libc and some crates choose their loops by it.
fn avx2() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return " with AVX2";
    }
    ""
}
