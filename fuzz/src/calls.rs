//! Calls through the dialects' translators as the proxy makes them, with a schema of their own.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use telamon::model::{Fault, Kind};
use telamon::schema::{Method, Schema, Source};
use telamon::translate::{Arrival, Farewell, ReplyStep, RequestStep, RestPlan, Translation};
use telamon::wire::Forwarding;

/// Small enough that short inputs meet it.
pub const LIMIT: usize = 64;

const PROTO: &str = r#"
syntax = "proto3";
package fuzz.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Fuzz {
  rpc One(Words) returns (Words) { option (google.api.http) = { post: "/one" body: "*" }; }
  rpc Many(stream Words) returns (stream Words) { option (google.api.http) = { post: "/many" body: "*" }; }
  rpc Files(stream google.api.HttpBody) returns (Words) { option (google.api.http) = { post: "/files" body: "*" }; }
}
message Words { string text = 1; int64 number = 2; repeated string more = 3; bytes blob = 4; Words next = 5; }
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let source = Source::Proto { name: "fuzz.proto".into(), text: PROTO.into() };
    Schema::build(&[source], &mut |_| None).expect("a schema")
});

pub fn method(name: &str) -> Arc<Method> {
    Arc::clone(SCHEMA.method("fuzz.v1.Fuzz", name).expect("a method"))
}

/// A REST call of a method with these fields in its head.
pub fn rest(name: &str, fields: &[(&'static str, &str)]) -> (Translation, Parts) {
    let method = method(name);
    let binding = Arc::clone(&method.mappings()[0]);
    let head = head(&format!("/{}", name.to_lowercase()), fields);
    let plan = RestPlan::new(method, binding, LIMIT, &head.headers);
    (Translation::Rest(plan), head)
}

pub fn head(path: &str, fields: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::post(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a head").into_parts().0
}

/// The frames of a request, and how it ended.
pub fn request<'a>(
    (translation, head): &(Translation, Parts),
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), Kind>) {
    let forwarding = Forwarding::new(None, "http", false);
    let arrival =
        Arrival { raw_head: None, peer: None, listener: "", forwarding: &forwarding, length: None, bodiless: false };
    let mut frames = Vec::new();
    let run = || -> Result<(), Fault> {
        let mut translator = translation.request(head, &arrival)?;
        let mut steps = |translator: &mut dyn telamon::translate::RequestTranslator| {
            loop {
                match translator.step()? {
                    RequestStep::NeedInput => return Ok(false),
                    RequestStep::Frame(frame) => frames.extend_from_slice(&frame),
                    RequestStep::End => return Ok::<_, Fault>(true),
                }
            }
        };
        for part in parts {
            translator.push(Bytes::copy_from_slice(part));
            steps(&mut *translator)?;
        }
        translator.finish();
        assert!(steps(&mut *translator)?, "a whole request has an end");
        assert!(translator.is_end());
        Ok(())
    };
    let end = run().map_err(|fault| fault.kind);
    (frames, end)
}

/// What a caller gets of a reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: Option<(StatusCode, HeaderMap)>,
    pub body: Vec<u8>,
    /// What it ends with when it cannot go on.
    pub end: Result<(), (Kind, Farewell)>,
}

/// A servlet's reply to a caller. `status`: of its trailers, if there are any.
pub fn reply<'a>(
    translation: &Translation,
    parts: impl IntoIterator<Item = &'a [u8]>,
    status: Option<&'static str>,
) -> Answer {
    let mut answer = Answer { head: None, body: Vec::new(), end: Ok(()) };
    let mut translator = translation.reply();
    let grpc = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))]);
    translator.head(StatusCode::OK, grpc);
    let mut step = |translator: &mut dyn telamon::translate::ReplyTranslator| {
        loop {
            match translator.step()? {
                ReplyStep::NeedInput => return Ok(false),
                ReplyStep::End => return Ok::<_, Fault>(true),
                ReplyStep::Head(head) => {
                    assert!(answer.head.is_none() && answer.body.is_empty(), "one head, and first");
                    let (parts, ()) = head.into_parts();
                    answer.head = Some((parts.status, parts.headers));
                }
                ReplyStep::Data(data) => {
                    assert!(answer.head.is_some(), "data before the head");
                    answer.body.extend_from_slice(&data);
                }
            }
        }
    };
    let run = || -> Result<(), Fault> {
        for part in parts {
            translator.push(Bytes::copy_from_slice(part));
            if step(&mut *translator)? {
                return Ok(());
            }
        }
        let trailer = |status| (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(status));
        translator.finish(status.map(|status| HeaderMap::from_iter([trailer(status)])));
        assert!(step(&mut *translator)?, "a whole reply has an end");
        Ok(())
    };
    if let Err(fault) = run() {
        let farewell = translator.farewell(&fault);
        answer.end = Err((fault.kind, farewell));
    }
    answer
}

/// The messages of whole frames.
pub fn messages(mut stream: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let length = u32::from_be_bytes(stream.get(1..5)?.try_into().ok()?) as usize;
        let end = length.checked_add(5)?;
        messages.push(stream.get(5..end)?);
        stream = &stream[end..];
    }
    Some(messages)
}

/// `Words` with its text.
pub fn words(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    assert!(text.len() < 128);
    [&[10, text.len() as u8][..], text].concat()
}

/// Behind the prefix of gRPC.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&telamon::translate::frame_header(message.len() as u32)[..], message].concat()
}
