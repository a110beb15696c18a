//! gRPC-Web's requests, binary and text: the same for any split, and the messages that were sent.

use http::uri::PathAndQuery;
use telamon::translate::{Translation, WebPlan};

use super::calls::{framed, head, messages, request};
use super::draw::pieces;

fn call(text: bool) -> (Translation, http::request::Parts) {
    let content_type = if text { "application/grpc-web-text" } else { "application/grpc-web" };
    let head = head("/fuzz.v1.Fuzz/Any", &[("content-type", content_type)]);
    let path = PathAndQuery::from_static("/fuzz.v1.Fuzz/Any");
    (Translation::Web(WebPlan::new(path, &head.headers, text)), head)
}

/// Base64 with its padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() { b'=' } else { letter });
        }
    }
    text
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    for text in [false, true] {
        let call = call(text);
        let (frames, end) = request(&call, [bytes]);
        let (cut, cut_end) = request(&call, parts.clone());
        assert_eq!(end, cut_end);
        if end.is_ok() {
            assert_eq!(frames, cut);
            assert!(messages(&frames).is_some());
            assert!(text || frames == bytes);
        }
    }
    // The bytes as messages: sent each with its own padding, they are what comes out.
    let framed: Vec<Vec<u8>> = parts.map(framed).collect();
    let text: Vec<u8> = framed.iter().flat_map(|message| base64(message)).collect();
    for step in [1, 3, 5, usize::MAX] {
        assert_eq!(request(&call(true), text.chunks(step)), (framed.concat(), Ok(())));
    }
}
