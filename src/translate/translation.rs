//! What a translated call is, whatever its dialect: the one place that knows them all.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

use super::coding::DecodedRequest;
use super::connect::{self, Codec, ConnectPlan, ConnectRequest, Form, GetRequest, StreamReply};
use super::dialect::{Dialect, Manner};
use super::envelope::{self, Arrival, EnvelopePlan, EnvelopeReply, EnvelopeRequest};
use super::metadata::request_metadata;
use super::middle::{ReplyTranslator, RequestTranslator};
use super::rest::{RestPlan, RestReply, RestRequest};
use super::web::{self, RelayedRequest, UnaryPlan, WebPlan, WebReply};
use crate::model::{Fault, Kind, Stage};

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What single messages of a reply that is read here may be compressed with.
const READ_HERE: HeaderValue = HeaderValue::from_static("gzip,identity");

/// A call that goes through the neutral middle.
#[derive(Clone, Debug)]
pub enum Translation {
    /// JSON by `google.api.http`.
    Rest(RestPlan),
    /// gRPC-Web.
    Web(WebPlan),
    /// gRPC over HTTP/1, unary.
    Unary(UnaryPlan),
    /// The Connect protocol.
    Connect(ConnectPlan),
    /// HTTP as a whole, inside gRPC.
    Envelope(EnvelopePlan),
}

impl Translation {
    pub fn dialect(&self) -> Dialect {
        match self {
            Translation::Envelope(_) => Dialect::Envelope,
            _ => self.manner().dialect(),
        }
    }

    /// How the caller is told of faults.
    pub fn manner(&self) -> Manner {
        match self {
            Translation::Rest(rest) => Manner::of_form(rest.form),
            Translation::Web(web) => Manner::GrpcWeb { text: web.reply_text },
            Translation::Unary(_) => Manner::GrpcHttp1,
            Translation::Envelope(_) => Manner::Http,
            Translation::Connect(ConnectPlan { form: Form::Stream, codec, .. }) => Manner::ConnectStream(*codec),
            Translation::Connect(connect) => Manner::ConnectUnary(Some(connect.codec)),
        }
    }

    /// `/pkg.Service/Method`.
    pub fn method_path(&self) -> &PathAndQuery {
        match self {
            Translation::Rest(rest) => &rest.method.path,
            Translation::Web(web) => &web.path,
            Translation::Unary(unary) => &unary.path,
            Translation::Connect(connect) => &connect.path,
            Translation::Envelope(envelope) => envelope.path(),
        }
    }

    /// Whether the request is one message: it is gathered before a servlet is asked, so that a slow upload takes no endpoint's place.
    pub fn is_gathered(&self) -> bool {
        match self {
            Translation::Rest(rest) => !rest.method.client_streaming,
            // What a method takes is not known without a schema, and nothing needs to be gathered.
            Translation::Web(_) | Translation::Unary(_) => false,
            Translation::Envelope(_) => false,
            Translation::Connect(connect) => connect.form != Form::Stream,
        }
    }

    /// Whether the request may rest in the middle of its body, for as long as the call may last: it is one side of a conversation. What
    /// goes only up has its servlet wait, and stalls.
    pub fn may_rest(&self) -> bool {
        match self {
            Translation::Rest(rest) => rest.method.client_streaming && rest.method.server_streaming,
            Translation::Envelope(_) => true,
            Translation::Connect(connect) => connect.form == Form::Stream,
            // Their listener knows by the content type.
            Translation::Web(_) | Translation::Unary(_) => false,
        }
    }

    /// The request's half.
    ///
    /// # Errors
    /// `InvalidRequest`, `UnsupportedMediaType` and `NotAcceptable`: what the head alone shows to be wrong.
    pub fn request(&self, head: &Parts, arrival: &Arrival<'_>) -> Result<Box<dyn RequestTranslator>, Fault> {
        let translator: Box<dyn RequestTranslator> = match self {
            Translation::Rest(rest) => {
                let captures = rest
                    .binding
                    .template
                    .captures(head.uri.path())
                    .map_err(|error| Fault::new(Kind::InvalidRequest, Stage::Plan, error.to_string()))?;
                Box::new(RestRequest::new(rest, &captures, head.uri.query(), &head.headers)?)
            }
            Translation::Web(web) => Box::new(RelayedRequest::new(web.text)),
            Translation::Unary(_) => Box::new(RelayedRequest::new(false)),
            Translation::Envelope(_) => Box::new(EnvelopeRequest::new(head, arrival)),
            Translation::Connect(connect) => match (connect.form, connect.codec) {
                (Form::Get, _) => Box::new(GetRequest::new(connect, head.uri.query().unwrap_or_default())?),
                (Form::Stream, Codec::Proto) => Box::new(RelayedRequest::new(false)),
                (Form::Post, _) | (Form::Stream, Codec::Json) => Box::new(ConnectRequest::new(connect, &head.headers)),
            },
        };
        Ok(match self.message_limit() {
            Some(limit) => DecodedRequest::around(translator, &head.headers, limit),
            None => translator,
        })
    }

    /// Whether bodies are in content codings between the caller and here, and the most bytes of a message in one. Where messages
    /// are compressed one by one, or the servlet has the whole exchange to itself, bodies stay as they are.
    fn message_limit(&self) -> Option<usize> {
        match self {
            Translation::Rest(rest) => Some(rest.message_limit),
            Translation::Connect(connect) if connect.form != Form::Stream => Some(connect.message_limit),
            Translation::Connect(_) | Translation::Web(_) | Translation::Unary(_) | Translation::Envelope(_) => None,
        }
    }

    /// Whether the answer may go out in a content coding.
    pub fn has_coded_answer(&self) -> bool {
        self.message_limit().is_some()
    }

    /// The reply's half.
    pub fn reply(&self) -> Box<dyn ReplyTranslator> {
        match self {
            Translation::Rest(rest) => Box::new(RestReply::new(rest)),
            Translation::Web(web) => Box::new(WebReply::new(web.reply_text)),
            Translation::Unary(unary) => Box::new(web::UnaryReply::new(unary.message_limit)),
            Translation::Envelope(plan) => Box::new(EnvelopeReply::new(plan)),
            Translation::Connect(plan) if plan.form == Form::Stream => Box::new(StreamReply::new(plan)),
            Translation::Connect(plan) => Box::new(connect::UnaryReply::new(plan)),
        }
    }

    /// The header fields of the gRPC request, `te` and `grpc-timeout` aside.
    pub fn metadata(&self, from: HeaderMap) -> HeaderMap {
        // Where messages pass as they are, caller and servlet settle it between them.
        let mut settled = HeaderMap::new();
        match self {
            Translation::Rest(_) | Translation::Envelope(_) => {}
            Translation::Web(_) | Translation::Unary(_) => {
                settled.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                settled.insert(header::CONTENT_TYPE, web::grpc_content_type(&from));
                web::keep_encodings(&from, &mut settled);
            }
            Translation::Connect(plan) => connect::metadata(&from, plan.form, plan.codec, &mut settled),
        }
        let mut headers = match self {
            Translation::Envelope(_) => envelope::metadata(&from),
            _ => request_metadata(from),
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_ACCEPT_ENCODING, READ_HERE);
        if !settled.is_empty() {
            headers.extend(settled);
        }
        headers
    }
}
