//! What the tests speak with: a proxy in this process, scripted servlets, and callers that write bytes themselves.

pub mod anywhere;
pub mod envelope;
pub mod flow;
pub mod frames;
pub mod grpc;
pub mod http1;
pub mod http2;
pub mod origin;
pub mod program;
pub mod proxy;
pub mod raw_http2;
pub mod recorder;
pub mod servlet;

pub use proxy::Running;
pub use recorder::Origin;
pub use servlet::{Call, Servlet};

/// A message on the wire of gRPC.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// The messages at the front of a gRPC body that are whole.
pub fn whole(body: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(head) = body.get(end..end + 5) {
        let next = end + 5 + u32::from_be_bytes(head[1..5].try_into().unwrap()) as usize;
        if next > body.len() {
            break;
        }
        end = next;
    }
    &body[..end]
}

/// Takes the messages out of a gRPC body; panics where it is not one.
pub fn unframed(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        assert_eq!(body[0], 0, "no compression was asked for");
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        messages.push(body[5..5 + length].to_vec());
        body = &body[5 + length..];
    }
    messages
}

/// `field`: a string or bytes field of a protobuf message.
pub fn text_field(field: u8, text: &str) -> Vec<u8> {
    assert!(text.len() < 128 && field < 16);
    let mut message = vec![field << 3 | 2, u8::try_from(text.len()).unwrap()];
    message.extend_from_slice(text.as_bytes());
    message
}

/// `field`: a number of a protobuf message.
pub fn number_field(field: u8, number: u8) -> Vec<u8> {
    assert!(number < 128 && field < 16);
    vec![field << 3, number]
}

/// Waits until something is so.
pub async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
