//! One detail of an error, a `google.protobuf.Any` (google/rpc/status.proto), in the words of those who are told of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::put_json_string;
use crate::schema::{Messages, WellKnown, error_details};
use crate::translate::json::{WriteOptions, from_wire};
use crate::translate::protobuf::records;
use crate::translate::protobuf::wire::{self, Span, WireValue};

/// One detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Detail<'a> {
    /// `type.googleapis.com/` and the full name of the message, in practice.
    pub(in crate::translate) url: &'a str,
    /// The message, serialized.
    pub(in crate::translate) value: &'a [u8],
}

impl<'a> Detail<'a> {
    /// Reads an `Any` as far as it is one.
    pub(super) fn read(any: &'a [u8]) -> Detail<'a> {
        let (mut url, mut value) = ("", [].as_slice());
        for record in records(any).map_while(Result::ok) {
            match record.number {
                1 => url = std::str::from_utf8(record.value).unwrap_or_default(),
                2 => value = record.value,
                _ => {}
            }
        }
        Detail { url, value }
    }

    /// The full name of the message: what follows the URL's last slash.
    pub(in crate::translate) fn name(&self) -> &'a str {
        self.url.rsplit_once('/').map_or(self.url, |(_, name)| name)
    }

    /// The message alone as JSON, when its type is in the schema or among those that everybody knows.
    pub(in crate::translate) fn message_json(&self, messages: Option<&Messages>) -> Option<Vec<u8>> {
        self.known(messages).map(|(json, _)| json)
    }

    /// The detail as the JSON of an `Any`: the message's members beside `@type`, or its own JSON form under `value`. What is not known
    /// is base64 under `value`, so that nothing is lost.
    pub(super) fn put_json(&self, messages: Option<&Messages>, json: &mut Vec<u8>) {
        json.extend_from_slice(b"{\"@type\":");
        put_json_string(json, self.url);
        match self.known(messages) {
            Some((object, None | Some(WellKnown::HttpBody))) => match object.as_slice() {
                // An object's members, between its braces.
                [b'{', members @ .., b'}'] if !members.is_empty() => {
                    json.push(b',');
                    json.extend_from_slice(members);
                }
                _ => {}
            },
            Some((value, Some(_))) => {
                json.extend_from_slice(b",\"value\":");
                json.extend_from_slice(&value);
            }
            None => {
                json.extend_from_slice(b",\"value\":");
                put_json_string(json, &STANDARD.encode(self.value));
            }
        }
        json.push(b'}');
    }

    /// The seconds until a caller may try again, rounded up, of a `google.rpc.RetryInfo`.
    pub(super) fn retry_after(&self) -> Option<u64> {
        if self.name() != "google.rpc.RetryInfo" {
            return None;
        }
        let delay = records(self.value).map_while(Result::ok).filter(|record| record.number == 1).last()?;
        let (mut seconds, mut nanos) = (0, 0);
        let mut fields = wire::Records::new(delay.value, Span::new(0, delay.value.len()));
        while let Ok(Some(field)) = fields.next() {
            match (field.number, field.value) {
                (1, WireValue::Varint(value)) => seconds = value.cast_signed(),
                (2, WireValue::Varint(value)) => nanos = value.cast_signed(),
                _ => {}
            }
        }
        // The most that a google.protobuf.Duration may be.
        const MOST: i64 = 315_576_000_000;
        let whole = if nanos > 0 { seconds.saturating_add(1) } else { seconds };
        u64::try_from(whole).ok().filter(|_| seconds <= MOST)
    }

    /// The message as JSON, and whether it has a JSON form of its own.
    fn known(&self, messages: Option<&Messages>) -> Option<(Vec<u8>, Option<WellKnown>)> {
        // A type without a URL is none.
        self.url.rsplit_once('/')?;
        // The schema's own idea of a type comes first.
        messages.and_then(|messages| self.written(messages)).or_else(|| self.written(error_details()?))
    }

    fn written(&self, messages: &Messages) -> Option<(Vec<u8>, Option<WellKnown>)> {
        let id = messages.by_name(self.name())?;
        let mut json = Vec::new();
        from_wire(messages, id, self.value, &WriteOptions::default(), &mut json).ok()?;
        Some((json, messages.get(id).well_known))
    }
}
