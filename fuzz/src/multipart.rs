//! `multipart/form-data`: the same for any split, and a file's bytes are those that went into it.

use super::calls::{messages, request, rest};
use super::draw::pieces;

const CONTENT_TYPE: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    for name in ["One", "Files"] {
        let call = rest(name, &[CONTENT_TYPE]);
        let (frames, end) = request(&call, [bytes]);
        let (cut, cut_end) = request(&call, parts.clone());
        // Which of several faults is told hangs on what came together: too much of it, or what is wrong with it.
        assert_eq!(end.is_ok(), cut_end.is_ok());
        // Where the pieces of a file are cut is nobody's promise.
        if end.is_ok() {
            assert_eq!(contents(&frames), contents(&cut));
        }
    }
    let boundary = b"\r\n--b";
    if bytes.starts_with(b"--b") || bytes.windows(boundary.len()).any(|part| part == boundary) {
        return;
    }
    let head = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\nContent-Type: a/b\r\n\r\n";
    let form = [&head[..], bytes, b"\r\n--b--\r\n"].concat();
    for step in [1, 7, usize::MAX] {
        let (frames, end) = request(&rest("Files", &[CONTENT_TYPE]), form.chunks(step));
        assert_eq!((contents(&frames), end), (bytes.to_vec(), Ok(())));
    }
}

/// The data of every `HttpBody`, one behind the other.
fn contents(frames: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for message in messages(frames).expect("whole frames") {
        let mut rest = message;
        while let [tag, tail @ ..] = rest {
            let digits = tail.iter().take_while(|byte| **byte >= 128).count() + 1;
            let length = tail[..digits].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 127));
            let (content, after) = if tag & 7 == 2 { tail[digits..].split_at(length) } else { tail.split_at(digits) };
            if tag >> 3 == 2 {
                all.extend_from_slice(content);
            }
            rest = after;
        }
    }
    all
}
