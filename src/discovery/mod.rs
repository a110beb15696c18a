//! From files to endpoint tables, and the reading of option files that every kind of them shares: YAML with positions, decoding
//! that reports every mistake at once, and the problem it reports. Emits values and knows no servlet.

mod decode;
mod file;
mod problem;
pub(crate) mod record;
mod scalar;
mod suggest;
pub mod table;
mod yaml;

pub(crate) use decode::MappingWith;
pub use decode::{Decode, Fields, Lenient, Reader, Spanned, quoted_list};
pub use file::{ContentHash, FileText, MAX_FILE_BYTES, Stamp, display_name, read, resolve};
pub use problem::{Position, Problem};
pub use record::Record;
pub(crate) use record::{description, key_name, record};
pub use scalar::{Count, OneOrMany, Size, format_duration, parse_duration, parse_size};
pub use suggest::did_you_mean;
pub use yaml::{Content, Entry, Key, Node};
