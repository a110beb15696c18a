//! A connection of HTTP/1 requests. However its bytes arrive, the same is read; and nothing after an anomaly is read.
//!
//! The first byte of the input says in what parts the rest arrives.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use telamon::wire::{BodyDecoder, Framing, HeadLimits, Piece, RequestParser};

/// Small, so that short inputs meet them.
const LIMITS: HeadLimits = HeadLimits { bytes: 512, fields: 8 };

#[derive(Debug, PartialEq)]
enum Said {
    Head(String),
    Body(Vec<u8>),
    Trailers(String),
    End,
    Fault(String),
}

struct Reader {
    buf: BytesMut,
    parser: RequestParser,
    body: Option<BodyDecoder>,
    said: Vec<Said>,
}

impl Reader {
    fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Reader {
        let mut reader =
            Reader { buf: BytesMut::new(), parser: RequestParser::new(LIMITS), body: None, said: Vec::new() };
        for part in parts {
            reader.receive(part);
        }
        reader
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        while let Some(said) = self.next() {
            let is_fault = matches!(said, Said::Fault(_));
            match (self.said.last_mut(), said) {
                (Some(Said::Body(whole)), Said::Body(more)) => whole.extend_from_slice(&more),
                (Some(last @ Said::Fault(_)), again) => assert_eq!(*last, again, "a fault is the last word"),
                (_, said) => self.said.push(said),
            }
            if is_fault {
                break;
            }
        }
    }

    fn next(&mut self) -> Option<Said> {
        let Some(body) = &mut self.body else {
            return match self.parser.parse(&mut self.buf, None) {
                Ok(Some(head)) => {
                    self.body = Some(BodyDecoder::new(head.framing));
                    let headers = head.request.headers();
                    assert!(!headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
                    assert!(head.framing != Framing::Chunked || head.request.version() == http::Version::HTTP_11);
                    Some(Said::Head(format!("{head:?}")))
                }
                Ok(None) => None,
                Err(fault) => Some(Said::Fault(fault.to_string())),
            };
        };
        match body.decode(&mut self.buf) {
            Ok(Some(Piece::Data(data))) => {
                assert!(!data.is_empty());
                Some(Said::Body(data.to_vec()))
            }
            Ok(Some(Piece::Trailers(fields))) => Some(Said::Trailers(format!("{fields:?}"))),
            Ok(Some(Piece::End)) => {
                self.body = None;
                Some(Said::End)
            }
            Ok(None) => None,
            Err(fault) => Some(Said::Fault(fault.to_string())),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((step, bytes)) = data.split_first() else {
        return;
    };
    let mut whole = Reader::read([bytes]);
    let parts = Reader::read(bytes.chunks(usize::from(*step).max(1)));
    assert_eq!(whole.said, parts.said);

    if matches!(whole.said.last(), Some(Said::Fault(_))) {
        let (said, left) = (whole.said.len(), whole.buf.len());
        let more = b"\r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n";
        whole.receive(more);
        assert_eq!((whole.said.len(), whole.buf.len()), (said, left + more.len()));
    }
});
