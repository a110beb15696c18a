//! The program. mimalloc, because a proxy is judged by its memory after a burst, and glibc's allocator gives nothing back.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    telamon::cli::main()
}
