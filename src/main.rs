//! The program. mimalloc, because a proxy is judged by its memory after a burst, and glibc's allocator gives nothing back.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use telamon::cli::{self, DemoArgs};
use telamon::demo;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(run_demo)
}

fn run_demo(asked: DemoArgs) -> Result<(), String> {
    let DemoArgs { dir, port, admin_port, load, work } = asked;
    demo::run(&demo::Options { dir, port, admin_port, load, work: Duration::from_millis(work) })
}
