//! What a servlet's answer says of how the call ended: in its head, in its trailers, or by not being gRPC at all. Leans towards
//! UNKNOWN, as `status` does.

use http::{HeaderMap, StatusCode, header};

use super::dialect::is_grpc;
use super::metadata::reply_headers;
use super::status::{GRPC_STATUS, Status};
use crate::model::Code;

/// The end of a call, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Conclusion {
    /// The servlet's initial metadata.
    pub(super) initial: HeaderMap,
    /// Its trailing metadata, once there.
    trailers: Option<HeaderMap>,
    /// What the head alone says of the status, should nothing follow.
    early: Option<Status>,
    status: Option<Status>,
}

impl Conclusion {
    /// The head of the servlet's answer. One that is no gRPC answer is an error at once.
    pub(super) fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        let said = Status::said_in(&headers);
        let grpc = headers.get(header::CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()));
        self.initial = headers;
        if status == StatusCode::OK && (grpc || said.is_some()) {
            self.early = said;
            return;
        }
        let known = said.filter(|said| !said.is_ok());
        self.status = Some(known.unwrap_or_else(|| match status {
            StatusCode::OK => {
                Status::new(Code::Unknown, "the servlet's answer is not gRPC: its content type is another")
            }
            status => Status::from_http(status),
        }));
    }

    /// Whether a piece of the servlet's answer still matters. Behind one, the head has no word on how the call ended.
    pub(super) fn takes(&mut self, chunk: &[u8]) -> bool {
        if !chunk.is_empty() {
            self.early = None;
        }
        self.status.is_none()
    }

    /// The servlet's answer has ended.
    pub(super) fn finish(&mut self, trailers: Option<HeaderMap>) {
        if self.status.is_some() {
            return;
        }
        let told = trailers.as_ref().and_then(Status::said_in);
        let status = told.or(self.early.take()).unwrap_or_else(|| Status::from_trailers(&HeaderMap::new()));
        self.status = Some(status);
        self.trailers = trailers;
    }

    /// All of the servlet's metadata that is there, for a head that waits for the end.
    pub(super) fn metadata(&self) -> HeaderMap {
        reply_headers(&self.initial, self.trailers.as_ref())
    }

    /// The servlet's leading metadata: none in a Trailers-Only answer, whose head is its trailers (PROTOCOL-HTTP2.md).
    pub(super) fn leading(&self) -> HeaderMap {
        if self.is_trailers_only() { HeaderMap::new() } else { reply_headers(&self.initial, None) }
    }

    /// The servlet's trailing metadata, once there.
    pub(super) fn trailing(&self) -> HeaderMap {
        let said = self.trailers.as_ref().or_else(|| self.is_trailers_only().then_some(&self.initial));
        said.map(|trailers| reply_headers(trailers, None)).unwrap_or_default()
    }

    fn is_trailers_only(&self) -> bool {
        self.initial.contains_key(GRPC_STATUS)
    }

    /// How the call ended, once that is known.
    pub(super) fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }
}
