//! A call's status in trailers: what is written is read back; what anybody else wrote becomes one that can be written, and JSON that
//! any parser takes.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use telamon::model::Code;
use telamon::translate::{GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS, Status, decode_message, encode_message};

use super::draw::Draw;
use super::rich::RICH;

fn check_text(message: &str) {
    let encoded = encode_message(message);
    assert!(encoded.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && encoded.trim() == encoded, "{encoded:?}");
    let back = decode_message(encoded.as_bytes());
    assert!(back == message || (message.starts_with(&back) && message.len() * 3 > 4096), "{message:?} {back:?}");
}

fn check_json(status: &Status) {
    for messages in [None, Some(&RICH.messages)] {
        let json = status.to_json(messages);
        let value: serde_json::Value = serde_json::from_slice(&json).expect("a status is JSON");
        assert_eq!(value["message"], status.message);
    }
}

pub fn check(data: &[u8]) {
    let mut draw = Draw(data);
    let code = Code::from_header(draw.byte().to_string().as_bytes());
    let (message, details) = (draw.piece(), draw.piece());
    check_text(&String::from_utf8_lossy(message));
    check_text(&decode_message(message));

    let details = (!details.is_empty()).then(|| Bytes::copy_from_slice(details));
    let status = Status { code, message: String::from_utf8_lossy(message).into_owned(), details };
    check_json(&status);
    let mut trailers = HeaderMap::new();
    status.to_trailers(&mut trailers);
    let back = Status::from_trailers(&trailers);
    // Without a message of its own, a status has that of its details.
    assert!(back.code == status.code && back.details == status.details);
    assert!(back.message == status.message || status.message.is_empty());

    let mut foreign = HeaderMap::new();
    for (name, value) in [(GRPC_STATUS, draw.piece()), (GRPC_MESSAGE, draw.piece()), (GRPC_STATUS_DETAILS, draw.0)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            foreign.insert(name, value);
        }
    }
    let read = Status::from_trailers(&foreign);
    check_json(&read);
    check_text(&read.message);
}
