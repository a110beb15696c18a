//! Seams to the process: workers, drain, signals, file watching.

mod drain;
mod signals;
pub mod watch;
mod workers;

pub use drain::{Drain, DrainControl};
pub use signals::{Signal, Signals};
pub use workers::{Worker, Workers, now, runtime, stand_back};
