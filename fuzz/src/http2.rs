//! HTTP/2 connections that are served and asked on. Whatever a peer says, and however its bytes arrive, the same is heard and the same
//! is said back; what is said is lawful, and is bounded.

use std::io::IoSlice;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use telamon::model::Frame;
use telamon::wire::http2::{Connection, HeadRoom, Input, Options, RecvStream, SendStream, Side, StreamError};

use super::draw::Draw;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Less than half of the connection's window: when that is opened again depends on how the data came.
const MOST: usize = 16 * 1024;

/// What may wait before no more is read.
const WAITING: usize = 192 * 1024;

fn options(is_server: bool) -> Options {
    Options {
        side: if is_server { Side::Server { streams: 3 } } else { Side::Client },
        stream_window: 300,
        connection_window: 65_535,
        head: HeadRoom { bytes: 400, fields: 5 },
        told_head_bytes: 400,
        is_guarded: is_server,
        clock: || {
            static NOW: OnceLock<Instant> = OnceLock::new();
            *NOW.get_or_init(Instant::now)
        },
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// What was heard on a stream.
#[derive(Debug, PartialEq)]
struct Heard {
    head: String,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), StreamError>>,
}

fn heard(head: String, recv: &mut RecvStream) -> Heard {
    let mut heard = Heard { head, body: Vec::new(), trailers: None, end: None };
    let mut cx = Context::from_waker(Waker::noop());
    while heard.end.is_none() {
        match recv.poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                assert!(heard.trailers.is_none(), "data behind the trailers");
                heard.body.extend(data);
            }
            Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => heard.trailers = Some(trailers),
            Poll::Ready(Some(Err(error))) => heard.end = Some(Err(error)),
            Poll::Ready(None) => heard.end = Some(Ok(())),
            Poll::Pending => break,
        }
    }
    heard
}

/// What came of a connection.
#[derive(Debug, PartialEq)]
struct Said {
    heard: Vec<Heard>,
    lost: String,
    written: Vec<u8>,
}

fn written(connection: &Connection) -> Vec<u8> {
    let mut written = Vec::new();
    let write = |pieces: &[IoSlice<'_>]| {
        pieces.iter().for_each(|piece| written.extend_from_slice(piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    };
    assert!(matches!(connection.write(write), Poll::Ready(Ok(()))));
    written
}

fn answer(send: &mut SendStream, body: &[u8]) {
    if !send.answer(&Response::new(()), false) {
        return;
    }
    let mut data = Bytes::copy_from_slice(body);
    let room = send.poll_room(&mut Context::from_waker(Waker::noop())).map(Result::unwrap);
    assert!(send.send(&mut data, false));
    let sent = body.len() - data.len();
    assert!(match room {
        Poll::Ready(room) => sent == room.min(body.len()),
        Poll::Pending => sent == 0,
    });
    send.send_trailers(&HeaderMap::new());
}

/// A connection that reads these, one after the other.
fn talk<'a>(is_server: bool, parts: impl Iterator<Item = &'a [u8]>) -> Said {
    let connection = Connection::new(options(is_server));
    let first = if is_server { PREFACE } else { &[] };
    let greeting = [first, &frame(SETTINGS, 0, 0, &[])].concat();
    assert!(connection.receive(&mut Input::Borrowed(&greeting)).is_ok());
    let mut asked: Vec<_> =
        (0..3).filter(|_| !is_server).filter_map(|nth| connection.request(&Request::new(()), nth == 0)).collect();
    let mut held = BytesMut::new();
    for (nth, part) in parts.enumerate() {
        held.extend_from_slice(part);
        let all = std::mem::take(&mut held);
        let mut input = if nth % 2 == 0 { Input::Borrowed(&all) } else { Input::Owned(all.clone()) };
        if connection.receive(&mut input).is_ok() {
            held = input.into_rest();
        }
    }
    let mut said = Said { heard: Vec::new(), lost: format!("{:?}", connection.lost()), written: written(&connection) };
    for (recv, send) in &mut asked {
        let head = format!("{:?}", recv.poll_head(&mut Context::from_waker(Waker::noop())));
        said.heard.push(heard(head, recv));
        let mut data = Bytes::from_static(&[7; 1000]);
        send.send(&mut data, true);
    }
    while let Some(mut opened) = connection.accept() {
        let mut heard = heard(format!("{:?}", opened.head), &mut opened.recv);
        answer(&mut opened.send, &heard.body);
        said.heard.push({
            heard.head.push_str(if opened.recv.is_end() { ", at its end" } else { "" });
            heard
        });
    }
    drop(asked);
    said.written.extend(written(&connection));
    said
}

/// What was written is a row of lawful frames; of those of no body or head only what must hold of each.
fn check_written(is_server: bool, written: &[u8]) {
    let mut rest = if is_server { written } else { written.strip_prefix(PREFACE).expect("the preface is first") };
    let mut done = std::collections::BTreeSet::new();
    let mut block = None;
    let mut nth = 0;
    while let [a, b, c, kind, flags, s, t, r, m, after @ ..] = rest {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let stream = u32::from_be_bytes([*s, *t, *r, *m]);
        assert!(len <= 64 * 1024 && len <= after.len(), "a frame is cut off or too large");
        let (payload, after) = after.split_at(len);
        rest = after;
        assert!(nth > 0 || *kind == SETTINGS, "SETTINGS are first");
        nth += 1;
        assert_eq!(block.is_some_and(|block| block == stream), *kind == CONTINUATION);
        match *kind {
            DATA | HEADERS | CONTINUATION => {
                assert!(stream % 2 == 1 && (*kind == CONTINUATION || !done.contains(&stream)), "behind the end");
                if *kind != CONTINUATION && flags & END_STREAM != 0 {
                    done.insert(stream);
                }
                if *kind != DATA {
                    block = (flags & END_HEADERS == 0).then_some(stream);
                }
            }
            RST_STREAM => {
                assert!(stream != 0 && len == 4);
                done.insert(stream);
            }
            WINDOW_UPDATE => assert!(len == 4 && u32::from_be_bytes(payload.try_into().unwrap()) > 0),
            GOAWAY => assert!(len == 8 && rest.is_empty(), "something behind the last word"),
            _ => {}
        }
    }
    assert!(rest.is_empty() && block.is_none());
}

/// However much is said, what is said back is bounded.
fn check_bounded(is_server: bool, bytes: &[u8]) {
    let connection = Connection::new(options(is_server));
    let first = if is_server { PREFACE } else { &[] };
    let mut next = [first, &frame(SETTINGS, 0, 0, &[]), bytes].concat();
    for _ in 0..40 {
        if !connection.may_read() || connection.receive(&mut Input::Borrowed(&next)).is_err() {
            break;
        }
        next = bytes.to_vec();
    }
    let mut waiting = 0;
    let _ = connection.write(|pieces| {
        waiting = pieces.iter().map(|piece| piece.len()).sum();
        Poll::Pending
    });
    assert!(waiting < WAITING + 1000 + 3 * bytes.len());
}

/// Frames of all kinds on a few streams.
fn made(mut draw: Draw<'_>) -> Vec<u8> {
    let mut frames = Vec::new();
    while !draw.is_empty() {
        let (kind, flags) = (draw.byte() % 11, draw.byte());
        let stream = draw.one_of(&[1, 3, 0, 5, 7, 9, 2]);
        let payload = draw.piece();
        // A head is seldom one by chance.
        let payload = match (kind, payload) {
            (HEADERS, []) => &[0x82, 0x86, 0x84][..],
            (HEADERS, [0]) => &[0x88],
            (WINDOW_UPDATE | RST_STREAM, []) => &[0, 0, 0, 1],
            _ => payload,
        };
        frames.extend(frame(kind, flags, stream, payload));
    }
    frames
}

pub fn check(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let mut draw = Draw(data);
    let (how, step) = (draw.byte(), usize::from(draw.byte()).max(1));
    let is_server = how & 1 == 0;
    let bytes = if how & 2 == 0 { made(draw) } else { draw.0.to_vec() };
    let whole = talk(is_server, std::iter::once(&bytes[..]));
    assert_eq!(whole, talk(is_server, bytes.chunks(step)));
    check_written(is_server, &whole.written);
    check_bounded(is_server, &bytes);
}
