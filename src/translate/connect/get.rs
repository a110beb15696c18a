//! The message of a unary GET, which stands in the query.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Codec;
use crate::model::{Fault, Kind, Stage};
use crate::translate::coding::MessageCoding;

const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The message that the query of a GET brings, in the codec that it names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) message: Vec<u8>,
    pub(crate) coding: MessageCoding,
}

/// Whether a query is that of a Connect call: `connect=v1`.
pub(crate) fn is_connect(query: &str) -> bool {
    query.split('&').any(|pair| pair == "connect=v1")
}

/// The codec that the query of a GET names.
///
/// # Errors
/// `InvalidRequest` when it names none, `UnsupportedMediaType` for one that is not known.
pub fn codec(query: &str) -> Result<Codec, Fault> {
    let mut codec = None;
    for (_, value) in pairs(query).filter(|(name, _)| *name == "encoding") {
        codec = Some(match &*decoded(value) {
            b"proto" => Codec::Proto,
            b"json" => Codec::Json,
            _ => {
                let told = "`encoding` is `proto` or `json`";
                return Err(Fault::new(Kind::UnsupportedMediaType, Stage::Plan, told));
            }
        });
    }
    codec.ok_or_else(|| invalid("`encoding` is missing: `proto` or `json`"))
}

/// Reads the message of a GET from its query.
///
/// # Errors
/// `InvalidRequest` for a message that is missing or cannot be read, `UnsupportedCoding` for a compression that is not known.
pub(crate) fn read(query: &str) -> Result<Asked, Fault> {
    let (mut message, mut base64) = (None, false);
    let mut coding = MessageCoding::Identity;
    for (name, value) in pairs(query) {
        match name {
            "base64" => base64 = value == "1",
            "compression" => {
                coding = MessageCoding::named(value.as_bytes());
                coding.check_request()?;
            }
            "message" => message = Some(decoded(value)),
            _ => {}
        }
    }
    let message = message.ok_or_else(|| invalid("`message` is missing"))?;
    let message = match base64 {
        true => URL_SAFE.decode(&message).map_err(|_| invalid("`message` is not URL-safe base64"))?,
        false => message.into_owned(),
    };
    Ok(Asked { message, coding })
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(value: &str) -> Cow<'_, [u8]> {
    if value.contains('+') {
        let spaced = value.replace('+', " ");
        return Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect());
    }
    percent_encoding::percent_decode_str(value).into()
}

fn invalid(told: &'static str) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::Plan, told)
}
