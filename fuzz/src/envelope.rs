//! Whole exchanges inside gRPC: an answer is the same for any split of its messages, HTTP has room for what is told of it, and a body
//! is as long as its head promised, or broken off; a request's body comes out as it went in.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use telamon::model::Kind;
use telamon::translate::{
    Arrival, EnvelopePlan, FrameDecoder, ReplyStep, ReplyTranslator, RequestStep, Translation, frame_header,
};
use telamon::wire::Forwarding;

use super::draw::pieces;

/// Small enough that short inputs meet it.
const LIMIT: usize = 200;

#[derive(Debug, Default, PartialEq)]
struct Told {
    head: Option<(StatusCode, HeaderMap)>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    whole: bool,
    fault: Option<Kind>,
}

fn told<'a>(plan: &Translation, parts: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut reply = plan.reply();
    let mut told = Told::default();
    reply.head(StatusCode::OK, fields("content-type", "application/grpc"));
    for part in parts {
        reply.push(Bytes::copy_from_slice(part));
        if !steps(&mut *reply, &mut told) {
            return told;
        }
    }
    reply.finish(Some(fields("grpc-status", "0")));
    assert!(!steps(&mut *reply, &mut told), "an answer has an end");
    told
}

/// Whether more input would help.
fn steps(reply: &mut dyn ReplyTranslator, told: &mut Told) -> bool {
    loop {
        match reply.step() {
            Ok(ReplyStep::NeedInput) => return true,
            Ok(ReplyStep::Head(head)) => {
                assert!(told.head.is_none(), "one head");
                let (parts, ()) = head.into_parts();
                told.head = Some((parts.status, parts.headers));
            }
            Ok(ReplyStep::Data(data)) => {
                assert!(told.head.is_some(), "a head is first");
                told.body.extend_from_slice(&data);
            }
            Ok(ReplyStep::End) => {
                told.trailers = reply.trailers();
                told.whole = true;
                return false;
            }
            Err(fault) => {
                told.fault = Some(fault.kind);
                return false;
            }
        }
    }
}

fn fields(name: &'static str, value: &'static str) -> HeaderMap {
    [(name.parse().expect("a name"), HeaderValue::from_static(value))].into_iter().collect()
}

/// The messages of a request with this body.
fn asked<'a>(plan: &Translation, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
    let head = Request::put("/x").header("host", "a").body(()).expect("it is a request").into_parts().0;
    let forwarding = Forwarding::new(None, "http", false);
    let arrival =
        Arrival { raw_head: None, peer: None, listener: "in", forwarding: &forwarding, length: None, bodiless: false };
    let mut request = plan.request(&head, &arrival).expect("every head fits");
    let mut decoder = FrameDecoder::new(usize::MAX);
    for part in parts {
        request.push(Bytes::copy_from_slice(part));
        while let RequestStep::Frame(frame) = request.step().expect("every body fits") {
            decoder.push(frame);
        }
    }
    request.finish();
    while let RequestStep::Frame(frame) = request.step().expect("every body fits") {
        decoder.push(frame);
    }
    assert!(request.is_end());
    let messages = std::iter::from_fn(|| decoder.next().expect("they are messages"));
    messages.map(|message| message.bytes).collect()
}

/// A field of bytes, short enough for a length of one byte.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128);
    [&[number << 3 | 2, content.len() as u8][..], content].concat()
}

/// A page in these pieces is told as it is.
fn check_made<'a>(parts: impl Iterator<Item = &'a [u8]>) {
    let framed = |message: Vec<u8>| [&frame_header(message.len() as u32)[..], &message].concat();
    let status = [8, 200, 1];
    let kind = [field(1, b"Content-Type"), field(2, b"text/plain")].concat();
    let mut answer = framed(field(1, &[&status[..], &field(3, &kind)].concat()));
    let mut body = Vec::new();
    for part in parts.filter(|part| part.len() < 128) {
        answer.extend(framed(field(2, part)));
        body.extend_from_slice(part);
    }
    let told = told(&Translation::Envelope(EnvelopePlan::new(false, LIMIT)), answer.chunks(11));
    assert!(told.whole && told.body == body, "{told:?}");
    let head = told.head.expect("a head");
    assert_eq!((head.0, head.1.get(CONTENT_TYPE)), (StatusCode::OK, Some(&HeaderValue::from_static("text/plain"))));
}

pub fn check(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(rest) else { return };
    check_made(parts.clone());
    let plan = Translation::Envelope(EnvelopePlan::new(how & 1 == 1, LIMIT));
    let answer = told(&plan, [bytes]);
    assert_eq!(told(&plan, parts.clone()), answer);
    assert!(answer.whole != answer.fault.is_some());
    let all = answer.head.iter().flat_map(|(_, headers)| headers).chain(answer.trailers.iter().flatten());
    for (name, value) in all {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "{name}");
    }
    if let (true, Some((status, headers))) = (answer.whole, &answer.head) {
        let bodiless = how & 1 == 1 || matches!(status.as_u16(), 204 | 304);
        assert!(!bodiless || answer.body.is_empty());
        if let Some(length) = headers.get(CONTENT_LENGTH).filter(|_| !bodiless) {
            let length: usize = length.to_str().expect("digits").parse().expect("a number");
            assert_eq!(length, answer.body.len());
        }
    }
    let (one, other) = (asked(&plan, [bytes]), asked(&plan, parts));
    assert_eq!(one[0], other[0], "the head");
    let body =
        |messages: &[Bytes]| messages[1..].iter().flat_map(|message| message[prefix(message)..].to_vec()).collect();
    let (one, other): (Vec<u8>, Vec<u8>) = (body(&one), body(&other));
    assert!(one == bytes && other == bytes, "the body");
}

/// Tag and length before a body.
fn prefix(message: &[u8]) -> usize {
    2 + message[1..].iter().take_while(|byte| **byte >= 0x80).count()
}
