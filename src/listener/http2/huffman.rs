//! The Huffman code of HPACK (RFC 7541 Appendix B). It is canonical: the lengths alone tell the codes.

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

/// Of one length: its first code, where its bytes start in `ORDER`, and how many there are.
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    start: usize,
    count: u32,
}

/// Bytes by the length of their codes and then by value, and what each length holds.
const TABLE: ([u8; 256], [Row; LONGEST + 1]) = table();

#[allow(
    clippy::indexing_slicing,
    reason = "worked out by the compiler, which would refuse an index that is out of bounds"
)]
const fn table() -> ([u8; 256], [Row; LONGEST + 1]) {
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

/// The byte and length of the code, of up to eight bits, that each byte starts with; length 0 where the code is longer.
const SHORT: [(u8, u8); 256] = short();

#[allow(
    clippy::indexing_slicing,
    reason = "worked out by the compiler, which would refuse an index that is out of bounds"
)]
const fn short() -> [(u8, u8); 256] {
    let mut short = [(0, 0); 256];
    let (order, rows) = TABLE;
    let mut length = 1;
    while length <= 8 {
        let row = rows[length];
        let mut nth = 0;
        while nth < row.count {
            let from = (row.first + nth) << (8 - length);
            let mut tail = 0;
            while tail < 1 << (8 - length) {
                short[(from + tail) as usize] = (order[row.start + nth as usize], length as u8);
                tail += 1;
            }
            nth += 1;
        }
        length += 1;
    }
    short
}

/// Whether `coded` holds printable ASCII alone, as far as a glance shows; true is certain. Codes are given out in order, so that those
/// of more than twelve bits, which all other bytes have, begin with ten ones.
pub(super) fn is_plain(coded: &[u8]) -> bool {
    let mut rest = coded;
    loop {
        let window = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut window = [0; 8];
            window.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
            window
        });
        let ones = u64::from_be_bytes(window);
        let twos = ones & (ones << 1);
        let fours = twos & (twos << 2);
        let eights = fours & (fours << 4);
        if eights & (eights << 2) != 0 {
            return false;
        }
        // Ten bits may lie in three bytes: two are looked at again.
        match rest.get(6..) {
            Some(after) if rest.len() > 8 => rest = after,
            Some(_) | None => return true,
        }
    }
}

/// Gives the bytes of `coded` to `take` until it returns false. False when the code is broken, which is seen only where it is read.
pub(super) fn decode(coded: &[u8], mut take: impl FnMut(u8) -> bool) -> bool {
    let mut bits: u64 = 0;
    let mut held = 0;
    let mut input = coded.iter();
    loop {
        while held <= 56
            && let Some(byte) = input.next()
        {
            bits |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        let Some((byte, length)) = symbol(bits).filter(|(_, length)| *length <= held) else {
            // Padding is the start of the longest code: ones (RFC 7541 §5.2).
            return held < 8 && bits.leading_ones() >= held;
        };
        bits <<= length;
        held -= length;
        if !take(byte) {
            return true;
        }
    }
}

/// The first symbol of `bits`, which stand at the upper end, and the length of its code.
fn symbol(bits: u64) -> Option<(u8, u32)> {
    let (byte, length) = SHORT.get((bits >> 56) as usize)?;
    if *length > 0 {
        return Some((*byte, u32::from(*length)));
    }
    let (order, rows) = &TABLE;
    rows.iter().enumerate().skip(9).find_map(|(length, row)| {
        let code = (bits >> (64 - length)) as u32;
        let nth = code.checked_sub(row.first).filter(|nth| *nth < row.count)?;
        Some((*order.get(row.start + nth as usize)?, length as u32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        decode(coded, |byte| {
            bytes.push(byte);
            true
        })
        .then_some(bytes)
    }

    fn encoded(text: &[u8]) -> Vec<u8> {
        let (order, rows) = &TABLE;
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
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7541 §C.4 and §C.6.
        let cases: &[(&[u8], &str)] = &[
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
            (
                &[
                    0xd0, 0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81, 0x66,
                    0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff,
                ],
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
        ];
        for (coded, text) in cases {
            assert_eq!(decoded(coded).unwrap(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn every_byte_has_a_code() {
        for byte in 0..=255 {
            assert_eq!(decoded(&encoded(&[byte, b'a', byte])).unwrap(), [byte, b'a', byte]);
        }
    }

    #[test]
    fn a_glance_misses_no_byte_that_is_not_printable_wherever_it_stands() {
        for byte in (0..=255).filter(|byte| !(0x20..0x7f).contains(byte)) {
            for before in 0..40 {
                let text = [&b"abcdefghij".repeat(4)[..before], &[byte], b"0123456789"].concat();
                assert!(!is_plain(&encoded(&text)), "{byte} after {before}");
                assert!(!is_plain(&encoded(&text[..=before])), "{byte} at the end, after {before}");
            }
        }
        for text in [
            "",
            "99981234u",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "application/json",
            "curl/7.88.1",
        ] {
            assert!(is_plain(&encoded(text.as_bytes())), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_looks_plain_is(coded in proptest::collection::vec(proptest::num::u8::ANY, 0..32)) {
            if is_plain(&coded) {
                decode(&coded, |byte| {
                    assert!((0x20..0x7f).contains(&byte));
                    true
                });
            }
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        assert_eq!(decoded(&[0b0001_1111]).unwrap(), b"a");
        assert_eq!(decoded(&[0b0001_1110]), None);
        assert_eq!(decoded(&[0b0001_1111, 0xff]), None);
        assert_eq!(decoded(&[0xff; 4]), None, "the end of the string is no byte");
    }
}
