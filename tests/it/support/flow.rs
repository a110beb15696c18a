//! A sender that goes as fast as it is let, and tells how far it came.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

/// How far a sender came.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    moved: Arc<AtomicUsize>,
    blocked: Arc<AtomicBool>,
}

impl Flow {
    pub fn moved(&self) -> usize {
        self.moved.load(SeqCst)
    }

    pub fn add(&self, bytes: usize) {
        self.moved.fetch_add(bytes, SeqCst);
    }

    pub fn block(&self, blocked: bool) {
        self.blocked.store(blocked, SeqCst);
    }

    /// Sends `piece` so many times, as far as there is room. False when the stream broke.
    pub async fn carry(&self, send: &mut SendStream<Bytes>, piece: &Bytes, times: usize) -> bool {
        for _ in 0..times {
            let mut left = piece.clone();
            while !left.is_empty() {
                send.reserve_capacity(left.len());
                let room = poll_fn(|cx| {
                    let polled = send.poll_capacity(cx);
                    self.block(polled.is_pending());
                    polled
                });
                let Some(Ok(room)) = room.await else { return false };
                let step = left.split_to(room.min(left.len()));
                self.add(step.len());
                if send.send_data(step, false).is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Writes so many bytes, all the same, as far as there is room.
    pub async fn pour(&self, write: &mut OwnedWriteHalf, byte: u8, bytes: usize) {
        let piece = vec![byte; 64 * 1024];
        for _ in 0..bytes / piece.len() {
            self.block(true);
            write.write_all(&piece).await.unwrap();
            self.block(false);
            self.add(piece.len());
        }
    }

    /// Waits until the sender has come to a stand, or to `all`; tells how far.
    pub async fn stand(&self, all: usize) -> usize {
        let (mut last, mut same) = (0, 0);
        while last < all && same < 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let moved = self.moved();
            same = if moved == last && self.blocked.load(SeqCst) { same + 1 } else { 0 };
            last = moved;
        }
        last
    }
}
