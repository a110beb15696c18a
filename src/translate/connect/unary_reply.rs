//! A gRPC reply on its way to a unary Connect caller: the message is the body, trailing metadata stands in the head under `trailer-`.
//! The head waits for the status.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{ConnectPlan, error_json};
use crate::model::{Fault, Kind, Stage};
use crate::translate::coding::{GRPC_ENCODING, MessageCoding};
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::FrameDecoder;
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::status::Status;

/// One reply.
#[derive(Debug)]
pub(crate) struct UnaryReply {
    plan: ConnectPlan,
    conclusion: Conclusion,
    decoder: FrameDecoder,
    coding: MessageCoding,
    message: Option<Bytes>,
    body: Option<Bytes>,
    head_given: bool,
}

impl UnaryReply {
    pub(crate) fn new(plan: &ConnectPlan) -> UnaryReply {
        UnaryReply {
            decoder: FrameDecoder::new(plan.message_limit),
            plan: plan.clone(),
            coding: MessageCoding::default(),
            conclusion: Conclusion::default(),
            message: None,
            body: None,
            head_given: false,
        }
    }

    fn take_messages(&mut self) -> Result<(), Fault> {
        while let Some(message) = self.decoder.next().map_err(|error| error.in_reply())? {
            let bytes = self.coding.open_reply(message, self.plan.message_limit)?;
            if self.message.replace(bytes).is_some() {
                return Err(malformed("more than one message in the reply of a unary method"));
            }
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Response<()>, Fault> {
        let (content_type, status, body) = match self.conclusion.status() {
            Some(status) if !status.is_ok() => (
                HeaderValue::from_static("application/json"),
                status.code.http_status(),
                error_json(status, self.plan.messages()),
            ),
            _ => {
                self.decoder.at_end().map_err(|error| error.in_reply())?;
                let Some(message) = self.message.take() else {
                    return Err(malformed("no message in the reply of a unary method"));
                };
                let body = match self.plan.codec {
                    super::Codec::Proto => message,
                    super::Codec::Json => {
                        let mut json = Vec::with_capacity(message.len() * 2);
                        self.plan.write(&message, &mut json)?;
                        Bytes::from(json)
                    }
                };
                (self.plan.content_type(), StatusCode::OK, body)
            }
        };
        let mut response = Response::new(());
        *response.status_mut() = status;
        let fields = response.headers_mut();
        *fields = self.conclusion.leading();
        for (name, value) in &self.conclusion.trailing() {
            if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
                fields.append(name, value.clone());
            }
        }
        if let Some(status) = self.conclusion.status() {
            status.put_retry_after(fields);
        }
        fields.insert(header::CONTENT_TYPE, content_type);
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        self.body = Some(body);
        Ok(response)
    }
}

impl ReplyTranslator for UnaryReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        self.coding = MessageCoding::of(&headers, &GRPC_ENCODING);
        self.conclusion.head(status, headers);
    }

    fn push(&mut self, chunk: Bytes) {
        if self.conclusion.takes(&chunk) {
            self.decoder.push(chunk);
        }
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.conclusion.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        self.take_messages()?;
        if self.conclusion.status().is_none() {
            return Ok(ReplyStep::NeedInput);
        }
        if !self.head_given {
            self.head_given = true;
            return self.answer().map(ReplyStep::Head);
        }
        Ok(self.body.take().filter(|body| !body.is_empty()).map_or(ReplyStep::End, ReplyStep::Data))
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, _fault: &Fault) -> Farewell {
        Farewell::Break(Bytes::new())
    }
}

fn malformed(told: &'static str) -> Fault {
    Fault::new(Kind::MalformedReply, Stage::ReplyBody, told)
}
