//! What a request's body is, and how it is read: decided by the rule and the method, then by the content type.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, header};

use super::super::json::ArrayItems;
use super::form_data::FormData;
use super::lines::Lines;
use super::media::{self, Media, Wanted};
use super::{RestPlan, is_http_body};
use crate::model::{Fault, Kind, Pieces, Stage};
use crate::schema::{BodyRule, Cardinality, Field, FieldKind};

/// A body on its way in.
#[derive(Debug)]
pub(super) enum Input {
    /// No body: the message is made of path and query.
    Nothing,
    /// One value, read when it is whole.
    Whole(Pieces, Written),
    /// A JSON array of messages.
    Items(ArrayItems),
    /// A message in JSON a line.
    Lines(Lines),
    /// A form with files.
    FormData(FormData),
    /// Raw bytes for a stream of `HttpBody`, and their content type.
    Raw(VecDeque<Bytes>, Vec<u8>),
    Ended,
}

/// What one value is written in.
#[derive(Debug)]
pub(super) enum Written {
    Json,
    Urlencoded,
    Protobuf,
    /// Raw bytes for one `HttpBody`, of this content type.
    Raw(Vec<u8>),
}

impl Input {
    /// The input, and why the first byte of a body would be refused.
    ///
    /// # Errors
    /// `InvalidRequest`: a content type that cannot be passed on.
    pub(super) fn open(
        plan: &RestPlan,
        body_field: Option<&Field>,
        headers: &HeaderMap,
    ) -> Result<(Input, Option<Fault>), Fault> {
        if plan.binding.body == BodyRule::None {
            return Ok((Input::Nothing, None));
        }
        let streaming = plan.method.client_streaming;
        if is_http_body(plan.messages(), plan.method.input, body_field) {
            return Input::open_raw(headers, streaming);
        }
        let message = match body_field {
            None => true,
            Some(field) => {
                matches!((field.cardinality, field.kind), (Cardinality::Singular { .. }, FieldKind::Message(_)))
            }
        };
        let whole = |written| Input::Whole(Pieces::default(), written);
        let (media, refusal) = match media::media(headers, Wanted { streaming, message }) {
            Ok(media) => (media, None),
            Err(refusal) => (Media::Json, Some(refusal)),
        };
        let input = match media {
            Media::Json if streaming => Input::Items(ArrayItems::new(plan.message_limit)),
            Media::Json => whole(Written::Json),
            Media::Lines => Input::Lines(Lines::new(plan.message_limit)),
            Media::Urlencoded => whole(Written::Urlencoded),
            Media::Multipart(boundary) => Input::FormData(FormData::new(&boundary)),
            Media::Protobuf => whole(Written::Protobuf),
        };
        Ok((input, refusal))
    }

    fn open_raw(headers: &HeaderMap, streaming: bool) -> Result<(Input, Option<Fault>), Fault> {
        let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
        let content_type = content_type.unwrap_or_default();
        if std::str::from_utf8(&content_type).is_err() {
            return Err(Fault::new(Kind::InvalidRequest, Stage::Plan, "the Content-Type is not UTF-8"));
        }
        Ok(match media::raw_form(headers) {
            Ok(Some(boundary)) => (Input::FormData(FormData::new(&boundary)), None),
            Err(wrong) => (Input::FormData(FormData::new("")), Some(wrong)),
            Ok(None) if streaming => (Input::Raw(VecDeque::new(), content_type), None),
            Ok(None) => (Input::Whole(Pieces::default(), Written::Raw(content_type)), None),
        })
    }

    /// More of the body.
    ///
    /// # Errors
    /// There is to be none.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), Cow<'static, str>> {
        match self {
            Input::Nothing if chunk.iter().all(u8::is_ascii_whitespace) => {}
            Input::Nothing => return Err("this request has a body, and its route takes none".into()),
            Input::Whole(gathered, _) => gathered.push_to_hold(chunk),
            Input::Items(items) => items.push(&chunk),
            Input::Lines(lines) => lines.push(&chunk),
            Input::FormData(form) => form.push(&chunk),
            Input::Raw(pieces, _) => pieces.push_back(chunk),
            Input::Ended => {}
        }
        Ok(())
    }

    /// The body has ended.
    pub(super) fn finish(&mut self) {
        match self {
            Input::Items(items) => items.finish(),
            Input::Lines(lines) => lines.finish(),
            Input::FormData(form) => form.finish(),
            Input::Nothing | Input::Whole(..) | Input::Raw(..) | Input::Ended => {}
        }
    }
}
