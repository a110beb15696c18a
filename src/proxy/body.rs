//! A reply's body: pulled by the listener as its caller has room, each pull carrying the request on as well. Ends by closing the tally.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::late::Late;
use super::request_stream::RequestStream;
use super::tally::Tally;
use super::worker::cut;
use crate::model::{Body, Code, Fault, Frame, Kind, Outcome, Pieces, Stage};
use crate::translate::{Farewell, FieldNames, GRPC_STATUS, ReplyStep, ReplyTranslator, Status};
use crate::upstream::Exchange;
use crate::wire;

/// What the listener writes.
#[derive(Debug)]
pub struct ReplyBody {
    late: Late,
    /// Frames since the deadline was last looked at.
    unwatched: u32,
    source: Source,
    /// What goes through of trailing metadata, when not all does.
    names: Option<Arc<FieldNames>>,
    tally: Tally,
}

/// A servlet that is always ready with more is held to its deadline, too, without a look at the clock for each frame.
const UNWATCHED_FRAMES: u32 = 32;

#[derive(Debug)]
enum Source {
    /// All of it.
    Whole(Pieces),
    /// gRPC to a gRPC caller. `early`: what the head says of the status, which counts when nothing follows it.
    Grpc {
        exchange: Box<Exchange<RequestStream>>,
        early: Option<Box<HeaderMap>>,
    },
    /// Untranslated; with the length that the servlet's head promised.
    Http {
        exchange: Box<Exchange<RequestStream>>,
        status: StatusCode,
        promised: Option<u64>,
    },
    /// Through the neutral middle.
    Translated {
        exchange: Box<Exchange<RequestStream>>,
        translator: Box<dyn ReplyTranslator>,
        ended: bool,
    },
    /// Cut short while the caller took nothing.
    Cut(Ending),
    /// The last words have been given: a clean end, or the break.
    Said(Option<Fault>),
    Over,
}

impl ReplyBody {
    /// All of an answer: how the call ended is known, whether or not the caller takes it (a HEAD request takes none).
    pub(super) fn whole(data: Pieces, outcome: &Outcome, mut tally: Tally) -> ReplyBody {
        tally.bytes_out = if tally.is_head { 0 } else { data.len() as u64 };
        tally.close(outcome);
        let source = if data.is_empty() { Source::Over } else { Source::Whole(data) };
        ReplyBody { late: Late::NEVER, unwatched: 0, source, names: None, tally }
    }

    /// Nothing follows the head.
    pub(super) fn ended(outcome: &Outcome, mut tally: Tally) -> ReplyBody {
        tally.close(outcome);
        ReplyBody { late: Late::NEVER, unwatched: 0, source: Source::Over, names: None, tally }
    }

    /// With no more of its trailers than `names` lets through. `early`: what the head says of the status, though it does not end the
    /// answer.
    pub(super) fn grpc(
        exchange: Box<Exchange<RequestStream>>,
        early: Option<Box<HeaderMap>>,
        late: Late,
        tally: Tally,
        names: Option<Arc<FieldNames>>,
    ) -> ReplyBody {
        ReplyBody { names, ..ReplyBody::carried(Source::Grpc { exchange, early }, late, tally) }
    }

    pub(super) fn http(
        exchange: Box<Exchange<RequestStream>>,
        status: StatusCode,
        promised: Option<u64>,
        late: Late,
        tally: Tally,
    ) -> ReplyBody {
        ReplyBody::carried(Source::Http { exchange, status, promised }, late, tally)
    }

    pub(super) fn translated(
        exchange: Box<Exchange<RequestStream>>,
        translator: Box<dyn ReplyTranslator>,
        late: Late,
        tally: Tally,
    ) -> ReplyBody {
        ReplyBody::carried(Source::Translated { exchange, translator, ended: false }, late, tally)
    }

    fn carried(source: Source, late: Late, tally: Tally) -> ReplyBody {
        ReplyBody { late, unwatched: 0, source, names: None, tally }
    }
}

/// Leaves nothing to be taken but the last words, which are counted now: the tally closes before they are taken.
fn cut_short(source: &mut Source, tally: &mut Tally, fault: Fault) {
    let ending = source.ending(fault);
    tally.bytes_out = tally.bytes_out.saturating_add(ending.len());
    *source = Source::Cut(ending);
}

/// How an answer that was cut short ends for its caller.
#[derive(Debug)]
enum Ending {
    Trailers(HeaderMap),
    /// Last words, then the end.
    End(Bytes),
    /// Last words, then the break.
    Break(Bytes, Fault),
}

/// A frame, or the end with what it tells about the call.
enum Pulled {
    Frame(Frame),
    /// The last frame.
    Last(Frame, Outcome),
    End(Outcome),
}

impl Ending {
    /// Bytes of body that it still gives.
    fn len(&self) -> u64 {
        match self {
            Ending::Trailers(_) => 0,
            Ending::End(words) | Ending::Break(words, _) => words.len() as u64,
        }
    }
}

impl Source {
    /// The next frame that holds something: clients take a hundred empty ones in a connection's life (h2), and nothing is no news.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Pulled, Fault>> {
        loop {
            match ready!(self.poll_pull(cx)) {
                Ok(Pulled::Frame(Frame::Data(data))) if data.is_empty() => {}
                pulled => return Poll::Ready(pulled),
            }
        }
    }

    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<Result<Pulled, Fault>> {
        match self {
            Source::Grpc { exchange, early } => {
                let frame = ready!(Pin::new(&mut **exchange).poll_frame(cx)).transpose()?;
                Poll::Ready(Ok(match frame {
                    Some(Frame::Trailers(trailers)) => last_of_grpc(trailers, early.take()),
                    Some(Frame::Data(data)) => {
                        if !data.is_empty() {
                            *early = None;
                        }
                        Pulled::Frame(Frame::Data(data))
                    }
                    None => last_of_grpc(HeaderMap::new(), early.take()),
                }))
            }
            Source::Http { exchange, status, promised } => pull_http(exchange, *status, promised, cx),
            Source::Translated { exchange, translator, ended } => {
                pull_translated(exchange, &mut **translator, ended, cx)
            }
            Source::Whole(_) | Source::Cut(_) | Source::Said(_) | Source::Over => {
                Poll::Ready(Ok(Pulled::End(Outcome::Cancelled)))
            }
        }
    }

    /// What a fault in mid-stream says about the call: the servlet's own status, where that is what broke the stream off.
    fn outcome_of(&self, fault: Fault) -> Outcome {
        match self {
            Source::Translated { translator, .. } => match translator.status() {
                Some(status) if !status.is_ok() => Outcome::Grpc(status.code),
                Some(_) | None => Outcome::Fault(fault),
            },
            Source::Whole(_)
            | Source::Grpc { .. }
            | Source::Http { .. }
            | Source::Cut(_)
            | Source::Said(_)
            | Source::Over => Outcome::Fault(fault),
        }
    }

    /// How a fault in mid-stream is told: to gRPC callers in trailers, to others as their dialect has it; plain HTTP breaks.
    fn ending(&mut self, fault: Fault) -> Ending {
        match self {
            Source::Grpc { .. } => {
                // Also after a message that was cut: gRPC's clients take the status from the trailers all the same (C core 1.85 and
                // grpc-js do), and make CANCELLED of a reset, as if the caller had given up.
                let mut trailers = HeaderMap::new();
                Status::from_fault(&fault).to_trailers(&mut trailers);
                Ending::Trailers(trailers)
            }
            Source::Translated { translator, .. } => match translator.farewell(&fault) {
                Farewell::End(words) => Ending::End(words),
                Farewell::Break(words) => Ending::Break(words, fault),
            },
            Source::Whole(_) | Source::Http { .. } | Source::Cut(_) | Source::Said(_) | Source::Over => {
                Ending::Break(Bytes::new(), fault)
            }
        }
    }

    /// The last frame of an answer that was cut short.
    fn take_leave(&mut self, ending: Ending) -> Option<Result<Frame, Fault>> {
        let (frame, then) = match ending {
            Ending::Trailers(trailers) => (Some(Ok(Frame::Trailers(trailers))), Source::Over),
            Ending::End(words) if words.is_empty() => (None, Source::Over),
            Ending::Break(words, fault) if words.is_empty() => (Some(Err(fault)), Source::Over),
            Ending::End(words) => (Some(Ok(Frame::Data(words))), Source::Said(None)),
            Ending::Break(words, fault) => (Some(Ok(Frame::Data(words))), Source::Said(Some(fault))),
        };
        // What is left of the exchange is dropped, which resets it.
        *self = then;
        frame
    }
}

/// The next of an untranslated answer.
fn pull_http(
    exchange: &mut Exchange<RequestStream>,
    status: StatusCode,
    promised: &mut Option<u64>,
    cx: &mut Context<'_>,
) -> Poll<Result<Pulled, Fault>> {
    let frame = ready!(Pin::new(&mut *exchange).poll_frame(cx)).transpose()?;
    let outcome = Outcome::Http(status);
    Poll::Ready(Ok(match frame {
        Some(Frame::Data(data)) => {
            if let Some(left) = promised {
                *left = left.saturating_sub(data.len() as u64);
            }
            if exchange.is_end() { Pulled::Last(Frame::Data(data), outcome) } else { Pulled::Frame(Frame::Data(data)) }
        }
        // The servlet's side of a tunnel; the caller's goes on.
        Some(trailers) if status == StatusCode::SWITCHING_PROTOCOLS => Pulled::Frame(trailers),
        Some(Frame::Trailers(mut trailers)) => {
            wire::filter_trailers(&mut trailers);
            Pulled::Last(Frame::Trailers(trailers), outcome)
        }
        None => Pulled::End(outcome),
    }))
}

/// The next of an answer in another dialect; `ended` once the servlet has said all.
fn pull_translated(
    exchange: &mut Exchange<RequestStream>,
    translator: &mut dyn ReplyTranslator,
    ended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Pulled, Fault>> {
    loop {
        match translator.step()? {
            ReplyStep::Data(data) => return Poll::Ready(Ok(Pulled::Frame(Frame::Data(data)))),
            ReplyStep::End => {
                let code = translator.status().map_or(Code::Unknown, |status| status.code);
                let outcome = Outcome::Grpc(code);
                return Poll::Ready(Ok(match translator.trailers() {
                    Some(trailers) => Pulled::Last(Frame::Trailers(trailers), outcome),
                    None => Pulled::End(outcome),
                }));
            }
            // The head has gone out.
            ReplyStep::Head(_) => continue,
            ReplyStep::NeedInput if *ended => {
                let told = "the servlet's answer has no end";
                return Poll::Ready(Err(Fault::new(Kind::MalformedReply, Stage::ReplyBody, told)));
            }
            ReplyStep::NeedInput => {}
        }
        let frame = ready!(Pin::new(&mut *exchange).poll_frame(cx)).transpose()?;
        *ended = translator.feed(frame);
    }
}

/// A status that is missing or garbled is UNKNOWN, never OK. `early`: what the head said of it, and nothing came between.
fn last_of_grpc(mut trailers: HeaderMap, early: Option<Box<HeaderMap>>) -> Pulled {
    if let Some(early) = early.filter(|_| !trailers.contains_key(GRPC_STATUS)) {
        trailers.extend(*early);
    }
    let status = Status::from_trailers(&trailers);
    let code = status.code;
    if code == Code::Unknown && !says_unknown(&trailers) {
        status.to_trailers(&mut trailers);
    }
    Pulled::Last(Frame::Trailers(trailers), Outcome::Grpc(code))
}

/// Whether UNKNOWN is the servlet's own word, to be left as it stands, and not what we make of none.
pub(super) fn says_unknown(trailers: &HeaderMap) -> bool {
    let mut said = trailers.get_all(GRPC_STATUS).iter();
    said.next().is_some_and(|said| said == "2") && said.next().is_none()
}

impl ReplyBody {
    /// Why it goes no further, behind a frame: a body that always has another is looked after all the same.
    fn stops(&mut self, cx: &mut Context<'_>) -> Option<Fault> {
        if self.tally.is_cutting() {
            return Some(cut(Stage::ReplyBody));
        }
        self.unwatched += 1;
        if self.unwatched < UNWATCHED_FRAMES {
            return None;
        }
        self.unwatched = 0;
        self.late.poll(cx).is_ready().then(|| self.tally.deadline_passed(Stage::ReplyBody))
    }
}

impl Body for ReplyBody {
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        let this = self.get_mut();
        // What is told already is given, whatever else happens.
        if let Source::Whole(data) = &mut this.source {
            let piece = data.pop();
            if data.is_empty() {
                this.source = Source::Over;
            }
            return Poll::Ready(piece.map(|piece| Ok(Frame::Data(piece))));
        }
        if matches!(this.source, Source::Over | Source::Said(_) | Source::Cut(_)) {
            return Poll::Ready(match std::mem::replace(&mut this.source, Source::Over) {
                Source::Said(fault) => fault.map(Err),
                Source::Cut(ending) => this.source.take_leave(ending),
                _ => None,
            });
        }
        let pulled = match this.source.poll_next(cx) {
            Poll::Ready(pulled) => pulled,
            Poll::Pending if this.tally.is_cutting() => Err(cut(Stage::ReplyBody)),
            Poll::Pending => {
                ready!(this.late.poll(cx));
                Err(this.tally.deadline_passed(Stage::ReplyBody))
            }
        };
        let (mut frame, outcome) = match pulled {
            Ok(Pulled::Frame(frame)) => {
                let outcome = this.stops(cx).map(|fault| {
                    // After this frame: the farewell follows all that the translator has given.
                    let outcome = this.source.outcome_of(fault.clone());
                    cut_short(&mut this.source, &mut this.tally, fault);
                    outcome
                });
                (Some(Ok(frame)), outcome)
            }
            Ok(Pulled::Last(frame, outcome)) => (Some(Ok(frame)), Some(outcome)),
            Ok(Pulled::End(outcome)) => (None, Some(outcome)),
            Err(fault) => {
                let outcome = this.source.outcome_of(fault.clone());
                let ending = this.source.ending(fault);
                (this.source.take_leave(ending), Some(outcome))
            }
        };
        if let (Some(Ok(Frame::Trailers(trailers))), Some(names)) = (&mut frame, &this.names) {
            names.withhold(trailers);
        }
        if let Some(Ok(Frame::Data(data))) = &frame {
            this.tally.bytes_out = this.tally.bytes_out.saturating_add(data.len() as u64);
        }
        if let Some(outcome) = outcome {
            if !matches!(this.source, Source::Said(_) | Source::Cut(_)) {
                this.source = Source::Over;
            }
            this.tally.close(&outcome);
        }
        Poll::Ready(frame)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.get_mut();
        match &mut this.source {
            Source::Grpc { exchange, .. } | Source::Http { exchange, .. } | Source::Translated { exchange, .. } => {
                Pin::new(&mut **exchange).poll_progress(cx);
            }
            Source::Whole(_) | Source::Cut(_) | Source::Said(_) | Source::Over => return,
        }
        if this.late.poll(cx).is_ready() {
            let fault = this.tally.deadline_passed(Stage::Taking);
            // The servlet learns of it now, the caller when it reads on.
            let outcome = this.source.outcome_of(fault.clone());
            cut_short(&mut this.source, &mut this.tally, fault);
            this.tally.close(&outcome);
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self.source, Source::Translated { .. } | Source::Cut(_) | Source::Said(_))
    }

    fn is_end(&self) -> bool {
        matches!(self.source, Source::Over)
    }

    fn exact_len(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(data) => Some(data.len() as u64),
            Source::Http { exchange, promised, .. } => promised.or_else(|| exchange.exact_len()),
            Source::Translated { translator, .. } => translator.promised(),
            Source::Grpc { .. } | Source::Cut(_) | Source::Said(_) => None,
            Source::Over => Some(0),
        }
    }
}
