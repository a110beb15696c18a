//! What a translated call is, whatever its dialect: the one place that knows them all.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

use super::dialect::{Dialect, Manner};
use super::metadata::request_metadata;
use super::middle::{ReplyTranslator, RequestTranslator};
use super::rest::{RestPlan, RestReply, RestRequest};
use crate::model::{Fault, Kind, Stage};

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// A call that goes through the neutral middle.
#[derive(Clone, Debug)]
pub enum Translation {
    /// JSON by `google.api.http`.
    Rest(RestPlan),
}

impl Translation {
    pub fn dialect(&self) -> Dialect {
        self.manner().dialect()
    }

    /// How the caller is told of faults.
    pub fn manner(&self) -> Manner {
        match self {
            Translation::Rest(_) => Manner::Rest,
        }
    }

    /// `/pkg.Service/Method`.
    pub fn method_path(&self) -> &PathAndQuery {
        match self {
            Translation::Rest(rest) => &rest.method.path,
        }
    }

    /// Whether the request is one message: it is gathered before a servlet is asked, so that a slow upload takes no endpoint's place.
    pub fn is_gathered(&self) -> bool {
        match self {
            Translation::Rest(rest) => !rest.method.client_streaming,
        }
    }

    /// The request's half.
    ///
    /// # Errors
    /// `InvalidRequest` and `UnsupportedMediaType`: what the head alone shows to be wrong.
    pub fn request(&self, head: &Parts) -> Result<Box<dyn RequestTranslator>, Fault> {
        Ok(match self {
            Translation::Rest(rest) => {
                let captures = rest
                    .binding
                    .template
                    .captures(head.uri.path())
                    .map_err(|error| Fault::new(Kind::InvalidRequest, Stage::Plan, error.to_string()))?;
                Box::new(RestRequest::new(rest, &captures, head.uri.query(), &head.headers)?)
            }
        })
    }

    /// The reply's half.
    pub fn reply(&self) -> Box<dyn ReplyTranslator> {
        match self {
            Translation::Rest(rest) => Box::new(RestReply::new(rest)),
        }
    }

    /// The header fields of the gRPC request, `te` and `grpc-timeout` aside.
    pub fn metadata(&self, from: &HeaderMap) -> HeaderMap {
        let mut headers = request_metadata(from);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
    }
}
