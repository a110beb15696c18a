//! A request's body on its way upstream: as it came, or translated; with what was sent of it kept for a replay until an answer begins
//! or it is too much to keep.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::mount::Mount;
use crate::listener::RequestBody;
use crate::model::{Body, Fault, Frame, Kind, Stage};
use crate::translate::{RequestStep, RequestTranslator};
use crate::wire;

/// Pieces kept for a replay: a caller that sends byte by byte must not grow a list.
const KEEP_PIECES: usize = 64;

/// What an upstream pulls.
#[derive(Debug)]
pub(super) struct RequestStream {
    source: Source,
    /// What was translated ahead of the first try: a frame's bytes, or the end.
    ahead: Option<Option<Bytes>>,
    kept: Kept,
    body_limit: Option<u64>,
    intake: Rc<Intake>,
}

/// What a call's account knows of its request's body, wherever that is: an HTTP/1 connection has it to itself.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Body bytes as the caller sent them.
    bytes: Cell<u64>,
    /// The upstream has room for more, and the caller has not sent it.
    starves: Cell<bool>,
}

impl Intake {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether it is the caller that the call waits for.
    pub(super) fn starves(&self) -> bool {
        self.starves.get()
    }
}

#[derive(Debug)]
enum Source {
    Relayed(RequestBody),
    Translated { body: RequestBody, translator: Box<dyn RequestTranslator>, ended: bool },
}

#[derive(Debug, Default)]
struct Kept {
    pieces: SmallVec<[Bytes; 2]>,
    /// Few requests have any, and a stream is moved about.
    trailers: Option<Box<HeaderMap>>,
    bytes: usize,
    limit: usize,
    /// The source has ended.
    ended: bool,
    /// Some of what was sent is not kept, or need not be any more.
    given_up: bool,
    /// The next piece to send again.
    replaying: Option<usize>,
}

impl RequestStream {
    pub(super) fn relayed(body: RequestBody, mount: &Mount, intake: Rc<Intake>) -> RequestStream {
        // An upgrade has no body: what follows it are bytes of another protocol.
        let body_limit = mount.body_limit.filter(|_| body.upgrade().is_none());
        RequestStream { body_limit, ..RequestStream::new(Source::Relayed(body), mount, intake) }
    }

    pub(super) fn translated(
        body: RequestBody,
        translator: Box<dyn RequestTranslator>,
        mount: &Mount,
        intake: Rc<Intake>,
    ) -> RequestStream {
        RequestStream::new(Source::Translated { body, translator, ended: false }, mount, intake)
    }

    fn new(source: Source, mount: &Mount, intake: Rc<Intake>) -> RequestStream {
        let kept = Kept { limit: mount.replay_limit, ..Kept::default() };
        RequestStream { source, ahead: None, kept, body_limit: mount.body_limit, intake }
    }

    pub(super) fn upgrade(&self) -> Option<HeaderValue> {
        match &self.source {
            Source::Relayed(body) => body.upgrade(),
            Source::Translated { .. } => None,
        }
    }

    /// Translates the beginning of the body, so that what is wrong with it is told before a servlet is asked; `whole`: all of a
    /// message, so that a slow upload takes no endpoint's place. A body that is relayed goes on as it comes.
    ///
    /// # Errors
    /// The body's own fault.
    pub(super) async fn begin(&mut self, whole: bool) -> Result<(), Fault> {
        if matches!(self.source, Source::Relayed(_)) {
            return Ok(());
        }
        let first = poll_fn(|cx| match self.poll_source(cx) {
            Poll::Pending if !whole => Poll::Ready(None),
            polled => polled.map(Some),
        });
        if let Some(first) = first.await {
            // A translated body has no trailers.
            self.ahead = match first.transpose()? {
                Some(Frame::Data(data)) => Some(Some(data)),
                Some(Frame::Trailers(_)) | None => Some(None),
            };
        }
        Ok(())
    }

    /// An answer has begun: nothing is kept for another endpoint any more.
    pub(super) fn forget(&mut self) {
        self.kept.give_up();
    }

    /// Starts again from the beginning. False when that is not possible.
    pub(super) fn rewind(&mut self) -> bool {
        if !self.kept.given_up {
            self.kept.replaying = Some(0);
            self.intake.starves.set(false);
        }
        !self.kept.given_up
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        match &mut self.source {
            Source::Relayed(body) => {
                let mut frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(Ok(Frame::Trailers(trailers))) = &mut frame {
                    wire::filter_trailers(trailers);
                }
                Poll::Ready(counted(frame, &self.intake.bytes, self.body_limit))
            }
            Source::Translated { body, translator, ended } => loop {
                match translator.step() {
                    Ok(RequestStep::Frame(frame)) => return Poll::Ready(Some(Ok(Frame::Data(frame)))),
                    Ok(RequestStep::End) => return Poll::Ready(None),
                    Ok(RequestStep::NeedInput) => {}
                    Err(fault) => return Poll::Ready(Some(Err(fault))),
                }
                if *ended {
                    // A translator that has its whole input and wants more would never end; half a request must not look whole.
                    let told = "the translation of the request's body has no end";
                    return Poll::Ready(Some(Err(Fault::new(Kind::Internal, Stage::RequestBody, told))));
                }
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                match counted(frame, &self.intake.bytes, self.body_limit) {
                    Some(Ok(Frame::Data(data))) => translator.push(data),
                    Some(Ok(Frame::Trailers(mut trailers))) => {
                        wire::filter_trailers(&mut trailers);
                        translator.trailers(trailers);
                    }
                    Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                    None => {
                        *ended = true;
                        translator.finish();
                    }
                }
            },
        }
    }
}

/// Counts a piece as it comes from the caller, and refuses what is over the limit.
fn counted(frame: Option<Result<Frame, Fault>>, taken: &Cell<u64>, limit: Option<u64>) -> Option<Result<Frame, Fault>> {
    if let Some(Ok(Frame::Data(data))) = &frame {
        taken.set(taken.get().saturating_add(data.len() as u64));
        if let Some(limit) = limit.filter(|limit| taken.get() > *limit) {
            let told = format!("the body is over the limit of {limit} bytes");
            return Some(Err(Fault::new(Kind::BodyTooLarge, Stage::RequestBody, told)));
        }
    }
    frame
}

impl Kept {
    fn keep(&mut self, frame: Option<&Frame>) {
        match frame {
            None => self.ended = true,
            Some(Frame::Data(data)) if !self.given_up => {
                self.bytes = self.bytes.saturating_add(data.len());
                if self.bytes > self.limit || self.pieces.len() >= KEEP_PIECES {
                    self.give_up();
                } else {
                    self.pieces.push(data.clone());
                }
            }
            Some(Frame::Data(_)) => {}
            Some(Frame::Trailers(trailers)) => {
                self.trailers = (!self.given_up).then(|| Box::new(trailers.clone()));
                self.ended = true;
            }
        }
    }

    /// There will be no replay after the one that is under way.
    fn give_up(&mut self) {
        self.given_up = true;
        if self.replaying.is_none() {
            self.pieces = SmallVec::new();
        }
    }

    /// The next frame of a replay; `Some(None)` is the end of the body; `None`, go on with the source.
    fn again(&mut self) -> Option<Option<Frame>> {
        let index = self.replaying?;
        if let Some(piece) = self.pieces.get(index) {
            self.replaying = Some(index + 1);
            return Some(Some(Frame::Data(piece.clone())));
        }
        self.replaying = None;
        if self.given_up {
            self.pieces = SmallVec::new();
        }
        self.ended.then(|| self.trailers.as_deref().cloned().map(Frame::Trailers))
    }
}

impl Body for RequestStream {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let this = self.get_mut();
        if let Some(again) = this.kept.again() {
            return Poll::Ready(again.map(Ok));
        }
        if this.kept.ended {
            return Poll::Ready(None);
        }
        let frame = match this.ahead.take() {
            Some(ahead) => ahead.map(|data| Ok(Frame::Data(data))),
            None => {
                let polled = this.poll_source(cx);
                this.intake.starves.set(polled.is_pending());
                ready!(polled)
            }
        };
        match &frame {
            Some(Ok(frame)) => this.kept.keep(Some(frame)),
            None => this.kept.keep(None),
            Some(Err(_)) => this.kept.given_up = true,
        }
        Poll::Ready(frame)
    }

    fn is_end(&self) -> bool {
        if self.kept.replaying.is_some_and(|index| index < self.kept.pieces.len()) {
            return false;
        }
        match &self.source {
            Source::Relayed(body) => self.kept.trailers.is_none() && body.is_end(),
            Source::Translated { translator, .. } => self.kept.ended || (self.ahead.is_none() && translator.is_end()),
        }
    }

    fn exact_len(&self) -> Option<u64> {
        let kept = if self.kept.replaying.is_some() { self.kept.bytes as u64 } else { 0 };
        match &self.source {
            Source::Relayed(body) => body.exact_len().map(|rest| rest + kept),
            Source::Translated { .. } => None,
        }
    }
}
