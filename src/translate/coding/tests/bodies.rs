//! The codings around translators: a request that is gathered, one that goes on piece by piece, and answers of both kinds.

use std::collections::VecDeque;

use http::{Response, StatusCode};

use super::*;
use crate::model::{Code, Fault, Stage};
use crate::translate::status::Status;
use crate::translate::{Farewell, ReplyStep, ReplyTranslator, RequestStep, RequestTranslator};

const LIMIT: usize = 100_000;

/// Gives its body as one frame, or each piece of it; and counts white space for nothing.
#[derive(Debug)]
struct Plain {
    gathers: bool,
    held: Vec<u8>,
    pieces: VecDeque<Bytes>,
    finished: bool,
    ended: bool,
    failed: Option<Fault>,
}

impl Plain {
    fn boxed(gathers: bool) -> Box<dyn RequestTranslator> {
        let (held, pieces) = (Vec::new(), VecDeque::new());
        Box::new(Plain { gathers, held, pieces, finished: false, ended: false, failed: None })
    }
}

impl RequestTranslator for Plain {
    fn push(&mut self, chunk: Bytes) {
        if chunk.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if self.gathers {
            assert!(self.held.len() <= LIMIT, "no more than a piece over the limit");
            self.held.extend_from_slice(&chunk);
            if self.held.len() > LIMIT {
                self.failed = Some(Fault::new(Kind::BodyTooLarge, Stage::RequestBody, "too large"));
            }
        } else {
            assert!(self.pieces.is_empty(), "one piece at a time");
            self.pieces.push_back(chunk);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn step(&mut self) -> Result<RequestStep, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        Ok(match self.pieces.pop_front() {
            Some(piece) => RequestStep::Frame(piece),
            None if !self.finished => RequestStep::NeedInput,
            None if self.gathers && !self.ended => {
                self.ended = true;
                RequestStep::Frame(std::mem::take(&mut self.held).into())
            }
            None => {
                self.ended = true;
                RequestStep::End
            }
        })
    }

    fn is_end(&self) -> bool {
        self.ended
    }
}

fn request(gathers: bool, codings: &[&'static str]) -> Box<dyn RequestTranslator> {
    DecodedRequest::around(Plain::boxed(gathers), &fields(header::CONTENT_ENCODING, codings), LIMIT)
}

fn sent(request: &mut dyn RequestTranslator, body: &[u8], size: usize) -> Result<Vec<u8>, Kind> {
    let (mut out, mut chunks) = (Vec::new(), body.chunks(size));
    loop {
        match request.step().map_err(|fault| fault.kind)? {
            RequestStep::Frame(frame) => out.extend_from_slice(&frame),
            RequestStep::End => return Ok(out),
            RequestStep::NeedInput => match chunks.next() {
                Some(chunk) => request.push(Bytes::copy_from_slice(chunk)),
                None => request.finish(),
            },
        }
    }
}

#[test]
fn a_coded_request_is_read_as_if_it_were_not() {
    let text: Vec<u8> = (0..90_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for gathers in [true, false] {
        for size in [1000, usize::MAX] {
            let gzip = encoded(Coding::Gzip, &[&text]);
            let twice = encoded(Coding::Brotli, &[&gzip]);
            for (codings, body) in [(&["gzip"][..], &gzip), (&["gzip, br"], &twice), (&["identity"], &text)] {
                let mut request = request(gathers, codings);
                request.expect_len(body.len() as u64);
                assert_eq!(sent(&mut *request, body, size).as_deref(), Ok(&text[..]), "{codings:?}");
                assert!(request.is_end());
            }
        }
        // No body at all, whatever it would be in.
        for coding in ["gzip", "compress"] {
            assert_eq!(sent(&mut *request(gathers, &[coding]), b"", 1), Ok(Vec::new()));
        }
    }
}

#[test]
fn what_cannot_be_decoded_is_told() {
    let gzip = encoded(Coding::Gzip, &[b"text"]);
    let cut = &gzip[..gzip.len() - 1];
    let cases: [(&str, &[u8], Kind); 4] = [
        ("gzip", b"{}", Kind::MalformedBody),
        ("gzip", cut, Kind::MalformedBody),
        ("br", b"{\"name\": 1}", Kind::MalformedBody),
        ("compress", b"x", Kind::UnsupportedCoding),
    ];
    for (coding, body, kind) in cases {
        for size in [1, 100] {
            let mut request = request(true, &[coding]);
            assert_eq!(sent(&mut *request, body, size), Err(kind), "{coding}");
            assert_eq!(request.step().unwrap_err().kind, kind, "an error stays");
            assert!(!request.is_end());
        }
    }
    // Before a byte of it is sent.
    let mut request = request(true, &["compress"]);
    request.expect_len(5);
    assert_eq!(request.step().unwrap_err().kind, Kind::UnsupportedCoding);
}

#[test]
fn a_bomb_in_a_request_stops_at_the_limit() {
    for coding in Coding::ALL {
        let bomb = encoded(coding, &[&vec![0; 10 << 20]]);
        // `Plain` itself asserts that it is given no more than its limit and a piece.
        assert_eq!(sent(&mut *request(true, &[coding.name()]), &bomb, usize::MAX), Err(Kind::BodyTooLarge));
        // A stream is as long as it likes.
        assert_eq!(sent(&mut *request(false, &[coding.name()]), &bomb, usize::MAX).map(|all| all.len()), Ok(10 << 20));
        // But not of nothing.
        let blank = encoded(coding, &[&vec![b' '; 10 << 20]]);
        assert_eq!(sent(&mut *request(false, &[coding.name()]), &blank, usize::MAX), Err(Kind::BodyTooLarge));
    }
}

/// An answer: its head, pieces, and whether it ends well, by an end of its own, or not.
#[derive(Debug)]
struct Answer {
    steps: VecDeque<ReplyStep>,
    farewell: Farewell,
    status: Status,
}

impl ReplyTranslator for Answer {
    fn head(&mut self, _: StatusCode, _: HeaderMap) {}
    fn push(&mut self, _: Bytes) {}
    fn finish(&mut self, _: Option<HeaderMap>) {}

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        Ok(self.steps.pop_front().unwrap_or(ReplyStep::NeedInput))
    }

    fn status(&self) -> Option<&Status> {
        Some(&self.status)
    }

    fn farewell(&mut self, _: &Fault) -> Farewell {
        self.farewell.clone()
    }
}

const FAST: Compression = Compression { min_size: 1024, effort: Effort::Fast };

/// An answer of those pieces to a caller that takes `accepted`; a length is told when `sized`.
fn answer(
    accepted: &'static str,
    status: u16,
    fields_of_it: &[(&'static str, &'static str)],
    pieces: &[&[u8]],
    sized: bool,
) -> Box<dyn ReplyTranslator> {
    let mut head = Response::builder().status(status);
    for (name, value) in fields_of_it {
        head = head.header(*name, *value);
    }
    if sized {
        head = head.header("content-length", pieces.concat().len());
    }
    let data = pieces.iter().map(|piece| ReplyStep::Data(Bytes::copy_from_slice(piece)));
    let head = [ReplyStep::Head(head.body(()).unwrap())];
    let steps = head.into_iter().chain(data).chain([ReplyStep::End]).collect();
    let farewell = Farewell::Break(Bytes::new());
    let inner = Answer { steps, farewell, status: Status::new(Code::Ok, "") };
    ReplyCoding::agreed(FAST, &fields(header::ACCEPT_ENCODING, &[accepted])).around(Box::new(inner))
}

/// All of an answer: its head, and its pieces.
fn taken(reply: &mut dyn ReplyTranslator) -> (HeaderMap, Vec<Vec<u8>>) {
    let (mut head, mut pieces) = (None, Vec::new());
    loop {
        match reply.step().unwrap() {
            ReplyStep::Head(response) => {
                assert!(head.is_none() && pieces.is_empty());
                head = Some(response.headers().clone());
            }
            ReplyStep::Data(data) => pieces.push(data.to_vec()),
            ReplyStep::End => return (head.unwrap(), pieces),
            ReplyStep::NeedInput => panic!("there is no more"),
        }
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_whole_answer_is_coded_with_its_new_length() {
    let text = b"{\"name\": \"it\"}, ".repeat(100);
    for coding in Coding::ALL {
        for cut in [1600, 100] {
            let pieces: Vec<&[u8]> = text.chunks(cut).collect();
            let mut reply = answer(coding.name(), 200, &[JSON, ("etag", "\"x\""), ("vary", "Origin")], &pieces, true);
            let (head, body) = taken(&mut *reply);
            let body = body.concat();
            assert_eq!(head["content-encoding"], coding.name());
            assert_eq!(head["content-length"], body.len().to_string());
            assert_eq!(head["etag"], "W/\"x\"");
            let varies: Vec<_> = head.get_all("vary").iter().collect();
            assert_eq!(varies, ["Origin", "Accept-Encoding"]);
            assert!(body.len() < text.len() / 4);
            assert_eq!(plain(coding, &body).unwrap(), text);
        }
    }
}

#[test]
fn a_stream_is_coded_item_by_item() {
    let items: [&[u8]; 3] = [b"{\"number\": 1}\n", b"{\"number\": 2}\n", b"{\"number\": 3}\n"];
    for coding in Coding::ALL {
        let mut reply = answer(coding.name(), 200, &[("content-type", "application/x-ndjson")], &items, false);
        let (head, body) = taken(&mut *reply);
        assert_eq!(head["content-encoding"], coding.name());
        assert!(!head.contains_key("content-length"));
        assert_eq!(body.len(), 4, "each item is a piece of its own");
        let mut decoder = Decoder::new(coding, None);
        for (item, piece) in items.iter().zip(&body) {
            decoder.push(Bytes::copy_from_slice(piece));
            assert_eq!(decoder.step().unwrap(), Decoded::Piece(Bytes::copy_from_slice(item)));
        }
        assert_eq!(plain(coding, &body.concat()).unwrap(), items.concat());
    }
}

#[test]
fn some_answers_go_as_they_are() {
    let text = b"{\"name\": \"it\"}, ".repeat(100);
    let mut seed = 0x9e37_79b9_u32;
    let mut noise = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed.to_le_bytes()[0]
    };
    let noise: Vec<u8> = (0..2000).map(|_| noise()).collect();
    type Case<'c> = (&'static str, u16, &'c [(&'static str, &'static str)], &'c [u8], bool);
    let cases: &[Case<'_>] = &[
        ("", 200, &[JSON], &text, true),
        ("gzip;q=0", 200, &[JSON], &text, true),
        ("gzip", 200, &[JSON], &text[..1000], true),
        ("gzip", 200, &[JSON], b"", true),
        ("gzip", 200, &[("content-type", "text/plain")], &noise, true),
        ("gzip", 200, &[("content-type", "image/png")], &text, false),
        ("gzip", 200, &[], &text, true),
        ("gzip", 200, &[JSON, ("content-encoding", "br")], &text, true),
        ("gzip", 200, &[JSON, ("cache-control", "max-age=1, No-Transform")], &text, true),
        ("gzip", 200, &[JSON, ("repr-digest", "sha-256=:x:")], &text, true),
        ("gzip", 404, &[JSON], &text, true),
        ("gzip", 204, &[JSON], &text, false),
        ("gzip", 206, &[JSON], &text, true),
    ];
    for (accepted, status, fields_of_it, body, sized) in cases {
        let whole = [*body].into_iter().filter(|body| !body.is_empty()).collect::<Vec<_>>();
        let (head, pieces) = taken(&mut *answer(accepted, *status, fields_of_it, &whole, *sized));
        assert!(pieces.concat() == *body, "{accepted} {fields_of_it:?}");
        let told = fields_of_it.iter().find(|(name, _)| *name == "content-encoding").map(|(_, value)| *value);
        assert_eq!(head.get("content-encoding").map(|value| value.to_str().unwrap()), told);
        assert_eq!(head.contains_key("content-length"), *sized);
    }
    // A caller that takes nothing else gets short ones coded as well.
    let (head, body) = taken(&mut *answer("gzip, identity;q=0", 200, &[JSON], &[b"{}"], true));
    assert_eq!(
        (&head["content-encoding"], plain(Coding::Gzip, &body.concat()).unwrap()),
        (&val("gzip"), b"{}".to_vec())
    );
}

fn val(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

#[test]
fn a_broken_answer_does_not_look_whole() {
    let fault = Fault::new(Kind::DeadlineExceeded, Stage::ReplyBody, "late");
    for coding in Coding::ALL {
        for (farewell, last) in [
            (Farewell::Break(Bytes::from_static(b"last")), &b"last"[..]),
            (Farewell::Break(Bytes::new()), b""),
            (Farewell::End(Bytes::from_static(b"end")), b"end"),
        ] {
            let head = Response::builder().header("content-type", "text/event-stream").body(()).unwrap();
            let steps = VecDeque::from([ReplyStep::Head(head), ReplyStep::Data(Bytes::from_static(b"one "))]);
            let inner = Answer { steps, farewell: farewell.clone(), status: Status::new(Code::Ok, "") };
            let agreed = ReplyCoding::agreed(FAST, &fields(header::ACCEPT_ENCODING, &[coding.name()]));
            let mut reply = agreed.around(Box::new(inner));
            let mut got = Vec::new();
            loop {
                match reply.step().unwrap() {
                    ReplyStep::Data(data) => got.extend_from_slice(&data),
                    ReplyStep::Head(_) => {}
                    ReplyStep::NeedInput => break,
                    ReplyStep::End => panic!("it has no end"),
                }
            }
            let (words, ends) = match reply.farewell(&fault) {
                Farewell::End(words) => (words, true),
                Farewell::Break(words) => (words, false),
            };
            assert_eq!(ends, matches!(farewell, Farewell::End(_)));
            got.extend_from_slice(&words);
            let mut decoder = Decoder::new(coding, None);
            decoder.push(got.clone().into());
            let mut seen = Vec::new();
            while let Decoded::Piece(piece) = decoder.step().unwrap() {
                seen.extend_from_slice(&piece);
            }
            assert_eq!(seen, [b"one ", last].concat());
            assert_eq!(plain(coding, &got).is_ok(), ends, "{coding:?}");
        }
    }
}
