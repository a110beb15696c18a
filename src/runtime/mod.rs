//! Seams to the process: workers, drain, signals, timers, file watching.

mod drain;
mod signals;
mod timer;
pub mod watch;
mod workers;

pub use drain::{Drain, DrainControl};
pub use signals::{Signal, Signals};
pub use timer::{Lent, Timer, Timers, unless};
pub use workers::{Worker, Workers, give_way, now, runtime, stand_back};
