//! What is true now of a servlet's endpoints.
//!
//! A [`Servlet`] is one a process and shared; a [`Snapshot`] of it changes as a whole, by one store; a [`Picker`] is one a worker
//! and owns that worker's order; a [`Lease`] is one try on one endpoint, counted until it is finished or dropped. An [`Endpoint`]
//! outlives every snapshot that names it, and with it its counts, statistics and identity.

mod aside;
mod endpoint;
mod latency;
mod lease;
mod live;
mod observed;
mod picker;
mod registry;
mod snapshot;
mod turns;
mod view;

pub use aside::SetAside;
pub use endpoint::{Endpoint, EndpointId};
pub use lease::Lease;
pub use live::{Servlet, TableChange};
pub use picker::Picker;
pub use registry::{Applied, Prepared, Registry};
pub use snapshot::{GroupState, Member, Snapshot};
pub use view::{EndpointView, Latencies, State};
