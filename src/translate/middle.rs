//! The neutral middle: what every dialect looks like to the proxy. A request becomes gRPC frames, a gRPC reply becomes an answer, both
//! as state machines that do no input or output themselves: push what came, step until more is needed. Whatever the pieces that the
//! input comes in, the output is the same.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::status::Status;
use crate::model::{Fault, Frame, Kind, Pieces, Stage};

/// What a step of a request came to.
#[derive(Debug)]
pub enum RequestStep {
    /// Push more of the body, or say that it is finished.
    NeedInput,
    /// A gRPC message with its prefix, or the next piece of one.
    Frame(Bytes),
    /// The request is complete: half-close.
    End,
}

/// What a step of a reply came to.
#[derive(Debug)]
pub enum ReplyStep {
    /// Push more of the reply, or say that it is finished.
    NeedInput,
    /// The head of the answer; once, and before any data.
    Head(Response<()>),
    /// A piece of the answer's body.
    Data(Bytes),
    /// The answer is complete.
    End,
}

/// How an answer that cannot go on is ended, once its head has gone out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The dialect has an end that tells of errors: this is it, and the body is whole.
    End(Bytes),
    /// The body is broken off, so that half of it cannot look whole; after these last words, if there are any.
    Break(Bytes),
}

/// One request on its way to gRPC.
///
/// Push a piece and step until `NeedInput`; so no more is held than a message and a piece. After an error, drop it.
pub trait RequestTranslator: fmt::Debug {
    /// The length of the body, when the request's head tells it: what is wrong with it is then told before it is sent.
    fn expect_len(&mut self, _len: u64) {}

    /// A piece of the body.
    fn push(&mut self, chunk: Bytes);

    /// Fields after the body; before `finish`. Most dialects have no room for them.
    fn trailers(&mut self, _trailers: HeaderMap) {}

    /// The body is complete.
    fn finish(&mut self);

    /// Goes on as far as one frame.
    ///
    /// # Errors
    /// The caller's fault: it is told before a servlet is asked, where it is found in time.
    fn step(&mut self) -> Result<RequestStep, Fault>;

    /// Whether every frame has been given.
    fn is_end(&self) -> bool;
}

/// One reply on its way to the caller.
///
/// Call `head` first, then push and step until `NeedInput`, then `finish`. After an error, ask for the farewell and drop it.
pub trait ReplyTranslator: fmt::Debug {
    /// The head of the servlet's answer. One that is no gRPC answer is an error at once, and its body is not read.
    fn head(&mut self, status: StatusCode, headers: HeaderMap);

    /// A piece of the servlet's answer.
    fn push(&mut self, chunk: Bytes);

    /// The servlet's answer has ended, with its trailers if there were any.
    fn finish(&mut self, trailers: Option<HeaderMap>);

    /// Goes on as far as one piece.
    ///
    /// # Errors
    /// `MalformedReply` and `UntranslatableReply`; `StreamReset` for an error status after the head. Before the head has been
    /// given out it is answered as any fault, after it the answer ends by `farewell`.
    fn step(&mut self) -> Result<ReplyStep, Fault>;

    /// How the call ended, once that is known: the outcome of the try, whatever became of the answer.
    fn status(&self) -> Option<&Status>;

    /// The fields after the body, once it has come to its end; `None` in the dialects that have none.
    fn trailers(&mut self) -> Option<HeaderMap> {
        None
    }

    /// Bytes of the body still to come, when the head that was given out promises a length, to which the translator holds the body.
    fn promised(&self) -> Option<u64> {
        None
    }

    /// How the answer ends that `fault` cuts short: an error of `step`, or one from outside, such as the deadline.
    fn farewell(&mut self, fault: &Fault) -> Farewell;
}

impl dyn ReplyTranslator + '_ {
    /// Hands on what the servlet sent, `None` being its end without trailers. Whether that was the last of it.
    #[inline]
    pub fn feed(&mut self, frame: Option<Frame>) -> bool {
        match frame {
            Some(Frame::Data(data)) => {
                self.push(data);
                false
            }
            Some(Frame::Trailers(trailers)) => {
                self.finish(Some(trailers));
                true
            }
            None => {
                self.finish(None);
                true
            }
        }
    }

    /// The whole body of an answer whose servlet has said all: an error, or the one message, whose text is bounded.
    ///
    /// # Errors
    /// Those of `step`, and `MalformedReply` for an answer that wants more.
    pub fn gather(&mut self) -> Result<Pieces, Fault> {
        let mut pieces = Pieces::default();
        loop {
            match self.step()? {
                ReplyStep::Data(data) => pieces.push(data),
                ReplyStep::Head(_) => {}
                ReplyStep::End => return Ok(pieces),
                ReplyStep::NeedInput => {
                    let told = "the servlet's answer has no end";
                    return Err(Fault::new(Kind::MalformedReply, Stage::ReplyBody, told));
                }
            }
        }
    }
}
