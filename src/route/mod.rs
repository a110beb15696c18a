//! Which rule does this head match: by host, path, method and headers, in the order of precedence that the design fixes. Generic over
//! what a rule leads to; knows nothing of servlets.

mod entry;
mod explain;
mod host;
mod path;
mod service;
mod table;
#[cfg(test)]
mod tests;

pub use entry::{Entry, HeaderMatch, Origin, Tier};
pub use explain::{Step, Verdict};
pub use host::{HostPattern, HostPatternError};
pub use service::ServiceMatch;
pub use table::{Conflict, Match, Miss, Table, TableBuilder};
