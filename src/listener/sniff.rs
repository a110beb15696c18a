//! Tells HTTP/1 from HTTP/2 by the first bytes of a connection.

use std::future::poll_fn;

use bytes::BytesMut;

use crate::transport::Stream;
use crate::wire::{Protocol, detect};

/// Room for the first read: most requests fit, and an idle connection that said little holds little.
const FIRST_READ: usize = 4096;

/// Reads until the protocol is known. `None`: the peer said nothing, or left.
pub(super) async fn sniff(stream: &Stream) -> Option<(Protocol, BytesMut)> {
    let mut seen = BytesMut::new();
    loop {
        let read = poll_fn(|cx| stream.poll_read_buf(cx, &mut seen, FIRST_READ)).await;
        if !matches!(read, Ok(1..)) {
            // A strict prefix of the HTTP/2 preface, then silence, is still a broken HTTP/1 request that deserves its answer.
            return (!seen.is_empty()).then_some((Protocol::Http1, seen));
        }
        if let Some(protocol) = detect(&seen) {
            return Some((protocol, seen));
        }
    }
}
