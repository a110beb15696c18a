//! Whole exchanges: a request as a caller sends it, the messages that the servlet gets, and back.

mod bodies;
mod forms;
mod hostile;
mod parameters;
mod pieces;
mod protobuf;
mod replies;
mod rules;
mod streams;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::super::json::{ReadOptions, WriteOptions, from_wire, to_wire};
use super::*;
use crate::model::{Fault, Kind};
use crate::schema::{Schema, Source};
use crate::translate::conversation::{self, Fields, map as head, pieces};
use crate::translate::{Farewell, FrameDecoder, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("tests/library.proto").to_owned();
    let source = Source::Proto { name: "library.proto".into(), text };
    Schema::build(&[source], &mut |_| None).unwrap_or_else(|errors| panic!("{errors:?}"))
});

const LIMIT: usize = 2000;

/// The plan of a request, and what its path gives.
fn plan(verb: &Method, path: &str) -> (RestPlan, Vec<String>) {
    plan_for(verb, path, &HeaderMap::new())
}

fn plan_for(verb: &Method, path: &str, headers: &HeaderMap) -> (RestPlan, Vec<String>) {
    let methods = SCHEMA.services().flat_map(|service| &service.methods);
    for method in methods {
        for binding in method.mappings() {
            if binding.verb.as_ref().is_none_or(|other| other == verb) && binding.template.matches(path) {
                let captures = binding.template.captures(path).unwrap();
                let captures = captures.iter().map(|value| value.to_string()).collect();
                let plan = RestPlan::new(method.clone(), binding.clone(), LIMIT, headers);
                return (plan, captures);
            }
        }
    }
    panic!("no rule for {verb} {path}")
}

/// A request, its body in those pieces: the method, and its messages' bytes.
fn send(
    verb: &str,
    url: &str,
    headers: &HeaderMap,
    pieces: &[&[u8]],
) -> Result<(Arc<crate::schema::Method>, Vec<Vec<u8>>), Fault> {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (plan, captures) = plan_for(&verb.parse().unwrap(), path, headers);
    let captures: Vec<_> = captures.iter().map(|value| value.as_str().into()).collect();
    let mut request = RestRequest::new(&plan, &captures, query, headers)?;
    let mut frames = FrameDecoder::new(usize::MAX);
    let mut drain = |request: &mut RestRequest| loop {
        match request.step()? {
            RequestStep::NeedInput => return Ok(false),
            RequestStep::Frame(frame) => frames.push(frame),
            RequestStep::End => return Ok(true),
        }
    };
    for piece in pieces {
        request.push(Bytes::copy_from_slice(piece));
        assert!(!drain(&mut request)?, "an end before the body's");
    }
    request.finish();
    assert!(drain(&mut request)?, "no end after the body's");
    let mut messages = Vec::new();
    while let Some(message) = frames.next().unwrap() {
        assert!(!message.compressed);
        messages.push(message.bytes.to_vec());
    }
    frames.at_end().unwrap();
    Ok((plan.method, messages))
}

/// The name of the method that a request calls, and its messages as JSON.
fn call(verb: &str, url: &str, body: &str) -> Result<(String, Vec<Value>), Fault> {
    let pieces: &[&[u8]] = if body.is_empty() { &[] } else { &[body.as_bytes()] };
    let (method, messages) = send(verb, url, &head(&[("content-type", "application/json")]), pieces)?;
    let messages = messages.iter().map(|message| json_of(method.input, message)).collect();
    Ok((method.name.to_string(), messages))
}

/// The one message of a request.
fn one(verb: &str, url: &str, body: &str) -> Value {
    let (_, mut messages) = call(verb, url, body).unwrap_or_else(|fault| panic!("{verb} {url}: {fault}"));
    assert_eq!(messages.len(), 1, "{verb} {url}");
    messages.remove(0)
}

/// Why a request is refused.
fn refused(verb: &str, url: &str, body: &str) -> Fault {
    match call(verb, url, body) {
        Ok(called) => panic!("{verb} {url} {body}: {called:?}"),
        Err(fault) => fault,
    }
}

fn json_of(message: MessageId, wire: &[u8]) -> Value {
    let mut json = Vec::new();
    from_wire(SCHEMA.messages(), message, wire, &WriteOptions::default(), &mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn wire_of(name: &str, json: &Value) -> Vec<u8> {
    let mut wire = Vec::new();
    let messages = SCHEMA.messages();
    let id = messages.by_name(name).unwrap();
    to_wire(messages, id, json.to_string().as_bytes(), &ReadOptions::default(), &mut wire).unwrap();
    wire
}

/// What a caller gets: status, headers and body as far as they came, and whether the answer was broken off.
#[derive(Debug, PartialEq)]
struct Answer {
    head: Option<(StatusCode, HeaderMap)>,
    body: Vec<u8>,
    fault: Option<Kind>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |(status, _)| status.as_u16())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.1.get(name)?.to_str().ok()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A servlet's reply, its body in pieces of those sizes in turn.
fn answer(
    route: (&str, &str),
    status: u16,
    initial: Fields<'_>,
    body: &[u8],
    sizes: &[usize],
    trailers: Option<Fields<'_>>,
) -> Answer {
    answer_to(route, &HeaderMap::new(), status, initial, body, sizes, trailers)
}

/// The same, to a request with those headers.
fn answer_to(
    (verb, path): (&str, &str),
    asked: &HeaderMap,
    status: u16,
    initial: Fields<'_>,
    body: &[u8],
    sizes: &[usize],
    trailers: Option<Fields<'_>>,
) -> Answer {
    let (plan, _) = plan_for(&verb.parse().unwrap(), path, asked);
    let mut reply = RestReply::new(&plan);
    let mut answer = Answer { head: None, body: Vec::new(), fault: None };
    let mut drain = |reply: &mut RestReply| loop {
        match reply.step() {
            Ok(ReplyStep::NeedInput) => return true,
            Ok(ReplyStep::Head(head)) => {
                assert!(answer.head.is_none() && answer.body.is_empty());
                answer.head = Some((head.status(), head.headers().clone()));
            }
            Ok(ReplyStep::Data(data)) => {
                assert!(answer.head.is_some());
                answer.body.extend_from_slice(&data);
            }
            Ok(ReplyStep::End) => {
                assert!(answer.head.is_some());
                return false;
            }
            Err(fault) => {
                answer.fault = Some(fault.kind);
                if answer.head.is_some() {
                    let Farewell::Break(words) = reply.farewell(&fault) else { panic!("a broken answer looks whole") };
                    answer.body.extend_from_slice(&words);
                }
                return false;
            }
        }
    };
    reply.head(StatusCode::from_u16(status).unwrap(), head(initial));
    let mut going = drain(&mut reply);
    for piece in pieces(body, sizes) {
        if !going {
            break;
        }
        reply.push(Bytes::copy_from_slice(piece));
        going = drain(&mut reply);
    }
    if going {
        reply.finish(trailers.map(head));
        assert!(!drain(&mut reply), "no end after the reply's");
    }
    if let Some((_, headers)) = &answer.head
        && let Some(length) = headers.get("content-length")
    {
        assert_eq!(length.to_str().unwrap(), answer.body.len().to_string());
    }
    answer
}

const GRPC: Fields<'_> = &[("content-type", "application/grpc")];
const OK: Option<Fields<'_>> = Some(&[("grpc-status", "0")]);

/// Messages of a reply, framed.
fn framed(name: &str, messages: &[Value]) -> Vec<u8> {
    let messages: Vec<Vec<u8>> = messages.iter().map(|message| wire_of(name, message)).collect();
    conversation::framed(&messages)
}
