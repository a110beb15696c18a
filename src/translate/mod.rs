//! Dialects to and from gRPC, as sans-IO state machines around a neutral middle: protobuf messages, metadata, a final status. A
//! step takes bounded input and yields at most one bounded frame. gRPC to gRPC never comes through here.

mod answer;
mod coding;
mod conclusion;
mod connect;
#[cfg(test)]
mod conversation;
mod dialect;
mod envelope;
mod frame;
pub mod json;
mod metadata;
mod middle;
mod protobuf;
mod relay;
mod rest;
mod status;
mod translation;
mod web;

pub use answer::fault_reply;
pub use coding::{
    Accepted, Coding, CodingError, Compression, Decoded, Decoder, Effort, Encoder, ReplyCoding, check_uncoded,
};
pub use connect::{Codec, ConnectPlan, Form, check_connect_head, connect_get_codec};
pub use dialect::{Dialect, Manner, is_grpc};
pub use envelope::{Arrival, EnvelopePlan, is_envelope, is_envelope_path};
pub use frame::{FrameDecoder, FrameError, HEADER_LEN, Message, frame_header};
pub use metadata::{FieldNames, NamePattern, NamePatternError, reply_headers, request_metadata, withhold};
pub use middle::{Farewell, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};
pub use rest::{AnswerForm, RestPlan};
pub use status::{GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS, Status, decode_message, encode_message};
pub use translation::Translation;
pub use web::{UnaryPlan, WebPlan};
