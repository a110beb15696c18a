//! Bodies: the one way to write each framing, and the ways that are refused.

use bytes::BytesMut;
use http::HeaderMap;

use crate::model::{Fault, Kind, Stage};
use crate::wire::{BodyDecoder, Framing, Piece, filter_trailers};

/// A body read from `text`, as far as it goes.
#[derive(Debug, Default, PartialEq)]
struct Read {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    left: Vec<u8>,
}

fn read(framing: Framing, text: &[u8]) -> Result<Read, Fault> {
    let mut decoder = BodyDecoder::new(framing);
    let mut buf = BytesMut::from(text);
    let mut read = Read::default();
    while let Some(piece) = decoder.decode(&mut buf)? {
        match piece {
            Piece::Data(data) => {
                assert!(!data.is_empty());
                read.data.extend_from_slice(&data);
            }
            Piece::Trailers(trailers) => read.trailers = Some(trailers),
            Piece::End => {
                read.ended = true;
                break;
            }
        }
    }
    assert_eq!(decoder.is_done(), read.ended);
    read.left = buf.to_vec();
    Ok(read)
}

fn chunked(text: &str) -> Result<Read, Fault> {
    read(Framing::Chunked, text.as_bytes())
}

#[test]
fn a_length_is_counted_to_its_end() {
    let mut decoder = BodyDecoder::new(Framing::Length(5));
    let mut buf = BytesMut::from("hel");
    assert_eq!(decoder.remaining(), Some(5));
    assert_eq!(decoder.decode(&mut buf).unwrap(), Some(Piece::Data("hel".into())));
    assert_eq!(decoder.remaining(), Some(2));
    assert_eq!(decoder.decode(&mut buf).unwrap(), None);
    buf.extend_from_slice(b"loGET /");
    assert_eq!(decoder.decode(&mut buf).unwrap(), Some(Piece::Data("lo".into())));
    assert!(decoder.is_done());
    assert_eq!(decoder.remaining(), Some(0));
    assert_eq!(decoder.decode(&mut buf).unwrap(), Some(Piece::End));
    assert_eq!(decoder.decode(&mut buf).unwrap(), Some(Piece::End));
    assert_eq!(buf, "GET /");
}

#[test]
fn no_body_is_over_at_once() {
    for framing in [Framing::None, Framing::Length(0)] {
        assert!(BodyDecoder::new(framing).is_done());
        assert_eq!(BodyDecoder::new(framing).remaining(), Some(0));
        let read = read(framing, b"GET /").unwrap();
        assert!(read.ended && read.data.is_empty());
        assert_eq!(read.left, b"GET /");
    }
}

#[test]
fn chunks() {
    for (text, data) in [
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "hello"),
        ("0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n", "hello"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("0\r\n\r\n", ""),
    ] {
        let read = chunked(&format!("{text}NEXT")).unwrap();
        assert!(read.ended && read.trailers.is_none(), "{text:?}");
        assert_eq!((read.data.as_slice(), read.left.as_slice()), (data.as_bytes(), &b"NEXT"[..]), "{text:?}");
    }
    let decoder = BodyDecoder::new(Framing::Chunked);
    assert_eq!((decoder.is_done(), decoder.remaining()), (false, None));
}

#[test]
fn a_body_that_is_cut_is_never_whole() {
    let whole = "5;x\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for len in 0..whole.len() {
        assert!(!chunked(&whole[..len]).unwrap().ended, "{len}");
    }
    assert!(chunked(whole).unwrap().ended);
}

#[test]
fn a_chunk_is_written_in_one_way() {
    for text in [
        "\r\n",
        "+5\r\nhello",
        "-5\r\n",
        "0x5\r\nhello",
        " 5\r\nhello",
        "5 \r\nhello",
        "5 ;a\r\nhello",
        "5\t\r\n",
        "5\nhello",
        "5\r\r\nhello",
        "5\rhello",
        "g\r\n",
        ";a\r\n",
        "5,5\r\n",
        "5_\r\n",
        "5.\r\n",
        "00000000000000005\r\nhello",
        "10000000000000000\r\n",
        "ffffffffffffffff0\r\n",
        "5\r\nhello5\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0",
        "5\r\nhello!\r\n",
        "5\r\nhello\r\n\r\n",
        "5;a\nb\r\nhello",
        "5;a\rb",
        "5;a\0\r\n",
        "5;a\x7f\r\n",
        "0\r\n\n",
        "0\n\r\n",
        "0\r\n\r\r",
        "\u{ff15}\r\n",
    ] {
        let fault = chunked(text).expect_err(text);
        assert_eq!((fault.kind, fault.stage), (Kind::MalformedBody, Stage::RequestBody), "{text:?}");
    }
}

#[test]
fn the_largest_size_does_not_overflow() {
    let read = chunked("ffffffffffffffff\r\nhello").unwrap();
    assert_eq!((read.data.as_slice(), read.ended), (&b"hello"[..], false));
}

#[test]
fn extensions_are_bounded_over_the_whole_body() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1023));
    let fits = format!("{}0\r\n\r\n", chunk.repeat(16));
    assert!(chunked(&fits).unwrap().ended);
    assert_eq!(chunked(&chunk.repeat(17)).unwrap_err().kind, Kind::MalformedBody);
    assert_eq!(chunked(&format!("1;{}", "e".repeat(20_000))).unwrap_err().kind, Kind::MalformedBody, "before its end");
}

#[test]
fn trailers_are_kept_apart_and_filtered() {
    let read = chunked(
        "0\r\nX-Sum: 1\r\nx-sum:2 \r\nHost: evil\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nAuthorization: x\r\n\
         Connection: close\r\nCookie: a\r\nX-Forwarded-For: 1.1.1.1\r\nContent-Type: a/b\r\n\r\nNEXT",
    )
    .unwrap();
    let trailers = read.trailers.unwrap();
    assert_eq!(trailers.len(), 2);
    assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(read.ended);
    assert_eq!(read.left, b"NEXT");
    let nothing_left = chunked("0\r\nHost: evil\r\n\r\n").unwrap();
    assert!(nothing_left.ended && nothing_left.trailers.is_none());
}

#[test]
fn trailers_are_as_strict_as_fields() {
    for text in [
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA: b\n",
        "0\r\nA: \0",
    ] {
        assert_eq!(chunked(text).unwrap_err().kind, Kind::MalformedBody, "{text:?}");
    }
}

#[test]
fn trailers_are_bounded() {
    let fields = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(chunked(&fields(32)).unwrap().ended);
    let fault = chunked(&fields(33)).unwrap_err();
    assert_eq!(fault.kind, Kind::HeadTooLarge);
    assert_eq!(fault.message, "the trailer section is over the limit of 32 fields");
    let endless = format!("0\r\nA: {}", "b".repeat(16 * 1024));
    let fault = chunked(&endless).unwrap_err();
    assert_eq!(fault.kind, Kind::HeadTooLarge);
    assert_eq!(fault.message, "the trailer section is over the limit of 16384 bytes");
}

#[test]
fn after_a_fault_nothing_is_read() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut buf = BytesMut::from("x");
    assert_eq!(decoder.decode(&mut buf).unwrap_err().kind, Kind::MalformedBody);
    let mut valid = BytesMut::from("1\r\nx\r\n0\r\n\r\n");
    assert_eq!(decoder.decode(&mut valid).unwrap_err().kind, Kind::MalformedBody);
    assert_eq!(valid.len(), 11);
    assert!(!decoder.is_done());
}

#[test]
fn the_filter_keeps_what_grpc_sends() {
    let mut trailers = HeaderMap::new();
    for name in ["grpc-status", "grpc-message", "x-meta-bin", "server-timing", "etag", "date", "set-cookie", "trailer"]
    {
        trailers.insert(name, "x".parse().unwrap());
    }
    filter_trailers(&mut trailers);
    let left: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["grpc-status", "grpc-message", "x-meta-bin", "server-timing", "etag"]);
}
