//! A REST request on its way to gRPC. A unary body is gathered whole, because JSON has no end before its end; a streaming one goes
//! on item by item. Path and query go into the first message of a stream alone, as in Envoy.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, header};

use super::super::frame::{HEADER_LEN, frame_header};
use super::super::json::{ArrayItems, JsonError, ReadOptions, field_to_wire, to_wire};
use super::super::middle::{RequestStep, RequestTranslator};
use super::bound::Bound;
use super::{RestPlan, http_body, is_http_body, media};
use crate::model::{Fault, Kind, Stage};
use crate::schema::{BodyRule, Cardinality, Field, FieldKind, Method};

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
    // Why the first byte of a body would be refused.
    refusal: Option<Fault>,
    failed: Option<Fault>,
    input: Input,
}

#[derive(Debug)]
enum Input {
    /// No body: the message is made of path and query.
    Nothing,
    /// One JSON value.
    Json(Gathered),
    /// A JSON array of messages.
    Items(ArrayItems),
    /// Raw bytes for one `HttpBody`.
    Raw(Gathered, Vec<u8>),
    /// Raw bytes for a stream of them.
    Pieces(VecDeque<Bytes>, Vec<u8>),
    Ended,
}

impl RestRequest {
    /// `captures`: the path's value for each variable of the binding's template, decoded. `query`: what follows the question mark.
    ///
    /// # Errors
    /// `InvalidRequest` for a capture or a parameter that does not fit.
    pub(crate) fn new(
        plan: &RestPlan,
        captures: &[Cow<'_, str>],
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<RestRequest, Fault> {
        let bound = Bound::new(plan, captures, query)?;
        let (method, messages) = (&plan.method, plan.messages());
        let body_field = match &plan.binding.body {
            BodyRule::None | BodyRule::Whole => None,
            BodyRule::Field(path) => path.target(messages).cloned(),
        };
        let raw = is_http_body(messages, method.input, body_field.as_ref());
        let (input, refusal) = match (&plan.binding.body, raw, method.client_streaming) {
            (BodyRule::None, _, _) => (Input::Nothing, None),
            (_, false, false) => (Input::Json(Gathered::default()), media::check_json(headers).err()),
            (_, false, true) => (Input::Items(ArrayItems::new(plan.message_limit)), media::check_json(headers).err()),
            (_, true, streaming) => {
                let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
                let content_type = content_type.unwrap_or_default();
                if std::str::from_utf8(&content_type).is_err() {
                    return Err(Fault::new(Kind::InvalidRequest, Stage::Plan, "the Content-Type is not UTF-8"));
                }
                let input = if streaming {
                    Input::Pieces(VecDeque::new(), content_type)
                } else {
                    Input::Raw(Gathered::default(), content_type)
                };
                (input, media::check_coding(headers).err())
            }
        };
        let method = method.clone();
        let limit = plan.message_limit;
        Ok(RestRequest { method, body_field, limit, bound, first: true, finished: false, refusal, failed: None, input })
    }

    fn too_large(&self) -> Fault {
        refused(Kind::BodyTooLarge, format!("the body is over the limit of {} bytes", self.limit))
    }

    /// Ends it, and lets go of what was gathered.
    fn fail(&mut self, fault: Fault) {
        self.failed = Some(fault);
        self.input = Input::Ended;
    }

    fn advance(&mut self) -> Result<RequestStep, Fault> {
        let frame = match &mut self.input {
            Input::Ended => return Ok(RequestStep::End),
            Input::Items(items) => match items.next_item() {
                Ok(Some(item)) => self.message(&item),
                Ok(None) => return Ok(self.starved()),
                Err(_) if items.is_over_limit() => {
                    let message = format!("an item of the body is over the limit of {} bytes", self.limit);
                    Err(refused(Kind::BodyTooLarge, message))
                }
                Err(error) => Err(not_json(&error)),
            },
            Input::Pieces(pieces, content_type) => {
                let most = self.limit.clamp(1, MOST_PIECE);
                let piece = match pieces.front_mut() {
                    Some(front) if front.len() > most => front.split_to(most),
                    Some(_) => pieces.pop_front().unwrap_or_default(),
                    // An empty upload is one empty message: its content type is worth telling.
                    None if self.finished && self.first => Bytes::new(),
                    None => return Ok(self.starved()),
                };
                let content_type = std::mem::take(content_type);
                self.raw(&content_type, &piece)
            }
            Input::Nothing | Input::Json(_) | Input::Raw(..) if !self.finished => return Ok(RequestStep::NeedInput),
            Input::Nothing => {
                self.input = Input::Ended;
                self.frame(room(0))
            }
            Input::Json(gathered) => {
                let gathered = std::mem::take(gathered);
                self.input = Input::Ended;
                self.message(gathered.as_slice())
            }
            Input::Raw(gathered, content_type) => {
                let (gathered, content_type) = (std::mem::take(gathered), std::mem::take(content_type));
                self.input = Input::Ended;
                self.raw(&content_type, gathered.as_slice())
            }
        };
        frame.map(RequestStep::Frame)
    }

    /// A stream has no message ready.
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
        // `[0,0,…]` is four times as long as doubles: the limit is the servlet's own, so it is held here too.
        if out.len() - HEADER_LEN > self.limit {
            let told = format!("the message is over the limit of {} bytes", self.limit);
            return Err(refused(Kind::BodyTooLarge, told));
        }
        self.frame(out)
    }

    fn raw(&mut self, content_type: &[u8], data: &[u8]) -> Result<Bytes, Fault> {
        let mut out = room(data.len() + content_type.len() + 32);
        http_body::put(&mut out, self.body_field.as_ref(), content_type, data);
        self.frame(out)
    }

    /// Adds path and query to the first message, and the prefix to every one.
    fn frame(&mut self, mut out: Vec<u8>) -> Result<Bytes, Fault> {
        if std::mem::take(&mut self.first) {
            std::mem::take(&mut self.bound).apply(&mut out, HEADER_LEN);
        }
        let len = u32::try_from(out.len() - HEADER_LEN)
            .map_err(|_| refused(Kind::BodyTooLarge, "the message is over gRPC's limit of 4 GiB"))?;
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
        } else if matches!(self.input, Input::Json(_) | Input::Raw(..)) && len > self.limit as u64 {
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
        match &mut self.input {
            Input::Nothing if chunk.iter().all(u8::is_ascii_whitespace) => {}
            Input::Nothing => {
                let message = "this request has a body, and its route takes none";
                self.fail(refused(Kind::InvalidRequest, message));
            }
            Input::Json(gathered) | Input::Raw(gathered, _) if gathered.len() + chunk.len() > self.limit => {
                self.fail(self.too_large());
            }
            Input::Json(gathered) | Input::Raw(gathered, _) => gathered.push(chunk),
            Input::Items(items) => items.push(&chunk),
            Input::Pieces(pieces, _) => pieces.push_back(chunk),
            Input::Ended => {}
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        if let Input::Items(items) = &mut self.input {
            items.finish();
        }
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
        matches!(self.input, Input::Ended) && self.failed.is_none()
    }
}

/// A buffer with room for the prefix, and about as much message.
fn room(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + len);
    out.extend_from_slice(&frame_header(0));
    out
}

fn refused(kind: Kind, message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(kind, Stage::RequestBody, message)
}

fn not_json(error: &JsonError) -> Fault {
    refused(Kind::InvalidRequest, format!("the body does not fit: {error}"))
}

/// Bytes put together; not copied when they come in one piece, as most bodies do.
#[derive(Debug, Default)]
struct Gathered {
    one: Bytes,
    many: Vec<u8>,
}

impl Gathered {
    fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.one = chunk;
            return;
        }
        self.many.extend_from_slice(&self.one);
        self.one.advance(self.one.len());
        self.many.extend_from_slice(&chunk);
    }

    fn as_slice(&self) -> &[u8] {
        if self.many.is_empty() { &self.one } else { &self.many }
    }
}
