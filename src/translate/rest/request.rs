//! A REST request on its way to gRPC. A unary body is gathered whole, because JSON has no end before its end; a streaming one goes
//! on item by item, line by line or piece by piece. Path and query go into the first message of a stream alone, as in Envoy.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::super::frame::{HEADER_LEN, frame_header};
use super::super::json::{JsonError, ReadOptions, field_to_wire, to_wire};
use super::super::middle::{RequestStep, RequestTranslator};
use super::super::protobuf::put_message;
use super::bound::Bound;
use super::form_data::{Shape, Step};
use super::input::{Input, Written};
use super::{RestPlan, http_body, is_http_body, protobuf_body, urlencoded};
use crate::model::{Fault, Kind, Pieces, Stage};
use crate::schema::{BodyRule, Cardinality, Field, FieldKind, MessageId, Method};

/// The most data in one message of a streamed upload: well under the 4 MiB that gRPC libraries take at most by default.
const MOST_PIECE: usize = 1 << 20;

/// One request.
///
/// ```text
/// unary:      gather ──finish_input──▶ Frame ──▶ End
/// streaming:  gather ──each item────▶ Frame ─┐
///                └────────────────◀──────────┘ ──finish_input──▶ End
/// ```
#[derive(Debug)]
pub(crate) struct RestRequest {
    method: Arc<Method>,
    body_field: Option<Field>,
    limit: usize,
    bound: Bound,
    first: bool,
    finished: bool,
    // Bytes of the body so far.
    taken: u64,
    // Why the first byte of a body would be refused.
    refusal: Option<Fault>,
    failed: Option<Fault>,
    input: Input,
    // What of a message has not been given.
    rest: Pieces,
}

impl RestRequest {
    /// `captures`: the path's value for each variable of the binding's template, decoded. `query`: what follows the question mark.
    ///
    /// # Errors
    /// `InvalidRequest` for a capture or a parameter that does not fit, `NotAcceptable` for an answer that cannot be given.
    pub(crate) fn new(
        plan: &RestPlan,
        captures: &[Cow<'_, str>],
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<RestRequest, Fault> {
        plan.check_form()?;
        let bound = Bound::new(plan, captures, query)?;
        let body_field = match &plan.binding.body {
            BodyRule::None | BodyRule::Whole => None,
            BodyRule::Field(path) => path.target(plan.messages()).cloned(),
        };
        let (input, refusal) = Input::open(plan, body_field.as_ref(), headers)?;
        let (method, limit) = (plan.method.clone(), plan.message_limit);
        let (first, finished, taken, failed) = (true, false, 0, None);
        let rest = Pieces::default();
        Ok(RestRequest { method, body_field, limit, bound, first, finished, taken, refusal, failed, input, rest })
    }

    /// Whether a body of so many bytes is over the limit as a whole: a stream is not, however long it is.
    fn is_too_large(&self, len: u64) -> bool {
        let gathered = match self.input {
            Input::Whole(..) => true,
            Input::FormData(_) => !self.method.client_streaming,
            Input::Nothing | Input::Items(_) | Input::Lines(_) | Input::Raw(..) | Input::Ended => false,
        };
        gathered && len > self.limit as u64
    }

    fn too_large(&self) -> Fault {
        refused(Kind::BodyTooLarge, format!("the body is over the limit of {} bytes", self.limit))
    }

    /// Ends it, and lets go of what was gathered.
    fn fail(&mut self, fault: Fault) {
        self.failed = Some(fault);
        self.input = Input::Ended;
        self.rest = Pieces::default();
    }

    fn advance(&mut self) -> Result<RequestStep, Fault> {
        if let Some(piece) = self.rest.pop() {
            return Ok(RequestStep::Frame(piece));
        }
        let limit = self.limit;
        let next = match &mut self.input {
            Input::Ended => return Ok(RequestStep::End),
            Input::Items(items) => match items.next_item() {
                Ok(Some(item)) => Some(self.message(&item)?),
                Ok(None) => None,
                Err(_) if items.is_over_limit() => return Err(over_limit("an item", limit)),
                Err(error) => return Err(not_json(&error)),
            },
            Input::Lines(lines) => match lines.next_line() {
                Ok(Some(line)) => {
                    let number = lines.number();
                    Some(self.message(&line).map_err(|fault| in_line(number, fault))?)
                }
                Ok(None) => None,
                Err(_) => return Err(over_limit("a line", limit)),
            },
            Input::FormData(form) => match form.step(&shape(&self.method, self.body_field.as_ref(), limit))? {
                Step::NeedInput | Step::End => None,
                Step::Message(message) => Some(self.frame(message)?),
            },
            Input::Raw(pieces, content_type) => match next_piece(pieces, piece_of(limit)) {
                None if !self.finished || !self.first => None,
                // An empty upload is one empty message: its content type is worth telling.
                piece => {
                    let content_type = std::mem::take(content_type);
                    Some(self.raw(&content_type, piece.unwrap_or_default().into())?)
                }
            },
            Input::Nothing | Input::Whole(..) if !self.finished => None,
            Input::Nothing => {
                self.input = Input::Ended;
                Some(self.frame(room(0))?)
            }
            Input::Whole(gathered, written) => {
                let (gathered, written) = (std::mem::take(gathered), std::mem::replace(written, Written::Json));
                self.input = Input::Ended;
                Some(self.value(gathered, &written)?)
            }
        };
        Ok(next.map_or_else(|| self.starved(), RequestStep::Frame))
    }

    /// The message of a body that is one value.
    fn value(&mut self, body: Pieces, written: &Written) -> Result<Bytes, Fault> {
        match written {
            Written::Json => self.message(&body.into_bytes()),
            Written::Raw(content_type) => self.raw(content_type, body),
            Written::Protobuf => self.protobuf(&body.into_bytes()),
            Written::Urlencoded => self.form(&body.into_bytes()),
        }
    }

    /// No message is ready.
    fn starved(&mut self) -> RequestStep {
        if !self.finished {
            return RequestStep::NeedInput;
        }
        self.input = Input::Ended;
        RequestStep::End
    }

    fn message(&mut self, json: &[u8]) -> Result<Bytes, Fault> {
        let (messages, options) = (&self.method.messages, ReadOptions::default());
        let mut out = room(json.len());
        match &self.body_field {
            // An empty body stands for `{}`.
            None if json.is_empty() => Ok(()),
            Some(field) if json.is_empty() => {
                let plain = match (field.cardinality, field.kind) {
                    (Cardinality::Singular { .. }, FieldKind::Message(id)) => messages.get(id).well_known.is_none(),
                    _ => false,
                };
                if plain { field_to_wire(messages, field, b"{}", &options, &mut out) } else { Ok(()) }
            }
            None => to_wire(messages, self.method.input, json, &options, &mut out),
            Some(field) => field_to_wire(messages, field, json, &options, &mut out),
        }
        .map_err(|error| not_json(&error))?;
        self.within_limit(out)
    }

    /// `[0,0,…]` is four times as long as doubles: the limit is the servlet's own, so it is held here too.
    fn within_limit(&mut self, out: Vec<u8>) -> Result<Bytes, Fault> {
        if out.len() - HEADER_LEN > self.limit {
            let told = format!("the message is over the limit of {} bytes", self.limit);
            return Err(refused(Kind::BodyTooLarge, told));
        }
        self.frame(out)
    }

    /// The message that the body is, or is the field of.
    fn message_id(&self) -> MessageId {
        match self.body_field.as_ref().map(|field| field.kind) {
            Some(FieldKind::Message(id)) => id,
            _ => self.method.input,
        }
    }

    fn put_content(&self, content: &[u8]) -> Vec<u8> {
        let mut out = room(content.len() + 16);
        match &self.body_field {
            None => out.extend_from_slice(content),
            Some(field) => put_message(&mut out, field.number, field.delimited, content),
        }
        out
    }

    fn protobuf(&mut self, message: &[u8]) -> Result<Bytes, Fault> {
        protobuf_body::check(&self.method.messages, self.message_id(), message)
            .map_err(|why| refused(Kind::InvalidRequest, format!("the body is no {why}")))?;
        let out = self.put_content(message);
        self.frame(out)
    }

    fn form(&mut self, form: &[u8]) -> Result<Bytes, Fault> {
        let message = urlencoded::read(&self.method.messages, self.message_id(), form)?;
        let out = self.put_content(&message);
        self.within_limit(out)
    }

    /// The beginning of a message that holds `data` where it lies; what follows it is the rest.
    fn raw(&mut self, content_type: &[u8], mut data: Pieces) -> Result<Bytes, Fault> {
        let (before, behind) = http_body::around(self.body_field.as_ref(), content_type, data.len());
        if self.first && self.bound.replaces() {
            // Something of it may be taken out again.
            return self.frame([&*room(0), &before, &data.into_bytes(), &behind].concat());
        }
        let bound = if std::mem::take(&mut self.first) { std::mem::take(&mut self.bound).bytes } else { Vec::new() };
        let len = message_len(before.len() + data.len() + behind.len() + bound.len())?;
        let head = [&frame_header(len), &*before].concat();
        data.push([behind, bound].concat().into());
        self.rest = data;
        Ok(head.into())
    }

    /// Adds path and query to the first message, and the prefix to every one.
    fn frame(&mut self, mut out: Vec<u8>) -> Result<Bytes, Fault> {
        if std::mem::take(&mut self.first) {
            std::mem::take(&mut self.bound).apply(&mut out, HEADER_LEN);
        }
        let len = message_len(out.len() - HEADER_LEN)?;
        for (byte, prefix) in out.iter_mut().zip(frame_header(len)) {
            *byte = prefix;
        }
        Ok(Bytes::from(out))
    }
}

impl RequestTranslator for RestRequest {
    fn expect_len(&mut self, len: u64) {
        if len == 0 || self.failed.is_some() {
            return;
        }
        if let Some(refusal) = self.refusal.take() {
            self.fail(refusal);
        } else if self.is_too_large(len) {
            self.fail(self.too_large());
        }
    }

    fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() || self.finished || self.failed.is_some() {
            return;
        }
        if let Some(refusal) = self.refusal.take() {
            return self.fail(refusal);
        }
        self.taken = self.taken.saturating_add(chunk.len() as u64);
        if self.is_too_large(self.taken) {
            return self.fail(self.too_large());
        }
        if let Err(told) = self.input.push(chunk) {
            self.fail(refused(Kind::InvalidRequest, told));
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.input.finish();
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let step = self.advance();
        if let Err(fault) = &step {
            self.fail(fault.clone());
        }
        step
    }

    fn is_end(&self) -> bool {
        matches!(self.input, Input::Ended) && self.rest.is_empty() && self.failed.is_none()
    }
}

/// A buffer with room for the prefix, and about as much message.
pub(super) fn room(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + len);
    out.extend_from_slice(&frame_header(0));
    out
}

fn message_len(len: usize) -> Result<u32, Fault> {
    u32::try_from(len).map_err(|_| refused(Kind::BodyTooLarge, "the message is over gRPC's limit of 4 GiB"))
}

fn refused(kind: Kind, message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(kind, Stage::RequestBody, message)
}

fn over_limit(what: &str, limit: usize) -> Fault {
    refused(Kind::BodyTooLarge, format!("{what} of the body is over the limit of {limit} bytes"))
}

fn not_json(error: &JsonError) -> Fault {
    refused(Kind::InvalidRequest, format!("the body does not fit: {error}"))
}

fn in_line(number: u64, fault: Fault) -> Fault {
    Fault { message: format!("line {number}: {}", fault.message).into(), ..fault }
}

/// The most bytes of a file in one message.
fn piece_of(limit: usize) -> usize {
    limit.clamp(1, MOST_PIECE)
}

/// What is there of an upload, and no more of it than fits a message.
fn next_piece(pieces: &mut VecDeque<Bytes>, most: usize) -> Option<Bytes> {
    match pieces.front_mut() {
        Some(front) if front.len() > most => Some(front.split_to(most)),
        _ => pieces.pop_front(),
    }
}

/// What a form is read into.
fn shape<'a>(method: &'a Method, body_field: Option<&'a Field>, limit: usize) -> Shape<'a> {
    let (messages, input) = (&*method.messages, method.input);
    let raw = is_http_body(messages, input, body_field);
    Shape { messages, input, body_field, raw, streaming: method.client_streaming, limit, piece: piece_of(limit) }
}
