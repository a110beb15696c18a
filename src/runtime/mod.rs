//! Seams to the process: workers, drain, signals, timers, file watching.

mod drain;
mod signals;
mod timer;
mod turn;
pub mod watch;
mod workers;

pub use drain::{Drain, DrainControl};
pub use signals::{Signal, Signals};
pub use timer::{Lent, Timer, Timers, unless};
#[cfg(test)]
pub(crate) use turn::given;
pub use turn::{Stopwatch, give_way, give_way_now, stand_back};
pub use workers::{Worker, Workers, now, runtime};
