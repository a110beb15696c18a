//! How a gRPC call ended (grpc/doc/PROTOCOL-HTTP2.md, `Trailers`; google/rpc/status.proto), in trailers and in JSON. Leans towards
//! UNKNOWN: what does not clearly say OK is never OK.

mod details;

use base64::Engine;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, header};

use super::metadata::BINARY;
use super::protobuf::{WireType, put_len, put_tag, put_varint, records};
use crate::model::{Code, Fault};
use crate::schema::Messages;
pub(super) use details::Detail;

pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The longest `grpc-message` that is written, escapes counted. Old clients and gateways take heads of 8 KiB; the JSON body has
/// the message whole.
const MESSAGE_HEADER_MOST: usize = 4096;

/// A status, as a servlet sent it or as Telamon says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    /// For the caller's developer to read; may be empty.
    pub message: String,
    /// A serialized `google.rpc.Status`, when there is more to say.
    pub details: Option<Bytes>,
}

impl Status {
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into(), details: None }
    }

    /// The status in trailers, or in the head of an answer that has no body. Without a clear `grpc-status` it is UNKNOWN.
    pub fn from_trailers(trailers: &HeaderMap) -> Status {
        Status::said_in(trailers)
            .unwrap_or_else(|| Status::new(Code::Unknown, "the servlet ended the call without a grpc-status"))
    }

    /// The same, where there is any `grpc-status`. One pass over the fields, which are few.
    pub(super) fn said_in(trailers: &HeaderMap) -> Option<Status> {
        let mut said: Option<&HeaderValue> = None;
        let (mut details, mut message) = (None, None);
        let mut is_clear = true;
        for (name, value) in trailers {
            match name.as_str() {
                "grpc-status" => is_clear &= *said.get_or_insert(value) == value,
                "grpc-message" => message = message.or(Some(value)),
                "grpc-status-details-bin" => details = details.or(Some(value)),
                _ => {}
            }
        }
        let code = match Code::from_header(said?.as_bytes()) {
            Code::Ok if !is_clear => Code::Unknown,
            code => code,
        };
        let details = details.and_then(|value| {
            // Something on the way may have joined two fields into one, as binary ones may be.
            let first = value.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
            BINARY.decode(first.trim_ascii()).ok().map(Bytes::from)
        });
        let message = match message {
            Some(value) => decode_message(value.as_bytes()),
            None => details.as_deref().and_then(message_of_details).unwrap_or_default(),
        };
        Some(Status { code, message, details })
    }

    /// The status of an answer that is no gRPC answer (grpc/doc/http-grpc-status-mapping.md).
    pub fn from_http(status: StatusCode) -> Status {
        Status::new(Code::from_http(status), format!("the servlet gave no gRPC answer, but HTTP status {status}"))
    }

    pub fn from_fault(fault: &Fault) -> Status {
        Status::new(fault.answer().grpc, fault.message.clone())
    }

    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }

    /// Adds the status to trailers, or to the head of an answer without a body.
    pub fn to_trailers(&self, trailers: &mut HeaderMap) {
        self.to_head(trailers);
        if let Some(details) = &self.details
            && let Ok(value) = HeaderValue::try_from(BINARY.encode(details))
        {
            trailers.insert(GRPC_STATUS_DETAILS, value);
        }
    }

    /// Adds `grpc-status` and `grpc-message` alone: what the head of a REST answer carries (design §7).
    pub(crate) fn to_head(&self, head: &mut HeaderMap) {
        head.insert(GRPC_STATUS, HeaderValue::from_static(self.code.digits()));
        if !self.message.is_empty()
            && let Ok(value) = HeaderValue::try_from(encode_message(&self.message))
        {
            head.insert(GRPC_MESSAGE, value);
        }
    }

    /// The status as the JSON of `google.rpc.Status`. A detail whose message is in the schema or in google/rpc is written out,
    /// another one keeps its bytes in base64 under `value`.
    pub fn to_json(&self, messages: Option<&Messages>) -> Bytes {
        let mut json = Vec::with_capacity(64 + self.message.len());
        json.extend_from_slice(b"{\"code\":");
        json.extend_from_slice(self.code.digits().as_bytes());
        json.extend_from_slice(b",\"message\":");
        put_json_string(&mut json, &self.message);
        let mut before: &[u8] = b",\"details\":[";
        for detail in self.each_detail() {
            json.extend_from_slice(before);
            before = b",";
            detail.put_json(messages, &mut json);
        }
        if before == b"," {
            json.push(b']');
        }
        json.push(b'}');
        Bytes::from(json)
    }

    /// The status as a serialized `google.rpc.Status` (google/rpc/status.proto).
    pub(crate) fn to_protobuf(&self) -> Bytes {
        let mut message = Vec::with_capacity(16 + self.message.len());
        put_tag(&mut message, 1, WireType::Varint);
        put_varint(&mut message, u64::from(self.code.number()));
        if !self.message.is_empty() {
            put_len(&mut message, 2, self.message.as_bytes());
        }
        let details = self.details.iter().flat_map(|details| records(details)).map_while(Result::ok);
        for detail in details.filter(|record| record.number == 3) {
            message.extend_from_slice(detail.raw);
        }
        Bytes::from(message)
    }

    /// The whole answer for a caller that speaks protobuf without gRPC, under the content type that it knows.
    pub(crate) fn to_protobuf_answer(&self, http: Option<StatusCode>, content_type: &'static str) -> Response<Bytes> {
        self.answer(http, self.to_protobuf(), content_type)
    }

    /// The whole answer for a JSON caller: the HTTP status of google/rpc/code.proto, or `http` when Telamon knows better.
    pub(crate) fn to_rest(&self, http: Option<StatusCode>, messages: Option<&Messages>) -> Response<Bytes> {
        self.answer(http, self.to_json(messages), "application/json")
    }

    fn answer(&self, http: Option<StatusCode>, body: Bytes, content_type: &'static str) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = http.unwrap_or_else(|| self.code.http_status());
        let length = HeaderValue::from(response.body().len());
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        head.insert(header::CONTENT_LENGTH, length);
        self.to_head(head);
        response
    }

    /// What the servlet tells beside the message. Broken details end the list: the code and the message are still worth telling.
    pub(super) fn each_detail(&self) -> impl Iterator<Item = Detail<'_>> {
        let fields = self.details.iter().flat_map(|details| records(details)).map_while(Result::ok);
        fields.filter(|record| record.number == 3).map(|record| Detail::read(record.value))
    }

    /// Adds `Retry-After` (RFC 9110 §10.2.3) when the servlet says in a `google.rpc.RetryInfo` when to come again, and not in the
    /// field itself: callers over HTTP, and what is between, know nothing of the former.
    pub(super) fn put_retry_after(&self, head: &mut HeaderMap) {
        if !head.contains_key(header::RETRY_AFTER)
            && let Some(seconds) = self.each_detail().find_map(|detail| detail.retry_after())
        {
            head.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// `google.rpc.Status.message`, field 2.
fn message_of_details(details: &[u8]) -> Option<String> {
    let message = records(details).map_while(Result::ok).filter(|record| record.number == 2).last()?;
    Some(String::from_utf8_lossy(message.value).into_owned())
}

fn put_json_string(json: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail, and a string always has a JSON form.
    if serde_json::to_writer(&mut *json, text).is_err() {
        json.extend_from_slice(b"\"\"");
    }
}

/// Reads `grpc-message`: percent-decoded; what is no escape stands for itself, what is no UTF-8 becomes U+FFFD.
pub fn decode_message(value: &[u8]) -> String {
    percent_encoding::percent_decode(value).decode_utf8_lossy().into_owned()
}

/// Writes `grpc-message`: everything but printable ASCII, and the percent sign, as `%XX`. Cut between two characters at 4 KiB.
pub fn encode_message(message: &str) -> String {
    let mut value = String::with_capacity(message.len().min(MESSAGE_HEADER_MOST));
    for character in message.chars() {
        let mut utf8 = [0; 4];
        let bytes = character.encode_utf8(&mut utf8).as_bytes();
        let plain = matches!(bytes, [0x20..=0x24 | 0x26..=0x7e]);
        if value.len() + if plain { 1 } else { 3 * bytes.len() } > MESSAGE_HEADER_MOST {
            break;
        }
        if plain {
            value.push(character);
        } else {
            value.extend(bytes.iter().map(|byte| percent_encoding::percent_encode_byte(*byte)));
        }
    }
    // A field's value loses its outer spaces on the way.
    if value.ends_with(' ') {
        value.pop();
        value.push_str("%20");
    }
    if value.starts_with(' ') {
        value.replace_range(..1, "%20");
    }
    value
}

#[cfg(test)]
mod tests;
