//! Small pieces of a body that are there go on together. Each frame costs a system call on its way out, and servers and callers count
//! those of under 256 bytes that nobody has read: over too many of them they end the connection, with every other call on it. Nothing
//! waits to be joined.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::{Body, Fault, Frame};

/// A piece of as many bytes goes on as it is: a copy of it costs as much as a frame of its own.
const LARGE: usize = 4 * 1024;

/// What is joined goes on from so many bytes: with the last piece at most a frame of 16 KiB.
const JOINED: usize = 12 * 1024;

/// Why no more is joined.
#[derive(Debug)]
pub enum Stop {
    /// There is enough.
    Full,
    /// This piece is not small, and follows as it is; whether it is the last.
    Large(Bytes, bool),
    /// More will come; the waker is set.
    Starved,
    End,
    Trailers(HeaderMap),
    Fault(Fault),
}

/// What of `body` is there, up to about a frame, and what it stopped at. A single piece is not copied.
pub fn gather<B: Body + Unpin>(body: &mut B, cx: &mut Context<'_>) -> (Bytes, Stop) {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let stop = loop {
        match Pin::new(&mut *body).poll_frame(cx) {
            // Nothing is no frame: peers take a hundred of those in a connection's life.
            Poll::Ready(Some(Ok(Frame::Data(data)))) if data.is_empty() && !body.is_end() => {}
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                let (end, large) = (body.is_end(), data.len() >= LARGE);
                if first.is_empty() && joined.is_empty() {
                    first = data;
                } else if large {
                    break Stop::Large(data, end);
                } else {
                    if joined.is_empty() {
                        joined.reserve(JOINED + LARGE);
                    }
                    joined.extend_from_slice(&std::mem::take(&mut first));
                    joined.extend_from_slice(&data);
                }
                if end {
                    break Stop::End;
                }
                if large || joined.len() >= JOINED {
                    break Stop::Full;
                }
            }
            Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => break Stop::Trailers(trailers),
            Poll::Ready(Some(Err(fault))) => break Stop::Fault(fault),
            Poll::Ready(None) => break Stop::End,
            Poll::Pending => break Stop::Starved,
        }
    };
    (if joined.is_empty() { first } else { joined.freeze() }, stop)
}
