//! What the head of a Connect request says: its content type, its version, its compression. Leans towards refusing: a body that is
//! read as something else than it is tells its caller nothing.

use http::header::{self, HeaderMap, HeaderValue};

use super::{CONTENT_ENCODING, Codec, Form};
use crate::model::{Fault, Kind, Stage};
use crate::translate::coding::{MessageCoding, content_codings};

/// The codec and form that a content type names, of any but JSON alone, which is REST's as well.
pub(crate) fn codec_of(content_type: &[u8]) -> Option<(Codec, bool)> {
    let essence = essence(content_type);
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    if is("application/proto") {
        Some((Codec::Proto, false))
    } else if is("application/connect+proto") {
        Some((Codec::Proto, true))
    } else if is("application/connect+json") {
        Some((Codec::Json, true))
    } else {
        None
    }
}

/// Whether a content type is that of a Connect stream, in whatever codec.
pub(crate) fn names_stream(content_type: &[u8]) -> bool {
    const PREFIX: &[u8] = b"application/connect+";
    essence(content_type).get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Holds the head of a call to what can be read.
///
/// # Errors
/// `UnsupportedMediaType` for another codec, `InvalidRequest` for another version of the protocol, `UnsupportedCoding` for
/// compression that the body would have to be read through and cannot be.
pub fn check_head(headers: &HeaderMap, form: Form, codec: Codec) -> Result<(), Fault> {
    let fault = |kind, told: String| Err(Fault::new(kind, Stage::Plan, told));
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(version) = text("connect-protocol-version").filter(|version| version != "1") {
        return fault(Kind::InvalidRequest, format!("`connect-protocol-version` is 1 here, not {version}"));
    }
    if form != Form::Get {
        let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if codec_of(content_type).is_none() && !is_json(content_type) {
            let told = "is not read here: the codecs are proto and json, in UTF-8";
            return fault(Kind::UnsupportedMediaType, format!("`{}` {told}", String::from_utf8_lossy(content_type)));
        }
    }
    match (form, codec) {
        // Compressed messages of protobuf pass as they are; that of a GET is in its query.
        (Form::Stream, Codec::Proto) | (Form::Get, _) => Ok(()),
        (Form::Stream, Codec::Json) => MessageCoding::of(headers, &CONTENT_ENCODING).check_request(),
        (Form::Post, _) => content_codings(headers).map(|_| ()),
    }
}

/// `application/json`, in UTF-8, which is what it says of itself when it says nothing.
fn is_json(content_type: &[u8]) -> bool {
    let parameters = content_type.split(|byte| *byte == b';').skip(1);
    let is_utf8 = |parameter: &[u8]| {
        let mut halves = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        !name.eq_ignore_ascii_case(b"charset") || value.eq_ignore_ascii_case(b"utf-8")
    };
    essence(content_type).eq_ignore_ascii_case(b"application/json") && parameters.into_iter().all(is_utf8)
}

fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}
