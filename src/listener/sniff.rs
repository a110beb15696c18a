//! Tells HTTP/1 from HTTP/2 by the first bytes of a connection.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};

use super::Limits;
use crate::runtime::{Lent, Timers};
use crate::transport::Stream;
use crate::wire::{Protocol, detect};

/// Room for the first read: most requests fit, and an idle connection that said little holds little.
const FIRST_READ: usize = 4096;

/// What a connection started with.
pub(super) struct Sniffed {
    pub(super) protocol: Protocol,
    pub(super) seen: BytesMut,
    /// When its first bytes came.
    pub(super) since: Instant,
    /// When the first head must be whole: its time runs from its first byte.
    pub(super) head_until: Instant,
}

/// Reads until the protocol is known. `None`: the peer said nothing for the idle time-out, or left.
pub(super) async fn sniff(stream: &Stream, limits: &Limits, timers: &Rc<Timers>) -> Option<Sniffed> {
    let mut seen = BytesMut::new();
    if !Lent::of(timers).within(limits.idle_timeout, pin!(read(stream, &mut seen))).await? {
        return None;
    }
    let since = Instant::now();
    let head_until = since + limits.head_timeout;
    loop {
        if let Some(protocol) = detect(&seen) {
            return Some(Sniffed { protocol, seen, since, head_until });
        }
        // A strict prefix of the HTTP/2 preface, then silence, is still a broken HTTP/1 request that deserves its answer.
        if !matches!(timeout_at(head_until, read(stream, &mut seen)).await, Ok(true)) {
            return Some(Sniffed { protocol: Protocol::Http1, seen, since, head_until });
        }
    }
}

/// Reads once. False at the end of the stream or on an error.
async fn read(stream: &Stream, seen: &mut BytesMut) -> bool {
    matches!(poll_fn(|cx| stream.poll_read_buf(cx, seen, FIRST_READ)).await, Ok(1..))
}
