//! What operators write: `telamon.yaml` and `servlets/*.yaml`, read whole with the tables and schemas that they name. A mistake in
//! one servlet never touches another, and a running servlet is never worse off for a file that is broken or half written.

mod bindings;
mod blame;
mod checks;
mod cidr;
mod conflicts;
mod cors;
mod differences;
mod directory;
mod gate;
mod last_good;
mod load;
mod machine;
mod metadata;
mod openapi;
mod options;
mod protos;
mod reading;
mod reload;
mod repeated;
mod report;
mod routing;
mod schema_json;
mod servlet;
mod servlet_file;
mod settings;
mod settle;
mod trial;

pub use cidr::Cidr;
pub use cors::Cors;
pub use gate::{Differences, SchemaChange, compare};
pub use last_good::Asks;
pub use machine::warnings;
pub use metadata::{FieldPattern, Metadata, MetadataNames};
pub use openapi::{openapi, openapi_of};
pub use options::{Balance, Compression, SchemaChanges, ServletOptions, Upstream};
pub use reading::{Seen, Sources};
pub use reload::{GONE_AFTER, Reloader, load};
pub use report::{Change, Event, Loaded, ReloadReport, Report};
pub use routing::{Way, routing};
pub use schema_json::schema_json;
pub use servlet::{MatchDef, Reflected, RouteBinding, RouteDef, ServiceDef, ServletDef};
pub use settings::{AccessLog, Admin, Defaults, Limits, Listener, Listeners, Settings};
pub use settings::{FilePath, HostName};

#[cfg(test)]
mod tests;
