//! What the core promises, held against a scripted peer, against itself, and against another implementation.

mod ends;
mod exchanges;
mod fairness;
mod foreign;
mod messages;
mod raw;
mod rules;
mod script;
mod windows;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Instant;

use super::{Connection, HeadRoom, Options, Side};

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server { streams: 100 };

/// Windows as small as they may be.
fn options(side: Side) -> Options {
    Options {
        side,
        stream_window: 65_535,
        connection_window: 65_535,
        head: HeadRoom { bytes: 4096, fields: 20 },
        told_head_bytes: 4096,
        is_guarded: false,
        clock: Instant::now,
    }
}

/// All that waits to be written.
fn written(connection: &Connection) -> Vec<u8> {
    let mut written = Vec::new();
    let done = connection.write(|pieces| {
        pieces.iter().for_each(|piece| written.extend_from_slice(piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    });
    assert!(matches!(done, Poll::Ready(Ok(()))));
    written
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn new() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    /// Whether it was since this was last asked.
    fn take(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) > 0
    }
}
