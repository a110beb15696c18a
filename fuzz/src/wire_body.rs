//! Request bodies: the same data, trailers and end for any split, and never a byte of what follows; a body with a length is that
//! many bytes, and one in chunks is what is in them, whatever that is.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use telamon::wire::{BodyDecoder, Framing, Piece};

use super::draw::pieces;

/// Data, trailers, how it ended, and what was left.
type Read = (Vec<u8>, Option<String>, Option<Result<(), String>>, Vec<u8>);

fn read<'a>(framing: Framing, parts: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut decoder, mut buf) = (BodyDecoder::new(framing), BytesMut::new());
    let (mut data, mut trailers, mut end) = (Vec::new(), None, None);
    for part in parts {
        buf.extend_from_slice(part);
        while end.is_none() {
            match decoder.decode(&mut buf) {
                Ok(Some(Piece::Data(piece))) => {
                    assert!(!piece.is_empty() && trailers.is_none());
                    data.extend_from_slice(&piece);
                }
                Ok(Some(Piece::Trailers(fields))) => assert!(trailers.replace(format!("{fields:?}")).is_none()),
                Ok(Some(Piece::End)) => end = Some(Ok(())),
                Ok(None) => break,
                Err(fault) => end = Some(Err(fault.to_string())),
            }
        }
    }
    // After an error nothing more is read, so that it does not matter where it stopped.
    if matches!(end, Some(Err(_))) {
        buf.clear();
    }
    (data, trailers, end, buf.to_vec())
}

/// The pieces as chunks are read as what they are, up to what follows.
fn check_made(bytes: &[u8], chunks: std::slice::Chunks<'_, u8>) {
    let mut sent = Vec::new();
    for chunk in chunks {
        sent.extend([format!("0{:X};a=b\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    sent.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\nGET");
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))]);
    let expected = (bytes.to_vec(), Some(format!("{trailers:?}")), Some(Ok(())), b"GET".to_vec());
    assert_eq!(read(Framing::Chunked, sent.chunks(5)), expected);
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    // What extensions may hold in all is bounded.
    if parts.len() < 1000 {
        check_made(bytes, parts.clone());
    }
    let whole = read(Framing::Chunked, [bytes]);
    assert_eq!(read(Framing::Chunked, parts.clone()), whole);
    if whole.2 == Some(Ok(())) {
        assert!(bytes.ends_with(&whole.3), "what follows a body is left as it is");
    }
    let length = bytes.len() / 2;
    let (before, after) = bytes.split_at(length);
    let fixed = read(Framing::Length(length as u64), parts);
    if !bytes.is_empty() {
        assert_eq!(fixed, (before.to_vec(), None, Some(Ok(())), after.to_vec()));
    }
}
