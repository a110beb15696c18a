//! From the head that a servlet wrote to the head of an answer: what HTTP has no room for is refused, what belongs to the hop is left
//! out, and what HTTP/1 callers see of order and case is kept beside it.

use http::{HeaderMap, Response, StatusCode, header};

use super::message::{ResponseHead, WrittenField, broken};
use crate::model::Fault;
use crate::wire::{self, Spelling};

/// The head of an answer.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) response: Response<()>,
    pub(super) body: Bodied,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodied {
    /// Nothing, whatever the head says (RFC 9110 §6.4.1).
    Never,
    /// So many bytes.
    Exactly(u64),
    /// Whatever comes.
    Unknown,
}

impl AnswerHead {
    /// `None` for an interim head, which another follows.
    pub(super) fn of(head: ResponseHead, head_request: bool) -> Result<Option<AnswerHead>, Fault> {
        let status = u16::try_from(head.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.ok_or_else(|| broken("its status is not from 200 to 999"))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(broken("101 in an envelope, where no other protocol can be spoken"));
        }
        if status.is_informational() {
            return Ok(None);
        }
        let mut headers = HeaderMap::new();
        let mut spelling = Spelling::default();
        for written in head.fields {
            let (name, value) = written.checked()?;
            headers.try_append(name.clone(), value).map_err(|_| broken("it has too many fields"))?;
            spelling.push(name, written.name);
        }
        if !spelling.set_reason(head.reason) {
            return Err(broken("its reason holds a control byte"));
        }
        wire::strip_reply(&mut headers);
        let length = content_length(&headers)?;
        let body = match status {
            StatusCode::NO_CONTENT => {
                // RFC 9110 §8.6.
                headers.remove(header::CONTENT_LENGTH);
                Bodied::Never
            }
            StatusCode::NOT_MODIFIED => Bodied::Never,
            _ if head_request => Bodied::Never,
            _ => length.map_or(Bodied::Unknown, Bodied::Exactly),
        };
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.extensions_mut().insert(spelling);
        Ok(Some(AnswerHead { response, body }))
    }
}

/// Fields behind a body.
pub(super) fn trailers(written: &[WrittenField]) -> Result<HeaderMap, Fault> {
    let mut trailers = HeaderMap::new();
    for field in written {
        let (name, value) = field.checked()?;
        trailers.try_append(name, value).map_err(|_| broken("it has too many trailers"))?;
    }
    wire::filter_trailers(&mut trailers);
    Ok(trailers)
}

/// Two lengths, or one that is no number, would let two readers cut the body differently (RFC 9112 §6.3).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let mut all = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (digits.and_then(|text| text.parse().ok()), all.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(broken("its Content-Length is not one number")),
    }
}
