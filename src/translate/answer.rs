//! A fault, told in the caller's own dialect (design §8): a gRPC caller gets a gRPC error, everyone else an HTTP status and a
//! `google.rpc.Status` in JSON, or in protobuf where that is what it speaks.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};

use super::coding::TAKEN;
use super::connect::{content_type, end_frame, error_json};
use super::dialect::Manner;
use super::metadata::vary;
use super::status::Status;
use super::web::{self, trailer_frame, web_content_type};
use crate::model::{Fault, Kind, Stage};

/// The whole answer. Its body is short; a HEAD request gets the head of it.
pub fn fault_reply(fault: &Fault, manner: Manner) -> Response<Bytes> {
    let mut response = in_manner(fault, manner);
    if fault.kind == Kind::UnsupportedCoding && fault.stage == Stage::Plan {
        // RFC 9110 §15.5.16: what would be taken. Of the body: single messages have fields of their own.
        let taken = match manner {
            Manner::ConnectUnary(_) | Manner::Rest | Manner::Protobuf(_) | Manner::Http => TAKEN,
            Manner::GrpcHttp1 | Manner::GrpcWeb { .. } | Manner::ConnectStream(_) => {
                *response.status_mut() = fault.answer().http;
                "identity"
            }
            // Its bodies are the servlet's business.
            Manner::Grpc => return response,
        };
        response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(taken));
    }
    response
}

fn in_manner(fault: &Fault, manner: Manner) -> Response<Bytes> {
    let status = Status::from_fault(fault);
    let mut response = match manner {
        Manner::Grpc | Manner::GrpcHttp1 => {
            // Trailers-Only (PROTOCOL-HTTP2.md): a head that ends the stream.
            let mut response = Response::new(Bytes::new());
            let head = response.headers_mut();
            head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            status.to_trailers(head);
            return response;
        }
        Manner::GrpcWeb { text } => {
            return framed(web_content_type(text, None), web::whole(text, trailer_frame(&status, HeaderMap::new())));
        }
        Manner::ConnectStream(codec) if !wants_status(fault.kind) => {
            return framed(content_type(true, codec), end_frame(&status, &HeaderMap::new(), None));
        }
        Manner::ConnectUnary(_) | Manner::ConnectStream(_) => {
            let mut response = framed(HeaderValue::from_static("application/json"), error_json(&status, None));
            *response.status_mut() = match fault.kind {
                // Connect's own word for it.
                Kind::UnsupportedCoding => fault.answer().grpc.http_status(),
                _ => fault.answer().http,
            };
            response
        }
        Manner::Rest => status.to_rest(Some(fault.answer().http), None),
        Manner::Protobuf(name) => status.to_protobuf_answer(Some(fault.answer().http), name),
        Manner::Http => {
            let mut response = status.to_rest(Some(fault.answer().http), None);
            response.headers_mut().remove(super::status::GRPC_STATUS);
            response.headers_mut().remove(super::status::GRPC_MESSAGE);
            response
        }
    };
    if fault.kind == Kind::MethodNotAllowed {
        // RFC 9110 §15.5.6: Allow is a must, even an empty one.
        let allowed: Vec<&str> = fault.allow.iter().map(|method| method.as_str()).collect();
        if let Ok(value) = HeaderValue::try_from(allowed.join(", ")) {
            response.headers_mut().insert(header::ALLOW, value);
        }
    }
    if matches!(manner, Manner::Rest | Manner::Protobuf(_)) {
        vary(response.headers_mut(), "accept");
    }
    response
}

/// A whole answer that is 200 whatever became of the call.
fn framed(content_type: HeaderValue, body: Bytes) -> Response<Bytes> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

/// What Connect has an HTTP status for even where it frames errors: the caller may not have understood what it asked for.
fn wants_status(kind: Kind) -> bool {
    matches!(kind, Kind::UnsupportedMediaType | Kind::MethodNotAllowed)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::translate::Codec;

    #[test]
    fn every_fault_is_told_to_every_caller() {
        for kind in Kind::ALL {
            let fault = Fault::new(*kind, Stage::Plan, "what \"was\" wrong: caf\u{e9}");
            let answer = fault.answer();
            let code = answer.grpc.digits();

            for manner in [Manner::GrpcWeb { text: false }, Manner::ConnectStream(Codec::Json)] {
                let reply = fault_reply(&fault, manner);
                if reply.status() == StatusCode::OK {
                    let frame = reply.body();
                    assert!(matches!(frame[0], 0x80 | 0x02), "{manner:?}");
                    assert_eq!(u32::from_be_bytes(frame[1..5].try_into().unwrap()) as usize, frame.len() - 5);
                }
            }
            let connect = fault_reply(&fault, Manner::ConnectUnary(None));
            let expected = if *kind == Kind::UnsupportedCoding { StatusCode::NOT_IMPLEMENTED } else { answer.http };
            assert_eq!(connect.status(), expected);
            assert_eq!(connect.headers().contains_key("accept-encoding"), *kind == Kind::UnsupportedCoding);
            let body: serde_json::Value = serde_json::from_slice(connect.body()).unwrap();
            assert_eq!(body["message"], fault.message.as_ref());

            let grpc = fault_reply(&fault, Manner::Grpc);
            assert_eq!(grpc.status(), StatusCode::OK);
            assert_eq!(grpc.headers()["content-type"], "application/grpc");
            assert_eq!(grpc.headers()["grpc-status"], code);
            assert_eq!(grpc.headers()["grpc-message"], "what \"was\" wrong: caf%C3%A9");
            assert!(grpc.body().is_empty());

            let protobuf = fault_reply(&fault, Manner::Protobuf("application/x-protobuf"));
            assert_eq!(protobuf.status(), answer.http);
            assert_eq!(protobuf.headers()["grpc-status"], code);
            assert_eq!(protobuf.headers()["content-type"], "application/x-protobuf");
            let (number, text) = (answer.grpc.number(), fault.message.as_bytes());
            assert_eq!(**protobuf.body(), [&[8, number, 18, text.len() as u8], text].concat());

            for manner in [Manner::Rest, Manner::Http] {
                let reply = fault_reply(&fault, manner);
                assert_eq!(reply.status(), answer.http);
                assert_eq!(reply.headers()["content-type"], "application/json");
                assert_eq!(reply.headers()["content-length"], reply.body().len().to_string());
                assert_eq!(reply.headers().contains_key("grpc-status"), manner == Manner::Rest);
                assert_eq!(reply.headers().contains_key("allow"), *kind == Kind::MethodNotAllowed);
                let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
                let expected = serde_json::json!({"code": answer.grpc.number(), "message": fault.message});
                assert_eq!(body, expected);
            }
        }
    }

    #[test]
    fn a_coding_around_frames_is_refused_by_status() {
        let fault = Fault::new(Kind::UnsupportedCoding, Stage::Plan, "no");
        let connect = Manner::ConnectStream(Codec::Proto);
        for manner in [Manner::GrpcHttp1, Manner::GrpcWeb { text: false }, connect] {
            let answer = fault_reply(&fault, manner);
            let taken = answer.headers()["accept-encoding"].to_str().unwrap();
            assert_eq!((answer.status().as_u16(), taken), (415, "identity"), "{manner:?}");
        }
    }

    #[test]
    fn a_405_says_what_is_allowed() {
        let mut fault = Fault::new(Kind::MethodNotAllowed, Stage::Plan, "no");
        fault.allow = vec![Method::GET, Method::from_bytes(b"PURGE").unwrap()];
        assert_eq!(fault_reply(&fault, Manner::Rest).headers()["allow"], "GET, PURGE");
        assert!(!fault_reply(&fault, Manner::Grpc).headers().contains_key("allow"));
    }
}
