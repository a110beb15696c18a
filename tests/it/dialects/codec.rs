//! What the callers and the servlet of the matrix write and read: small codecs of their own, so that a mistake of the proxy's is not
//! made on both sides.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// A message behind a prefix of flag and length.
pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// Takes the first whole frame off a stream.
pub fn take_frame(stream: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let length = u32::from_be_bytes(stream.get(1..5)?.try_into().unwrap()) as usize;
    let message = stream.get(5..5 + length)?.to_vec();
    let flag = stream[0];
    stream.drain(..5 + length);
    Some((flag, message))
}

/// The frames of a body, and whether they are all of it.
pub fn frames(body: &[u8]) -> (Vec<(u8, Vec<u8>)>, bool) {
    let mut rest = body.to_vec();
    let frames = std::iter::from_fn(|| take_frame(&mut rest)).collect();
    (frames, rest.is_empty())
}

/// A message of gRPC, compressed if asked.
pub fn message(gzip: bool, content: &[u8]) -> Vec<u8> {
    if gzip { frame(1, &gzipped(content)) } else { frame(0, content) }
}

/// The content of a frame whose flag may say that it is compressed.
pub fn content(flag: u8, message: &[u8]) -> Vec<u8> {
    if flag & 1 == 1 { gunzipped(message).expect("whole gzip") } else { message.to_vec() }
}

pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Any number of members; `None` where they are cut or wrong.
pub fn gunzipped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// What can be read of bytes that may be cut.
pub fn gunzipped_so_far(bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut byte) = (Vec::new(), [0]);
    let mut decoder = MultiGzDecoder::new(bytes);
    while matches!(decoder.read(&mut byte), Ok(1)) {
        plain.extend(byte);
    }
    plain
}

/// gRPC-Web's text: pieces of base64, each with its padding. `None` where it is cut in the middle of four characters.
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let fours = text.chunks(4).map(|four| STANDARD.decode(four).ok());
    fours.collect::<Option<Vec<_>>>().map(|parts| parts.concat())
}

pub fn to_base64(bytes: &[u8]) -> Vec<u8> {
    STANDARD.encode(bytes).into_bytes()
}

/// A field of bytes or text in a protobuf message.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len()), bytes].concat()
}

/// A number in a protobuf message.
pub fn number(number: u8, value: usize) -> Vec<u8> {
    [&[number << 3][..], &varint(value)].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// The fields of a protobuf message; of a number its bytes as they are.
pub fn fields(mut message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields = Vec::new();
    while let [tag, rest @ ..] = message {
        let digits = rest.iter().position(|byte| *byte < 128).unwrap() + 1;
        let value = rest[..digits].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 127));
        let (content, after) = match tag & 7 {
            0 => rest.split_at(digits),
            2 => rest[digits..].split_at(value),
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, content.to_vec()));
        message = after;
    }
    fields
}

/// The last field of that number; empty when there is none.
pub fn field_of(message: &[u8], number: u8) -> Vec<u8> {
    fields(message).into_iter().rfind(|(own, _)| *own == number).map(|(_, content)| content).unwrap_or_default()
}
