//! A schema, compiled: what messages look like on the wire and in JSON.

mod message;
mod well_known;

pub use message::{Cardinality, EnumId, Enumeration, Field, FieldKind, Message, MessageId, Messages};
pub use well_known::WellKnown;
