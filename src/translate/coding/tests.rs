use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::accept::content_codings;
use super::decoder::decode_whole;
use super::*;
use crate::model::Kind;

mod bodies;
mod foreign;
mod messages;

const EFFORTS: [Effort; 2] = [Effort::Fast, Effort::Small];

/// Encodes in one go, or piece by piece.
pub(super) fn encoded(coding: Coding, pieces: &[&[u8]]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, Effort::Fast, None).unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&encoder.encode(piece).unwrap());
    }
    out.extend_from_slice(&encoder.finish(&[]).unwrap());
    out
}

/// Decodes what comes in pieces of so many bytes, and how large the largest piece of it was.
fn decoded(mut decoder: Decoder, bytes: &[u8], size: usize) -> Result<(Vec<u8>, usize), CodingError> {
    let (mut out, mut most) = (Vec::new(), 0);
    let mut chunks = bytes.chunks(size.max(1));
    loop {
        match decoder.step()? {
            Decoded::Piece(piece) => {
                assert!(!piece.is_empty());
                most = most.max(piece.len());
                out.extend_from_slice(&piece);
            }
            Decoded::End => return Ok((out, most)),
            Decoded::NeedInput => match chunks.next() {
                Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
                None => decoder.finish(),
            },
        }
    }
}

fn plain(coding: Coding, bytes: &[u8]) -> Result<Vec<u8>, CodingError> {
    decoded(Decoder::new(coding, None), bytes, usize::MAX).map(|(plain, _)| plain)
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        proptest::collection::vec(0_u8..3, 0..5000),
        (any::<u8>(), 0_usize..300_000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn codings() -> impl Strategy<Value = Coding> {
    proptest::sample::select(&Coding::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_is_decoded_whatever_the_pieces(
        text in texts(), coding in codings(), cut in 1_usize..5000, size in 1_usize..3000,
    ) {
        let pieces: Vec<&[u8]> = text.chunks(cut).collect();
        let coded = encoded(coding, &pieces);
        let (again, most) = decoded(Decoder::new(coding, None), &coded, size).unwrap();
        prop_assert_eq!(&again, &text);
        prop_assert!(most <= 64 << 10);
        prop_assert_eq!(&decode_whole(coding, coded.into(), text.len()).unwrap()[..], &text[..]);
    }

    #[test]
    fn all_of_a_piece_is_out_before_the_next(pieces in proptest::collection::vec(texts(), 1..4), coding in codings()) {
        for effort in EFFORTS {
            let mut encoder = Encoder::new(coding, effort, None).unwrap();
            let mut decoder = Decoder::new(coding, None);
            for piece in &pieces {
                decoder.push(encoder.encode(piece).unwrap());
                let mut seen = Vec::new();
                while let Decoded::Piece(piece) = decoder.step().unwrap() {
                    seen.extend_from_slice(&piece);
                }
                prop_assert_eq!(&seen, piece);
            }
            decoder.push(encoder.finish(b"last").unwrap());
            decoder.finish();
            prop_assert_eq!(decoder.step().unwrap(), Decoded::Piece(Bytes::from_static(b"last")));
            prop_assert_eq!(decoder.step().unwrap(), Decoded::End);
        }
    }

    #[test]
    fn two_codings_come_off_in_their_order(
        text in texts(), first in codings(), second in codings(), size in 1_usize..3000,
    ) {
        let coded = encoded(second, &[&encoded(first, &[&text])]);
        let (again, _) = decoded(Decoder::new(first, Some(second)), &coded, size).unwrap();
        prop_assert_eq!(again, text);
    }

    #[test]
    fn any_bytes_say_the_same_in_any_pieces(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
        coding in codings(), whole in any::<bool>(), at in any::<prop::sample::Index>(), size in 1_usize..60,
    ) {
        if whole && !bytes.is_empty() {
            // Nearly right, so that it goes deeper.
            let place = at.index(bytes.len());
            let byte = bytes[place];
            bytes = encoded(coding, &[&bytes]);
            let place = place.min(bytes.len() - 1);
            bytes[place] ^= byte;
        }
        let at_once = decoded(Decoder::new(coding, None), &bytes, usize::MAX);
        let in_parts = decoded(Decoder::new(coding, None), &bytes, size);
        match (at_once, in_parts) {
            (Ok((one, _)), Ok((other, _))) => prop_assert_eq!(one, other),
            (one, other) => prop_assert_eq!((one.is_err(), other.is_err()), (true, true)),
        }
    }
}

#[test]
fn what_ends_too_early_or_too_late_is_told() {
    let text = b"a text that is a text that is a text";
    for coding in Coding::ALL {
        let whole = encoded(coding, &[text]);
        for end in 1..whole.len() {
            assert_eq!(plain(coding, &whole[..end]), Err(CodingError::Truncated(coding)), "{coding:?} {end}");
        }
        for size in [1, usize::MAX] {
            let longer = [&whole[..], b"\0"].concat();
            assert!(decoded(Decoder::new(coding, None), &longer, size).is_err(), "{coding:?}");
        }
        // Nothing is a body as well.
        assert_eq!(plain(coding, b""), Ok(Vec::new()), "{coding:?}");
        assert_eq!(plain(coding, &encoded(coding, &[])), Ok(Vec::new()), "{coding:?}");
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let all = [encoded(coding, &[b"one "]), encoded(coding, &[]), encoded(coding, &[b"two"])].concat();
        for size in [1, 7, usize::MAX] {
            assert_eq!(decoded(Decoder::new(coding, None), &all, size).unwrap().0, b"one two", "{coding:?}");
        }
    }
    for coding in [Coding::Deflate, Coding::Brotli] {
        let twice = encoded(coding, &[b"one "]).repeat(2);
        assert_eq!(plain(coding, &twice), Err(CodingError::Malformed(coding)));
    }
}

#[test]
fn a_bomb_is_stopped_where_the_limit_is() {
    for coding in Coding::ALL {
        let bomb = encoded(coding, &[&vec![0; 10 << 20]]);
        assert!(bomb.len() < 40 << 10, "{coding:?}: {}", bomb.len());
        let (_, most) = decoded(Decoder::new(coding, None), &bomb, usize::MAX).unwrap();
        assert!(most <= 64 << 10, "{coding:?}");
        let limit = 100_000;
        assert_eq!(decode_whole(coding, bomb.clone().into(), limit), Err(CodingError::TooLarge(limit)));
        // Around nothing, so that no byte ever comes out: it is not gone through for ever.
        let nothing = encoded(Coding::Gzip, &[]).repeat(200_000);
        let nested = encoded(coding, &[&nothing]);
        let decoder = Decoder::new(Coding::Gzip, Some(coding));
        assert!(matches!(decoded(decoder, &nested, usize::MAX), Err(CodingError::TooLarge(_))), "{coding:?}");
    }
}

#[test]
fn a_window_beyond_http_is_refused() {
    // A frame header (RFC 8878 §3.1.1) with a window of 16 MiB.
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3];
    let empty_block = [1, 0, 0];
    assert_eq!(plain(Coding::Zstd, &[&header[..], &empty_block].concat()), Err(CodingError::Malformed(Coding::Zstd)));
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    assert_eq!(plain(Coding::Zstd, &[&header[..], &empty_block].concat()), Ok(Vec::new()));
}

fn fields(name: header::HeaderName, values: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(&name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn a_body_tells_its_codings() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    let cases: &[(&[&str], Option<&[Coding]>)] = &[
        (&[], Some(&[])),
        (&["", "Identity, ,"], Some(&[])),
        (&["gzip"], Some(&[Gzip])),
        (&["X-GZip"], Some(&[Gzip])),
        (&["deflate , BR"], Some(&[Deflate, Brotli])),
        (&["zstd", "identity", "gzip"], Some(&[Zstd, Gzip])),
        (&["gzip, gzip, gzip"], None),
        (&["compress"], None),
        (&["gzip;q=1"], None),
    ];
    for (values, expected) in cases {
        match (content_codings(&fields(header::CONTENT_ENCODING, values)), expected) {
            (Ok(codings), Some(expected)) => assert_eq!(&codings[..], *expected, "{values:?}"),
            (Err(fault), None) => assert_eq!(fault.kind, Kind::UnsupportedCoding, "{values:?}"),
            (result, _) => panic!("{values:?}: {result:?}"),
        }
    }
}

#[test]
fn the_best_coding_is_the_callers_choice_first() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    let cases: &[(&[&str], Option<Coding>, bool)] = &[
        (&[], None, false),
        (&[""], None, false),
        (&["identity"], None, false),
        (&["gzip"], Some(Gzip), false),
        (&["x-gzip"], Some(Gzip), false),
        (&["GZIP"], Some(Gzip), false),
        (&["gzip, deflate"], Some(Gzip), false),
        (&["deflate"], Some(Deflate), false),
        (&["gzip, deflate, br"], Some(Brotli), false),
        (&["gzip, deflate, br, zstd"], Some(Zstd), false),
        (&["gzip", "br;q=0.9"], Some(Gzip), false),
        (&["gzip;q=0.5, br;q=0.7, zstd;q=0.6"], Some(Brotli), false),
        (&["gzip;q=0"], None, false),
        (&["gzip ; q=0.000, br ; Q=0.001"], Some(Brotli), false),
        (&["*"], Some(Zstd), false),
        (&["*;q=0.5, zstd;q=0"], Some(Brotli), false),
        (&["gzip;q=0.5, identity"], None, false),
        (&["gzip;q=0.5, identity;q=0.5"], Some(Gzip), false),
        (&["gzip;q=0.5, identity;q=0"], Some(Gzip), true),
        (&["gzip;q=0.5, *;q=0"], Some(Gzip), true),
        (&["*;q=0"], None, false),
        (&["identity;q=0"], None, false),
        (&["compress, gzip;q=0.1"], Some(Gzip), false),
        // What cannot be read is not asked for.
        (&["gzip;q=2"], None, false),
        (&["gzip;q=1.001"], None, false),
        (&["gzip;q=0.1234"], None, false),
        (&["gzip;q=x, deflate"], Some(Deflate), false),
        (&["gzip;level=9"], None, false),
    ];
    for (values, coding, required) in cases {
        let expected = Accepted { coding: *coding, required: *required };
        assert_eq!(Accepted::of(&fields(header::ACCEPT_ENCODING, values)), expected, "{values:?}");
    }
}
