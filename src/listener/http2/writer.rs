//! An answer's body on its way to an HTTP/2 caller, as far as the caller has room.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::model::{Body, Fault, Kind};
use crate::wire::http2::{Broken, Carry, Reason, SendStream};

pub(super) struct Writer {
    carry: Carry,
    /// Only while the caller takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// What the connection had written when it was last looked at, if it was the connection that was waited for.
    written: Option<u64>,
    /// The answer breaks off behind what was sent.
    pub(super) last_words: bool,
}

impl Writer {
    pub(super) fn new(stall_timeout: Duration) -> Writer {
        Writer { carry: Carry::default(), stall: None, stall_timeout, written: None, last_words: false }
    }

    /// Carries the body while the caller has room; the error is what to reset the stream with. A caller that takes nothing for too long
    /// is given up.
    pub(super) fn poll_write<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        let polled = self.carry.poll(send, body, cx);
        if self.carry.has_moved() {
            self.stall = None;
        }
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(Broken::Stream(_))) => Poll::Ready(Err(Reason::CANCEL)),
            Poll::Ready(Err(Broken::Body { fault, has_sent })) => {
                self.last_words = has_sent;
                Poll::Ready(Err(reset_reason(&fault)))
            }
            Poll::Pending if self.carry.lacks_room() => {
                // Others of the connection may have the room: a caller that takes theirs is not idle.
                let written = send.written_meanwhile();
                if written.is_some() && std::mem::replace(&mut self.written, written) != written {
                    self.stall = None;
                }
                let timeout = self.stall_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                stall.as_mut().poll(cx).map(|()| Err(Reason::CANCEL))
            }
            Poll::Pending => {
                self.stall = None;
                Poll::Pending
            }
        }
    }
}

/// How a fault in the middle of an answer is told to an HTTP/2 caller.
fn reset_reason(fault: &Fault) -> Reason {
    match fault.kind {
        Kind::CallerGone | Kind::DeadlineExceeded => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use bytes::Bytes;
    use http::Response;

    use super::*;
    use crate::model::Frame;
    use crate::runtime::now;
    use crate::wire::http2::{Connection, HeadRoom, Input, Options, Side};

    /// Always more.
    struct Endless;

    impl Body for Endless {
        fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
            Poll::Ready(Some(Ok(Frame::Data(Bytes::from_static(&[0; 10_000])))))
        }
    }

    /// A window of the connection and of stream 1, opened by 8 KiB.
    fn more(connection: &Connection) {
        for stream in [0, 1] {
            let update = [0, 0, 4, 8, 0, 0, 0, 0, stream, 0, 0, 0x20, 0];
            connection.receive(&mut Input::Borrowed(&update)).unwrap();
        }
        let _ = connection.write(|pieces| Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum())));
    }

    const STALL: Duration = Duration::from_secs(60);

    /// A connection whose peer has said `settings` and as much as `more`.
    fn connection(streams: u8, settings: &[u8], more: &[u8]) -> (Connection, Vec<SendStream>) {
        let connection = Connection::new(Options {
            side: Side::Server { streams: 100 },
            stream_window: 65_535,
            connection_window: 65_535,
            head: HeadRoom { bytes: 4096, fields: 100 },
            told_head_bytes: 4096,
            is_guarded: false,
            clock: now,
        });
        let said = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings, more].concat();
        connection.receive(&mut Input::Borrowed(&said)).unwrap();
        let sends = (0..streams).map(|nth| {
            // `POST http /` without a body.
            let request = [0, 0, 3, 1, 5, 0, 0, 0, 2 * nth + 1, 0x83, 0x86, 0x84];
            connection.receive(&mut Input::Borrowed(&request)).unwrap();
            let mut send = connection.accept().unwrap().send;
            assert!(send.answer(&Response::new(()), false));
            send
        });
        let sends = sends.collect();
        (connection, sends)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_on_taking_is_served_however_long_it_takes() {
        let (connection, mut sends) = connection(1, &[0, 0, 0, 4, 0, 0, 0, 0, 0], &[]);
        let mut send = sends.remove(0);
        let mut writer = Writer::new(STALL);
        for _ in 0..20 {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(writer.poll_write(&mut send, &mut Endless, &mut cx).is_pending());
            tokio::time::advance(STALL / 2).await;
            more(&connection);
        }
        let stalled = poll_fn(|cx| writer.poll_write(&mut send, &mut Endless, cx)).await;
        assert_eq!(stalled, Err(Reason::CANCEL), "it takes nothing any more");
    }

    /// How many of so many answers were cut when the caller took so many bytes a second of all together, for ten minutes.
    async fn cut(streams: u8, rate: usize) -> usize {
        let large_windows = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
        let (connection, sends) = connection(streams, &large_windows, &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0]);
        let local = tokio::task::LocalSet::new();
        let cut = std::rc::Rc::new(std::cell::Cell::new(0));
        for mut send in sends {
            let cut = std::rc::Rc::clone(&cut);
            local.spawn_local(async move {
                let mut writer = Writer::new(STALL);
                poll_fn(|cx| writer.poll_write(&mut send, &mut Endless, cx)).await.unwrap_err();
                cut.set(cut.get() + 1);
            });
        }
        local
            .run_until(async {
                for _ in 0..600 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let mut left = rate;
                    let _ = connection.write(|pieces| {
                        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(left);
                        left -= len;
                        if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
                    });
                }
            })
            .await;
        cut.get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_one_answer_slowly_is_not_idle_in_the_others() {
        for streams in [1, 2, 40] {
            assert_eq!(cut(streams, 0).await, usize::from(streams), "of {streams}, when nothing is taken");
            for rate in [1_000, 20_000] {
                assert_eq!(cut(streams, rate).await, 0, "of {streams} at {rate} bytes a second");
            }
        }
    }
}
