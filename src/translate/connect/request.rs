//! A Connect request on its way to gRPC. A unary one is gathered, a stream goes on message by message; the messages of a protobuf stream
//! pass as they come, since their frames are gRPC's.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

use super::{CONTENT_ENCODING, Codec, ConnectPlan, Form, get};
use crate::model::{Fault, Kind, Stage};
use crate::translate::coding::MessageCoding;
use crate::translate::frame::{FrameDecoder, HEADER_LEN, Message, frame_header};
use crate::translate::middle::{RequestStep, RequestTranslator};

/// One request with a body of JSON, or of one protobuf message. Streams of protobuf are relayed and do not come here.
#[derive(Debug)]
pub(crate) struct ConnectRequest {
    plan: ConnectPlan,
    input: Input,
    finished: bool,
    failed: Option<Fault>,
}

#[derive(Debug)]
enum Input {
    /// The one message, behind room for its prefix.
    One(BytesMut),
    Frames(FrameDecoder, MessageCoding),
    Ended,
}

impl ConnectRequest {
    /// `headers`: those of the request, for the encoding of a stream's messages.
    pub(crate) fn new(plan: &ConnectPlan, headers: &HeaderMap) -> ConnectRequest {
        let input = match plan.form {
            Form::Post | Form::Get => Input::One(BytesMut::from(&frame_header(0)[..])),
            Form::Stream => {
                let coding = MessageCoding::of(headers, &CONTENT_ENCODING);
                Input::Frames(FrameDecoder::new(plan.message_limit), coding)
            }
        };
        ConnectRequest { plan: plan.clone(), input, finished: false, failed: None }
    }

    fn advance(&mut self) -> Result<RequestStep, Fault> {
        match &mut self.input {
            Input::One(_) if !self.finished => Ok(RequestStep::NeedInput),
            Input::One(message) => {
                let message = std::mem::take(message);
                self.input = Input::Ended;
                behind_prefix(&self.plan, message).map(RequestStep::Frame)
            }
            Input::Frames(frames, coding) => match frames.next().map_err(|error| error.in_request())? {
                Some(message) => {
                    let message = coding.open_request(message, self.plan.message_limit)?;
                    framed(&self.plan, &message).map(RequestStep::Frame)
                }
                None if self.finished => {
                    frames.at_end().map_err(|error| error.in_request())?;
                    self.input = Input::Ended;
                    Ok(RequestStep::End)
                }
                None => Ok(RequestStep::NeedInput),
            },
            Input::Ended => Ok(RequestStep::End),
        }
    }
}

impl RequestTranslator for ConnectRequest {
    fn expect_len(&mut self, len: u64) {
        if matches!(self.input, Input::One(_)) && len > self.plan.message_limit as u64 {
            self.failed = Some(self.plan.too_large());
        }
    }

    fn push(&mut self, chunk: Bytes) {
        match &mut self.input {
            Input::One(message) if message.len() - HEADER_LEN + chunk.len() > self.plan.message_limit => {
                self.failed.get_or_insert_with(|| self.plan.too_large());
            }
            Input::One(message) => message.extend_from_slice(&chunk),
            Input::Frames(frames, _) => frames.push(chunk),
            Input::Ended => {}
        }
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let step = self.advance();
        if let Err(fault) = &step {
            self.failed = Some(fault.clone());
        }
        step
    }

    fn is_end(&self) -> bool {
        matches!(self.input, Input::Ended) && self.failed.is_none()
    }
}

/// The request of a unary GET: all of it stands in the query.
#[derive(Debug)]
pub(crate) struct GetRequest {
    frame: Option<Bytes>,
    failed: Option<Fault>,
}

impl GetRequest {
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn new(plan: &ConnectPlan, query: &str) -> Result<GetRequest, Fault> {
        let asked = get::read(query)?;
        if asked.message.len() > plan.message_limit {
            return Err(plan.too_large());
        }
        let message = Message { bytes: asked.message.into(), compressed: asked.coding != MessageCoding::Identity };
        let message = asked.coding.open_request(message, plan.message_limit)?;
        Ok(GetRequest { frame: Some(framed(plan, &message)?), failed: None })
    }
}

impl RequestTranslator for GetRequest {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            let told = "a GET of the Connect protocol has no body";
            self.failed = Some(Fault::new(Kind::InvalidRequest, Stage::RequestBody, told));
        }
    }

    fn finish(&mut self) {}

    fn step(&mut self) -> Result<RequestStep, Fault> {
        match (&self.failed, self.frame.take()) {
            (Some(fault), _) => Err(fault.clone()),
            (None, Some(frame)) => Ok(RequestStep::Frame(frame)),
            (None, None) => Ok(RequestStep::End),
        }
    }

    fn is_end(&self) -> bool {
        self.frame.is_none() && self.failed.is_none()
    }
}

/// The same of a message that stands behind room for its prefix already: one of protobuf stays where it is.
fn behind_prefix(plan: &ConnectPlan, mut message: BytesMut) -> Result<Bytes, Fault> {
    let content = message.get(HEADER_LEN..).unwrap_or_default();
    if plan.codec == Codec::Json {
        return framed(plan, content);
    }
    let header = prefix(content.len());
    for (byte, prefix) in message.iter_mut().zip(header) {
        *byte = prefix;
    }
    Ok(message.freeze())
}

/// A caller's message as gRPC frames it.
fn framed(plan: &ConnectPlan, message: &[u8]) -> Result<Bytes, Fault> {
    if plan.codec == Codec::Proto {
        let mut frame = BytesMut::with_capacity(HEADER_LEN + message.len());
        frame.put_slice(&prefix(message.len()));
        frame.put_slice(message);
        return Ok(frame.freeze());
    }
    let mut frame = Vec::with_capacity(HEADER_LEN + message.len());
    frame.extend_from_slice(&prefix(0));
    plan.read(message, &mut frame)?;
    let header = prefix(frame.len() - HEADER_LEN);
    for (byte, prefix) in frame.iter_mut().zip(header) {
        *byte = prefix;
    }
    Ok(Bytes::from(frame))
}

/// Messages are held to their limit before they are framed, so that the length fits.
fn prefix(len: usize) -> [u8; HEADER_LEN] {
    frame_header(u32::try_from(len).unwrap_or(u32::MAX))
}
