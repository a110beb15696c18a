//! The process log: what the operator must know, to standard error.

use std::io::{self, IsTerminal};

pub use tracing::Level;

use crate::servlet::{Endpoint, SetAside};

/// Sets the process log up, once a process. Colour only on a terminal, and never when `NO_COLOR` is set.
///
/// # Errors
/// When the process already has a subscriber: the first one stays.
pub fn init(level: Level) -> Result<(), String> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init()
        .map_err(|error| error.to_string())
}

/// A connection to `endpoint` failed. Told once, when that sets it aside, and not again until it is back.
pub fn connect_failed(endpoint: &Endpoint, aside: Option<SetAside>, why: &str) {
    if let Some(SetAside { failures: 1, .. }) = aside {
        let (servlet, address) = (endpoint.servlet(), endpoint.address());
        tracing::warn!(%servlet, endpoint = %address, "set aside: {why}");
    }
}

/// Tells that `endpoint` takes calls again, if it had been set aside.
pub fn connected(endpoint: &Endpoint, was_aside: bool) {
    if was_aside {
        let (servlet, address) = (endpoint.servlet(), endpoint.address());
        tracing::info!(%servlet, endpoint = %address, "back: a connection came up");
    }
}
