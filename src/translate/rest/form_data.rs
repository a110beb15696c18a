//! A form with files on its way to gRPC. Its fields are bound as query parameters are, and a file becomes a `bytes` field or a
//! `google.api.HttpBody`. For one message all of it is gathered; for a stream, the file's content goes on piece by piece behind the
//! fields that stand before it, so that a file of any size needs no more memory than a piece.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::protobuf::{put_len, put_message};
use super::bound::{Fields, excerpt, resolve};
use super::http_body;
use super::multipart::{Event, Multipart, PartHead};
use super::request::room;
use crate::model::{Fault, Kind, Stage};
use crate::schema::{Cardinality, Field, FieldKind, MessageId, Messages, WellKnown};

/// What stands around the bytes of a file in its message: tags, lengths, a content type.
const FRAMING: usize = 128;

/// What a part costs beside its bytes.
const PART_COST: usize = 64;

/// Where the form goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) messages: &'a Messages,
    pub(super) input: MessageId,
    /// The field of the input that the body fills, if not all of it.
    pub(super) body_field: Option<&'a Field>,
    /// The body is a `google.api.HttpBody`: the file, and fields for the rest of the input.
    pub(super) raw: bool,
    pub(super) streaming: bool,
    /// The most bytes of fields.
    pub(super) limit: usize,
    /// The most bytes of a file in one message of a stream.
    pub(super) piece: usize,
}

/// A form as it arrives.
///
/// ```text
/// Between ──a field──▶ Field ──its end──▶ Between ──the form's end──▶ one message ──▶ Done
///    └──a file, in a stream──▶ File ──each piece──▶ a message ──its end──▶ Sent ──the form's end──▶ Done
/// ```
#[derive(Debug)]
pub(super) struct FormData {
    parser: Multipart,
    /// Gathered, with their content.
    parts: Vec<(PartHead, Vec<u8>)>,
    size: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Between,
    Field,
    /// `told`: a message has been given.
    File {
        head: PartHead,
        told: bool,
        pieces: VecDeque<Bytes>,
    },
    Sent,
    Done,
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    NeedInput,
    /// Behind room for a prefix.
    Message(Vec<u8>),
    End,
}

impl FormData {
    pub(super) fn new(boundary: &str) -> FormData {
        FormData { parser: Multipart::new(boundary), parts: Vec::new(), size: 0, state: State::Between }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.parser.push(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.parser.finish();
    }

    /// Goes on as far as one message.
    ///
    /// # Errors
    /// The form is broken, its fields do not fit the message, or are over the limit.
    pub(super) fn step(&mut self, shape: &Shape<'_>) -> Result<Step, Fault> {
        loop {
            if let State::File { head, told, pieces } = &mut self.state
                && let Some(piece) = pieces.pop_front()
            {
                let head = head.clone();
                let first = !std::mem::replace(told, true);
                return self.piece(shape, head, &piece, first);
            }
            if matches!(self.state, State::Done) {
                return Ok(Step::End);
            }
            let event = self.parser.next_event().map_err(|wrong| refused(wrong.into_owned()))?;
            match (event, std::mem::replace(&mut self.state, State::Between)) {
                (None, state) => {
                    self.state = state;
                    return Ok(Step::NeedInput);
                }
                (Some(Event::Part(head)), State::Sent) => {
                    let told = "the file comes last in a form that is streamed";
                    return Err(of_part(&head.name, told));
                }
                (Some(Event::Part(head)), _) if shape.streaming && shape.is_content(&head) => {
                    self.state = State::File { head, told: false, pieces: VecDeque::new() };
                }
                (Some(Event::Part(head)), _) => {
                    self.grow(head.cost(), shape.limit)?;
                    self.parts.push((head, Vec::new()));
                    self.state = State::Field;
                }
                (Some(Event::Data(mut data)), State::File { head, told, mut pieces }) => {
                    while data.len() > shape.piece {
                        pieces.push_back(data.split_to(shape.piece));
                    }
                    pieces.push_back(data);
                    self.state = State::File { head, told, pieces };
                }
                (Some(Event::Data(data)), state) => {
                    self.grow(data.len(), shape.limit)?;
                    if let Some((_, content)) = self.parts.last_mut() {
                        content.extend_from_slice(&data);
                    }
                    self.state = state;
                }
                (Some(Event::PartEnd), State::File { head, told, .. }) => {
                    self.state = State::Sent;
                    // An empty file is one empty message: its content type is worth telling.
                    if !told {
                        return self.piece(shape, head, &[], true);
                    }
                }
                (Some(Event::PartEnd), _) => {}
                (Some(Event::End), State::Sent) => self.state = State::Done,
                (Some(Event::End), _) => {
                    self.state = State::Done;
                    return self.message(shape, None).map(Step::Message);
                }
            }
        }
    }

    /// Bounds what is gathered.
    fn grow(&mut self, more: usize, limit: usize) -> Result<(), Fault> {
        self.size = self.size.saturating_add(more);
        if self.size <= limit {
            return Ok(());
        }
        let told = format!("the fields of the form are over the limit of {limit} bytes");
        Err(Fault::new(Kind::BodyTooLarge, Stage::RequestBody, told))
    }

    /// A message of a stream: with its first piece a file tells its type, and the fields before it are filled.
    fn piece(&mut self, shape: &Shape<'_>, mut head: PartHead, piece: &[u8], first: bool) -> Result<Step, Fault> {
        if !first {
            head.content_type.clear();
            // Its content type alone may have made it a file, which it still is.
            head.file_name.get_or_insert_with(|| "unnamed".to_owned());
        }
        self.message(shape, Some((&head, piece))).map(Step::Message)
    }

    /// One message of all parts, which are let go, and of `last`, whose bytes are copied once, into the message.
    fn message(&mut self, shape: &Shape<'_>, last: Option<(&PartHead, &[u8])>) -> Result<Vec<u8>, Fault> {
        self.size = 0;
        let parts = std::mem::take(&mut self.parts);
        let parts = parts.iter().map(|(head, content)| (head, content.as_slice())).chain(last);
        let mut fields = Fields::default();
        let mut out = room(last.map_or(0, |(_, bytes)| bytes.len() + FRAMING));
        let mut content = None;
        for (head, bytes) in parts.filter(|(head, bytes)| !(unchosen(head) && bytes.is_empty())) {
            if shape.raw && shape.is_content(head) {
                if content.replace((head, bytes)).is_some() {
                    return Err(of_part(&head.name, "the body is one file, and this is another"));
                }
                continue;
            }
            shape.put(&mut fields, head, bytes).map_err(|why| of_part(&head.name, &why))?;
        }
        match shape.body_field {
            Some(field) if !shape.raw => put_message(&mut out, field.number, field.delimited, &fields.into_bytes()),
            _ => fields.append_to(&mut out),
        }
        if let Some((head, bytes)) = content {
            http_body::put(&mut out, shape.body_field, head.content_type.as_bytes(), bytes);
        }
        Ok(out)
    }
}

impl<'a> Shape<'a> {
    /// Whether a part is the content of the body, which a stream carries piece by piece.
    fn is_content(&self, head: &PartHead) -> bool {
        if unchosen(head) {
            return false;
        }
        if self.raw {
            let named = |field: &Field| *field.name == head.name || *field.json_name == head.name;
            return is_file(head) || self.body_field.is_some_and(named);
        }
        let steps = self.resolve(&head.name).unwrap_or_default();
        steps.last().is_some_and(|field| self.is_http_body(field) || (field.kind == FieldKind::Bytes && is_file(head)))
    }

    fn is_http_body(&self, field: &Field) -> bool {
        let whole = !matches!(field.cardinality, Cardinality::Map { .. });
        whole && self.messages.well_known(field.kind) == Some(WellKnown::HttpBody)
    }

    fn resolve(&self, name: &str) -> Result<Vec<&'a Field>, String> {
        let root = match self.body_field.map(|field| field.kind) {
            Some(FieldKind::Message(id)) if !self.raw => id,
            _ => self.input,
        };
        let is_file = || "the body is a file, and has no fields".to_owned();
        if self.raw && self.body_field.is_none() {
            return Err(is_file());
        }
        let steps = resolve(self.messages, root, name)?;
        let within = |body: &Field| steps.first().is_some_and(|first| first.number == body.number);
        if self.raw && self.body_field.is_some_and(within) { Err(is_file()) } else { Ok(steps) }
    }

    fn put(&self, fields: &mut Fields<'a>, head: &PartHead, content: &[u8]) -> Result<(), String> {
        let steps = self.resolve(&head.name)?;
        match steps.last() {
            Some(field) if self.is_http_body(field) => fields.put_with(&steps, |field, out| {
                http_body::put(out, Some(field), head.content_type.as_bytes(), content);
                Ok(())
            }),
            Some(field)
                if field.kind == FieldKind::Bytes
                    && is_file(head)
                    && !matches!(field.cardinality, Cardinality::Map { .. }) =>
            {
                fields.put_with(&steps, |field, out| {
                    put_len(out, field.number, content);
                    Ok(())
                })
            }
            _ => {
                let text = std::str::from_utf8(content).map_err(|_| "its content is not UTF-8")?;
                fields.put(self.messages, &steps, text)
            }
        }
    }
}

impl PartHead {
    /// What is kept for it.
    fn cost(&self) -> usize {
        PART_COST + self.name.len() + self.content_type.len() + self.file_name.as_ref().map_or(0, String::len)
    }
}

/// RFC 7578 §4.2 and §4.4: a part with a file's name, or with a type that is no text.
fn is_file(head: &PartHead) -> bool {
    let kind = head.content_type.split('/').next().unwrap_or_default().trim();
    head.file_name.is_some() || !(kind.is_empty() || kind.eq_ignore_ascii_case("text"))
}

/// What a browser sends for the field of a file when there is none.
fn unchosen(head: &PartHead) -> bool {
    head.file_name.as_deref() == Some("")
}

fn of_part(name: &str, why: &str) -> Fault {
    refused(format!("form field `{}`: {why}", excerpt(name)))
}

fn refused(message: String) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::RequestBody, message)
}
