//! Single messages of a gRPC stream, or of a Connect one, that are compressed on their own (grpc/doc/compression.md): with the stream's
//! one encoding, and only those whose flag says so.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use super::decoder::decode_whole;
use super::{Coding, CodingError};
use crate::model::{Fault, Kind, Stage};
use crate::translate::frame::Message;

/// What compressed messages of a stream are in (grpc/doc/PROTOCOL-HTTP2.md, `Message-Encoding`).
pub(in crate::translate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What the messages of a stream may be compressed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::translate) enum MessageCoding {
    #[default]
    Identity,
    Gzip,
    /// One that was not asked for.
    Unknown(String),
}

impl MessageCoding {
    /// What `grpc-encoding`, or Connect's field for it, says.
    pub(in crate::translate) fn of(headers: &HeaderMap, name: &HeaderName) -> MessageCoding {
        headers.get(name).map_or(MessageCoding::Identity, |value| MessageCoding::named(value.as_bytes()))
    }

    pub(in crate::translate) fn named(name: &[u8]) -> MessageCoding {
        match name {
            b"" | b"identity" => MessageCoding::Identity,
            b"gzip" => MessageCoding::Gzip,
            other => MessageCoding::Unknown(String::from_utf8_lossy(other).chars().take(32).collect()),
        }
    }

    /// The plain bytes of a servlet's message.
    ///
    /// # Errors
    /// `MalformedReply` and, for what is over the limit, `UntranslatableReply`.
    pub(in crate::translate) fn open_reply(&self, message: Message, limit: usize) -> Result<Bytes, Fault> {
        let fault = |kind, told| Fault::new(kind, Stage::ReplyBody, told);
        self.open(message, limit).map_err(|why| match why {
            Why::Unasked => fault(Kind::MalformedReply, "a compressed message without a `grpc-encoding`".into()),
            Why::Unknown(name) => {
                fault(Kind::MalformedReply, format!("a message compressed with `{name}`, which was not asked for"))
            }
            Why::Broken(error @ CodingError::TooLarge(_)) => {
                fault(Kind::UntranslatableReply, format!("a message of the reply: {error}"))
            }
            Why::Broken(error) => fault(Kind::MalformedReply, format!("a message of the reply: {error}")),
        })
    }

    /// The plain bytes of a caller's message.
    ///
    /// # Errors
    /// `MalformedBody`, `BodyTooLarge`, `UnsupportedCoding`.
    pub(in crate::translate) fn open_request(&self, message: Message, limit: usize) -> Result<Bytes, Fault> {
        let fault = |kind, told| Fault::new(kind, Stage::RequestBody, told);
        self.open(message, limit).map_err(|why| match why {
            Why::Unasked => {
                fault(Kind::MalformedBody, "a compressed message in a stream that names no encoding".into())
            }
            Why::Unknown(name) => unsupported(name),
            Why::Broken(error @ CodingError::TooLarge(_)) => fault(Kind::BodyTooLarge, format!("a message: {error}")),
            Why::Broken(error) => fault(Kind::MalformedBody, format!("a message: {error}")),
        })
    }

    /// Whether a caller's messages can be read.
    ///
    /// # Errors
    /// `UnsupportedCoding`.
    pub(in crate::translate) fn check_request(&self) -> Result<(), Fault> {
        match self {
            MessageCoding::Identity | MessageCoding::Gzip => Ok(()),
            MessageCoding::Unknown(name) => Err(unsupported(name)),
        }
    }

    fn open(&self, message: Message, limit: usize) -> Result<Bytes, Why<'_>> {
        match self {
            _ if !message.compressed => Ok(message.bytes),
            MessageCoding::Identity => Err(Why::Unasked),
            MessageCoding::Unknown(name) => Err(Why::Unknown(name)),
            MessageCoding::Gzip => decode_whole(Coding::Gzip, message.bytes, limit).map_err(Why::Broken),
        }
    }
}

fn unsupported(name: &str) -> Fault {
    let told = format!("messages are taken in gzip and identity, not in `{name}`");
    Fault::new(Kind::UnsupportedCoding, Stage::RequestBody, told)
}

enum Why<'c> {
    Unasked,
    Unknown(&'c str),
    Broken(CodingError),
}
