//! `google.api.http` options, from a method's raw bytes to checked bindings. Read by number and not by name, so that a descriptor set
//! which carries the option without its definition works too.

use std::sync::Arc;

use http::Method;
use prost::Message as _;
use prost_reflect::MethodDescriptor;

use super::binding::{Binding, Draft, pattern};
use super::message::{MessageId, Messages};
use super::place::SchemaError;
use super::sources::Texts;

/// google.protobuf.MethodOptions, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct MethodOptions {
    /// google.protobuf.MethodOptions.IdempotencyLevel.
    #[prost(int32, optional, tag = "34")]
    idempotency_level: Option<i32>,
    #[prost(message, optional, tag = "72295728")]
    http: Option<HttpRule>,
}

/// google.api.HttpRule.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    response_body: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

/// google.api.CustomHttpPattern.
#[derive(Clone, PartialEq, prost::Message)]
struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}

/// `MethodOptions.IdempotencyLevel.NO_SIDE_EFFECTS` (google/protobuf/descriptor.proto).
const NO_SIDE_EFFECTS: i32 = 1;

/// Whether a method's options say that it only reads: it may then be called by GET.
pub(super) fn has_no_side_effects(method: &MethodDescriptor) -> bool {
    MethodOptions::decode(method.options().encode_to_vec().as_slice())
        .is_ok_and(|options| options.idempotency_level == Some(NO_SIDE_EFFECTS))
}

/// The bindings that a method's options give it, in the order written; none when there is no rule. What is wrong with any of them
/// is added to `errors`.
pub(super) fn bindings(
    method: &MethodDescriptor,
    ends: (MessageId, MessageId),
    messages: &Messages,
    texts: &Texts,
    errors: &mut Vec<SchemaError>,
) -> Vec<Arc<Binding>> {
    let mut refuse = |about: &str, at: usize, rule: &str, message: &str| {
        let place = texts.rule(method, about, at);
        errors.push(SchemaError { place, message: format!("method {}: {rule}{message}", method.full_name()) });
    };
    let http = match MethodOptions::decode(method.options().encode_to_vec().as_slice()) {
        Ok(options) => options.http,
        Err(error) => {
            refuse("", 0, "", &format!("its google.api.http option cannot be read: {error}"));
            return Vec::new();
        }
    };
    let Some(first) = http else { return Vec::new() };
    let mut bindings = Vec::new();
    for rule in std::iter::once(&first).chain(&first.additional_bindings) {
        if !std::ptr::eq(rule, &raw const first) && !rule.additional_bindings.is_empty() {
            refuse("additional_bindings", 0, "", "additional_bindings cannot hold additional_bindings");
            continue;
        }
        let draft = match draft(rule) {
            Ok(draft) => draft,
            Err((about, message)) => {
                refuse(about, 0, "", &message);
                continue;
            }
        };
        let text = pattern(draft.verb.as_ref(), draft.path);
        match Binding::check(&draft, ends, messages, texts.rule(method, draft.path, 0)) {
            Ok(binding) => bindings.push(Arc::new(binding)),
            Err(wrong) => refuse(wrong.about, wrong.at, &format!("`{text}`: "), &wrong.message),
        }
    }
    bindings
}

/// The error is the text that it is about, and a sentence.
fn draft(rule: &HttpRule) -> Result<Draft<'_>, (&str, String)> {
    let (verb, path) = match &rule.pattern {
        Some(Pattern::Get(path)) => (Some(Method::GET), path),
        Some(Pattern::Put(path)) => (Some(Method::PUT), path),
        Some(Pattern::Post(path)) => (Some(Method::POST), path),
        Some(Pattern::Delete(path)) => (Some(Method::DELETE), path),
        Some(Pattern::Patch(path)) => (Some(Method::PATCH), path),
        Some(Pattern::Custom(custom)) if custom.kind == "*" => (None, &custom.path),
        Some(Pattern::Custom(custom)) => match Method::from_bytes(custom.kind.as_bytes()) {
            Ok(verb) => (Some(verb), &custom.path),
            Err(_) => return Err((&custom.kind, format!("`{}` is no HTTP method (custom kind)", custom.kind))),
        },
        None => {
            return Err((
                "",
                "its google.api.http rule has no pattern: get, put, post, delete, patch or custom".into(),
            ));
        }
    };
    Ok(Draft { verb, path, body: &rule.body, response_body: &rule.response_body })
}
