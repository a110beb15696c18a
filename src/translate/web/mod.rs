//! gRPC-Web (grpc/doc/PROTOCOL-WEB.md), binary and text: gRPC's own messages with the trailers as a last frame of the body; and
//! gRPC over HTTP/1, unary, with the trailers in the head. Messages pass as they are, so no schema is needed, and per-message
//! compression is between the caller and the servlet.

mod base64;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod unary;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use super::coding::GRPC_ENCODING;
use super::dialect::{grpc_web, is_grpc};
use super::status::Status;

pub(super) use base64::Base64Stream;
pub(super) use reply::WebReply;
pub(super) use request::RelayedRequest;
pub(super) use unary::UnaryReply;

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Marks the frame of trailers.
const TRAILERS: u8 = 0x80;

/// A gRPC-Web call.
#[derive(Clone, Debug)]
pub struct WebPlan {
    /// `/pkg.Service/Method`.
    pub path: PathAndQuery,
    /// Whether the request's body is base64.
    pub text: bool,
    /// Whether the answer's is.
    pub reply_text: bool,
}

impl WebPlan {
    /// `from`: the request's header fields. `reply_text`: whether the caller is answered in base64.
    pub fn new(path: PathAndQuery, from: &HeaderMap, reply_text: bool) -> WebPlan {
        let content_type = from.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        WebPlan { path, text: grpc_web(content_type) == Some(true), reply_text }
    }
}

/// A gRPC call over HTTP/1.
#[derive(Clone, Debug)]
pub struct UnaryPlan {
    /// `/pkg.Service/Method`.
    pub path: PathAndQuery,
    /// The most bytes of the reply's message.
    pub message_limit: usize,
}

/// The gRPC content type of a message, its format kept: `+proto`, `+json`.
pub(super) fn grpc_content_type(from: &HeaderMap) -> HeaderValue {
    const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
    let known = |value: &&HeaderValue| is_grpc(value.as_bytes()) || grpc_web(value.as_bytes()).is_some();
    let Some(text) = from.get(header::CONTENT_TYPE).filter(known).and_then(|value| value.to_str().ok()) else {
        return GRPC;
    };
    match text.split_once('+') {
        Some((_, format)) => HeaderValue::try_from(format!("application/grpc+{format}")).unwrap_or(GRPC),
        None => GRPC,
    }
}

/// What the caller and the servlet settle about compressed messages.
pub(super) fn keep_encodings(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [GRPC_ENCODING, GRPC_ACCEPT_ENCODING] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

/// The content type of an answer.
pub(super) fn web_content_type(text: bool, servlet: Option<&HeaderValue>) -> HeaderValue {
    let servlet = servlet.filter(|value| is_grpc(value.as_bytes()));
    let format = servlet.and_then(|value| value.to_str().ok()?.split_once('+')).map_or("proto", |(_, format)| format);
    let name = if text { "application/grpc-web-text" } else { "application/grpc-web" };
    HeaderValue::try_from(format!("{name}+{format}")).unwrap_or(HeaderValue::from_static("application/grpc-web+proto"))
}

/// A whole body, in the form that the caller takes.
pub(super) fn whole(text: bool, body: Bytes) -> Bytes {
    if text { base64::encode(&body) } else { body }
}

/// The frame that ends an answer: status and trailing metadata as an HTTP/1 header block.
pub(super) fn trailer_frame(status: &Status, metadata: HeaderMap) -> Bytes {
    let mut fields = metadata;
    status.to_trailers(&mut fields);
    let mut block = BytesMut::with_capacity(128);
    for (name, value) in &fields {
        block.extend_from_slice(name.as_str().as_bytes());
        block.extend_from_slice(b": ");
        block.extend_from_slice(value.as_bytes());
        block.extend_from_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(block.len() + 5);
    frame.put_u8(TRAILERS);
    // Trailers are bounded by the limits of the head they came in.
    frame.put_u32(u32::try_from(block.len()).unwrap_or(0));
    frame.extend_from_slice(&block);
    frame.freeze()
}
