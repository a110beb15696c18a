//! What a head says of codings: `Content-Encoding`, what a body is in, and `Accept-Encoding`, what the caller takes.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use super::{Coding, TAKEN};
use crate::model::{Fault, Kind, Stage};

/// More codings around one body are nobody's wish, and each can blow up what the last one has.
const MOST: usize = 2;

/// The members of a list in a header (RFC 9110 §5.6.1), of all its fields; empty ones are none.
pub(in crate::translate) fn token_list<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(tokens)
}

/// The members of a list in one field.
pub(in crate::translate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// The codings of a body, in the order in which they were put around it.
///
/// # Errors
/// `UnsupportedCoding`.
pub(in crate::translate) fn content_codings(headers: &HeaderMap) -> Result<SmallVec<[Coding; MOST]>, Fault> {
    let mut codings = SmallVec::new();
    for name in token_list(headers, &header::CONTENT_ENCODING) {
        if name.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        let Some(coding) = Coding::named(name) else {
            let shown: String = String::from_utf8_lossy(name).chars().take(32).collect();
            return Err(unsupported(format!("the Content-Encoding `{shown}` is not known; {TAKEN} are taken")));
        };
        if codings.len() == MOST {
            return Err(unsupported(format!("more than {MOST} codings around a body are not taken")));
        }
        codings.push(coding);
    }
    Ok(codings)
}

/// Refuses every content coding: of a body that is frames, whose messages have a coding of their own.
///
/// # Errors
/// `UnsupportedCoding`.
pub fn check_uncoded(headers: &HeaderMap) -> Result<(), Fault> {
    let mut codings = token_list(headers, &header::CONTENT_ENCODING);
    match codings.find(|name| !name.eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(_) => Err(unsupported("a body of framed messages has no Content-Encoding: compress each message".into())),
    }
}

fn unsupported(told: String) -> Fault {
    Fault::new(Kind::UnsupportedCoding, Stage::Plan, told)
}

/// What is best for a caller, by its `Accept-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// None: the answer goes as it is.
    pub coding: Option<Coding>,
    /// The caller says that it does not take an answer as it is.
    pub required: bool,
}

impl Accepted {
    /// RFC 9110 §12.5.3: the highest weight wins, and `Coding::ALL` where weights are equal. No coding is as good as any when the
    /// caller gives it the higher weight by name. Whoever takes nothing that there is gets the answer as it is.
    pub fn of(headers: &HeaderMap) -> Accepted {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return Accepted { coding: None, required: false };
        }
        let mut weights: [Option<u16>; Coding::ALL.len()] = [None; Coding::ALL.len()];
        let (mut identity, mut others) = (None, None);
        for member in token_list(headers, &header::ACCEPT_ENCODING) {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            // What cannot be read is not asked for.
            let weight = weight(parts).unwrap_or(0);
            if name == b"*" {
                others = Some(weight);
            } else if name.eq_ignore_ascii_case(b"identity") {
                identity = Some(weight);
            } else if let Some(coding) = Coding::named(name) {
                for (known, place) in Coding::ALL.into_iter().zip(&mut weights) {
                    if known == coding {
                        *place = Some(weight.max(place.unwrap_or(0)));
                    }
                }
            }
        }
        let mut best: Option<(u16, Coding)> = None;
        for (coding, weight) in Coding::ALL.into_iter().zip(weights) {
            let weight = weight.or(others).unwrap_or(0);
            if weight > best.map_or(0, |(best, _)| best) {
                best = Some((weight, coding));
            }
        }
        let refused = identity.or(others) == Some(0);
        let coding = best.filter(|(weight, _)| refused || *weight >= identity.unwrap_or(0)).map(|(_, coding)| coding);
        Accepted { coding, required: refused && coding.is_some() }
    }
}

/// A weight in thousandths (RFC 9110 §12.4.2): `q=0.5`; 1 when there is none.
fn weight<'h>(mut parameters: impl Iterator<Item = &'h [u8]>) -> Option<u16> {
    let Some(parameter) = parameters.next() else { return Some(1000) };
    let (b'q' | b'Q', value) = parameter.split_first()? else { return None };
    let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (whole, fraction) = match value.split_first()? {
        (whole @ (b'0' | b'1'), []) => (whole, &[][..]),
        (whole @ (b'0' | b'1'), [b'.', fraction @ ..]) => (whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        b'1' if thousandths > 0 => None,
        b'1' => Some(1000),
        _ => Some(thousandths),
    }
}
