//! What other implementations wrote: GNU's and Python's zlib, Google's brotli, Facebook's zstd.

use super::*;

const TEXT: &str = "Straße, Straße, Straße";

/// gzip with a file's name in its header.
const GZIP: &[u8] = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\xff\x6e\x61\x6d\x65\x2e\x74\x78\x74\x00\x0b\x2e\x29\x4a\x3c\x3c\x3f\x55\x47\x21\x18\x8d\x01\x00\x12\x89\x20\x97\x19\x00\x00\x00";
const ZLIB: &[u8] = b"\x78\x9c\x0b\x2e\x29\x4a\x3c\x3c\x3f\x55\x47\x21\x18\x8d\x01\x00\x89\x0d\x0a\xbc";
/// Deflate without zlib's frame, compressed and not.
const DEFLATE: [&[u8]; 2] = [
    b"\x0b\x2e\x29\x4a\x3c\x3c\x3f\x55\x47\x21\x18\x8d\x01\x00",
    b"\x01\x19\x00\xe6\xff\x53\x74\x72\x61\xc3\x9f\x65\x2c\x20\x53\x74\x72\x61\xc3\x9f\x65\x2c\x20\x53\x74\x72\x61\xc3\x9f\x65",
];
const BROTLI: &[u8] = b"\x1b\x18\x00\xf8\x1d\x09\x36\x2e\xd2\x47\x67\x4e\x0d\x32\x55\xf6\x29\x59\xe8\x86\x2b\x4c\x2e\xf4\x09\x06\x6a\x7d\x00";
/// With a checksum.
const ZSTD: &[u8] =
    b"\x28\xb5\x2f\xfd\x24\x19\x7d\x00\x00\x48\x53\x74\x72\x61\xc3\x9f\x65\x2c\x20\x01\x00\x44\xca\x11\x61\xd7\xfe\x09";

#[test]
fn what_others_write_is_read() {
    let all = [
        (Coding::Gzip, GZIP),
        (Coding::Deflate, ZLIB),
        (Coding::Deflate, DEFLATE[0]),
        (Coding::Deflate, DEFLATE[1]),
        (Coding::Brotli, BROTLI),
        (Coding::Zstd, ZSTD),
    ];
    for (coding, bytes) in all {
        for size in [1, 2, 3, usize::MAX] {
            let (text, _) = decoded(Decoder::new(coding, None), bytes, size).unwrap();
            assert_eq!(text, TEXT.as_bytes(), "{coding:?} {bytes:?}");
        }
        for end in 1..bytes.len() {
            assert_eq!(plain(coding, &bytes[..end]), Err(CodingError::Truncated(coding)), "{coding:?} {end}");
        }
    }
}

#[test]
fn a_checksum_that_does_not_hold_is_told() {
    for (coding, bytes, sum) in [(Coding::Gzip, GZIP, 8), (Coding::Deflate, ZLIB, 4), (Coding::Zstd, ZSTD, 4)] {
        let mut broken = bytes.to_vec();
        let place = broken.len() - sum;
        broken[place] ^= 1;
        assert_eq!(plain(coding, &broken), Err(CodingError::Malformed(coding)));
    }
}
