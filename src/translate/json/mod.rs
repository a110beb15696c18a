//! JSON to protobuf's wire format and back (ProtoJSON, protobuf.dev/programming-guides/json), by compiled tables and without a
//! tree of values in between: what is read is written at once. Costs no memory but its output and, for the odd input, a few
//! bytes for each field that came out of order.
//!
//! Leans towards strictness in what it reads as JSON (RFC 8259 to the letter, no duplicate keys, nothing out of range) and
//! towards leniency in what it reads as wire format, where every language's parser skips what it does not know.

mod any;
mod base64;
mod decimal;
mod field_mask;
mod field_set;
mod in_order;
mod items;
mod keys;
mod lexer;
mod place;
mod read;
mod read_scalar;
mod read_well_known;
mod string;
mod text;
mod time;
mod write;
mod write_map;
mod write_straight;
mod write_text;
mod write_well_known;

use super::protobuf::wire;

pub use items::ArrayItems;
pub use place::{JsonError, WireError};
pub use read::{ReadOptions, field_to_wire, to_wire};
pub use text::scalar_from_text;
pub use write::{WriteOptions, field_from_wire, from_wire, most_text};

/// Objects and arrays inside each other, either way. What protobuf's own parsers allow for messages; deeper input only serves to
/// exhaust a stack.
pub const MAX_DEPTH: u32 = 100;

#[cfg(test)]
mod tests;
