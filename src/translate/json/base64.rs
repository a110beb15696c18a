//! `bytes` in JSON: written in the standard alphabet with padding, read in either alphabet with or without it.

use ::base64::Engine;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

// Bits left over in the last character are ignored, as every protobuf parser does.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Appends what a text stands for; `None` if it is no base64 of one alphabet.
pub(super) fn decode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    // Room for all of it, and the decoder says how much it used.
    out.resize(start + text.len().div_ceil(4) * 3, 0);
    let room = out.get_mut(start..)?;
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let written = engine.decode_slice(text, room).ok()?;
    out.truncate(start + written);
    Some(())
}

/// Appends bytes as text.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let Some(room) = out.get_mut(start..) else { return };
    let written = STANDARD.encode_slice(bytes, room).unwrap_or(0);
    out.truncate(start + written);
}
