//! Bodies of gRPC-Web, of Connect and of gRPC over HTTP/1, both ways: the same for any split, and what is relayed is what came, with
//! a whole message always.

use std::sync::LazyLock;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use telamon::model::{Fault, Kind, Stage};
use telamon::schema::{Schema, Source};
use telamon::translate::{
    Arrival, Codec, ConnectPlan, Farewell, Form, ReplyStep, ReplyTranslator, RequestStep, Translation, UnaryPlan,
    WebPlan, frame_header,
};
use telamon::wire::Forwarding;

use super::draw::pieces;

/// Small enough that short inputs meet it.
const LIMIT: usize = 64;

static TRANSLATIONS: LazyLock<Vec<Translation>> = LazyLock::new(|| {
    let text = "syntax = \"proto3\"; package t; message Words { string text = 1; int64 number = 2; Words next = 3; } \
                service S { rpc Say(Words) returns (Words); }";
    let source = Source::Proto { name: "t.proto".into(), text: text.into() };
    let schema = Schema::build(&[source], &mut |_| None).expect("it is a schema");
    let method = schema.method("t.S", "Say").expect("it has the method");
    let path = PathAndQuery::from_static("/t.S/Say");
    let mut all = Vec::new();
    for text in [false, true] {
        all.push(Translation::Web(WebPlan { path: path.clone(), text, reply_text: text }));
    }
    all.push(Translation::Unary(UnaryPlan { path: path.clone(), message_limit: LIMIT }));
    for form in [Form::Post, Form::Stream] {
        for codec in [Codec::Proto, Codec::Json] {
            let (path, method) = (path.clone(), Some(method.clone()));
            all.push(Translation::Connect(ConnectPlan { path, method, codec, form, message_limit: LIMIT }));
        }
    }
    all
});

fn head() -> Parts {
    Request::post("/t.S/Say").body(()).expect("it is a request").into_parts().0
}

/// What goes to the servlet, or what is wrong.
fn asked<'a>(translation: &Translation, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Kind> {
    let forwarding = Forwarding::new(None, "http", false);
    let arrival =
        Arrival { raw_head: None, peer: None, listener: "in", forwarding: &forwarding, length: None, bodiless: false };
    let mut request = translation.request(&head(), &arrival).map_err(|fault| fault.kind)?;
    let mut sent = Vec::new();
    for part in parts {
        request.push(Bytes::copy_from_slice(part));
        while let RequestStep::Frame(frame) = request.step().map_err(|fault| fault.kind)? {
            sent.extend_from_slice(&frame);
        }
    }
    request.finish();
    while let RequestStep::Frame(frame) = request.step().map_err(|fault| fault.kind)? {
        sent.extend_from_slice(&frame);
    }
    assert!(request.is_end());
    Ok(sent)
}

#[derive(Debug, PartialEq)]
struct Told {
    head: Option<(StatusCode, HeaderMap)>,
    body: Vec<u8>,
    cut: Option<(Kind, Farewell)>,
}

/// What the caller is told of a servlet's answer that ends as `how` says.
fn told<'a>(translation: &Translation, parts: impl IntoIterator<Item = &'a [u8]>, how: u8) -> Told {
    let mut reply = translation.reply();
    let mut told = Told { head: None, body: Vec::new(), cut: None };
    reply.head(StatusCode::OK, fields(&[("content-type", "application/grpc"), ("x-head", "1")]));
    for part in parts {
        reply.push(Bytes::copy_from_slice(part));
        if !steps(&mut *reply, &mut told) {
            return told;
        }
    }
    match how % 3 {
        0 => reply.finish(Some(fields(&[("grpc-status", "0"), ("x-cost", "3")]))),
        1 => reply.finish(None),
        _ => {
            if steps(&mut *reply, &mut told) {
                let fault = Fault::new(Kind::DeadlineExceeded, Stage::ReplyBody, "late");
                told.cut = Some((fault.kind, reply.farewell(&fault)));
            }
            return told;
        }
    }
    steps(&mut *reply, &mut told);
    told
}

/// False when the answer was cut.
fn steps(reply: &mut dyn ReplyTranslator, told: &mut Told) -> bool {
    loop {
        match reply.step() {
            Ok(ReplyStep::Head(head)) => {
                assert!(told.head.is_none() && told.body.is_empty(), "a head is first");
                let (parts, ()) = head.into_parts();
                told.head = Some((parts.status, parts.headers));
            }
            Ok(ReplyStep::Data(data)) => {
                assert!(told.head.is_some(), "a head is first");
                told.body.extend_from_slice(&data);
            }
            Ok(ReplyStep::NeedInput | ReplyStep::End) => return true,
            Err(fault) => {
                told.cut = Some((fault.kind, reply.farewell(&fault)));
                return false;
            }
        }
    }
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
}

pub fn check(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(rest) else { return };
    for translation in TRANSLATIONS.iter() {
        let sent = asked(translation, [bytes]);
        assert_eq!(asked(translation, parts.clone()), sent, "{translation:?}");
        let relays = match translation {
            Translation::Web(web) => !web.text,
            Translation::Unary(_) => true,
            Translation::Connect(plan) => plan.form == Form::Stream && plan.codec == Codec::Proto,
            _ => false,
        };
        if relays && let Ok(sent) = &sent {
            assert_eq!(sent, bytes);
        }
        if relays && bytes.len() <= LIMIT {
            let whole = [&frame_header(bytes.len() as u32)[..], bytes].concat();
            assert_eq!(asked(translation, whole.chunks(7)), Ok(whole.clone()), "{translation:?}");
        }
        let answer = told(translation, [bytes], *how);
        assert_eq!(told(translation, parts.clone(), *how), answer, "{translation:?}");
    }
}
