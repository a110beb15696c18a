//! Instruction counts of what a call is made of, and of whole calls, under valgrind: a gate that a busy machine cannot move.
//!
//! ```text
//! counts                    count everything and compare with counts.txt; fails when something rose by more than 3 %
//! counts --update           count everything and write counts.txt
//! counts NAME...            those whose names begin so, compared
//! counts --profile NAME [N] where the instructions of a work go: by layer, and the first N functions
//! counts --work NAME [N]    do one work N times, uncounted: for valgrind, strace, perf
//! ```
//! Each work has a process of its own, so that none moves another. Only what runs inside `section::counted` is counted, and not what
//! the peers of a call do in there.

mod call;
mod caller;
mod files;
mod gate;
mod h2_bytes;
mod origin;
mod pieces;
mod profile;
mod section;
mod stored;

use std::process::ExitCode;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something to be counted: a name, how often it is done, and what does it.
struct Work {
    name: &'static str,
    times: u32,
    run: fn(u32),
}

fn works() -> Vec<Work> {
    let mut works = pieces::works();
    works.extend(call::works());
    works
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--work", name, times @ ..] => work(name, times.first().and_then(|times| times.parse().ok())),
        ["--profile", name, lines @ ..] => {
            profile(name, lines.first().and_then(|lines| lines.parse().ok()).unwrap_or(40))
        }
        ["--update"] => gate::update(&works()),
        names if names.iter().all(|name| !name.starts_with('-')) => gate::compare(&works(), names),
        _ => Err("usage: counts [NAME...] | --update | --profile NAME [LINES] | --work NAME [TIMES]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(told) => {
            eprintln!("{told}");
            ExitCode::FAILURE
        }
    }
}

fn named<'w>(works: &'w [Work], name: &str) -> Result<&'w Work, String> {
    works.iter().find(|work| work.name == name).ok_or_else(|| format!("there is no work `{name}`"))
}

fn work(name: &str, times: Option<u32>) -> Result<(), String> {
    let works = works();
    let work = named(&works, name)?;
    (work.run)(times.unwrap_or(work.times));
    Ok(())
}

fn profile(name: &str, lines: usize) -> Result<(), String> {
    let works = works();
    let work = named(&works, name)?;
    let functions = profile::by_function(&gate::callgrind_file(work)?);
    let all: u64 = functions.iter().map(|(_, cost)| cost).sum();
    let print = |(name, cost): &(String, u64)| {
        let each = *cost as f64 / f64::from(work.times);
        println!("{each:>9.1} {:>5.1} %  {name}", *cost as f64 * 100.0 / all as f64);
    };
    println!("{:>9.1} 100.0 %  {name}, once\n", all as f64 / f64::from(work.times));
    profile::by_layer(&functions).iter().for_each(print);
    println!();
    functions.iter().take(lines).for_each(print);
    Ok(())
}
