//! Integers with a prefix (RFC 7541 §5.1). They stand for indexes, sizes and lengths, for which 32 bits are more than enough: what is
//! larger, or longer than any writer would make it, is refused before it can overflow anything.

use bytes::{BufMut, BytesMut};

use super::CompressionError;

/// Bytes after the prefix: as many as 32 bits take, seven in each.
const MOST_BYTES: u32 = 5;

/// Reads the integer that begins in the last `bits` bits, one to seven, of the first byte; and what follows it.
#[inline]
pub(super) fn read(bytes: &[u8], bits: u32) -> Result<(usize, &[u8]), CompressionError> {
    let (first, rest) = bytes.split_first().ok_or(CompressionError("a field is cut off"))?;
    let most = (1_u8 << bits) - 1;
    let small = first & most;
    if small < most { Ok((usize::from(small), rest)) } else { read_long(most, rest) }
}

#[cold]
fn read_long(most: u8, bytes: &[u8]) -> Result<(usize, &[u8]), CompressionError> {
    let mut value = u64::from(most);
    let mut rest = bytes;
    for nth in 0..MOST_BYTES {
        let (byte, after) = rest.split_first().ok_or(CompressionError("an integer is cut off"))?;
        rest = after;
        value += u64::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return match u32::try_from(value) {
                Ok(value) => Ok((value as usize, rest)),
                Err(_) => Err(CompressionError("an integer is too large")),
            };
        }
    }
    Err(CompressionError("an integer is too long"))
}

/// Writes `value` into the last `bits` bits, one to seven, of a byte that begins with `pattern`, and as many bytes after it as it needs.
#[inline]
pub(super) fn write(value: usize, bits: u32, pattern: u8, out: &mut BytesMut) {
    let most = (1_u8 << bits) - 1;
    if value < usize::from(most) {
        out.put_u8(pattern | value as u8);
    } else {
        write_long(value, most, pattern, out);
    }
}

#[cold]
fn write_long(value: usize, most: u8, pattern: u8, out: &mut BytesMut) {
    out.put_u8(pattern | most);
    let mut left = value - usize::from(most);
    while left >= 0x80 {
        out.put_u8(left as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}
