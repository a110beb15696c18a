//! A schema, compiled: what messages look like on the wire and in JSON, and which HTTP requests reach which methods.

mod path;
mod percent;
mod template;

pub use path::{RequestPath, Segments};
pub use percent::normalise;
pub use template::{CaptureError, Captures, MAX_SEGMENTS, Segment, Template, TemplateError, Variable};
