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
pub use turn::{STEPS_A_LOOK, Stopwatch, give_way, give_way_after, stand_back};
pub use workers::{Worker, Workers, now, runtime};
