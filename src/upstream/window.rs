//! A socket that keeps count of an HTTP/2 connection's send window (RFC 9113 §6.9), which `h2` does not tell: a call that is put on a
//! connection without one waits behind uploads that the servlet does not read. It tells as well when the peer's settings have come into
//! force, since nobody is woken by `h2` when more streams are allowed.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEAD: usize = 9;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// What every connection begins with, whatever its settings say (RFC 9113 §6.9.2).
const INITIAL: i64 = 65_535;

/// "PRI * HTTP/2.0…": no frame (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// What the peer takes.
#[derive(Clone, Debug)]
pub(super) struct Window(Rc<Seen>);

#[derive(Debug)]
struct Seen {
    bytes: Cell<i64>,
    settings: Cell<bool>,
}

impl Window {
    /// The bytes that it still takes on the whole connection.
    pub(super) fn bytes(&self) -> i64 {
        self.0.bytes.get()
    }

    /// Whether settings of its own have come into force since this was last asked.
    pub(super) fn took_settings(&self) -> bool {
        self.0.settings.take()
    }

    fn add(&self, bytes: i64) {
        self.0.bytes.set(self.bytes().saturating_add(bytes));
    }
}

/// Goes from frame to frame in one direction, looking at heads and at what WINDOW_UPDATE says.
#[derive(Debug)]
struct Walk {
    seen: [u8; HEAD + 4],
    have: usize,
    /// Bytes of the frame that are of no interest.
    skip: usize,
}

/// A frame's type, its stream, the length of its payload and, of WINDOW_UPDATE, the increment.
type Told = (u8, u32, usize, u32);

impl Walk {
    fn new(skip: usize) -> Walk {
        Walk { seen: [0; HEAD + 4], have: 0, skip }
    }

    fn over(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Told)) {
        loop {
            let step = self.skip.min(bytes.len());
            self.skip -= step;
            bytes = bytes.get(step..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            if let Some(slot) = self.seen.get_mut(self.have) {
                *slot = *first;
                self.have += 1;
            }
            let [a, b, c, kind, _, s0, s1, s2, s3, i0, i1, i2, i3] = self.seen;
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let updates = self.have >= HEAD && kind == WINDOW_UPDATE && length == 4;
            if self.have == if updates { HEAD + 4 } else { HEAD } {
                let high = u32::MAX >> 1;
                let stream = u32::from_be_bytes([s0, s1, s2, s3]) & high;
                let increment = if updates { u32::from_be_bytes([i0, i1, i2, i3]) & high } else { 0 };
                tell((kind, stream, length, increment));
                self.have = 0;
                self.skip = if updates { 0 } else { length };
            }
        }
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    window: Window,
    read: Walk,
    written: Walk,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S) -> (Watched<S>, Window) {
        let window = Window(Rc::new(Seen { bytes: Cell::new(INITIAL), settings: Cell::new(false) }));
        let watched = Watched { socket, window: window.clone(), read: Walk::new(0), written: Walk::new(PREFACE) };
        (watched, window)
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.written.over(bytes, |(kind, _, length, _)| {
            match kind {
                DATA => self.window.add(-i64::try_from(length).unwrap_or(0)),
                // But for the first one, the acknowledgement of the peer's, which `h2` queues and obeys in one.
                SETTINGS => self.window.0.settings.set(true),
                _ => {}
            }
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        this.read.over(new, |(kind, stream, _, increment)| {
            if kind == WINDOW_UPDATE && stream == 0 {
                this.window.add(increment.into());
            }
        });
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, data))?;
        this.wrote(data.get(..written).unwrap_or(data));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write_vectored(cx, pieces))?;
        let mut left = written;
        for piece in pieces {
            let part = piece.get(..left).unwrap_or(piece);
            this.wrote(part);
            left -= part.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    proptest! {
        #[test]
        fn every_frame_is_told_however_the_bytes_are_cut(
            frames in proptest::collection::vec((0..12_u8, 0..4_u32, 0..300_usize), 1..20),
            cut in 1..40_usize,
            skipped in 0..30_usize,
        ) {
            let mut bytes = vec![b'x'; skipped];
            for (kind, stream, length) in &frames {
                bytes.extend(frame(*kind, *stream, &vec![1; *length]));
            }
            let mut walk = Walk::new(skipped);
            let mut told = Vec::new();
            for part in bytes.chunks(cut) {
                walk.over(part, |one| told.push(one));
            }
            let expected: Vec<Told> = frames
                .iter()
                .map(|(kind, stream, length)| {
                    let increment = if *kind == WINDOW_UPDATE && *length == 4 { 0x0101_0101 } else { 0 };
                    (*kind, *stream, *length, increment)
                })
                .collect();
            prop_assert_eq!(told, expected);
        }
    }
}
