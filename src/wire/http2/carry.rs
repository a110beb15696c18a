//! Carries a body onto a stream, as far as the peer has room. Small pieces that are there go on together: each frame has its cost, and
//! peers count those that their handlers have not read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::handle::SendStream;
use super::stream::StreamError;
use crate::model::{Body, Fault, Frame, Stop, gather};
use crate::wire::filter_trailers;

/// Where a body stands on its way.
#[derive(Debug, Default)]
pub struct Carry {
    /// What was taken from it and is still to be sent, in this order.
    held: Bytes,
    next: Bytes,
    then: Then,
    /// Some of it was sent.
    has_sent: bool,
    lacks_room: bool,
    /// Some of it was sent in the last poll.
    has_moved: bool,
}

/// What follows what is held.
#[derive(Debug, Default)]
enum Then {
    #[default]
    More,
    End,
    Trailers(HeaderMap),
    Fault(Box<Fault>),
    /// All is sent.
    Done,
}

/// Why a body did not get to its end.
#[derive(Debug)]
pub enum Broken {
    /// The body broke off; what there was of it is sent. `has_sent`: there was some.
    Body {
        fault: Box<Fault>,
        has_sent: bool,
    },
    Stream(StreamError),
}

impl Carry {
    /// Nothing is left to do: the head was the end.
    pub fn done() -> Carry {
        Carry { then: Then::Done, ..Carry::default() }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.then, Then::Done)
    }

    /// Whether it waits for the peer, and not for the body.
    pub fn lacks_room(&self) -> bool {
        self.lacks_room
    }

    /// Whether the peer took some of it in the last poll.
    pub fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// Goes on as far as it can. While there is no room one frame is taken from the body, since its end or its trailers need none, and
    /// then it is let go on with what needs none. After an error or the end it has nothing left to do.
    ///
    /// # Errors
    /// What broke off; the stream is as it was.
    pub fn poll<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        self.has_moved = false;
        let polled = self.poll_on(send, body, cx);
        if polled.is_ready() {
            self.then = Then::Done;
        }
        polled
    }

    fn poll_on<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.held.is_empty() {
                self.held = std::mem::take(&mut self.next);
            }
            if self.held.is_empty() {
                match std::mem::take(&mut self.then) {
                    Then::Done => {
                        self.then = Then::Done;
                        return Poll::Ready(Ok(()));
                    }
                    Then::End => return Poll::Ready(sent(send.send(&mut Bytes::new(), true), send, cx)),
                    Then::Trailers(trailers) => return Poll::Ready(sent(send.send_trailers(&trailers), send, cx)),
                    Then::Fault(fault) => {
                        return Poll::Ready(Err(Broken::Body { fault, has_sent: self.has_sent }));
                    }
                    Then::More => {}
                }
                let has_room = send.poll_room(cx)?.is_ready();
                self.lacks_room = false;
                let is_any = if has_room { self.take(body, cx) } else { self.take_one(body, cx) };
                if !is_any {
                    // Whoever gives the stream up is heard meanwhile.
                    return send.poll_reset(cx).map(|error| Err(error.into()));
                }
                continue;
            }
            if self.wait_for_room(send, body, cx)?.is_pending() {
                return Poll::Pending;
            }
            let is_last = self.next.is_empty() && matches!(self.then, Then::End);
            sent(send.send(&mut self.held, is_last), send, cx)?;
            (self.has_sent, self.has_moved) = (true, true);
            if is_last && self.held.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn wait_for_room<B: Body + Unpin>(
        &mut self,
        send: &mut SendStream,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let room = send.poll_room(cx);
        self.lacks_room = room.is_pending();
        if self.lacks_room {
            Pin::new(body).poll_progress(cx);
        }
        room.map_ok(|_| ())
    }

    /// Takes one frame of the body, which may turn out to be one that needs no room: a peer whose window is used up to the last byte
    /// need not open it for the end. Whether that was anything.
    fn take_one<B: Body + Unpin>(&mut self, body: &mut B, cx: &mut Context<'_>) -> bool {
        self.then = loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) if data.is_empty() && !body.is_end() => {}
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    self.held = data;
                    break if body.is_end() { Then::End } else { Then::More };
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => break Then::trailers(trailers),
                Poll::Ready(Some(Err(fault))) => break Then::Fault(Box::new(fault)),
                Poll::Ready(None) => break Then::End,
                Poll::Pending => return false,
            }
        };
        true
    }

    /// Takes what of the body is there. Whether that was anything.
    fn take<B: Body + Unpin>(&mut self, body: &mut B, cx: &mut Context<'_>) -> bool {
        let (held, stop) = gather(body, cx);
        self.held = held;
        self.then = match stop {
            Stop::Full => Then::More,
            Stop::Starved => {
                if self.held.is_empty() {
                    return false;
                }
                Then::More
            }
            Stop::End => Then::End,
            Stop::Large(large, is_last) => {
                self.next = large;
                if is_last { Then::End } else { Then::More }
            }
            Stop::Trailers(trailers) => Then::trailers(trailers),
            Stop::Fault(fault) => Then::Fault(Box::new(fault)),
        };
        true
    }
}

impl Then {
    fn trailers(mut trailers: HeaderMap) -> Then {
        filter_trailers(&mut trailers);
        Then::Trailers(trailers)
    }
}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Broken {
        Broken::Stream(error)
    }
}

/// What became of something that was sent.
fn sent(is_sent: bool, send: &mut SendStream, cx: &mut Context<'_>) -> Result<(), Broken> {
    if is_sent {
        return Ok(());
    }
    let error = match send.poll_reset(cx) {
        Poll::Ready(error) => error,
        Poll::Pending => StreamError::Malformed("a stream that was written behind its end"),
    };
    Err(Broken::Stream(error))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Instant;

    use http::Request;

    use super::*;
    use crate::wire::http2::frame::{FrameHead, HEAD, PREFACE, kind};
    use crate::wire::http2::{Connection, HeadRoom, Input, Options, Side};

    #[derive(Clone, Copy, Debug)]
    enum Item {
        Data(usize),
        /// Nothing is there yet.
        Wait,
        /// The end, which was not told with the last piece.
        End,
    }
    use Item::{Data, End, Wait};

    struct Script(VecDeque<Item>);

    impl Body for Script {
        fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
            match self.0.pop_front() {
                Some(Data(len)) => Poll::Ready(Some(Ok(Frame::Data(vec![7; len].into())))),
                Some(Wait) => Poll::Pending,
                Some(End) | None => Poll::Ready(None),
            }
        }

        fn is_end(&self) -> bool {
            self.0.is_empty()
        }
    }

    fn written(connection: &Connection) -> Vec<u8> {
        let mut written = Vec::new();
        let done = connection.write(|pieces| {
            written.extend(pieces.iter().flat_map(|piece| piece.to_vec()));
            Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
        });
        assert!(matches!(done, Poll::Ready(Ok(()))));
        written
    }

    /// The sizes of the frames that a body becomes.
    fn frames(script: &[Item]) -> Vec<usize> {
        let options = Options {
            side: Side::Client,
            stream_window: 65_535,
            connection_window: 65_535,
            head: HeadRoom { bytes: 4096, fields: 100 },
            told_head_bytes: 4096,
            is_guarded: false,
            clock: Instant::now,
        };
        let connection = Connection::new(options);
        // SETTINGS without a word.
        connection.receive(&mut Input::Borrowed(&[0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0])).unwrap();
        let request = Request::post("http://a/").body(()).unwrap();
        let (_recv, mut send) = connection.request(&request, false).unwrap();
        let (mut carry, mut body) = (Carry::default(), Script(script.iter().copied().collect()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while carry.poll(&mut send, &mut body, &mut cx).map(Result::unwrap).is_pending() {}
        let written = written(&connection);
        let (mut rest, mut sizes) = (&written[PREFACE.len()..], Vec::new());
        while let Some(head) = FrameHead::read(rest) {
            if head.kind == kind::DATA {
                sizes.push(head.len);
            }
            rest = &rest[HEAD + head.len..];
        }
        sizes
    }

    #[test]
    fn small_pieces_that_are_there_go_on_together() {
        let many = vec![Data(5); 3000];
        let cases: &[(&[Item], &[usize])] = &[
            (&[Data(5)], &[5]),
            (&[Data(5), End], &[5]),
            (&[Data(20_000)], &[16_384, 3_616]),
            (&many, &[12_290, 2_710]),
            // Nothing waits for what is not there.
            (&[Data(5), Wait, Data(6), Data(7), Wait, Wait, Data(8)], &[5, 13, 8]),
            // What is not small is not copied.
            (&[Data(5), Data(6), Data(5000), Data(7), Data(8)], &[11, 5000, 15]),
            (&[Data(5000), Data(5000)], &[5000, 5000]),
            (&[Data(0), Data(0), Wait, Data(3), Data(0), Data(4)], &[7]),
        ];
        for (script, expected) in cases {
            assert_eq!(frames(script), *expected, "{:?}", script.get(..8).unwrap_or(script));
        }
    }
}
