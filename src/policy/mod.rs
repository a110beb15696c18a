//! May we, how long, once more: decisions that need no socket and no clock of their own.

mod cors;
mod retry;
mod timeout;

pub use cors::{Cors, CorsRules, Named, OriginPattern, OriginPatternError};
pub use retry::{MAX_TRIES, Next, after};
pub use timeout::{CallKind, timeout};
