//! A request's body on an HTTP/2 stream, and what becomes of the rest of it when the answer does not wait for it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, timeout};

use super::super::Limits;
use crate::model::{Fault, Frame, Kind, Stage};
use crate::wire;
use crate::wire::http2::{RecvStream, StreamError};

/// After an answer that did not wait for the request's body: how long and how much is read on.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

/// What is left of a request whose answer did not wait for it.
pub(super) type Unread = Rc<RefCell<Option<RecvStream>>>;

/// After an early answer: reads on a little before the reset that ends the stream, since callers are known that drop the answer when
/// a reset comes while they still send.
pub(super) async fn read_away(unread: &Unread) {
    let Some(mut stream) = unread.borrow_mut().take() else { return };
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Some(Ok(Frame::Data(data))) = poll_fn(|cx| stream.poll_frame(cx)).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(LINGER_TIME, reading).await;
}

/// A request's body on an HTTP/2 stream. Its window is given back as pieces are taken.
#[derive(Debug)]
pub(in crate::listener) struct Incoming {
    /// Until it is dropped.
    stream: Option<RecvStream>,
    /// Where what is left of it goes.
    back: Option<Unread>,
    exact_len: Option<u64>,
    limits: Rc<Limits>,
    may_rest: bool,
    taken: u64,
    /// Only while the body stalls.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// `may_rest`: no pause ends it. `exact_len`: its `Content-Length`. `back`: where what is left of it goes.
    pub(super) fn new(
        stream: RecvStream,
        exact_len: Option<u64>,
        limits: &Rc<Limits>,
        may_rest: bool,
        back: Option<Unread>,
    ) -> Incoming {
        Incoming { stream: Some(stream), back, exact_len, limits: Rc::clone(limits), may_rest, taken: 0, stall: None }
    }

    /// No pause ends it from now on.
    pub(in crate::listener) fn let_rest(&mut self) {
        self.may_rest = true;
        self.stall = None;
    }

    pub(in crate::listener) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match stream.poll_frame(cx) {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                self.stall = None;
                self.taken = self.taken.saturating_add(data.len() as u64);
                Poll::Ready(Some(Ok(Frame::Data(data))))
            }
            Poll::Ready(Some(Ok(Frame::Trailers(mut trailers)))) => {
                wire::filter_trailers(&mut trailers);
                Poll::Ready(Some(Ok(Frame::Trailers(trailers))))
            }
            Poll::Ready(Some(Err(StreamError::Malformed(told)))) => {
                let told = format!("the request's body breaks HTTP/2's rules: {told}");
                Poll::Ready(Some(Err(Fault::new(Kind::MalformedBody, Stage::RequestBody, told))))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Fault::new(
                Kind::CallerGone,
                Stage::RequestBody,
                "the caller left in the middle of the body",
            )))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.may_rest => Poll::Pending,
            Poll::Pending => {
                let timeout = self.limits.stall_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                ready!(stall.as_mut().poll(cx));
                let told = format!("no byte of the body came for {timeout:?}");
                Poll::Ready(Some(Err(Fault::new(Kind::BodyTimeout, Stage::RequestBody, told))))
            }
        }
    }

    pub(in crate::listener) fn is_end(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end)
    }

    pub(in crate::listener) fn exact_len(&self) -> Option<u64> {
        self.exact_len.map(|len| len.saturating_sub(self.taken))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let (Some(back), Some(stream)) = (&self.back, self.stream.take().filter(|stream| !stream.is_end())) {
            *back.borrow_mut() = Some(stream);
        }
    }
}
