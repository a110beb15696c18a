//! The messages whose JSON form is not an object of their fields (ProtoJSON, protobuf.dev/programming-guides/json), known by
//! their full names alone: a schema that brings its own copy of `google/protobuf/timestamp.proto` means the same message.

/// A message that the JSON mapping, or HTTP transcoding, treats in a way of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WellKnown {
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    Any,
    Empty,
    DoubleWrapper,
    FloatWrapper,
    Int64Wrapper,
    Uint64Wrapper,
    Int32Wrapper,
    Uint32Wrapper,
    BoolWrapper,
    StringWrapper,
    BytesWrapper,
    /// `google.api.HttpBody`: an ordinary object in JSON; as a whole request or reply it is the HTTP body itself.
    HttpBody,
}

/// The enum whose one value is JSON's `null`.
pub(super) const NULL_VALUE: &str = "google.protobuf.NullValue";

impl WellKnown {
    /// The well-known message of this full name.
    pub fn by_name(full_name: &str) -> Option<WellKnown> {
        if full_name == "google.api.HttpBody" {
            return Some(WellKnown::HttpBody);
        }
        Some(match full_name.strip_prefix("google.protobuf.")? {
            "Timestamp" => WellKnown::Timestamp,
            "Duration" => WellKnown::Duration,
            "FieldMask" => WellKnown::FieldMask,
            "Struct" => WellKnown::Struct,
            "Value" => WellKnown::Value,
            "ListValue" => WellKnown::ListValue,
            "Any" => WellKnown::Any,
            "Empty" => WellKnown::Empty,
            "DoubleValue" => WellKnown::DoubleWrapper,
            "FloatValue" => WellKnown::FloatWrapper,
            "Int64Value" => WellKnown::Int64Wrapper,
            "UInt64Value" => WellKnown::Uint64Wrapper,
            "Int32Value" => WellKnown::Int32Wrapper,
            "UInt32Value" => WellKnown::Uint32Wrapper,
            "BoolValue" => WellKnown::BoolWrapper,
            "StringValue" => WellKnown::StringWrapper,
            "BytesValue" => WellKnown::BytesWrapper,
            _ => return None,
        })
    }
}
