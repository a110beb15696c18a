//! Seams to the process.

pub mod watch;
