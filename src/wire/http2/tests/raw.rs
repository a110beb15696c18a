//! A peer that says what it is told to, byte by byte.

use std::task::{Context, Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};

use super::super::frame::{FrameHead, HEAD, PREFACE, flag, kind};
use super::super::handle::{RecvStream, SendStream};
use super::super::head::ReplyHead;
use super::super::{Connection, Input, Options, Reason, Side, StreamError};
use super::{options, written};
use crate::model::Frame;

pub(super) const END: u8 = flag::END_STREAM;
pub(super) const HEADS: u8 = flag::END_HEADERS;
pub(super) const PADDED: u8 = flag::PADDED;
pub(super) const PRIORITY: u8 = flag::PRIORITY;
pub(super) const ACK: u8 = flag::ACK;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    FrameHead { len: payload.len(), kind, flags, stream }.put(&mut out);
    out.put_slice(payload);
    out.to_vec()
}

pub(super) fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, payload)
}

pub(super) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, block)
}

pub(super) fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::CONTINUATION, flags, stream, block)
}

pub(super) fn reset(stream: u32, reason: Reason) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &reason.0.to_be_bytes())
}

pub(super) fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(super) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = BytesMut::new();
    for (id, value) in settings {
        payload.put_u16(*id);
        payload.put_u32(*value);
    }
    frame(kind::SETTINGS, 0, 0, &payload)
}

pub(super) fn goaway(last: u32, reason: Reason) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), reason.0.to_be_bytes()].concat())
}

/// Fields as literals that are in no table.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(super) const REQUEST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "a")];

/// A request's head.
pub(super) fn request(stream: u32, flags: u8) -> Vec<u8> {
    headers(stream, HEADS | flags, &block(REQUEST))
}

pub(super) fn request_with(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, HEADS | flags, &block(&[REQUEST, more].concat()))
}

/// An answer's head.
pub(super) fn answer(stream: u32, flags: u8, status: &str, more: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, HEADS | flags, &block(&[&[(":status", status)], more].concat()))
}

pub(super) fn trailers(stream: u32) -> Vec<u8> {
    headers(stream, HEADS | END, &block(&[("grpc-status", "0")]))
}

/// What was heard of a stream's body until it ended or nothing more came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) head: Option<Result<ReplyHead, StreamError>>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) is_ended: bool,
    pub(super) error: Option<StreamError>,
}

/// A stream, and who it is served by.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) recv: RecvStream,
    pub(super) send: SendStream,
}

impl Open {
    pub(super) fn heard(&mut self, is_client: bool) -> Heard {
        let mut cx = Context::from_waker(Waker::noop());
        let mut heard = Heard::default();
        if is_client {
            match self.recv.poll_head(&mut cx) {
                Poll::Ready(head) => heard.head = Some(head),
                Poll::Pending => return heard,
            }
        }
        loop {
            match self.recv.poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => heard.body.extend(data),
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => heard.trailers = Some(trailers),
                Poll::Ready(Some(Err(error))) => {
                    heard.error = Some(error);
                    return heard;
                }
                Poll::Ready(None) => {
                    heard.is_ended = true;
                    return heard;
                }
                Poll::Pending => return heard,
            }
        }
    }

    pub(super) fn error(&mut self) -> Option<StreamError> {
        match self.send.poll_reset(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(error) => Some(error),
            Poll::Pending => None,
        }
    }

    pub(super) fn room(&mut self) -> Option<Result<usize, StreamError>> {
        match self.send.poll_room(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    pub(super) fn send(&mut self, data: &[u8], is_last: bool) -> usize {
        let mut data = Bytes::copy_from_slice(data);
        self.send.send(&mut data, is_last);
        data.len()
    }

    pub(super) fn answer(&mut self, is_last: bool) -> bool {
        self.send.answer(&Response::new(()), is_last)
    }
}

/// How the peer's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Whole,
    Owned,
    /// Pieces of so many bytes.
    Pieces(usize),
}

pub(super) const CUTS: [Cut; 5] = [Cut::Whole, Cut::Owned, Cut::Pieces(1), Cut::Pieces(7), Cut::Pieces(5000)];

/// A connection, and what its scripted peer knows of it.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) connection: Connection,
    cut: Cut,
    rest: BytesMut,
}

impl Raw {
    /// The first words of both are said.
    pub(super) fn new(options: Options, cut: Cut) -> Raw {
        let is_server = matches!(options.side, Side::Server { .. });
        let mut raw = Raw { connection: Connection::new(options), cut, rest: BytesMut::new() };
        written(&raw.connection);
        if is_server {
            raw.say(PREFACE);
        }
        raw.say(&settings(&[]));
        let acknowledged = raw.frames();
        assert_eq!(acknowledged.len(), 1, "{acknowledged:?}");
        raw
    }

    pub(super) fn server() -> Raw {
        Raw::new(options(super::SERVER), Cut::Whole)
    }

    pub(super) fn client() -> Raw {
        Raw::new(options(super::CLIENT), Cut::Whole)
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        let size = if let Cut::Pieces(size) = self.cut { size } else { bytes.len().max(1) };
        for piece in bytes.chunks(size) {
            self.rest.extend_from_slice(piece);
            let all = std::mem::take(&mut self.rest);
            let mut input = if self.cut == Cut::Whole { Input::Borrowed(&all) } else { Input::Owned(all.clone()) };
            if self.connection.receive(&mut input).is_ok() {
                self.rest = input.into_rest();
            }
        }
    }

    /// What was said to the peer since.
    pub(super) fn frames(&self) -> Vec<(FrameHead, Vec<u8>)> {
        let written = written(&self.connection);
        let (mut rest, mut frames) = (&written[..], Vec::new());
        while let Some(head) = FrameHead::read(rest) {
            frames.push((head, rest[HEAD..HEAD + head.len].to_vec()));
            rest = &rest[HEAD + head.len..];
        }
        assert!(rest.is_empty(), "a frame is cut off");
        frames
    }

    pub(super) fn accept(&self) -> Option<Open> {
        self.connection.accept().map(|opened| Open { recv: opened.recv, send: opened.send })
    }

    pub(super) fn request(&self, is_last: bool) -> Open {
        let request = Request::post("http://a/a").body(()).unwrap();
        let (recv, send) = self.connection.request(&request, is_last).expect("it takes requests");
        Open { recv, send }
    }

    /// Nothing is left of any stream, and the peer may send as much as at first.
    pub(super) fn assert_at_rest(&self) {
        let state = self.connection.state();
        assert!(state.streams.is_empty() && state.open == 0 && state.arrived.is_empty(), "{state:?}");
        let window = state.window_in + i64::from(state.untold);
        assert!(state.lost.is_some() || window == i64::from(state.options.connection_window), "{window}");
    }
}
