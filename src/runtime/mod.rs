//! Seams to the process: workers, drain, signals, timers, file watching.

mod drain;
mod signals;
mod timer;
pub mod watch;
mod workers;

pub use drain::{Drain, DrainControl};
pub use signals::{Signal, Signals};
pub use timer::{Timer, Timers};
pub use workers::{Worker, Workers, now, runtime, stand_back};
