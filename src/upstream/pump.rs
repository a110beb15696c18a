//! Carries a request's body onto an HTTP/2 stream, and remembers what broke it off.

use std::task::{Context, Poll};

use crate::model::{Body, Fault};
use crate::wire::http2::{Broken, Carry, Reason, SendStream};

#[derive(Debug)]
pub(super) struct Pump<B> {
    body: B,
    send: SendStream,
    carry: Carry,
    /// The body's own, told whenever it is asked.
    fault: Option<Box<Fault>>,
}

impl<B: Body + Unpin> Pump<B> {
    /// `done`: the head said that nothing follows.
    pub(super) fn new(body: B, send: SendStream, done: bool) -> Pump<B> {
        Pump { body, send, carry: if done { Carry::done() } else { Carry::default() }, fault: None }
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
        if !self.carry.is_done()
            && let Poll::Ready(Err(Broken::Body { fault, .. })) = self.carry.poll(&mut self.send, &mut self.body, cx)
        {
            self.send.reset(Reason::CANCEL);
            self.fault = Some(fault);
        }
        self.fault.as_ref().map_or(Ok(()), |fault| Err(Fault::clone(fault)))
    }
}
