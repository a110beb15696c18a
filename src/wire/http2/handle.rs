//! What the two ends of a connection are to those who use it: the whole, for whoever reads and writes its socket, and of each stream the
//! side that is read and the side that is written. All share one state on one thread; a stream ends when nobody holds it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use super::Reason;
use super::frame;
use super::head::{ReplyHead, RequestHead};
use super::input::Input;
use super::outbox::SLICES;
use super::state::{ARE_YOU_THERE, Leaving, OUT_ROOM, Options, State, Unserved};
use super::stream::{Key, Lost, Stream, StreamError, Violation};
use crate::model::Frame;

/// Control frames that may wait for the socket beside the data, before no more is read.
const CONTROL_ROOM: usize = 64 * 1024;

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection(Rc<RefCell<State>>);

/// A stream that the peer opened.
#[derive(Debug)]
pub struct Opened {
    pub head: Box<RequestHead>,
    pub recv: RecvStream,
    pub send: SendStream,
}

impl Connection {
    /// What is to be said first waits to be written.
    pub fn new(options: Options) -> Connection {
        Connection(Rc::new(RefCell::new(State::new(options))))
    }

    /// Whoever reads and writes is at it: nobody needs to wake it until it rests.
    pub fn attend(&self, waker: &Waker) {
        let mut state = self.0.borrow_mut();
        state.is_attended = true;
        if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            state.driver = Some(waker.clone());
        }
    }

    /// From now on it is woken when there is something to do.
    pub fn rest(&self) {
        self.0.borrow_mut().is_attended = false;
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> std::cell::Ref<'_, State> {
        self.0.borrow()
    }

    /// Takes what was read, all but the beginning of a frame.
    ///
    /// # Errors
    /// The connection is over: what is left to be written says why.
    pub fn receive(&self, input: &mut Input<'_>) -> Result<(), Violation> {
        let mut state = self.0.borrow_mut();
        let heard = state.receive(input);
        if let Err(violation) = heard {
            state.accuse(violation);
        }
        heard
    }

    /// Whether more may be read: what the peer makes us say must not wait without end.
    pub fn may_read(&self) -> bool {
        self.0.borrow().outbox.len() < OUT_ROOM + CONTROL_ROOM
    }

    /// The peer's bytes have ended, or the socket is broken.
    pub fn lose(&self, lost: Lost) {
        self.0.borrow_mut().lose(lost);
    }

    pub fn lost(&self) -> Option<Lost> {
        self.0.borrow().lost
    }

    /// Has what waits written by `write`, which says how much of it was taken.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write(&self, mut write: impl FnMut(&[IoSlice<'_>]) -> Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        while state.outbox.len() > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = state.outbox.slices(&mut slices);
            let written = std::task::ready!(write(slices.get(..count).unwrap_or_default()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            state.wrote(written);
        }
        Poll::Ready(Ok(()))
    }

    pub fn has_output(&self) -> bool {
        self.0.borrow().outbox.len() > 0
    }

    /// Whether there is one to `accept`.
    pub fn has_arrived(&self) -> bool {
        !self.0.borrow().arrived.is_empty()
    }

    /// A stream that the peer has opened since.
    pub fn accept(&self) -> Option<Opened> {
        let mut state = self.0.borrow_mut();
        let arrived = state.arrived.pop_front()?;
        if let Some(stream) = state.streams.get_mut(arrived.key) {
            stream.handles = 2;
        }
        drop(state);
        let (recv, send) = self.handles(arrived.key);
        Some(Opened { head: arrived.head, recv, send })
    }

    fn handles(&self, key: Key) -> (RecvStream, SendStream) {
        let handle = |state: &Rc<RefCell<State>>| Handle { state: Rc::clone(state), key };
        (RecvStream(handle(&self.0)), SendStream(handle(&self.0)))
    }

    /// A stream that was ended since, before anybody knew of it.
    pub fn unserved(&self) -> Option<Unserved> {
        self.0.borrow_mut().unserved.pop()
    }

    /// Tells the peer in two steps to open no more streams (RFC 9113 §6.8).
    pub fn leave(&self) {
        self.0.borrow_mut().leave();
    }

    /// Ends it, with what is left of it.
    pub fn break_off(&self, reason: Reason) {
        self.0.borrow_mut().break_off(reason);
    }

    /// Whether the peer has said its first word.
    pub fn has_heard(&self) -> bool {
        self.0.borrow().has_heard
    }

    /// Whether it has been left by all, and the peer knows.
    pub fn is_finished(&self) -> bool {
        let state = self.0.borrow();
        state.leaving == Leaving::Told && state.streams.is_empty() && state.outbox.len() == 0
    }

    // --- of a client

    /// Sends a request; `is_last`: without a body. `None`: the connection takes no more of them.
    pub fn request(&self, request: &Request<()>, is_last: bool) -> Option<(RecvStream, SendStream)> {
        let mut state = self.0.borrow_mut();
        if !state.takes_streams() || state.open >= state.allowed_streams() {
            return None;
        }
        let key = state.open_out(request, is_last);
        if let Some(stream) = state.streams.get_mut(key) {
            stream.handles = 2;
        }
        drop(state);
        Some(self.handles(key))
    }

    /// Whether the peer takes no more requests, and none is under way.
    pub fn is_spent(&self) -> bool {
        let state = self.0.borrow();
        !state.takes_streams() && state.streams.is_empty()
    }

    pub fn takes_requests(&self) -> bool {
        self.0.borrow().takes_streams()
    }

    /// How many streams the peer allows at a time; none before its first word.
    pub fn allowed_streams(&self) -> usize {
        self.0.borrow().allowed_streams()
    }

    /// The bytes of data that the peer still takes on the whole connection.
    pub fn window(&self) -> i64 {
        self.0.borrow().window_out
    }

    /// Whether the peer has said since this was last asked how many streams it takes: by settings, or by going away.
    pub fn has_news(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().has_news)
    }

    /// Asks the peer whether it is there.
    pub fn ping(&self) {
        let mut state = self.0.borrow_mut();
        state.awaits_word = true;
        state.put(|out| frame::put_ping(0, ARE_YOU_THERE, out));
    }

    /// Whether the peer has said anything since the last ping.
    pub fn is_ping_answered(&self) -> bool {
        !self.0.borrow().awaits_word
    }
}

/// One's hold of a stream.
#[derive(Debug)]
struct Handle {
    state: Rc<RefCell<State>>,
    key: Key,
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.state.borrow_mut().streams.get_mut(self.key).map(act)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(self.key) else { return };
        stream.handles = stream.handles.saturating_sub(1);
        if stream.handles == 0 {
            state.let_go(self.key);
        }
    }
}

/// What the peer sends on a stream.
#[derive(Debug)]
pub struct RecvStream(Handle);

impl RecvStream {
    /// The head of the answer, once. Interim answers are passed over.
    ///
    /// # Errors
    /// What ended the stream before.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ReplyHead, StreamError>> {
        let polled = self.0.with(|stream| match (stream.head.take(), stream.error) {
            (Some(head), _) => Poll::Ready(Ok(head)),
            (None, Some(error)) => Poll::Ready(Err(error)),
            (None, None) => {
                set(&mut stream.reader, cx);
                Poll::Pending
            }
        });
        polled.unwrap_or(Poll::Ready(Err(StreamError::Lost(Lost::Closed))))
    }

    /// The next of the body. What is taken, the peer may send anew.
    ///
    /// # Errors
    /// What ended the stream before its end. What had come until then is told first.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, StreamError>>> {
        let mut state = self.0.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(self.0.key) else { return Poll::Ready(None) };
        if let Some(data) = stream.inbox.take() {
            state.release_of(self.0.key, data.len());
            return Poll::Ready(Some(Ok(Frame::Data(data))));
        }
        if stream.is_done_in {
            return Poll::Ready(stream.trailers.take().map(|trailers| Ok(Frame::Trailers(trailers))));
        }
        if let Some(error) = stream.error {
            return Poll::Ready(Some(Err(error)));
        }
        set(&mut stream.reader, cx);
        Poll::Pending
    }

    /// Whether nothing follows.
    pub fn is_end(&self) -> bool {
        self.0.with(|stream| stream.is_read_out()).unwrap_or(true)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        let mut state = self.0.state.borrow_mut();
        if let Some(stream) = state.streams.get_mut(self.0.key) {
            stream.is_read = false;
            stream.trailers = None;
            stream.reader = None;
            let left = stream.inbox.clear();
            if left > 0 {
                state.release_of(self.0.key, left);
            }
        }
    }
}

/// What is sent to the peer on a stream.
#[derive(Debug)]
pub struct SendStream(Handle);

impl SendStream {
    /// Sends the head of the answer. False when the stream is no more.
    pub fn answer(&mut self, response: &Response<()>, is_last: bool) -> bool {
        self.0.state.borrow_mut().answer(self.0.key, response, is_last)
    }

    /// Until data may be sent, and how many bytes.
    ///
    /// # Errors
    /// What ended the stream.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        let mut state = self.0.state.borrow_mut();
        let Some(stream) = state.streams.get(self.0.key) else {
            return Poll::Ready(Err(StreamError::Lost(Lost::Closed)));
        };
        if let Some(error) = stream.error {
            return Poll::Ready(Err(error));
        }
        let room = state.room(stream);
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        let waits = stream.window_out > 0;
        if let Some(stream) = state.streams.get_mut(self.0.key) {
            set(&mut stream.writer, cx);
        }
        if waits {
            state.wait(self.0.key);
        }
        Poll::Pending
    }

    /// How much the connection has written in all, if the peer's windows are open: so it is the connection that is waited for.
    pub fn written_meanwhile(&self) -> Option<u64> {
        let state = self.0.state.borrow();
        let stream = state.streams.get(self.0.key)?;
        (stream.window_out.min(state.window_out) > 0).then_some(state.written)
    }

    /// Sends the beginning of `data`, as far as there is room, and takes it off; with the last of it the end, if it `is_last`. False
    /// when the stream is no more.
    pub fn send(&mut self, data: &mut Bytes, is_last: bool) -> bool {
        self.0.state.borrow_mut().put_data(self.0.key, data, is_last)
    }

    /// Sends the end. False when the stream is no more.
    pub fn send_trailers(&mut self, trailers: &HeaderMap) -> bool {
        self.0.state.borrow_mut().put_trailers(self.0.key, trailers)
    }

    /// Ends the stream, whatever there is of it.
    pub fn reset(&mut self, reason: Reason) {
        self.0.state.borrow_mut().reset(self.0.key, reason, StreamError::Reset(reason));
    }

    /// Until the stream has ended before its end.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let polled = self.0.with(|stream| match stream.error {
            Some(error) => Poll::Ready(error),
            None => {
                set(&mut stream.writer, cx);
                Poll::Pending
            }
        });
        polled.unwrap_or(Poll::Ready(StreamError::Lost(Lost::Closed)))
    }
}

fn set(place: &mut Option<Waker>, cx: &Context<'_>) {
    if !place.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}
