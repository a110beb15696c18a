//! An HTTP/2 connection on its socket. What is read goes through a buffer that the thread's connections share, so that one that rests
//! holds none; while a peer sends much, large payloads stay where they were read.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Follows, Stream};
use crate::wire::http2::{Connection, Input, Lost};

/// The most that is read at a time.
const READ: usize = 64 * 1024;

/// How long the reason for ending a connection may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A peer that fills so much of a read is likely to have more.
const MUCH: usize = 16 * 1024;

thread_local! {
    /// For what is taken apart and copied at once.
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
    /// For what others take parts of.
    static PARTED: RefCell<BytesMut> = RefCell::default();
}

/// The socket, and the beginning of a frame.
#[derive(Debug)]
pub struct Http2Socket {
    stream: Stream,
    held: BytesMut,
    /// `held` was not looked at.
    is_fresh: bool,
    sends_much: bool,
    /// Nothing was read, since too much waited to be written.
    is_held_back: Cell<bool>,
}

impl Http2Socket {
    /// `seen`: what was read from `stream`.
    pub fn new(stream: Stream, seen: BytesMut) -> Http2Socket {
        Http2Socket {
            stream,
            is_fresh: !seen.is_empty(),
            held: seen,
            sends_much: false,
            is_held_back: Cell::new(false),
        }
    }

    /// Reads once, and has `connection` take it. Pending as well while the peer does not read what it made us say.
    ///
    /// # Errors
    /// How the connection ended. `connection` knows.
    pub fn poll_receive(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        self.is_held_back.set(!connection.may_read());
        if self.is_held_back.get() {
            return Poll::Pending;
        }
        let received = if std::mem::take(&mut self.is_fresh) {
            let mut input = Input::Owned(std::mem::take(&mut self.held));
            self.take(connection, &mut input)?;
            self.held = input.into_rest();
            return Poll::Ready(Ok(()));
        } else if !self.held.is_empty() {
            self.poll_held(connection, cx)
        } else if !self.sends_much {
            SHARED.with_borrow_mut(|shared| self.poll_shared(shared, connection, cx))
        } else {
            PARTED.with_borrow_mut(|parted| self.poll_parted(parted, connection, cx))
        };
        if let Poll::Ready(Err(lost)) = received {
            connection.lose(lost);
        }
        received
    }

    fn poll_shared(
        &mut self,
        shared: &mut [u8],
        connection: &Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        let mut buf = ReadBuf::new(shared);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)).map_err(|error| Lost::Io(error.kind()))?;
        let read = buf.filled();
        if read.is_empty() {
            return Poll::Ready(Err(Lost::Closed));
        }
        self.sends_much = read.len() >= MUCH;
        let mut input = Input::Borrowed(read);
        self.take(connection, &mut input)?;
        self.held = input.into_rest();
        Poll::Ready(Ok(()))
    }

    fn poll_parted(
        &mut self,
        parted: &mut BytesMut,
        connection: &Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        if parted.capacity() < MUCH {
            parted.reserve(READ);
        }
        let read = ready!(self.stream.poll_read_into(cx, parted, MUCH)).map_err(|error| Lost::Io(error.kind()))?;
        if read == 0 {
            return Poll::Ready(Err(Lost::Closed));
        }
        self.sends_much = read >= MUCH;
        let mut input = Input::Owned(parted.split());
        self.take(connection, &mut input)?;
        self.held = input.into_rest();
        Poll::Ready(Ok(()))
    }

    /// Reads on behind the beginning of a frame.
    fn poll_held(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let read =
            ready!(self.stream.poll_read_buf(cx, &mut self.held, MUCH)).map_err(|error| Lost::Io(error.kind()))?;
        if read == 0 {
            return Poll::Ready(Err(Lost::Closed));
        }
        let mut input = Input::Owned(std::mem::take(&mut self.held));
        self.take(connection, &mut input)?;
        self.held = input.into_rest();
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, connection: &Connection, input: &mut Input<'_>) -> Result<(), Lost> {
        self.held = BytesMut::new();
        connection.receive(input).map_err(Lost::Violated)
    }

    /// Writes what waits. Ready when nothing is left.
    ///
    /// # Errors
    /// How the connection ended. `connection` knows.
    pub fn poll_send(&self, connection: &Connection, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        if !connection.has_output() {
            return Poll::Ready(Ok(()));
        }
        let sent = connection.write(|pieces| self.stream.poll_write_pieces(cx, pieces, Follows::Anything));
        if self.is_held_back.get() && connection.may_read() {
            // Nobody waits for the peer's bytes.
            self.is_held_back.set(false);
            cx.waker().wake_by_ref();
        }
        sent.map_err(|error| {
            let lost = Lost::Io(error.kind());
            connection.lose(lost);
            lost
        })
    }

    /// Writes what is left, if the peer takes it within a second, and ends our side.
    pub async fn farewell(self, connection: &Connection) {
        let _ = tokio::time::timeout(FAREWELL, poll_fn(|cx| self.poll_send(connection, cx))).await;
        self.stream.shut_down_writing();
    }
}
