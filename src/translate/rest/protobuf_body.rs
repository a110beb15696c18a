//! Whether bytes that a caller sends as a message can be one. A servlet's library ends the whole call with INTERNAL over bytes that
//! are none, so they are refused here, as the caller's own mistake. The message itself is passed on as it is.

use super::super::json::MAX_DEPTH;
use super::super::protobuf::wire::{Records, Span};
use super::super::protobuf::{WireType, records};
use crate::schema::{Cardinality, FieldKind, Message, MessageId, Messages};

/// Looks at every tag and length, in the messages within it as well.
///
/// # Errors
/// The message that it fails to be.
pub(super) fn check<'m>(messages: &'m Messages, id: MessageId, bytes: &[u8]) -> Result<(), &'m str> {
    check_within(messages, id, bytes, MAX_DEPTH)
}

fn check_within<'m>(messages: &'m Messages, id: MessageId, bytes: &[u8], depth: u32) -> Result<(), &'m str> {
    let message = messages.get(id);
    for record in records(bytes) {
        let record = record.map_err(|_| &*message.full_name)?;
        let Some(field) = message.by_number(record.number) else { continue };
        let within = matches!(record.wire_type, WireType::Len | WireType::StartGroup);
        match (field.cardinality, field.kind) {
            // A field of another wire type than its own is an unknown one.
            _ if !within => {}
            (Cardinality::Map { .. }, kind) => {
                for entry in records(record.value) {
                    let entry = entry.map_err(|_| &*message.full_name)?;
                    if let (2, WireType::Len, FieldKind::Message(value)) = (entry.number, entry.wire_type, kind) {
                        check_within(messages, value, entry.value, deeper(message, depth)?)?;
                    }
                }
            }
            (_, FieldKind::Message(inner)) => {
                check_within(messages, inner, record.value, deeper(message, depth)?)?;
            }
            (Cardinality::Repeated { .. }, kind) if !is_packed(kind, record.value) => return Err(&message.full_name),
            _ => {}
        }
    }
    Ok(())
}

fn deeper(message: &Message, depth: u32) -> Result<u32, &str> {
    depth.checked_sub(1).ok_or(&message.full_name)
}

/// Whether bytes are elements of a kind, one behind the other.
fn is_packed(kind: FieldKind, bytes: &[u8]) -> bool {
    match kind {
        FieldKind::Double | FieldKind::Fixed64 | FieldKind::Sfixed64 => bytes.len().is_multiple_of(8),
        FieldKind::Float | FieldKind::Fixed32 | FieldKind::Sfixed32 => bytes.len().is_multiple_of(4),
        FieldKind::String | FieldKind::Bytes | FieldKind::Message(_) => true,
        FieldKind::Int32
        | FieldKind::Int64
        | FieldKind::Uint32
        | FieldKind::Uint64
        | FieldKind::Sint32
        | FieldKind::Sint64
        | FieldKind::Bool
        | FieldKind::Enum(_) => {
            let mut numbers = Records::new(bytes, Span::new(0, bytes.len()));
            while !numbers.is_done() {
                if numbers.varint().is_err() {
                    return false;
                }
            }
            true
        }
    }
}
