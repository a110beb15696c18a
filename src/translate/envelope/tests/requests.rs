//! What a servlet is sent of a request.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Version};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Arrival, EnvelopeRequest, metadata};
use super::decoded;
use crate::translate::{FrameDecoder, RequestStep, RequestTranslator};
use crate::wire::{Forwarding, HeadLimits, RequestParser};

/// Steps until more is needed or the end has come; whether it has.
fn drain(request: &mut EnvelopeRequest, out: &mut Vec<u8>) -> bool {
    loop {
        match request.step().unwrap() {
            RequestStep::Frame(bytes) => out.extend_from_slice(&bytes),
            RequestStep::NeedInput => return false,
            RequestStep::End => return true,
        }
    }
}

fn messages(stream: Vec<u8>) -> Vec<Value> {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.push(stream.into());
    let mut all = Vec::new();
    while let Some(message) = decoder.next().unwrap() {
        all.push(decoded(&message.bytes));
    }
    decoder.at_end().unwrap();
    all
}

/// The head that the servlet gets for a request of an HTTP/1 caller.
fn enveloped(text: &'static str, peer: Option<&str>, trusted: bool, length: Option<u64>) -> Value {
    let peer: Option<SocketAddr> = peer.map(|peer| peer.parse().unwrap());
    let mut parser = RequestParser::new(HeadLimits::default());
    let default_host = HeaderValue::from_static("legacy.internal");
    let read = parser.parse(&mut BytesMut::from(text), Some(&default_host)).unwrap().unwrap();
    let forwarding = Forwarding::new(peer.map(|peer| peer.ip()), "http", trusted);
    let arrival = Arrival {
        raw_head: Some(read.raw),
        peer,
        listener: "ingress",
        forwarding: &forwarding,
        length,
        bodiless: length == Some(0),
    };
    let mut request = EnvelopeRequest::new(&read.request.into_parts().0, &arrival);
    let mut stream = Vec::new();
    drain(&mut request, &mut stream);
    let all = messages(stream);
    assert_eq!(all.len(), 1);
    all[0]["head"].clone()
}

/// The fields of a head, `Name=value`.
fn fields(head: &Value) -> Vec<String> {
    let field = |field: &Value| {
        let value = STANDARD.decode(field["value"].as_str().unwrap()).unwrap();
        format!("{}={}", field["name"].as_str().unwrap(), String::from_utf8_lossy(&value))
    };
    head["fields"].as_array().unwrap().iter().map(field).collect()
}

#[test]
fn a_head_keeps_its_order_and_case() {
    let text = "POST //a%2Fb/?q=1&q= HTTP/1.1\r\nX-b: 2\r\nHOST: Old.Example:80\r\ncookie: a=b; c=\"d\"\r\nX-A: 1\r\nx-B: 3\r\nContent-LENGTH: 5\r\nx-B: \r\n\r\n";
    let head = enveloped(text, Some("10.1.2.3:4567"), false, Some(5));
    let told = ["method", "target", "scheme", "authority", "version"].map(|key| head[key].as_str().unwrap());
    assert_eq!(told, ["POST", "//a%2Fb/?q=1&q=", "http", "Old.Example:80", "HTTP/1.1"]);
    assert_eq!(head["peer"], json!({ "address": "10.1.2.3", "port": 4567, "listener": "ingress" }));
    let fields = fields(&head);
    let (own, mut added) = (fields[..7].to_vec(), fields[7..].to_vec());
    let expected =
        ["X-b=2", "HOST=Old.Example:80", "cookie=a=b; c=\"d\"", "X-A=1", "x-B=3", "Content-LENGTH=5", "x-B="];
    assert_eq!(own, expected);
    added.sort();
    assert_eq!(added, ["x-forwarded-for=10.1.2.3", "x-forwarded-host=Old.Example:80", "x-forwarded-proto=http"]);
}

#[test]
fn what_belongs_to_the_hop_or_is_forged_stays_out() {
    let text = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
        Upgrade: websocket\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 7.7.7.7\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nAccept: */*\r\n\r\n";
    let told = fields(&enveloped(text, Some("[::ffff:1.2.3.4]:9"), false, None));
    assert_eq!(told[..3], ["Host=a", "X-Forwarded-For=1.2.3.4", "Accept=*/*"]);
    assert_eq!(told.len(), 5, "{told:?}");
    // Believed, and added to, from a peer that is trusted.
    let told = fields(&enveloped(text, Some("1.2.3.4:9"), true, None));
    assert_eq!(told[1], "X-Forwarded-For=6.6.6.6, 1.2.3.4");
}

#[test]
fn an_old_caller_that_names_nobody_means_the_default() {
    let head = enveloped("GET /old HTTP/1.0\r\n\r\n", None, false, Some(0));
    assert_eq!((&head["version"], &head["authority"]), (&json!("HTTP/1.0"), &json!("legacy.internal")));
    assert_eq!(head["peer"], json!({ "address": "", "port": 0, "listener": "ingress" }));
    assert!(fields(&head).contains(&"host=legacy.internal".to_owned()));
    assert!(!fields(&head).iter().any(|field| field.starts_with("content-length")));
    let head = enveloped("GET http://b.example/p?q HTTP/1.0\r\nHost: a\r\n\r\n", None, false, Some(0));
    assert_eq!((&head["target"], &head["authority"]), (&json!("/p?q"), &json!("b.example")));
    assert!(fields(&head).contains(&"Host=b.example".to_owned()));
}

#[test]
fn no_content_has_a_length_where_content_is_meant() {
    let lengths = |text| {
        let told = fields(&enveloped(text, None, false, Some(0)));
        told.into_iter().filter(|field| field.to_lowercase().starts_with("content-length")).collect::<Vec<_>>()
    };
    assert_eq!(lengths("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), ["content-length=0"]);
    assert_eq!(lengths("DELETE / HTTP/1.1\r\nHost: a\r\nContent-length: 0\r\n\r\n"), ["Content-length=0"]);
    assert_eq!(lengths("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), [""; 0]);
}

fn http2(bodiless: bool) -> EnvelopeRequest {
    let mut request = Request::builder().method("PUT").uri("/up").version(Version::HTTP_2);
    for (name, value) in [("host", "a"), ("x-two", "1"), ("x-two", "2"), ("under_score", "kept")] {
        request = request.header(name, value);
    }
    let forwarding = Forwarding::new(None, "http", false);
    let arrival =
        Arrival { raw_head: None, peer: None, listener: "in", forwarding: &forwarding, length: None, bodiless };
    EnvelopeRequest::new(&request.body(()).unwrap().into_parts().0, &arrival)
}

#[test]
fn an_http2_head_is_as_the_map_has_it() {
    let mut stream = Vec::new();
    assert!(drain(&mut http2(true), &mut stream), "nothing follows, and that is known");
    let head = messages(stream)[0]["head"].clone();
    assert_eq!(head["version"], "HTTP/2");
    let told = fields(&head);
    assert!(told.contains(&"under_score=kept".to_owned()));
    let two: Vec<&String> = told.iter().filter(|field| field.starts_with("x-two")).collect();
    assert_eq!(two, ["x-two=1", "x-two=2"]);
}

#[test]
fn large_pieces_are_cut_and_not_copied() {
    let mut request = http2(false);
    drain(&mut request, &mut Vec::new());
    let piece = Bytes::from(vec![7; 150_000]);
    request.push(piece.clone());
    let mut shared = 0;
    let mut all = Vec::new();
    while let RequestStep::Frame(bytes) = request.step().unwrap() {
        if piece.as_ptr_range().contains(&bytes.as_ptr()) {
            shared += bytes.len();
        }
        all.extend_from_slice(&bytes);
    }
    assert_eq!(shared, piece.len());
    let sizes: Vec<usize> =
        messages(all).iter().map(|part| STANDARD.decode(part["body"].as_str().unwrap()).unwrap().len()).collect();
    assert_eq!(sizes, [65_536, 65_536, 18_928]);
}

#[test]
fn tracing_goes_beside_the_envelope_and_nothing_else_does() {
    let mut headers = HeaderMap::new();
    for name in ["traceparent", "tracestate", "cookie", "authorization", "content-type", "grpc-timeout"] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    let mut names: Vec<String> = metadata(&headers).keys().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["traceparent", "tracestate"]);
}

proptest! {
    #[test]
    fn a_body_is_the_same_whatever_its_pieces(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5000), 0..8),
        trailing in any::<bool>(),
    ) {
        let mut request = http2(false);
        let mut stream = Vec::new();
        for piece in &pieces {
            request.push(piece.clone().into());
            prop_assert!(!drain(&mut request, &mut stream));
            prop_assert!(!request.is_end());
        }
        if trailing {
            let mut trailers = HeaderMap::new();
            trailers.append("x-sum", HeaderValue::from_static("1"));
            request.trailers(trailers);
        }
        request.finish();
        prop_assert!(drain(&mut request, &mut stream) && request.is_end());
        let mut all = messages(stream);
        if trailing {
            let last = all.pop().unwrap();
            prop_assert_eq!(fields(&last["trailers"]), ["x-sum=1"]);
        }
        let bodies = all[1..].iter().map(|part| STANDARD.decode(part["body"].as_str().unwrap()).unwrap());
        prop_assert_eq!(bodies.collect::<Vec<_>>().concat(), pieces.concat());
        prop_assert!(all[0]["head"].is_object());
    }
}
