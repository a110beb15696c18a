//! How tests speak with translators: a request or a reply is given in pieces of any sizes, and what comes of it is one value that can
//! be compared. Only what no translator may do is asserted here.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::frame::frame_header;
use super::middle::{Farewell, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};
use crate::model::{Fault, Kind, Stage};

/// Header fields or trailers.
pub(super) type Fields<'f> = &'f [(&'f str, &'f str)];

pub(super) fn map(fields: Fields<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

/// Messages as they stand in a gRPC stream.
pub(super) fn framed(messages: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let messages = messages.iter().map(AsRef::as_ref);
    messages.flat_map(|message| [&frame_header(u32::try_from(message.len()).unwrap()), message].concat()).collect()
}

/// In pieces of those sizes, in turn.
pub(super) fn pieces<'b>(bytes: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let (mut rest, mut sizes, mut pieces) = (bytes, sizes.iter().cycle(), Vec::new());
    while !rest.is_empty() {
        let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        pieces.push(now);
        rest = later;
    }
    pieces
}

/// What a request came to: the bytes that go on, or the fault.
pub(super) fn sent(mut request: impl RequestTranslator, body: &[u8], sizes: &[usize]) -> Result<Vec<u8>, Fault> {
    let mut sent = Vec::new();
    for piece in pieces(body, sizes) {
        request.push(Bytes::copy_from_slice(piece));
        while let RequestStep::Frame(bytes) = request.step()? {
            sent.extend_from_slice(&bytes);
        }
    }
    request.finish();
    loop {
        match request.step()? {
            RequestStep::Frame(bytes) => sent.extend_from_slice(&bytes),
            RequestStep::End => break,
            RequestStep::NeedInput => panic!("it has all of it"),
        }
    }
    assert!(request.is_end());
    Ok(sent)
}

/// What a caller is told: the head, the body, and how a stop was taken.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    pub(super) head: Option<(StatusCode, HeaderMap)>,
    pub(super) body: Vec<u8>,
    pub(super) end: Result<(), (Kind, Farewell)>,
}

/// Runs a reply to its end, or to the fault that `trailers` brings instead of one.
pub(super) fn told(
    mut reply: impl ReplyTranslator,
    head: (StatusCode, HeaderMap),
    body: &[u8],
    sizes: &[usize],
    trailers: Result<Option<HeaderMap>, Kind>,
) -> Told {
    let mut told = Told { head: None, body: Vec::new(), end: Ok(()) };
    let steps = |reply: &mut dyn ReplyTranslator, told: &mut Told| loop {
        match reply.step() {
            Ok(ReplyStep::Head(head)) => {
                assert!(told.head.is_none() && told.body.is_empty());
                let (parts, ()) = head.into_parts();
                told.head = Some((parts.status, parts.headers));
            }
            Ok(ReplyStep::Data(data)) => told.body.extend_from_slice(&data),
            Ok(ReplyStep::NeedInput) => return Some(false),
            Ok(ReplyStep::End) => return Some(true),
            Err(fault) => {
                told.end = Err((fault.kind, reply.farewell(&fault)));
                return None;
            }
        }
    };
    reply.head(head.0, head.1);
    for piece in pieces(body, sizes) {
        reply.push(Bytes::copy_from_slice(piece));
        if steps(&mut reply, &mut told).is_none() {
            return told;
        }
    }
    match trailers {
        Ok(trailers) => {
            reply.finish(trailers);
            if let Some(ended) = steps(&mut reply, &mut told) {
                assert!(ended, "it has all of it");
            }
        }
        Err(kind) => {
            steps(&mut reply, &mut told);
            told.end = Err((kind, reply.farewell(&Fault::new(kind, Stage::ReplyBody, "cut"))));
        }
    }
    told
}
