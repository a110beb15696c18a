//! A message on the wire without the fields of another wire type than the schema's. They are unknown to protobuf's decoders and to
//! us; the implementation that we are held against refuses them, and falls into the contents of a map's.

use prost_reflect::prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

fn fits(field: &FieldDescriptor, wire_type: WireType) -> bool {
    let kind = field.kind();
    let packable = !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_));
    wire_type == kind.wire_type() || (field.is_list() && packable && wire_type == WireType::LengthDelimited)
}

fn put(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// What is left of it; nothing where it is no message, or cannot be told.
pub fn fitting(message: &MessageDescriptor, mut wire: &[u8]) -> Option<Vec<u8>> {
    let (mut kept, mut any): (_, [Option<&[u8]>; 2]) = (Vec::new(), [None; 2]);
    while !wire.is_empty() {
        let record = wire;
        let (number, wire_type) = decode_key(&mut wire).ok()?;
        // Longer than any tag has to be: protobuf's own decoders refuse it as we do, the other does not.
        if record.len() - wire.len() > 5 {
            return None;
        }
        let mut content = wire;
        skip_field(wire_type, number, &mut wire, DecodeContext::default()).ok()?;
        let field = message.get_field(number);
        if field.as_ref().is_some_and(|field| !fits(field, wire_type)) {
            continue;
        }
        content = &content[..content.len() - wire.len()];
        if wire_type == WireType::LengthDelimited {
            decode_varint(&mut content).ok()?;
        }
        match field.map(|field| field.kind()) {
            Some(Kind::Message(inner)) => put(number, &fitting(&inner, content)?, &mut kept),
            Some(_) if message.full_name() == "google.protobuf.Any" => any[number as usize - 1] = Some(content),
            _ => kept.extend_from_slice(&record[..record.len() - wire.len()]),
        }
    }
    let [url, value] = any;
    let name = std::str::from_utf8(url.unwrap_or_default()).ok().and_then(|url| url.rsplit('/').next());
    let inner = name.and_then(|name| message.parent_pool().get_message_by_name(name));
    let value = match (inner, value) {
        (_, None) => None,
        (Some(inner), Some(value)) => Some(fitting(&inner, value)?),
        (None, Some([])) => Some(Vec::new()),
        // Which type that is, another part of it may tell.
        (None, Some(_)) => return None,
    };
    // What is there and empty is kept: it takes the place of what another part of the same message said.
    for (number, content) in [(1, url), (2, value.as_deref())] {
        content.into_iter().for_each(|content| put(number, content, &mut kept));
    }
    Some(kept)
}
