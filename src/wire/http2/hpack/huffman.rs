//! The Huffman code (RFC 7541 Appendix B), for reading alone: on the connections that we are made for, writing it costs both ends more
//! than the bytes that it saves. Twelve bits at a time give up to two symbols, since what heads are made of has codes of five to seven.
//!
//! The code is canonical: the lengths alone tell the codes.

/// The length of each byte's code, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const LONGEST: usize = 30;

/// Of one length: its first code, where its bytes start in the order of codes, and how many there are.
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    start: usize,
    count: u32,
}

/// Bytes in the order of their codes, and what each length holds.
static ORDER: ([u8; 256], [Row; LONGEST + 1]) = order();

#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses an index that is out of bounds")]
const fn order() -> ([u8; 256], [Row; LONGEST + 1]) {
    let mut order = [0; 256];
    let mut rows = [Row { first: 0, start: 0, count: 0 }; LONGEST + 1];
    let (mut placed, mut code, mut length) = (0, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        rows[length] = Row { first: code, start: placed, count: 0 };
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                order[placed] = byte as u8;
                placed += 1;
                code += 1;
                rows[length].count += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    (order, rows)
}

/// How many bits are looked up at once.
const STEP: u32 = 12;

/// What a run of [`STEP`] bits begins with: one or two symbols.
#[derive(Clone, Copy)]
struct Step {
    /// The first in the low byte; zero in place of a second that is not there.
    symbols: u16,
    /// The bits of all of them; 0 where the first code is longer than the step.
    bits: u8,
    /// The bits of the first.
    first: u8,
}

static STEPS: [Step; 1 << STEP] = steps();

#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses an index that is out of bounds")]
const fn steps() -> [Step; 1 << STEP] {
    let mut steps = [Step { symbols: 0, bits: 0, first: 0 }; 1 << STEP];
    let (order, rows) = order();
    let mut bits = 0;
    while bits < 1 << STEP {
        if let Some((byte, first)) = short_code(&order, &rows, bits, STEP) {
            let mut step = Step { symbols: byte as u16, bits: first as u8, first: first as u8 };
            let left = STEP - first;
            if let Some((second, length)) = short_code(&order, &rows, bits & ((1 << left) - 1), left) {
                step.symbols |= (second as u16) << 8;
                step.bits += length as u8;
            }
            steps[bits as usize] = step;
        }
        bits += 1;
    }
    steps
}

/// The byte that the `held` bits of `bits` begin with, and the length of its code.
#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses an index that is out of bounds")]
const fn short_code(order: &[u8; 256], rows: &[Row; LONGEST + 1], bits: u32, held: u32) -> Option<(u8, u32)> {
    let mut length = 1;
    while length <= held {
        let row = rows[length as usize];
        let code = bits >> (held - length);
        if code >= row.first && code - row.first < row.count {
            return Some((order[row.start + (code - row.first) as usize], length));
        }
        length += 1;
    }
    None
}

/// The first symbol of `bits`, which stand at the upper end, and the length of its code, where that is longer than a step.
#[cold]
fn long_code(bits: u64) -> Option<(u8, u32)> {
    let (order, rows) = &ORDER;
    rows.iter().enumerate().skip(STEP as usize + 1).find_map(|(length, row)| {
        let code = (bits >> (64 - length)) as u32;
        let nth = code.checked_sub(row.first).filter(|nth| *nth < row.count)?;
        Some((*order.get(row.start + nth as usize)?, length as u32))
    })
}

/// Text up to this size is decoded on the stack.
const ON_STACK: usize = 256;

/// Gives `read` the bytes that `coded` stands for. None when the code is broken: the symbol for the end in it, or more after its last
/// symbol than the ones that fill a byte (RFC 7541 §5.2).
pub(super) fn decode<T>(coded: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    // No code is shorter than five bits. Eight bytes are written at once.
    let room = coded.len() * 8 / 5 + 8;
    if room <= ON_STACK {
        let mut text = [0; ON_STACK];
        let len = decode_into(coded, &mut text)?;
        text.get(..len).map(read)
    } else {
        let mut text = vec![0; room];
        let len = decode_into(coded, &mut text)?;
        text.get(..len).map(read)
    }
}

/// How many bytes of `text` were written.
fn decode_into(coded: &[u8], text: &mut [u8]) -> Option<usize> {
    // Bits stand at the upper end. What stands below those that are held is right, but counted later.
    let (mut bits, mut held) = (0_u64, 0_u32);
    let mut len = 0;
    let mut input = coded;
    while let Some(chunk) = input.first_chunk::<8>() {
        bits |= u64::from_be_bytes(*chunk) >> held;
        input = input.get(((63 - held) / 8) as usize..)?;
        held |= 56;
        let (mut word, mut count) = (0, 0);
        for _ in 0..4 {
            let step = STEPS.get((bits >> (64 - STEP)) as usize)?;
            if step.bits == 0 {
                break;
            }
            word |= u64::from(step.symbols) << (8 * count);
            count += 1 + u32::from(step.bits > step.first);
            bits <<= step.bits;
            held -= u32::from(step.bits);
        }
        if count == 0 {
            let (byte, length) = long_code(bits)?;
            (word, count) = (u64::from(byte), 1);
            bits <<= length;
            held -= length;
        }
        text.get_mut(len..len + 8)?.copy_from_slice(&word.to_le_bytes());
        len += count as usize;
    }
    // The last bytes, and ones for ever after them.
    let mut window = [0xff; 8];
    window.iter_mut().zip(input).for_each(|(place, byte)| *place = *byte);
    let mut missing = !u64::from_be_bytes(window);
    let mut left = 8 * input.len() as u32;
    loop {
        bits |= !missing >> held;
        let more = left.min((63 - held) & !7);
        missing <<= more;
        left -= more;
        held += more;
        let step = STEPS.get((bits >> (64 - STEP)) as usize)?;
        let (symbols, count, used) = if step.bits != 0 && u32::from(step.bits) <= held {
            (step.symbols, 1 + usize::from(step.bits > step.first), u32::from(step.bits))
        } else if step.first != 0 {
            (step.symbols & 0xff, 1, u32::from(step.first))
        } else {
            long_code(bits).map_or((0, 0, u32::MAX), |(byte, length)| (u16::from(byte), 1, length))
        };
        if used > held {
            return (held < 8 && bits.leading_ones() >= held).then_some(len);
        }
        text.get_mut(len..len + 2)?.copy_from_slice(&symbols.to_le_bytes());
        len += count;
        bits <<= used;
        held -= used;
    }
}

/// The code of `text`, for tests.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let (order, rows) = &ORDER;
    let mut bits = String::new();
    for byte in text {
        let length = usize::from(LENGTHS[usize::from(*byte)]);
        let row = rows[length];
        let nth = order[row.start..].iter().position(|other| other == byte).unwrap() as u32;
        bits.push_str(&format!("{:0length$b}", row.first + nth));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    bits.as_bytes().chunks(8).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}
