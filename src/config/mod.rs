//! What operators write: `telamon.yaml` and `servlets/*.yaml`, read whole with the tables and schemas that they name. A mistake in
//! one servlet never touches another, and a running servlet is never worse off for a file that is broken or half written.

mod cidr;
mod options;
mod servlet;
mod settings;

pub use cidr::Cidr;
pub use options::{Balance, ServletOptions, Upstream};
pub use servlet::{MatchDef, RouteDef, ServiceDef, ServletDef};
pub use settings::{AccessLog, Admin, Defaults, Limits, Listener, Listeners, Settings};
