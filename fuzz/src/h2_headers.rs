//! Header blocks of HTTP/2 and their Huffman code, held against the library that reads them after us: what we let pass never ends a
//! connection there, what we hold back would not have been served, and what we make of that never ends
//! a connection either.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::draw::Draw;

#[path = "../../src/listener/http2/header_block.rs"]
mod header_block;
#[path = "../../src/listener/http2/huffman.rs"]
mod huffman;

/// What the library made of a block.
#[derive(Debug, PartialEq)]
enum Heard {
    Request(HeaderMap),
    StreamError,
    ConnectionError,
}

/// One end of a connection on which all has been said.
struct Said {
    bytes: std::io::Cursor<Vec<u8>>,
}

impl AsyncRead for Said {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let at = self.bytes.position() as usize;
        let rest = &self.bytes.get_ref()[at..];
        let some = rest.len().min(buf.remaining());
        if some == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&rest[..some]);
        self.bytes.set_position((at + some) as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Said {
    fn poll_write(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

fn hear(block: &[u8]) -> Heard {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const ENDS_ALL: u8 = 5;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let bytes = [preface, frame(SETTINGS, 0, 0, &[]), frame(HEADERS, ENDS_ALL, 1, block)].concat();
    let mut cx = Context::from_waker(Waker::noop());
    let mut handshake = pin!(h2::server::handshake(Said { bytes: std::io::Cursor::new(bytes) }));
    let Poll::Ready(Ok(mut connection)) = handshake.as_mut().poll(&mut cx) else {
        panic!("the preface is all there");
    };
    for _ in 0..3 {
        match connection.poll_accept(&mut cx) {
            Poll::Ready(Some(Ok((request, _)))) => return Heard::Request(request.headers().clone()),
            Poll::Ready(Some(Err(_)) | None) => return Heard::ConnectionError,
            Poll::Pending => {}
        }
    }
    Heard::StreamError
}

fn text(bytes: &[u8], huffman: bool) -> Vec<u8> {
    // A piece is at most 255 bytes long: the prefix holds 127, the rest fits two bytes more.
    let mut out = vec![if huffman { 0x80 } else { 0 }];
    match bytes.len() {
        len @ 0..127 => out[0] |= len as u8,
        len => {
            out[0] |= 127;
            let rest = len - 127;
            if rest < 128 {
                out.push(rest as u8);
            } else {
                out.extend([rest as u8 & 127 | 128, (rest >> 7) as u8]);
            }
        }
    }
    out.extend_from_slice(bytes);
    out
}

/// `:method: GET`, `:scheme: http`, `:path: /`.
const REQUEST: [u8; 3] = [0x82, 0x86, 0x84];

/// A value in Huffman's code is what the library reads in it.
fn check_coded(coded: &[u8]) {
    let mut decoded = Vec::new();
    let whole = huffman::decode(coded, |byte| {
        decoded.push(byte);
        true
    });
    let block = [&REQUEST[..], &[0x00], &text(b"x", false), &text(coded, true)].concat();
    let heard = hear(&block);
    match HeaderValue::from_bytes(&decoded) {
        Ok(value) if whole => {
            assert_eq!(heard, Heard::Request(HeaderMap::from_iter([(http::HeaderName::from_static("x"), value)])))
        }
        _ => assert_eq!(heard, Heard::ConnectionError, "{decoded:?}"),
    }
}

pub fn check(data: &[u8]) {
    let mut draw = Draw(data);
    check_coded(draw.piece());
    let names: &[&[u8]] =
        &[b"x", b"te", b":path", b":method", b":authority", b":status", b":x", b"X", b"", b"connection"];
    let mut block = if draw.flag() { REQUEST.to_vec() } else { Vec::new() };
    while !draw.is_empty() && block.len() < 8000 {
        block.push(draw.one_of(&[0x00, 0x10, 0x40]));
        let name = if draw.flag() { draw.one_of(names) } else { draw.piece() };
        block.extend(text(name, false));
        block.extend(text(draw.piece(), false));
    }
    let heard = hear(&block);
    if header_block::is_sound(&block) {
        assert_ne!(heard, Heard::ConnectionError, "{}", block.escape_ascii());
    } else {
        if let Heard::Request(headers) = &heard {
            // The library takes a quotation mark in a name, which no name has (RFC 9110 §5.6.2).
            assert!(headers.keys().any(|name| name.as_str().contains('"')), "{}", block.escape_ascii());
        }
        if let Some(mended) = header_block::mended(&block) {
            assert!(header_block::is_sound(&mended));
            assert_ne!(hear(&mended), Heard::ConnectionError, "{}", mended.escape_ascii());
        }
    }
    // Anything at all.
    if !header_block::is_sound(data)
        && let Some(mended) = header_block::mended(data)
    {
        assert!(header_block::is_sound(&mended));
    }
}
