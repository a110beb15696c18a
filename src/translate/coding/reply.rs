//! An answer that goes out in a content coding, around whatever translator made it. Leans towards leaving it as it is: what is short,
//! what is no text, what the servlet coded itself, and what would grow.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::encoder::{Effort, Encoder};
use super::{Accepted, Coding, CodingError, tokens};
use crate::model::{Fault, Kind, Stage};
use crate::translate::metadata::vary;
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::status::Status;

/// What a servlet's file says about answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Shorter answers go as they are, when their length is known.
    pub min_size: u64,
    pub effort: Effort,
}

/// What was agreed about one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCoding {
    accepted: Accepted,
    compression: Compression,
}

impl ReplyCoding {
    /// By the head of the request.
    pub fn agreed(compression: Compression, request: &HeaderMap) -> ReplyCoding {
        ReplyCoding { accepted: Accepted::of(request), compression }
    }

    /// Puts the coding around an answer.
    pub fn around(self, inner: Box<dyn ReplyTranslator>) -> Box<dyn ReplyTranslator> {
        Box::new(EncodedReply { inner, agreed: self, state: State::Open })
    }
}

/// An answer behind an encoder.
///
/// ```text
///         ┌──nothing to gain──────────▶ Plain: all as it comes
/// Open ───┼──its length is known──────▶ Whole: Head, Data, End
///  Head   └──a stream─────────────────▶ Encoding: Head, Data … ──End──▶ Data(last) ─▶ Ended
/// ```
#[derive(Debug)]
struct EncodedReply {
    inner: Box<dyn ReplyTranslator>,
    agreed: ReplyCoding,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    Plain,
    Whole(Bytes),
    Encoding(Box<Encoder>),
    Ended,
}

impl EncodedReply {
    fn begin(&mut self, mut head: Response<()>) -> Result<ReplyStep, Fault> {
        self.state = State::Plain;
        if !may_be_coded(&head) {
            return Ok(ReplyStep::Head(head));
        }
        // Also where it is left as it is.
        vary(head.headers_mut(), "Accept-Encoding");
        let Some(coding) = self.agreed.accepted.coding else { return Ok(ReplyStep::Head(head)) };
        let promised: Option<u64> =
            head.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match promised {
            Some(0) => return Ok(ReplyStep::Head(head)),
            Some(len) if len < self.agreed.compression.min_size && !self.agreed.accepted.required => {
                return Ok(ReplyStep::Head(head));
            }
            Some(_) => {
                // An answer whose head tells its length is there.
                let plain = self.inner.gather()?.into_bytes();
                let mut encoder = self.encoder(coding, Some(plain.len()))?;
                let coded = encoder.finish(&plain).map_err(defect)?;
                if coded.len() >= plain.len() && !self.agreed.accepted.required {
                    self.state = State::Whole(plain);
                    return Ok(ReplyStep::Head(head));
                }
                head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(coded.len()));
                self.state = State::Whole(coded);
            }
            None => self.state = State::Encoding(Box::new(self.encoder(coding, None)?)),
        }
        mark(head.headers_mut(), coding);
        Ok(ReplyStep::Head(head))
    }

    fn encoder(&self, coding: Coding, len: Option<usize>) -> Result<Encoder, Fault> {
        Encoder::new(coding, self.agreed.compression.effort, len).map_err(defect)
    }
}

impl ReplyTranslator for EncodedReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        self.inner.head(status, headers);
    }

    fn push(&mut self, chunk: Bytes) {
        self.inner.push(chunk);
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.inner.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        loop {
            let encoder = match &mut self.state {
                State::Open => match self.inner.step()? {
                    ReplyStep::Head(head) => return self.begin(head),
                    step => return Ok(step),
                },
                State::Plain => return self.inner.step(),
                State::Whole(data) => {
                    let data = std::mem::take(data);
                    self.state = State::Ended;
                    return Ok(ReplyStep::Data(data));
                }
                State::Ended => return Ok(ReplyStep::End),
                State::Encoding(encoder) => encoder,
            };
            match self.inner.step()? {
                ReplyStep::Data(data) => {
                    let coded = encoder.encode(&data).map_err(defect)?;
                    if !coded.is_empty() {
                        return Ok(ReplyStep::Data(coded));
                    }
                }
                ReplyStep::End => {
                    let last = encoder.finish(&[]).map_err(defect)?;
                    self.state = State::Ended;
                    return Ok(ReplyStep::Data(last));
                }
                step @ (ReplyStep::Head(_) | ReplyStep::NeedInput) => return Ok(step),
            }
        }
    }

    fn status(&self) -> Option<&Status> {
        self.inner.status()
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        self.inner.trailers()
    }

    fn promised(&self) -> Option<u64> {
        match self.state {
            State::Open | State::Plain => self.inner.promised(),
            // Of the bytes as they were.
            State::Whole(_) | State::Encoding(_) | State::Ended => None,
        }
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        let farewell = self.inner.farewell(fault);
        let State::Encoding(encoder) = &mut self.state else { return farewell };
        match farewell {
            Farewell::End(words) => match encoder.finish(&words) {
                Ok(words) => Farewell::End(words),
                Err(_) => Farewell::Break(Bytes::new()),
            },
            Farewell::Break(words) if words.is_empty() => Farewell::Break(words),
            // Without the coding's own end: it is no more whole than it is uncoded.
            Farewell::Break(words) => Farewell::Break(encoder.encode(&words).unwrap_or_default()),
        }
    }
}

fn defect(error: CodingError) -> Fault {
    Fault::new(Kind::Internal, Stage::ReplyBody, error.to_string())
}

/// Whether an answer is of a kind that is worth it, and free to be changed on its way (RFC 9110 §7.7).
fn may_be_coded(head: &Response<()>) -> bool {
    let status = head.status();
    if !status.is_success() || matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT) {
        return false;
    }
    // One pass over the fields, which are few.
    let mut content_type = None;
    for (name, value) in head.headers() {
        match name.as_str() {
            "content-encoding" | "repr-digest" | "content-digest" => return false,
            "cache-control" if forbids_change(value) => return false,
            "content-type" => content_type = content_type.or(Some(value)),
            _ => {}
        }
    }
    content_type.is_some_and(|value| is_text(value.as_bytes()))
}

fn forbids_change(cache_control: &HeaderValue) -> bool {
    tokens(cache_control).any(|word| word.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether a content type is one that compresses well. Images, archives and video are compressed already.
fn is_text(content_type: &[u8]) -> bool {
    if content_type == b"application/json" {
        return true;
    }
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let Ok(essence) = std::str::from_utf8(essence) else { return false };
    let essence = essence.to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    let known = matches!(
        subtype,
        "json"
            | "x-ndjson"
            | "ndjson"
            | "jsonl"
            | "x-jsonlines"
            | "proto"
            | "protobuf"
            | "x-protobuf"
            | "xml"
            | "javascript"
            | "x-javascript"
            | "yaml"
            | "wasm"
    );
    kind == "text" || (kind == "application" && known) || subtype.ends_with("+json") || subtype.ends_with("+xml")
}

/// Tells the coding, and what of the servlet's own words is no longer so.
fn mark(fields: &mut HeaderMap, coding: Coding) {
    fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    // Ranges would be of the bytes as they were.
    fields.remove(header::ACCEPT_RANGES);
    // A strong validator is of these bytes; what it stands for is still the same (RFC 9110 §8.8.1).
    if let Some(tag) = fields.get(header::ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        fields.insert(header::ETAG, weak);
    }
}
