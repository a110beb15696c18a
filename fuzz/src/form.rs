//! Forms as browsers and old clients post them: the same for any split, and what was encoded is what comes out.

use super::calls::{LIMIT, framed, request, rest, words};
use super::draw::pieces;

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    let call = rest("One", &[("content-type", "application/x-www-form-urlencoded")]);
    let (frames, end) = request(&call, [bytes]);
    assert_eq!((frames, end), request(&call, parts.clone()));
    // The bytes as text, and that as a field.
    let text = String::from_utf8_lossy(bytes);
    let mut form = "text=".to_owned();
    for byte in text.bytes() {
        match byte {
            b' ' => form.push('+'),
            byte if byte.is_ascii_alphanumeric() => form.push(char::from(byte)),
            byte => form.push_str(&format!("%{byte:02X}")),
        }
    }
    if !text.is_empty() && form.len() <= LIMIT {
        assert_eq!(request(&call, form.as_bytes().chunks(3)), (framed(&words(text.as_bytes())), Ok(())));
    }
}
