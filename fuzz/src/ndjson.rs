//! Lines of JSON: the same for any split, and a message for each line that is not blank.

use telamon::translate::json::{ReadOptions, to_wire};

use super::calls::{LIMIT, framed, method, request, rest};
use super::draw::pieces;

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    let call = rest("Many", &[("content-type", "application/x-ndjson")]);
    let (frames, end) = request(&call, [bytes]);
    let (cut, cut_end) = request(&call, parts);
    assert_eq!((&frames, end), (&cut, cut_end));
    let method = method("Many");
    let mut expected = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|byte| b" \t\r".contains(byte)) {
            continue;
        }
        let mut wire = Vec::new();
        let options = ReadOptions { ignore_unknown: false };
        if line.len() > LIMIT || to_wire(&method.messages, method.input, line, &options, &mut wire).is_err() {
            assert!(end.is_err(), "a line that is no message");
            break;
        }
        expected.extend(framed(&wire));
    }
    assert_eq!(frames, expected);
}
