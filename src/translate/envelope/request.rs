//! A request on its way into the envelope. Its body goes on in the pieces that it comes in.

use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Version, header};

use super::Arrival;
use super::message::{RequestHead, framed_trailers, piece_prefix};
use crate::model::Fault;
use crate::translate::middle::{RequestStep, RequestTranslator};
use crate::wire::{Spelling, drop_underscored};

/// The most bytes of a body in one message. Every gRPC library takes it, and few messages a megabyte suffice.
const PIECE: usize = 64 * 1024;

/// Pieces up to this are copied behind their prefix; a frame of their own would cost more.
pub(super) const COPY: usize = 2 * 1024;

/// One request.
///
/// ```text
/// head ─▶ (prefix, piece)* ──trailers?──▶ trailers ──finish──▶ End
/// ```
#[derive(Debug)]
pub(crate) struct EnvelopeRequest {
    /// Prefixes, pieces and whole messages.
    ready: VecDeque<Bytes>,
    /// Of the body, not yet put into messages.
    pieces: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    finished: bool,
}

impl EnvelopeRequest {
    pub(crate) fn new(head: &Parts, arrival: &Arrival<'_>) -> EnvelopeRequest {
        let ready = VecDeque::from([head_message(head, arrival)]);
        EnvelopeRequest { ready, pieces: VecDeque::new(), trailers: None, finished: arrival.bodiless }
    }

    /// Puts the next piece into a message.
    fn wrap(&mut self) -> Option<Bytes> {
        let mut piece = self.pieces.pop_front()?;
        if piece.len() > PIECE {
            self.pieces.push_front(piece.split_off(PIECE));
        }
        let mut prefix = piece_prefix(piece.len());
        if piece.len() <= COPY {
            prefix.extend_from_slice(&piece);
        } else {
            self.ready.push_back(piece);
        }
        Some(prefix.into())
    }
}

impl RequestTranslator for EnvelopeRequest {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.pieces.push_back(chunk);
        }
    }

    fn trailers(&mut self, trailers: HeaderMap) {
        self.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let Some(ready) = self.ready.pop_front() {
            return Ok(RequestStep::Frame(ready));
        }
        if let Some(prefix) = self.wrap() {
            return Ok(RequestStep::Frame(prefix));
        }
        if let Some(trailers) = self.trailers.take() {
            return Ok(RequestStep::Frame(framed_trailers(&trailers)));
        }
        Ok(if self.finished { RequestStep::End } else { RequestStep::NeedInput })
    }

    fn is_end(&self) -> bool {
        self.finished && self.ready.is_empty() && self.pieces.is_empty() && self.trailers.is_none()
    }
}

fn head_message(head: &Parts, arrival: &Arrival<'_>) -> Bytes {
    let spelling = arrival.raw_head.as_ref().map(Spelling::of_request).unwrap_or_default();
    let mut headers = head.headers.clone();
    arrival.forwarding.apply(&mut headers);
    if head.version != Version::HTTP_2 {
        drop_underscored(&mut headers);
    }
    if let Some(length) = arrival.length
        && (length > 0 || spelling.names(&header::CONTENT_LENGTH) || has_content(&head.method))
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let peer = arrival.peer;
    RequestHead {
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        scheme: arrival.forwarding.scheme(),
        authority: headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default(),
        version: version(head.version),
        address: peer.map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default(),
        port: peer.map_or(0, |peer| peer.port()),
        listener: arrival.listener,
    }
    .framed(spelling.fields(&headers))
}

/// Whether no content is a content of nothing with this method: old applications insist on a length then (RFC 9110 §8.6).
fn has_content(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
