//! Carries a request's body onto an HTTP/2 stream, as far as the servlet has room.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::model::{Body, Fault, Frame};

#[derive(Debug)]
pub(super) struct Pump<B> {
    body: B,
    send: SendStream<Bytes>,
    /// A piece has been sent.
    begun: bool,
    done: bool,
    /// The body's own, told whenever it is asked.
    fault: Option<Fault>,
}

impl<B: Body + Unpin> Pump<B> {
    /// `done`: the head said that nothing follows.
    pub(super) fn new(body: B, send: SendStream<Bytes>, done: bool) -> Pump<B> {
        Pump { body, send, begun: false, done, fault: None }
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Goes on as far as it can. The waker is called when it can go further.
    ///
    /// # Errors
    /// The body's own fault; the stream is reset. What goes wrong with the stream is told by the answer's side.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        while !self.done {
            // The first piece does not wait for room: a new stream is given none before its head has left, and then the two would leave
            // in two writes. The library holds it until it may go.
            if self.begun && self.send.capacity() == 0 {
                self.send.reserve_capacity(1);
                match self.send.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => self.done = true,
                    Poll::Pending => return Ok(()),
                }
                continue;
            }
            let sent = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    let end = self.body.is_end();
                    self.begun = true;
                    self.done = end;
                    self.send.send_data(data, end)
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                    self.done = true;
                    self.send.send_trailers(trailers)
                }
                Poll::Ready(None) => {
                    self.done = true;
                    self.send.send_data(Bytes::new(), true)
                }
                Poll::Ready(Some(Err(fault))) => {
                    self.done = true;
                    self.send.send_reset(Reason::CANCEL);
                    self.fault = Some(fault);
                    break;
                }
                Poll::Pending => return Ok(()),
            };
            if sent.is_err() {
                self.done = true;
            }
        }
        self.fault.clone().map_or(Ok(()), Err)
    }
}
