//! Content codings: the same bytes or the same refusal for any split, in bounded pieces; and what was encoded, in any pieces, is what
//! is decoded.

use bytes::Bytes;
use telamon::translate::{Coding, Decoded, Decoder, Effort, Encoder};

use super::draw::pieces;

/// The most that is decoded of one input: a few bytes may stand for many.
const MOST: usize = 1 << 20;

/// What a step gives at most.
const PIECE: usize = 64 << 10;

/// What came out, and whether it ended well; nothing of the end when there was too much.
fn read<'a>(mut decoder: Decoder, parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<bool>) {
    let (mut out, mut parts) = (Vec::new(), parts.into_iter());
    loop {
        match decoder.step() {
            Ok(Decoded::Piece(piece)) => {
                assert!((1..=PIECE).contains(&piece.len()));
                out.extend_from_slice(&piece);
                if out.len() > MOST {
                    out.truncate(MOST);
                    return (out, None);
                }
            }
            Ok(Decoded::End) => return (out, Some(true)),
            Ok(Decoded::NeedInput) => match parts.next() {
                Some(part) => decoder.push(Bytes::copy_from_slice(part)),
                None => decoder.finish(),
            },
            Err(_) => return (out, Some(false)),
        }
    }
}

pub fn check(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(data) else { return };
    let coding = |at: u8| Coding::ALL[usize::from(at) % Coding::ALL.len()];
    let (inner, outer) = (coding(*which), (*which >= 128).then(|| coding(which / 4)));

    let (whole, end) = read(Decoder::new(inner, outer), [bytes]);
    let (again, other) = read(Decoder::new(inner, outer), parts.clone());
    if end.is_some() && other.is_some() {
        assert_eq!(end, other);
    }
    if end == Some(true) {
        assert_eq!(whole, again);
    }

    let mut encoder = Encoder::new(inner, Effort::Fast, None).unwrap();
    let mut coded: Vec<u8> = parts.flat_map(|part| encoder.encode(part).unwrap()).collect();
    coded.extend_from_slice(&encoder.finish(&[]).unwrap());
    assert_eq!(read(Decoder::new(inner, None), coded.chunks(5)), (bytes.to_vec(), Some(true)));
}
