//! A schema, compiled: what messages look like on the wire and in JSON, and which HTTP requests reach which methods.

mod binding;
mod built_in;
mod compare;
mod error_details;
mod field_path;
mod message;
mod openapi;
mod path;
mod percent;
mod place;
mod places;
mod reflection;
mod rule;
mod service;
mod sources;
mod template;
mod well_known;

pub use binding::{Binding, BodyRule, RouteRule, RouteRuleError, RulePart};
pub use built_in::{ENVELOPE, built_in};
pub use compare::{Breaks, Change, Reach, What, compare};
pub use error_details::error_details;
pub use field_path::{FieldPath, FieldPathError, UnknownField};
pub use message::{Cardinality, EnumId, Enumeration, Field, FieldKind, Message, MessageId, Messages};
pub use openapi::{Comments, Entrance, Surface, openapi};
pub use path::{RequestPath, Segments};
pub use percent::normalise;
pub use place::{Place, SchemaError};
pub use reflection::{MAX_ANSWER, Reflection, ReflectionError};
pub use service::{Method, Schema, Service};
pub use sources::Source;
pub use template::{CaptureError, Captures, MAX_SEGMENTS, Segment, Template, TemplateError, Variable};
pub use well_known::WellKnown;
