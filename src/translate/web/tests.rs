//! What gRPC-Web and gRPC over HTTP/1 promise, whatever pieces bodies come in.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::model::{Code, Kind};
use crate::translate::conversation::{framed, map, pieces, sent, told};
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};

/// What a request came to: the bytes that go on, or the fault.
fn asked(text: bool, body: &[u8], sizes: &[usize]) -> Result<Vec<u8>, Kind> {
    sent(RelayedRequest::new(text), body, sizes).map_err(|fault| fault.kind)
}

fn grpc() -> (StatusCode, HeaderMap) {
    (StatusCode::OK, map(&[("content-type", "application/grpc+proto"), ("x-head", "1")]))
}

fn ok() -> Result<Option<HeaderMap>, Kind> {
    Ok(Some(map(&[("grpc-status", "0"), ("x-cost", "3")])))
}

/// Text as a stream of padded quanta.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut stream = Base64Stream::default();
    let bytes = stream.decode(text).unwrap();
    assert!(stream.at_boundary());
    bytes.to_vec()
}

/// The messages of a gRPC-Web body and its trailers.
fn opened(body: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut rest, mut messages) = (body, Vec::new());
    while let Some((prefix, after)) = rest.split_at_checked(5) {
        let (message, later) = after.split_at(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize);
        if prefix[0] == TRAILERS {
            assert!(later.is_empty(), "trailers are last");
            return (messages, Some(String::from_utf8(message.to_vec()).unwrap()));
        }
        messages.push(message.to_vec());
        rest = later;
    }
    assert!(rest.is_empty());
    (messages, None)
}

proptest! {
    #[test]
    fn a_request_is_the_same_whatever_its_pieces(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..5),
        sizes in proptest::collection::vec(1_usize..20, 1..6),
        cut in 0_usize..4,
    ) {
        let body = framed(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let text: Vec<u8> = body.chunks(7).flat_map(|piece| STANDARD.encode(piece).into_bytes()).collect();
        prop_assert_eq!(asked(false, &body, &sizes), Ok(body.clone()));
        prop_assert_eq!(asked(true, &text, &sizes), Ok(body.clone()));
        for (text, body) in [(false, &body), (true, &text)] {
            let part = &body[..body.len().saturating_sub(cut)];
            prop_assert_eq!(asked(text, part, &sizes), asked(text, part, &[usize::MAX]));
        }
    }

    #[test]
    fn an_answer_is_the_same_whatever_its_pieces(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..5),
        sizes in proptest::collection::vec(1_usize..20, 1..6),
        cut in 0_usize..9,
        junk in proptest::option::of(2_u8..),
        text in any::<bool>(),
    ) {
        let mut body = framed(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let expected = body.clone();
        let answer = |body: &[u8], sizes: &[usize], end| told(WebReply::new(text), grpc(), body, sizes, end);
        let whole = answer(&body, &sizes, ok());
        prop_assert_eq!(&whole, &answer(&body, &[usize::MAX], ok()));
        let bytes = if text { decoded(&whole.body) } else { whole.body.clone() };
        prop_assert!(bytes.starts_with(&expected));
        prop_assert_eq!(opened(&bytes), (messages, Some("x-cost: 3\r\ngrpc-status: 0\r\n".into())));

        body.truncate(body.len().saturating_sub(cut));
        body.extend(junk);
        for end in [ok(), Err(Kind::DeadlineExceeded)] {
            prop_assert_eq!(answer(&body, &sizes, end.clone()), answer(&body, &[usize::MAX], end));
        }
    }

    #[test]
    fn a_unary_answer_is_the_same_whatever_its_pieces(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..3),
        sizes in proptest::collection::vec(1_usize..20, 1..6),
        cut in 0_usize..4,
        junk in proptest::option::of(2_u8..),
    ) {
        let mut body = framed(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
        body.truncate(body.len().saturating_sub(cut));
        body.extend(junk);
        let answer = |sizes: &[usize]| told(UnaryReply::new(20), grpc(), &body, sizes, ok());
        prop_assert_eq!(answer(&sizes), answer(&[usize::MAX]));
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told() {
    let text = |bytes: &[u8]| STANDARD.encode(bytes).into_bytes();
    let cases: [(bool, Vec<u8>, Kind); 7] = [
        (false, vec![2, 0, 0, 0, 0], Kind::MalformedBody),
        (false, [framed(&[b"x"]), vec![0x80, 0, 0, 0, 0]].concat(), Kind::MalformedBody),
        (false, vec![0, 0, 0], Kind::MalformedBody),
        (false, vec![0, 0, 0, 0, 2, 1], Kind::MalformedBody),
        (true, framed(&[b"x"]), Kind::MalformedBody),
        (true, text(&framed(&[b"xy"])[..6]), Kind::MalformedBody),
        (true, text(&framed(&[b"xyz"]))[..10].to_vec(), Kind::MalformedBody),
    ];
    for (text, body, kind) in cases {
        for sizes in [&[1][..], &[3], &[usize::MAX]] {
            assert_eq!(asked(text, &body, sizes), Err(kind), "{text} {body:?}");
        }
    }
}

#[test]
fn a_padded_piece_is_read_when_it_comes() {
    let mut request = RelayedRequest::new(true);
    request.push(Bytes::from(STANDARD.encode(&framed(&[b"ab"])[..4])));
    assert!(matches!(request.step(), Ok(RequestStep::Frame(bytes)) if bytes.len() == 4));
    assert!(matches!(request.step(), Ok(RequestStep::NeedInput)));
}

#[test]
fn a_message_can_be_read_as_soon_as_it_is_whole() {
    let mut reply = WebReply::new(true);
    reply.head(StatusCode::OK, grpc().1);
    assert!(matches!(reply.step(), Ok(ReplyStep::Head(_))));
    let mut text = Vec::new();
    for piece in pieces(&framed(&[b"ab"]), &[2]) {
        reply.push(Bytes::copy_from_slice(piece));
        while let Ok(ReplyStep::Data(data)) = reply.step() {
            text.extend_from_slice(&data);
        }
    }
    assert_eq!(decoded(&text), framed(&[b"ab"]));
}

#[test]
fn the_head_tells_the_form_and_the_last_frame_the_rest() {
    let trailers = map(&[
        ("grpc-status", "5"),
        ("grpc-message", "caf%C3%A9"),
        ("grpc-status-details-bin", "CAU"),
        ("x-cost", "3"),
        ("x-cost", "4"),
        ("connection", "close"),
    ]);
    let answer = told(WebReply::new(false), grpc(), &framed(&[b"one"]), &[9], Ok(Some(trailers)));
    let (status, head) = answer.head.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(head, map(&[("x-head", "1"), ("content-type", "application/grpc-web+proto")]));
    let (messages, trailers) = opened(&answer.body);
    assert_eq!(messages, [b"one"]);
    let mut lines: Vec<&str> = trailers.as_deref().unwrap().split_terminator("\r\n").collect();
    lines.sort_unstable();
    let expected =
        ["grpc-message: caf%C3%A9", "grpc-status-details-bin: CAU", "grpc-status: 5", "x-cost: 3", "x-cost: 4"];
    assert_eq!(lines, expected);
}

#[test]
fn content_types_keep_their_format() {
    let cases = [
        ("application/grpc", false, "application/grpc-web+proto"),
        ("application/grpc+json", true, "application/grpc-web-text+json"),
        ("text/html+x", true, "application/grpc-web-text+proto"),
    ];
    for (servlet, text, expected) in cases {
        assert_eq!(web_content_type(text, Some(&HeaderValue::from_static(servlet))), expected);
    }
    let cases = [
        ("application/grpc-web", "application/grpc"),
        ("application/grpc-web-text+proto", "application/grpc+proto"),
        ("application/grpc+json", "application/grpc+json"),
        ("text/html+x", "application/grpc"),
    ];
    for (caller, expected) in cases {
        assert_eq!(grpc_content_type(&map(&[("content-type", caller)])), expected);
    }
}

#[test]
fn whatever_a_servlet_answers_is_told_in_trailers() {
    let trailers_only =
        map(&[("content-type", "application/grpc"), ("grpc-status", "16"), ("grpc-message", "who"), ("x-why", "a")]);
    let html = || map(&[("content-type", "text/html"), ("x-page", "1")]);
    let cases = [
        ((StatusCode::OK, trailers_only), Ok(None), "16", "x-why: a\r\n"),
        ((StatusCode::OK, html()), Ok(None), "2", ""),
        ((StatusCode::SERVICE_UNAVAILABLE, html()), Ok(None), "14", ""),
        (grpc(), Ok(None), "2", ""),
        (grpc(), Ok(Some(map(&[("grpc-status", "soon")]))), "2", ""),
    ];
    for (head, trailers, status, more) in cases {
        let shown = format!("{head:?}");
        for text in [false, true] {
            let answer = told(WebReply::new(text), head.clone(), b"", &[1], trailers.clone());
            assert_eq!(answer.end, Ok(()));
            let (http, head) = answer.head.unwrap();
            assert_eq!(
                (http, head.contains_key("grpc-status"), head.contains_key("x-why")),
                (StatusCode::OK, false, false)
            );
            let body = if text { decoded(&answer.body) } else { answer.body };
            let (messages, trailers) = opened(&body);
            let trailers = trailers.unwrap();
            assert!(
                messages.is_empty() && trailers.contains(&format!("grpc-status: {status}\r\n")),
                "{shown} {trailers}"
            );
            assert!(trailers.contains(more), "{trailers}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_tells_of_it_only_between_two_messages() {
    let body = framed(&[b"one", b"two"]);
    for text in [false, true] {
        for end in 0..=body.len() {
            let answer = told(WebReply::new(text), grpc(), &body[..end], &[3], Err(Kind::DeadlineExceeded));
            let Err((_, farewell)) = answer.end else { panic!("it was cut") };
            if end % 8 == 0 {
                let Farewell::End(words) = farewell else { panic!("{end}: {farewell:?}") };
                let all = [answer.body, words.to_vec()].concat();
                let (messages, trailers) = opened(&if text { decoded(&all) } else { all });
                assert_eq!(messages.len(), end / 8);
                assert!(trailers.unwrap().contains("grpc-status: 4\r\ngrpc-message: cut\r\n"));
            } else {
                assert_eq!(farewell, Farewell::Break(Bytes::new()), "{end}");
            }
        }
    }
}

#[test]
fn an_answer_that_is_no_sequence_of_messages_goes_as_far_as_it_is() {
    let body = [framed(&[b"one"]), vec![7, 7]].concat();
    let answer = told(WebReply::new(false), grpc(), &body, &[usize::MAX], ok());
    assert_eq!(answer.body, framed(&[b"one"]));
    assert!(matches!(answer.end, Err((Kind::MalformedReply, Farewell::End(_)))));
    let answer = told(WebReply::new(false), grpc(), &framed(&[b"one"])[..7], &[2], ok());
    assert_eq!(answer.end, Err((Kind::MalformedReply, Farewell::Break(Bytes::new()))));
}

#[test]
fn a_unary_answer_has_all_of_it_in_its_head() {
    let trailers = map(&[("grpc-status", "0"), ("x-cost", "3")]);
    let answer = told(UnaryReply::new(9), grpc(), &framed(&[b"one"]), &[2], Ok(Some(trailers)));
    let expected = [
        ("x-head", "1"),
        ("x-cost", "3"),
        ("content-type", "application/grpc+proto"),
        ("content-length", "8"),
        ("grpc-status", "0"),
    ];
    assert_eq!(answer.head, Some((StatusCode::OK, map(&expected))));
    assert_eq!((answer.body, answer.end), (framed(&[b"one"]), Ok(())));

    let failed = map(&[("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", "CAk")]);
    let answer = told(UnaryReply::new(9), grpc(), &framed(&[b"one"]), &[2], Ok(Some(failed)));
    let (_, head) = answer.head.unwrap();
    let expected = [("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", "CAk")];
    assert!(expected.iter().all(|(name, value)| head[*name] == *value), "{head:?}");
    assert!(answer.body.is_empty() && head["content-length"] == "0", "a message beside an error is not the answer");
}

#[test]
fn a_unary_answer_is_one_message_within_its_limit() {
    let cases: [(Vec<u8>, Kind); 4] = [
        (framed(&[b"one", b"two"]), Kind::UntranslatableReply),
        (framed(&[b"ten bytes!"]), Kind::UntranslatableReply),
        (framed(&[b"one"])[..7].to_vec(), Kind::MalformedReply),
        (vec![9, 0, 0, 0, 0], Kind::MalformedReply),
    ];
    for (body, kind) in cases {
        let answer = told(UnaryReply::new(9), grpc(), &body, &[4], ok());
        assert_eq!((answer.head, answer.end), (None, Err((kind, Farewell::Break(Bytes::new())))), "{body:?}");
    }
    let answer = told(UnaryReply::new(9), grpc(), &framed(&[b"9 bytes!!"]), &[4], ok());
    assert_eq!(answer.end, Ok(()));
}

#[test]
fn how_a_call_ended_is_known_whatever_its_caller_is_told() {
    for translator in [&mut WebReply::new(true) as &mut dyn ReplyTranslator, &mut UnaryReply::new(9)] {
        translator.head(StatusCode::OK, grpc().1);
        assert_eq!(translator.status(), None);
        translator.finish(Some(map(&[("grpc-status", "8")])));
        assert_eq!(translator.status().unwrap().code, Code::ResourceExhausted);
    }
}
