//! The Connect protocol (connectrpc.com/docs/protocol), version 1: unary calls by POST and GET, and streams; messages as protobuf, which
//! pass as they are, or as JSON, which needs the servlet's schema. Unary calls are plain HTTP: a message is a body, a status an HTTP
//! status. Streams frame messages as gRPC does, and end with a frame of their own.

mod error;
mod get;
mod head;
mod request;
mod stream_reply;
#[cfg(test)]
mod tests;
mod unary_reply;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use super::json::{ReadOptions, WriteOptions, from_wire, most_text, to_wire};
use crate::model::{Fault, Kind, Stage};
use crate::schema::{Messages, Method};

pub(super) use error::{end_frame, to_json as error_json};
pub use get::codec as connect_get_codec;
pub(super) use get::is_connect as is_connect_get;
pub use head::check_head as check_connect_head;
pub(super) use head::{codec_of, names_stream};
pub(super) use request::{ConnectRequest, GetRequest};
pub(super) use stream_reply::StreamReply;
pub(super) use unary_reply::UnaryReply;

/// Each message of a stream compressed on its own: Connect's names for gRPC's fields.
const ENCODINGS: [(HeaderName, HeaderName); 2] = [
    (HeaderName::from_static("connect-content-encoding"), HeaderName::from_static("grpc-encoding")),
    (HeaderName::from_static("connect-accept-encoding"), HeaderName::from_static("grpc-accept-encoding")),
];

/// What the messages of a stream are compressed with.
const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Proto,
    Json,
}

/// How the call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Unary, the message in the body.
    Post,
    /// Unary and without side effects, the message in the query.
    Get,
    Stream,
}

/// A Connect call.
#[derive(Clone, Debug)]
pub struct ConnectPlan {
    /// `/pkg.Service/Method`.
    pub path: PathAndQuery,
    /// Needed for JSON.
    pub method: Option<Arc<Method>>,
    pub codec: Codec,
    pub form: Form,
    /// The most bytes of one message.
    pub message_limit: usize,
}

impl ConnectPlan {
    /// The types of the servlet's schema, as far as it has one.
    fn messages(&self) -> Option<&Messages> {
        self.method.as_ref().map(|method| &*method.messages)
    }

    /// A caller's message as protobuf, behind `out`.
    fn read(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let refused = |told: String| Fault::new(Kind::InvalidRequest, Stage::RequestBody, told);
        match (self.codec, &self.method) {
            (Codec::Proto, _) => out.extend_from_slice(message),
            (Codec::Json, Some(method)) => {
                // Connect's own servers pass over fields that they do not know, and its clients count on it.
                let options = ReadOptions { ignore_unknown: true };
                let start = out.len();
                to_wire(&method.messages, method.input, message, &options, out)
                    .map_err(|error| refused(format!("the message does not fit: {error}")))?;
                if out.len() - start > self.message_limit {
                    return Err(self.too_large());
                }
            }
            (Codec::Json, None) => return Err(refused("JSON needs a schema, which the servlet has none of".into())),
        }
        Ok(())
    }

    /// A servlet's message as the caller reads it, behind `out`.
    fn write(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let refused = |told: String| Fault::new(Kind::UntranslatableReply, Stage::ReplyBody, told);
        match (self.codec, &self.method) {
            (Codec::Proto, _) => out.extend_from_slice(message),
            (Codec::Json, Some(method)) => {
                // More could not be framed either.
                let most = most_text(self.message_limit).min(u32::MAX as usize);
                let options = WriteOptions { most, ..WriteOptions::default() };
                from_wire(&method.messages, method.output, message, &options, out)
                    .map_err(|error| refused(format!("the reply has no JSON form: {error}")))?;
            }
            (Codec::Json, None) => return Err(refused("JSON needs a schema, which the servlet has none of".into())),
        }
        Ok(())
    }

    /// The length of a message as its frame tells it.
    fn frame_len(&self, len: usize) -> Result<u32, Fault> {
        u32::try_from(len)
            .map_err(|_| Fault::new(Kind::UntranslatableReply, Stage::ReplyBody, "a message of 4 GiB or more"))
    }

    fn too_large(&self) -> Fault {
        let told = format!("the message is over the limit of {} bytes", self.message_limit);
        Fault::new(Kind::BodyTooLarge, Stage::RequestBody, told)
    }

    /// `application/proto`, `application/connect+json`, …
    fn content_type(&self) -> HeaderValue {
        content_type(self.form == Form::Stream, self.codec)
    }
}

/// The content type of a message, or of a stream of them.
pub(super) fn content_type(stream: bool, codec: Codec) -> HeaderValue {
    HeaderValue::from_static(match (stream, codec) {
        (false, Codec::Proto) => "application/proto",
        (false, Codec::Json) => "application/json",
        (true, Codec::Proto) => "application/connect+proto",
        (true, Codec::Json) => "application/connect+json",
    })
}

/// The protocol's own header fields become gRPC's, where gRPC has such.
pub(super) fn metadata(from: &HeaderMap, form: Form, codec: Codec, to: &mut HeaderMap) {
    if form == Form::Stream && codec == Codec::Proto {
        to.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        for (connect, grpc) in &ENCODINGS {
            if let Some(value) = from.get(connect) {
                to.insert(grpc, value.clone());
            }
        }
    }
}

/// The last frame of a stream: flag, length, what it says.
fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.push(flag);
    // It tells how a call ended, and is bounded by the limit of the head that said so.
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    Bytes::from(frame)
}
