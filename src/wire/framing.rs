//! How long a message's body is (RFC 9112 §6). Two readers that disagree on it are how one request becomes two, so every length
//! that could be read in two ways is refused, even where the RFC lets a server guess.

use http::HeaderValue;

use super::refusal::Refusal;
use crate::model::Kind;

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No length was given: there is no body.
    None,
    /// That many bytes.
    Length(u64),
    Chunked,
}

impl Framing {
    /// Whether bytes of a body are to come.
    pub fn has_body(self) -> bool {
        match self {
            Framing::None => false,
            Framing::Length(length) => length > 0,
            Framing::Chunked => true,
        }
    }
}

/// What the `Transfer-Encoding` fields of one head said, all lines together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TransferCodings {
    /// Every coding, chunked ones included.
    count: usize,
    chunked: usize,
    chunked_is_last: bool,
    malformed: bool,
}

impl TransferCodings {
    pub(super) fn add(&mut self, value: &HeaderValue) {
        for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
            self.chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
            self.chunked += usize::from(self.chunked_is_last);
            self.malformed |= !is_token(name.trim_ascii_end());
            self.count += 1;
        }
    }

    /// Whether the body is chunked; `false` when no field was there. A known order of codings that is not implemented is 501
    /// (RFC 9112 §6.1); one whose end is not `chunked` has no length that can be told and is 400 (§6.3).
    fn chunked(self) -> Result<bool, Refusal> {
        match self {
            TransferCodings { count: 0, .. } => Ok(false),
            TransferCodings { malformed: true, .. } => Err(Refusal::head("malformed Transfer-Encoding")),
            TransferCodings { count: 1, chunked: 1, .. } => Ok(true),
            TransferCodings { chunked: 1, chunked_is_last: true, .. } => {
                Err(Refusal::new(Kind::NotImplemented, "no transfer coding but `chunked` is implemented"))
            }
            _ => Err(Refusal::head("Transfer-Encoding must be `chunked`, once, at its end")),
        }
    }

    fn is_present(self) -> bool {
        self.count > 0
    }
}

/// The one framing of a request. `http10` tells the version.
pub(super) fn decide(length: Option<u64>, codings: TransferCodings, http10: bool) -> Result<Framing, Refusal> {
    if codings.is_present() {
        if http10 {
            return Err(Refusal::head("HTTP/1.0 has no Transfer-Encoding"));
        }
        if length.is_some() {
            return Err(Refusal::head("Content-Length beside Transfer-Encoding"));
        }
    }
    Ok(if codings.chunked()? { Framing::Chunked } else { length.map_or(Framing::None, Framing::Length) })
}

/// Reads `1*DIGIT` that fits 64 bits: no sign, no list, no space.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_text(length: Option<u64>, codings: &[&'static str], http10: bool) -> Result<Framing, Kind> {
        let mut sum = TransferCodings::default();
        codings.iter().for_each(|value| sum.add(&HeaderValue::from_static(value)));
        decide(length, sum, http10).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn a_length_is_digits_once() {
        for (text, length) in
            [("0", Some(0)), ("42", Some(42)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX))]
        {
            assert_eq!(parse_length(text.as_bytes()), length);
        }
        for text in [
            "",
            "+1",
            "-1",
            "1 ",
            " 1",
            "1,1",
            "1, 1",
            "0x1",
            "1_0",
            "1.0",
            "18446744073709551616",
            "99999999999999999999",
            "１",
        ] {
            assert_eq!(parse_length(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn transfer_encoding_is_exactly_one_chunked() {
        let cases: [(&[&'static str], Result<Framing, Kind>); 17] = [
            (&[], Ok(Framing::None)),
            (&["chunked"], Ok(Framing::Chunked)),
            (&["Chunked"], Ok(Framing::Chunked)),
            (&["gzip, chunked"], Err(Kind::NotImplemented)),
            (&["gzip;q=1, chunked"], Err(Kind::NotImplemented)),
            (&["foo", "chunked"], Err(Kind::NotImplemented)),
            (&["gzip"], Err(Kind::MalformedHead)),
            (&["identity"], Err(Kind::MalformedHead)),
            (&["xchunked"], Err(Kind::MalformedHead)),
            (&["chunked, gzip"], Err(Kind::MalformedHead)),
            (&["chunked", "chunked"], Err(Kind::MalformedHead)),
            (&["chunked, chunked"], Err(Kind::MalformedHead)),
            (&["chunked,"], Err(Kind::MalformedHead)),
            (&[", chunked"], Err(Kind::MalformedHead)),
            (&[""], Err(Kind::MalformedHead)),
            (&["\"chunked\""], Err(Kind::MalformedHead)),
            (&["chunked;a=b"], Err(Kind::MalformedHead)),
        ];
        for (codings, framing) in cases {
            assert_eq!(decide_text(None, codings, false), framing, "{codings:?}");
        }
    }

    #[test]
    fn two_ways_to_tell_a_length_are_none() {
        assert_eq!(decide_text(Some(3), &[], false), Ok(Framing::Length(3)));
        assert_eq!(decide_text(Some(3), &["chunked"], false), Err(Kind::MalformedHead));
        assert_eq!(decide_text(Some(3), &["gzip, chunked"], false), Err(Kind::MalformedHead));
        assert_eq!(decide_text(None, &["chunked"], true), Err(Kind::MalformedHead));
        assert_eq!(decide_text(None, &["gzip, chunked"], true), Err(Kind::MalformedHead));
    }
}
