//! A gRPC reply on its way to REST. A unary reply is one message and a status, and the HTTP head waits for both; the head of a stream
//! goes out with its first item, so an error before that is still an ordinary HTTP error. An error after it breaks the stream off,
//! in lines and events with a record of it: the array is never closed, so that half an answer cannot look whole.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::super::coding::{GRPC_ENCODING, MessageCoding};
use super::super::conclusion::Conclusion;
use super::super::frame::{FrameDecoder, Message};
use super::super::json::{WriteOptions, field_from_wire, from_wire, most_text};
use super::super::metadata::{reply_headers, vary};
use super::super::middle::{Farewell, ReplyStep, ReplyTranslator};
use super::super::status::Status;
use super::{AnswerForm, RestPlan, http_body, is_http_body};
use crate::model::{Fault, Kind, Pieces, Stage};

/// Items that are there go on together up to about so many bytes: a frame of HTTP/2 for each of many tiny ones costs both ends far more
/// than the items do, and some clients take it for abuse.
const PIECE: usize = 8 * 1024;

/// One reply.
///
/// ```text
///               ┌──no gRPC answer, or an error status──▶ Head(4xx, 5xx) Data(google.rpc.Status) End
/// head ─▶ Open ─┼──unary: one message, and OK──────────▶ Head(200) Data End
///               └──streaming: the messages that are there▶ Head(200) Data ─▶ Data … ──OK──▶ Data(]) End
///                                                                            └──error──▶ Err: a record, and break off
/// ```
#[derive(Debug)]
pub(crate) struct RestReply {
    plan: RestPlan,
    raw: bool,
    decoder: FrameDecoder,
    coding: MessageCoding,
    conclusion: Conclusion,
    /// A unary reply's message, until the status is known.
    message: Option<Pieces>,
    /// What is wrong with an item, until those before it have been given out.
    failed: Option<Fault>,
    ready: VecDeque<ReplyStep>,
    head_sent: bool,
    ended: bool,
}

impl RestReply {
    pub(crate) fn new(plan: &RestPlan) -> RestReply {
        RestReply {
            raw: is_http_body(plan.messages(), plan.method.output, plan.response_field()),
            decoder: FrameDecoder::new(plan.message_limit),
            plan: plan.clone(),
            coding: MessageCoding::default(),
            conclusion: Conclusion::default(),
            message: None,
            failed: None,
            ready: VecDeque::new(),
            head_sent: false,
            ended: false,
        }
    }

    fn next_message(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.decoder.next().map_err(|error| error.in_reply())? {
            Some(message) => self.coding.open_reply(message, self.plan.message_limit).map(Some),
            None => Ok(None),
        }
    }

    /// The same, for an `HttpBody`, whose data need not be put together.
    fn next_in_pieces(&mut self) -> Result<Option<Pieces>, Fault> {
        match self.decoder.next_in_pieces().map_err(|error| error.in_reply())? {
            Some((pieces, true)) => {
                let message = Message { bytes: pieces.into_bytes(), compressed: true };
                self.coding.open_reply(message, self.plan.message_limit).map(|plain| Some(plain.into()))
            }
            Some((pieces, false)) => Ok(Some(pieces)),
            None => Ok(None),
        }
    }

    fn error(&mut self) -> Result<ReplyStep, Fault> {
        let Some(status) = self.conclusion.status() else { return Ok(ReplyStep::NeedInput) };
        if self.head_sent {
            let message = format!("the servlet ended the stream with {}: {}", status.code.name(), status.message);
            return Err(Fault::new(Kind::StreamReset, Stage::ReplyBody, message));
        }
        let told = match self.plan.form {
            AnswerForm::Protobuf(name) => status.to_protobuf_answer(None, name),
            AnswerForm::Json | AnswerForm::Lines(_) | AnswerForm::Events => {
                status.to_rest(None, Some(self.plan.messages()))
            }
        };
        let (parts, body) = told.into_parts();
        let mut response = Response::from_parts(parts, ());
        append(response.headers_mut(), self.conclusion.metadata());
        status.put_retry_after(response.headers_mut());
        self.mark_negotiated(response.headers_mut());
        self.ended = true;
        self.ready.push_back(ReplyStep::Data(body));
        Ok(self.send_head(response))
    }

    /// The answer of a unary method.
    fn whole(&mut self) -> Result<ReplyStep, Fault> {
        let Some(message) = self.message.take() else {
            return Err(malformed("no message in the reply of a unary method"));
        };
        let (content_type, body) = match self.plan.form {
            _ if self.raw => self.raw_body(message)?,
            form @ AnswerForm::Protobuf(_) => (Some(form.content_type()), self.content(&message.into_bytes())?.into()),
            AnswerForm::Json | AnswerForm::Lines(_) | AnswerForm::Events => {
                let message = message.into_bytes();
                let mut json = Vec::with_capacity(message.len() * 2);
                self.put_json(&message, &mut json)?;
                (Some(AnswerForm::Json.content_type()), Bytes::from(json).into())
            }
        };
        let step = self.answer(content_type, body);
        Ok(match (step, self.conclusion.status()) {
            (ReplyStep::Head(mut head), Some(status)) => {
                status.to_head(head.headers_mut());
                ReplyStep::Head(head)
            }
            (step, _) => step,
        })
    }

    /// A whole answer, whose length is known.
    fn answer(&mut self, content_type: Option<HeaderValue>, mut body: Pieces) -> ReplyStep {
        let mut response = head_of(content_type, self.conclusion.metadata());
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        if self.raw && !body.is_empty() {
            self.keep_coding(response.headers_mut());
        }
        self.mark_form(&mut response);
        self.ready.extend(std::iter::from_fn(|| body.pop()).map(ReplyStep::Data));
        self.send_head(response)
    }

    /// The messages of a stream that are there, up to about a piece.
    fn items(&mut self) -> Result<Option<ReplyStep>, Fault> {
        let mut text = Vec::new();
        while self.failed.is_none() && text.len() < PIECE {
            match self.put_item(&mut text) {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => self.failed = Some(fault),
            }
        }
        match &self.failed {
            _ if !text.is_empty() => {
                let content_type = Some(self.plan.form.content_type());
                Ok(Some(self.begun(content_type, Bytes::from(text).into())))
            }
            Some(fault) => Err(fault.clone()),
            None => Ok(None),
        }
    }

    /// The next message behind `text`; false when more is needed. Leaves nothing of one that has no JSON form.
    fn put_item(&mut self, text: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(message) = self.next_message()? else { return Ok(false) };
        let start = text.len();
        let (before, after): (&[u8], &[u8]) = match self.plan.form {
            AnswerForm::Lines(_) => (b"", b"\n"),
            AnswerForm::Events => (b"data: ", b"\n\n"),
            AnswerForm::Json | AnswerForm::Protobuf(_) if self.head_sent || start > 0 => (b",", b""),
            AnswerForm::Json | AnswerForm::Protobuf(_) => (b"[", b""),
        };
        text.reserve(message.len() * 2 + 8);
        text.extend_from_slice(before);
        // One line: the writer puts none of JSON's white space, and within strings it is escaped.
        self.put_json(&message, text).inspect_err(|_| text.truncate(start))?;
        text.extend_from_slice(after);
        Ok(true)
    }

    /// The next raw message of a stream. One without bytes is no piece; the first of
    /// them begins the answer all the same, with its content type.
    fn raw_item(&mut self) -> Result<Option<ReplyStep>, Fault> {
        while let Some(message) = self.next_in_pieces()? {
            let (content_type, body) = self.raw_body(message)?;
            if !self.head_sent || !body.is_empty() {
                return Ok(Some(self.begun(content_type, body)));
            }
        }
        Ok(None)
    }

    /// A piece of a stream, behind the head if that has not gone out.
    fn begun(&mut self, content_type: Option<HeaderValue>, mut body: Pieces) -> ReplyStep {
        if self.head_sent {
            let first = body.pop().unwrap_or_default();
            self.ready.extend(std::iter::from_fn(|| body.pop()).map(ReplyStep::Data));
            return ReplyStep::Data(first);
        }
        let mut response = head_of(content_type, reply_headers(&self.conclusion.initial, None));
        if self.raw {
            self.keep_coding(response.headers_mut());
        }
        self.mark_form(&mut response);
        self.ready.extend(std::iter::from_fn(|| body.pop()).map(ReplyStep::Data));
        self.send_head(response)
    }

    /// The end of a stream.
    fn last(&mut self) -> Result<ReplyStep, Fault> {
        if self.raw {
            return Ok(if self.head_sent { ReplyStep::End } else { self.answer(None, Pieces::default()) });
        }
        let form = self.plan.form;
        let (none, last): (&[u8], &[u8]) = match form {
            AnswerForm::Json | AnswerForm::Protobuf(_) => (b"[]", b"]"),
            AnswerForm::Lines(_) | AnswerForm::Events => (b"", b""),
        };
        Ok(match self.head_sent {
            false => self.answer(Some(form.content_type()), Bytes::from_static(none).into()),
            true if last.is_empty() => ReplyStep::End,
            true => ReplyStep::Data(Bytes::from_static(last)),
        })
    }

    /// What an answer that is not raw says of its form. Events are news: one that was kept is none. What the servlet says of it counts
    /// more.
    fn mark_form(&self, response: &mut Response<()>) {
        if self.raw {
            return;
        }
        self.mark_negotiated(response.headers_mut());
        if self.plan.form == AnswerForm::Events && self.plan.method.server_streaming {
            let cached = response.headers_mut().entry(header::CACHE_CONTROL);
            cached.or_insert(HeaderValue::from_static("no-cache"));
        }
    }

    /// Whoever keeps answers must know that another `Accept` has another one. Only those to GET are kept.
    fn mark_negotiated(&self, fields: &mut HeaderMap) {
        if self.plan.binding.verb.as_ref().is_none_or(|verb| verb == Method::GET) {
            vary(fields, "accept");
        }
    }

    /// What the servlet says of its own bytes: they go out as they are.
    fn keep_coding(&self, fields: &mut HeaderMap) {
        for name in http_body::SAID_OF_BYTES {
            for value in self.conclusion.initial.get_all(&name) {
                fields.append(&name, value.clone());
            }
        }
    }

    fn send_head(&mut self, response: Response<()>) -> ReplyStep {
        self.head_sent = true;
        ReplyStep::Head(response)
    }

    fn put_json(&self, message: &[u8], json: &mut Vec<u8>) -> Result<(), Fault> {
        let (messages, output) = (self.plan.messages(), self.plan.method.output);
        let options = WriteOptions { most: most_text(self.plan.message_limit), ..WriteOptions::default() };
        match self.plan.response_field() {
            None => from_wire(messages, output, message, &options, json),
            Some(field) => field_from_wire(messages, output, field, message, &options, json),
        }
        .map_err(|error| untranslatable(format!("the reply has no JSON form: {error}")))
    }

    /// The message that is the answer: the reply's, or the one in the field of it that is.
    fn content(&self, message: &Bytes) -> Result<Bytes, Fault> {
        let Some(field) = self.plan.response_field() else { return Ok(message.clone()) };
        let content = http_body::field_content(message, field);
        Ok(match content.map_err(|_| untranslatable("the reply is no protobuf message".into()))? {
            Cow::Borrowed([]) => Bytes::new(),
            Cow::Borrowed(part) => message.slice_ref(part),
            Cow::Owned(joined) => Bytes::from(joined),
        })
    }

    /// The record of an error in the middle of a stream.
    fn record(&self, fault: &Fault) -> Bytes {
        let servlets = self.conclusion.status().filter(|status| !status.is_ok());
        let status = servlets.cloned().unwrap_or_else(|| Status::from_fault(fault));
        let told = status.to_json(Some(self.plan.messages()));
        let (before, after): (&[u8], &[u8]) = match self.plan.form {
            _ if self.raw => return Bytes::new(),
            AnswerForm::Json | AnswerForm::Protobuf(_) => return Bytes::new(),
            AnswerForm::Lines(_) => (b"{\"error\":", b"}\n"),
            AnswerForm::Events => (b"event: error\ndata: ", b"\n\n"),
        };
        Bytes::from([before, &told, after].concat())
    }

    /// An `HttpBody`, which is the whole message or the field of it that is the answer.
    fn raw_body(&self, message: Pieces) -> Result<(Option<HeaderValue>, Pieces), Fault> {
        let content = match self.plan.response_field() {
            None => message,
            Some(_) => self.content(&message.into_bytes())?.into(),
        };
        let broken = |_| untranslatable("the reply is no google.api.HttpBody".into());
        let raw = http_body::read(content).map_err(broken)?;
        let text = Some(raw.content_type).filter(|text| !text.is_empty());
        let content_type = text.map(HeaderValue::from_maybe_shared).transpose();
        let told = |_| untranslatable("the content type of the reply is no header value".into());
        Ok((content_type.map_err(told)?, raw.data))
    }
}

impl ReplyTranslator for RestReply {
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
        if let Some(step) = self.ready.pop_front() {
            return Ok(step);
        }
        if self.ended {
            return Ok(ReplyStep::End);
        }
        let streaming = self.plan.method.server_streaming;
        if streaming && let Some(step) = if self.raw { self.raw_item()? } else { self.items()? } {
            return Ok(step);
        }
        while let Some(message) = if self.raw { self.next_in_pieces()? } else { self.next_message()?.map(Pieces::from) }
        {
            if self.message.is_some() {
                return Err(malformed("more than one message in the reply of a unary method"));
            }
            self.message = Some(message);
        }
        let Some(status) = self.conclusion.status() else { return Ok(ReplyStep::NeedInput) };
        if !status.is_ok() {
            return self.error();
        }
        self.decoder.at_end().map_err(|error| error.in_reply())?;
        self.ended = true;
        if streaming { self.last() } else { self.whole() }
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        Farewell::Break(self.record(fault))
    }
}

fn head_of(content_type: Option<HeaderValue>, metadata: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = metadata;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

fn append(headers: &mut HeaderMap, more: HeaderMap) {
    for (name, value) in &more {
        headers.append(name, value.clone());
    }
}

fn malformed(message: &'static str) -> Fault {
    Fault::new(Kind::MalformedReply, Stage::ReplyBody, message)
}

fn untranslatable(message: String) -> Fault {
    Fault::new(Kind::UntranslatableReply, Stage::ReplyBody, message)
}
