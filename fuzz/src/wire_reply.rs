//! Replies: whatever a servlet's head and body are, what goes onto the connection is one reply for another HTTP parser, and its body
//! is what was given, if it was ended well. To HTTP/1.0 there is neither a chunk nor a trailer.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use telamon::wire::{BodyDecoder, BodyLength, Framing, Piece, ReplyEncoder, ReplyTerms};

use super::draw::Draw;

const NAMES: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "trailer",
    "te",
    "date",
    "x-one",
    "x-two",
    "content-type",
    "proxy-connection",
];

fn fields(draw: &mut Draw<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for _ in 0..draw.byte() % 6 {
        let name = HeaderName::from_static(draw.one_of(NAMES));
        if let Ok(value) = HeaderValue::from_bytes(draw.piece()) {
            headers.append(name, value);
        }
    }
    headers
}

/// The bytes on the connection, and whether the body was ended well.
fn write(draw: &mut Draw<'_>, terms: &ReplyTerms) -> (StatusCode, ReplyEncoder, BytesMut, Vec<u8>, bool) {
    let status = draw.one_of(&[200_u16, 204, 304, 404, 101, 100, 500]);
    let length = match draw.byte() % 3 {
        0 => BodyLength::Empty,
        1 => BodyLength::Exact(u64::from(draw.byte())),
        _ => BodyLength::Unknown,
    };
    let mut reply = Response::new(());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    *reply.headers_mut() = fields(draw);
    let mut out = BytesMut::new();
    let (parts, ()) = reply.into_parts();
    let mut encoder = ReplyEncoder::start(terms, &parts, length, &HeaderValue::from_static("now"), &mut out);
    let (mut body, mut well) = (Vec::new(), true);
    while well && !draw.is_empty() {
        let piece = draw.piece();
        match encoder.frame(piece.len(), &mut out) {
            Ok(after) => {
                out.extend_from_slice(piece);
                out.extend_from_slice(after);
                body.extend_from_slice(piece);
            }
            Err(_) => well = false,
        }
    }
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))]);
    well = well && encoder.end(Some(&trailers), &mut out).is_ok();
    (parts.status, encoder, out, body, well)
}

pub fn check(data: &[u8]) {
    let mut draw = Draw(data);
    let terms = ReplyTerms {
        version: draw.one_of(&[Version::HTTP_10, Version::HTTP_11]),
        head_request: draw.flag(),
        keep_alive: draw.flag(),
        accepts_trailers: draw.flag(),
        title_case: draw.flag(),
    };
    let (status, encoder, mut wire, body, well) = write(&mut draw, &terms);
    let bytes = wire.clone();
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(head) = parsed.parse(&bytes).expect("a reply is well formed") else {
        panic!("a reply's head is whole");
    };
    let code = parsed.code.unwrap();
    assert!(code == status.as_u16() || (status.is_informational() && code == 502));
    let all = |name: &str| {
        let named = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "{lengths:?} {codings:?}");
    assert!(all("keep-alive").is_empty() && all("proxy-connection").is_empty() && all("te").is_empty());
    let http10 = terms.version == Version::HTTP_10;
    assert!(!http10 || (codings.is_empty() && all("trailer").is_empty()));
    assert!(!encoder.keep_alive() || terms.keep_alive);
    if code != 101 {
        let expected: &[&str] = match (encoder.keep_alive() || !well && all("connection") != ["close"], http10) {
            (true, true) => &["keep-alive"],
            (true, false) => &[],
            (false, _) => &["close"],
        };
        assert_eq!(all("connection"), expected);
    }
    let _ = wire.split_to(head);
    if !encoder.sends_body() {
        assert!(wire.is_empty(), "no body where there can be none");
        return;
    }
    if !well {
        return;
    }
    if codings.is_empty() {
        assert_eq!(wire, body);
        assert!(lengths.iter().all(|length| *length == body.len().to_string()));
        return;
    }
    let (mut decoder, mut back) = (BodyDecoder::new(Framing::Chunked), Vec::new());
    loop {
        match decoder.decode(&mut wire).expect("chunks are well formed").expect("they are all there") {
            Piece::Data(data) => back.extend_from_slice(&data),
            Piece::Trailers(fields) => assert!(terms.accepts_trailers || fields.is_empty()),
            Piece::End => break,
        }
    }
    assert!(back == body && wire.is_empty());
}
