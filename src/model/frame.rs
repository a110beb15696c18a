//! Bodies as the proxy sees them, whatever carries them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::Fault;

/// A piece of a body.
#[derive(Debug)]
pub enum Frame {
    Data(Bytes),
    /// The last frame, if there is one of this kind.
    Trailers(HeaderMap),
}

/// A body that is pulled: asked for the next frame only when the far side has room, so that backpressure holds.
///
/// `None` ends it. After an error or `None` it is not polled again.
pub trait Body {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>>;

    /// Goes on with whatever does not need room at the reader: a reader that has none calls this instead of `poll_frame`, with
    /// the waker that it will be polled with again.
    fn poll_progress(self: Pin<&mut Self>, _cx: &mut Context<'_>) {}

    /// Whether each piece matters as soon as it is there, so that none is held back to learn the body's length.
    fn is_stream(&self) -> bool {
        false
    }

    /// Whether nothing follows, known without polling.
    fn is_end(&self) -> bool {
        false
    }

    /// The bytes still to come, when known.
    fn exact_len(&self) -> Option<u64> {
        None
    }
}
