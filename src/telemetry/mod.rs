//! What is told to the outside about the traffic: metrics, the access log, the process log. Handles are resolved when a servlet is
//! built, so that the path of a call only adds to numbers it already holds.

mod access;
mod call;
mod endpoints;
mod exposition;
mod legacy;
mod line;
mod listener_metrics;
pub mod log;
mod metrics;
mod process;
mod rfc3339;
mod servlet_metrics;
mod unused;

pub use access::{AccessLog, Target, WorkerLog};
pub use call::{CallRecord, Reply};
pub use endpoints::EndpointSample;
pub use legacy::{LegacyCaller, LegacyCallers, LegacyTally, LegacyView};
pub use listener_metrics::ListenerMetrics;
pub use metrics::Metrics;
pub use rfc3339::rfc3339_millis;
pub use servlet_metrics::ServletMetrics;
