//! Large `HttpBody`s, which are passed on in the pieces in which they came: whatever those are, the result is the same.

use proptest::prelude::*;

use super::super::super::protobuf::put_len;
use super::*;
use crate::translate::frame::frame_header;

const BIG: usize = 300_000;

fn big_plan(verb: &str, path: &str, headers: &HeaderMap) -> (RestPlan, Vec<String>) {
    let (mut plan, captures) = plan_for(&verb.parse().unwrap(), path, headers);
    plan.message_limit = BIG;
    (plan, captures)
}

/// The messages that an upload becomes.
fn upload(url: &str, body: &[u8], sizes: &[usize], content_type: &str) -> Result<Vec<Vec<u8>>, Kind> {
    let headers = head(&[("content-type", content_type)]);
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (plan, captures) = big_plan("POST", path, &headers);
    let captures: Vec<_> = captures.iter().map(|value| value.as_str().into()).collect();
    let mut request = RestRequest::new(&plan, &captures, query, &headers).map_err(|fault| fault.kind)?;
    let mut frames = FrameDecoder::new(usize::MAX);
    let mut drain = |request: &mut RestRequest| loop {
        let is_end = request.is_end();
        match request.step().map_err(|fault| fault.kind)? {
            RequestStep::NeedInput if !is_end => return Ok(false),
            RequestStep::Frame(frame) if !is_end => frames.push(frame),
            RequestStep::End => return Ok(true),
            step => panic!("{step:?} behind the end"),
        }
    };
    for piece in pieces(body, sizes) {
        request.push(Bytes::copy_from_slice(piece));
        drain(&mut request)?;
    }
    request.finish();
    assert!(drain(&mut request)?);
    let mut messages = Vec::new();
    while let Some(message) = frames.next().unwrap() {
        messages.push(message.bytes.to_vec());
    }
    frames.at_end().unwrap();
    Ok(messages)
}

type Told = (Option<(StatusCode, HeaderMap)>, Vec<u8>, Option<Kind>);

/// What becomes of a servlet's answer: head, body and fault.
fn download(path: &str, answer: &[u8], sizes: &[usize]) -> Told {
    let (plan, _) = big_plan(if path == "/upload/abc" { "POST" } else { "GET" }, path, &HeaderMap::new());
    let mut reply = RestReply::new(&plan);
    let (mut told, mut body, mut fault, mut done) = (None, Vec::new(), None, false);
    let mut drain = |reply: &mut RestReply| loop {
        match reply.step() {
            Ok(ReplyStep::NeedInput) => return true,
            Ok(ReplyStep::Head(head)) => told = Some((head.status(), head.headers().clone())),
            Ok(ReplyStep::Data(data)) => body.extend_from_slice(&data),
            Ok(ReplyStep::End) => done = true,
            Err(why) => fault = Some(why.kind),
        }
        if done || fault.is_some() {
            return false;
        }
    };
    reply.head(StatusCode::OK, head(GRPC));
    let mut goes_on = drain(&mut reply);
    for piece in pieces(answer, sizes) {
        if goes_on {
            reply.push(Bytes::copy_from_slice(piece));
            goes_on = drain(&mut reply);
        }
    }
    if goes_on {
        reply.finish(OK.map(head));
        drain(&mut reply);
    }
    assert!(done || fault.is_some());
    (told, body, fault)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1..70_000_usize, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn an_upload_is_the_same_whatever_its_pieces(
        len in prop_oneof![0..10_usize, 0..9_000_usize, 0..310_000_usize],
        sizes in sizes(),
        url in prop::sample::select(vec!["/upload", "/upload/abc", "/parcel", "/parcel?name=x", "/pour"]),
        content_type in prop::sample::select(vec!["image/png", ""]),
    ) {
        let body: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
        let (whole, cut) = (upload(url, &body, &[usize::MAX], content_type), upload(url, &body, &sizes, content_type));
        let data_of = |message: Vec<u8>| http_body::read(Bytes::from(message).into()).unwrap().data.into_bytes();
        if url == "/pour" {
            for messages in [whole, cut] {
                prop_assert_eq!(messages.unwrap().into_iter().flat_map(data_of).collect::<Vec<_>>(), body.clone());
            }
            return Ok(());
        }
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(whole.is_err(), len > BIG);
        let Some(message) = whole.ok().and_then(|mut messages| messages.pop()) else { return Ok(()) };
        let json = json_of(plan(&Method::POST, url.split('?').next().unwrap()).0.method.input, &message);
        let content = if url == "/upload" { &json } else { &json["content"] };
        let data = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            content["data"].as_str().unwrap_or_default(),
        );
        prop_assert_eq!(data.unwrap(), body);
        prop_assert_eq!(content["contentType"].as_str().unwrap_or_default(), content_type);
        let name = match url { "/upload/abc" => Some("abc"), "/parcel?name=x" => Some("x"), _ => None };
        prop_assert_eq!(json["name"].as_str(), name);
    }

    #[test]
    fn a_download_is_the_same_whatever_its_pieces(
        lens in proptest::collection::vec(prop_oneof![0..10_usize, 0..9_000_usize, 0..100_000_usize], 0..5),
        sizes in sizes(),
        path in prop::sample::select(vec!["/download", "/download/stream", "/upload/abc"]),
        has_more in any::<bool>(),
        cut in 0..30_usize,
    ) {
        let mut answer = Vec::new();
        for (nth, len) in lens.iter().enumerate() {
            let mut message = Vec::new();
            http_body::put(&mut message, None, b"text/x", &vec![nth as u8; *len]);
            if has_more {
                // The later one counts, and what nobody knows does not.
                put_len(&mut message, 3, &[0; 5000]);
                message.extend_from_slice(&[0x20, 5]);
                http_body::put(&mut message, None, b"text/y", &vec![nth as u8 + 100; len / 2]);
            }
            if path == "/upload/abc" {
                let content = std::mem::take(&mut message);
                put_len(&mut message, 2, &content);
            }
            answer.extend_from_slice(&frame_header(message.len() as u32));
            answer.extend_from_slice(&message);
        }
        if cut < 5 {
            answer.truncate(answer.len().saturating_sub(cut));
        }
        let whole = download(path, &answer, &[usize::MAX]);
        prop_assert_eq!(&whole, &download(path, &answer, &sizes));
        if let (Some((_, fields)), body, None) = &whole
            && let Some(promised) = fields.get("content-length")
        {
            prop_assert_eq!(promised.to_str().unwrap(), body.len().to_string());
        }
    }
}
