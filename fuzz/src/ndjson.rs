//! Lines of JSON: the same for any split; a message for each line that is not blank, up to the first one that is none, and that one
//! is what is wrong.

use telamon::model::Kind;
use telamon::translate::json::{ReadOptions, to_wire};

use super::calls::{LIMIT, framed, method, request, rest};
use super::draw::pieces;

/// What a line stands for; nothing, if it is blank (RFC 8259 §2 has what whitespace is).
fn message(line: &[u8]) -> Result<Option<Vec<u8>>, Kind> {
    if line.len() > LIMIT {
        return Err(Kind::BodyTooLarge);
    }
    if line.iter().all(|byte| b" \t\r".contains(byte)) {
        return Ok(None);
    }
    let (method, mut wire) = (method("Many"), Vec::new());
    let read = to_wire(&method.messages, method.input, line, &ReadOptions { ignore_unknown: false }, &mut wire);
    read.map_err(|_| Kind::InvalidRequest)?;
    if wire.len() > LIMIT { Err(Kind::BodyTooLarge) } else { Ok(Some(framed(&wire))) }
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    let call = rest("Many", &[("content-type", "application/x-ndjson")]);
    let (frames, end) = request(&call, [bytes]);
    let (cut, cut_end) = request(&call, parts);
    assert_eq!((&frames, end), (&cut, cut_end));
    let (mut expected, mut expected_end) = (Vec::new(), Ok(()));
    for line in bytes.split(|byte| *byte == b'\n') {
        match message(line.strip_suffix(b"\r").unwrap_or(line)) {
            Ok(message) => expected.extend(message.unwrap_or_default()),
            Err(kind) => {
                expected_end = Err(kind);
                break;
            }
        }
    }
    assert_eq!((frames, end), (expected, expected_end));
}
