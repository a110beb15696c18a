//! A request's body on its way upstream: as it came, or translated; with what was sent of it kept for a replay until an answer begins
//! or it is too much to keep.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::mount::Mount;
use crate::listener::RequestBody;
use crate::model::{Body, Fault, Frame, Kind, Stage};
use crate::translate::{RequestStep, RequestTranslator};
use crate::wire;

/// Pieces kept for a replay, and one more for each replay: a caller that sends byte by byte must not grow a list.
const KEEP_PIECES: usize = 64;

/// A piece holds the whole buffer that it was read into, 64 KiB or so; one that fills less of it than this is copied to be kept, unless it
/// is the only one.
const KEEP_WHOLE: usize = 16 * 1024;

/// Pieces of a body taken in one turn without a message to show for them.
const FRUITLESS_PIECES: usize = 16;

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

/// What a call's account knows of its request's body, wherever that is: an exchange has it to itself.
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
    /// Small pieces, after the others. Few bodies come so, and a stream is moved about.
    tail: Option<Box<BytesMut>>,
    /// Few requests have any.
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
            self.kept.replay();
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
            Source::Translated { body, translator, ended } => {
                let mut fruitless = 0;
                loop {
                    match translator.step() {
                        Ok(RequestStep::Frame(frame)) => return Poll::Ready(Some(Ok(Frame::Data(frame)))),
                        Ok(RequestStep::End) => return Poll::Ready(None),
                        Ok(RequestStep::NeedInput) => {}
                        Err(fault) => return Poll::Ready(Some(Err(fault))),
                    }
                    if fruitless == FRUITLESS_PIECES {
                        // Others have their turn, however fast it comes.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    fruitless += 1;
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
                }
            }
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
                if self.bytes > self.limit {
                    self.give_up();
                } else {
                    self.append(data);
                }
            }
            Some(Frame::Data(_)) => {}
            Some(Frame::Trailers(trailers)) => {
                self.trailers = (!self.given_up).then(|| Box::new(trailers.clone()));
                self.ended = true;
            }
        }
    }

    fn append(&mut self, data: &Bytes) {
        if data.is_empty() {
            return;
        }
        if self.pieces.is_empty() && self.tail.is_none() {
            // All of it, most often.
            return self.pieces.push(data.clone());
        }
        if self.tail.is_none()
            && let [first] = &*self.pieces
            && first.len() < KEEP_WHOLE
        {
            self.tail.get_or_insert_default().extend_from_slice(first);
            self.pieces.clear();
        }
        // Two more: what is in the tail is one as well.
        if data.len() < KEEP_WHOLE || self.pieces.len() + 2 > KEEP_PIECES {
            self.tail.get_or_insert_default().extend_from_slice(data);
        } else {
            self.end_tail();
            self.pieces.push(data.clone());
        }
    }

    fn end_tail(&mut self) {
        if let Some(tail) = self.tail.take() {
            self.pieces.push(tail.freeze());
        }
    }

    /// From the beginning.
    fn replay(&mut self) {
        self.end_tail();
        self.replaying = Some(0);
    }

    /// There will be no replay after the one that is under way.
    fn give_up(&mut self) {
        self.given_up = true;
        if self.replaying.is_none() {
            self.pieces = SmallVec::new();
            self.tail = None;
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

    fn poll_progress(self: Pin<&mut Self>, _cx: &mut Context<'_>) {
        // It is the servlet that the call waits for.
        self.intake.starves.set(false);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keeping(limit: usize) -> Kept {
        Kept { limit, ..Kept::default() }
    }

    /// What a replay would send.
    fn replayed(kept: &mut Kept) -> Vec<u8> {
        kept.replay();
        let mut all = Vec::new();
        while let Some(Some(Frame::Data(piece))) = kept.again() {
            all.extend_from_slice(&piece);
        }
        all
    }

    #[test]
    fn the_only_piece_of_a_body_is_kept_where_it_lies() {
        for body in [Bytes::from(vec![1; 10]), Bytes::from(vec![1; 60_000])] {
            let mut kept = keeping(64 * 1024);
            kept.keep(Some(&Frame::Data(body.clone())));
            assert_eq!(kept.pieces[0].as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn small_pieces_do_not_hold_the_buffers_that_they_were_read_into() {
        let mut kept = keeping(64 * 1024);
        let buffers: Vec<Bytes> = (0..50_u8).map(|number| Bytes::from(vec![number; 32 * 1024])).collect();
        for buffer in &buffers {
            kept.keep(Some(&Frame::Data(buffer.slice(..10))));
        }
        assert!(buffers.iter().all(Bytes::is_unique), "held");
        assert_eq!(replayed(&mut kept), (0..50).flat_map(|number| [number; 10]).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_replay_sends_what_was_sent(
            sizes in proptest::collection::vec(prop_oneof![0..20_usize, 16_000..17_000_usize], 0..100),
            again in 0..100_usize,
        ) {
            let mut kept = keeping(usize::MAX);
            let mut sent = Vec::new();
            for (number, size) in sizes.iter().enumerate() {
                let piece = vec![number as u8; *size];
                sent.extend_from_slice(&piece);
                kept.keep(Some(&Frame::Data(piece.into())));
                if number == again {
                    prop_assert_eq!(&replayed(&mut kept), &sent);
                }
            }
            prop_assert_eq!(replayed(&mut kept), sent);
            prop_assert!(kept.pieces.len() <= KEEP_PIECES + 2);
        }
    }
}
