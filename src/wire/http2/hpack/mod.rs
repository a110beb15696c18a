//! Header compression for HTTP/2 (RFC 7541), made for calls that look alike: what both ends have in their tables is neither read nor
//! written twice. A field is parsed when it is put into the table, and a reference to it is a copy of the parsed value.
//!
//! What breaks the table ends the connection ([`CompressionError`]); what is only a bad field is told as such ([`Field::Malformed`]),
//! stands in the table as its writer believes, and concerns its stream alone.

use std::error::Error;
use std::fmt;

mod decoder;
mod encoder;
mod field;
mod hash;
mod huffman;
mod integer;
mod repeated;
mod sent_table;
mod static_table;
mod table;

#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use field::Field;

/// The size of a table that nobody has said anything about (RFC 9113 §6.5.2), in bytes.
const DEFAULT_TABLE: usize = 4096;

/// What a field costs beside its bytes (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

/// A block that cannot be decoded, and after which no other can: the connection ends with `COMPRESSION_ERROR` (RFC 9113 §4.3). Says
/// what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionError(pub &'static str);

impl fmt::Display for CompressionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Error for CompressionError {}

/// The kinds of literals (RFC 7541 §6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Literal {
    Indexed,
    NotIndexed,
    /// By nobody on its way, so that nobody can learn it from the size of blocks.
    NeverIndexed,
}

impl Literal {
    /// Bits of the first byte that belong to the index of the name.
    fn prefix(self) -> u32 {
        match self {
            Literal::Indexed => 6,
            Literal::NotIndexed | Literal::NeverIndexed => 4,
        }
    }

    /// The bits before them.
    fn pattern(self) -> u8 {
        match self {
            Literal::Indexed => 0x40,
            Literal::NotIndexed => 0x00,
            Literal::NeverIndexed => 0x10,
        }
    }
}
