//! A gRPC reply on its way to a Connect stream: the head goes out as soon as the servlet's is here, and whatever becomes of the call is
//! told in the last frame.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use super::{Codec, ConnectPlan, ENCODINGS, end_frame};
use crate::model::Fault;
use crate::translate::coding::{GRPC_ENCODING, MessageCoding};
use crate::translate::conclusion::Conclusion;
use crate::translate::frame::{FrameDecoder, FrameError, HEADER_LEN, frame_header};
use crate::translate::middle::{Farewell, ReplyStep, ReplyTranslator};
use crate::translate::relay::Walker;
use crate::translate::status::Status;

/// One reply.
///
/// ```text
/// head ─▶ Head(200) ─▶ Data … ──finish──▶ Data(end of stream) End
/// ```
#[derive(Debug)]
pub(crate) struct StreamReply {
    plan: ConnectPlan,
    conclusion: Conclusion,
    messages: Messages,
    head: Option<Response<()>>,
    ended: bool,
}

#[derive(Debug)]
enum Messages {
    /// Protobuf: as they come.
    Relayed { walker: Walker, ready: VecDeque<Bytes>, failed: Option<FrameError> },
    /// JSON.
    Decoded { decoder: FrameDecoder, coding: MessageCoding, failed: Option<Fault> },
}

/// Messages that are there go on together up to about so many bytes: a frame of HTTP/2 for each of many tiny ones costs both ends
/// far more than the messages do, and some clients take it for abuse.
const PIECE: usize = 8 * 1024;

impl Messages {
    /// The next piece of the answer.
    fn next(&mut self, plan: &ConnectPlan) -> Result<Option<Bytes>, Fault> {
        match self {
            Messages::Relayed { ready, failed, .. } => match (ready.pop_front(), *failed) {
                (Some(bytes), _) => Ok(Some(bytes)),
                (None, Some(error)) => Err(error.in_reply()),
                (None, None) => Ok(None),
            },
            Messages::Decoded { decoder, coding, failed } => {
                let mut piece = Vec::new();
                while failed.is_none() && piece.len() < PIECE {
                    match write_next(decoder, coding, plan, &mut piece) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(fault) => *failed = Some(fault),
                    }
                }
                match failed {
                    _ if !piece.is_empty() => Ok(Some(Bytes::from(piece))),
                    Some(fault) => Err(fault.clone()),
                    None => Ok(None),
                }
            }
        }
    }

    fn at_end(&self) -> Result<(), FrameError> {
        match self {
            Messages::Relayed { walker, failed: None, .. } if walker.at_boundary() => Ok(()),
            Messages::Relayed { failed, .. } => Err(failed.unwrap_or(FrameError::Truncated)),
            Messages::Decoded { decoder, .. } => decoder.at_end(),
        }
    }

    /// Whether the caller has been given whole frames.
    fn at_boundary(&self) -> bool {
        match self {
            Messages::Relayed { walker, ready, .. } => walker.at_boundary() && ready.is_empty(),
            Messages::Decoded { .. } => true,
        }
    }
}

/// The next message behind `out`, as JSON in a frame; false when more is needed. Leaves nothing of one that has no JSON form.
fn write_next(
    decoder: &mut FrameDecoder,
    coding: &MessageCoding,
    plan: &ConnectPlan,
    out: &mut Vec<u8>,
) -> Result<bool, Fault> {
    let Some(message) = decoder.next().map_err(FrameError::in_reply)? else { return Ok(false) };
    let message = coding.open_reply(message, plan.message_limit)?;
    let start = out.len();
    out.reserve(HEADER_LEN + message.len() * 2);
    out.extend_from_slice(&frame_header(0));
    let written = plan.write(&message, out).and_then(|()| plan.frame_len(out.len() - start - HEADER_LEN));
    let len = written.inspect_err(|_| out.truncate(start))?;
    for (byte, prefix) in out.iter_mut().skip(start).zip(frame_header(len)) {
        *byte = prefix;
    }
    Ok(true)
}

impl StreamReply {
    pub(crate) fn new(plan: &ConnectPlan) -> StreamReply {
        let messages = match plan.codec {
            Codec::Proto => Messages::Relayed { walker: Walker::default(), ready: VecDeque::new(), failed: None },
            Codec::Json => {
                let (decoder, coding) = (FrameDecoder::new(plan.message_limit), MessageCoding::default());
                Messages::Decoded { decoder, coding, failed: None }
            }
        };
        StreamReply { plan: plan.clone(), conclusion: Conclusion::default(), messages, head: None, ended: false }
    }
}

impl ReplyTranslator for StreamReply {
    fn head(&mut self, status: StatusCode, headers: HeaderMap) {
        let mut response = Response::new(());
        let fields = response.headers_mut();
        self.conclusion.head(status, headers);
        *fields = self.conclusion.leading();
        if self.plan.codec == Codec::Proto {
            for (connect, grpc) in ENCODINGS {
                if let Some(value) = self.conclusion.initial.get(grpc) {
                    fields.insert(connect, value.clone());
                }
            }
        }
        if let Messages::Decoded { coding, .. } = &mut self.messages {
            *coding = MessageCoding::of(&self.conclusion.initial, &GRPC_ENCODING);
        }
        fields.insert(header::CONTENT_TYPE, self.plan.content_type());
        self.head = Some(response);
    }

    fn push(&mut self, chunk: Bytes) {
        if !self.conclusion.takes(&chunk) {
            return;
        }
        match &mut self.messages {
            Messages::Relayed { failed: Some(_), .. } => {}
            Messages::Relayed { walker, ready, failed } => {
                let (good, stopped) = walker.cut(chunk);
                if !good.is_empty() {
                    ready.push_back(good);
                }
                *failed = stopped;
            }
            Messages::Decoded { decoder, .. } => decoder.push(chunk),
        }
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.conclusion.finish(trailers);
    }

    fn step(&mut self) -> Result<ReplyStep, Fault> {
        if let Some(head) = self.head.take() {
            return Ok(ReplyStep::Head(head));
        }
        if self.ended {
            return Ok(ReplyStep::End);
        }
        if let Some(data) = self.messages.next(&self.plan)? {
            return Ok(ReplyStep::Data(data));
        }
        let Some(status) = self.conclusion.status() else { return Ok(ReplyStep::NeedInput) };
        if status.is_ok() || !self.messages.at_boundary() {
            self.messages.at_end().map_err(FrameError::in_reply)?;
        }
        let end = end_frame(status, &self.conclusion.trailing(), self.plan.messages());
        self.ended = true;
        Ok(ReplyStep::Data(end))
    }

    fn status(&self) -> Option<&Status> {
        self.conclusion.status()
    }

    fn farewell(&mut self, fault: &Fault) -> Farewell {
        // A frame in the middle of another would be read as a part of it.
        if self.messages.at_boundary() {
            Farewell::End(end_frame(&Status::from_fault(fault), &HeaderMap::new(), None))
        } else {
            Farewell::Break(Bytes::new())
        }
    }
}
