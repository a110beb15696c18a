//! What HPACK promises, as blocks and fields; the parts' own tests stand beside it.

use bytes::BytesMut;
use http::{HeaderName, HeaderValue};

use super::{CompressionError, Decoder, Encoder, Field};

mod encoding;
mod fields;
mod hostile;
mod parts;
mod repeated;
mod rfc;
mod round_trip;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, CompressionError> {
    let mut fields = Vec::new();
    decoder.decode(block, &mut |field| fields.push(field))?;
    Ok(fields)
}

/// `name: value`, as the RFC writes it.
fn shown(field: &Field) -> String {
    match field {
        Field::Method(method) => format!(":method: {method}"),
        Field::Scheme(scheme) => format!(":scheme: {scheme}"),
        Field::Authority(authority) => format!(":authority: {}", authority.as_bytes().escape_ascii()),
        Field::Path(path) => format!(":path: {path}"),
        Field::Status(status) => format!(":status: {}", status.as_str()),
        Field::Header(name, value) => format!("{name}: {}", value.as_bytes().escape_ascii()),
        Field::Malformed(why) => format!("malformed: {why}"),
    }
}

fn all_shown<'field>(fields: impl IntoIterator<Item = &'field Field>) -> Vec<String> {
    fields.into_iter().map(shown).collect()
}

fn header(name: &'static str, value: &str) -> Field {
    Field::Header(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
}

fn put(encoder: &mut Encoder, field: &Field, out: &mut BytesMut) {
    match field {
        Field::Method(method) => encoder.method(method, out),
        Field::Scheme(scheme) => encoder.scheme(scheme, out),
        Field::Authority(authority) => encoder.authority(authority.as_bytes(), out),
        Field::Path(path) => encoder.path(path.as_str().as_bytes(), out),
        Field::Status(status) => encoder.status(*status, out),
        Field::Header(name, value) => encoder.header(name, value, out),
        Field::Malformed(_) => unreachable!("nobody sends it"),
    }
}

fn encode(encoder: &mut Encoder, fields: &[Field]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encoder.begin(&mut out);
    fields.iter().for_each(|field| put(encoder, field, &mut out));
    out.to_vec()
}

/// A literal: its first byte, which names no index, the name and the value, all as plain text.
fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::from(&[first][..]);
    for text in [name, value] {
        super::integer::write(text.len(), 7, 0, &mut out);
        out.extend_from_slice(text);
    }
    out.to_vec()
}

/// The same in Huffman code.
fn huffman_literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::from(&[first][..]);
    for text in [name, value] {
        let coded = super::huffman::encode(text);
        super::integer::write(coded.len(), 7, 0x80, &mut out);
        out.extend_from_slice(&coded);
    }
    out.to_vec()
}
