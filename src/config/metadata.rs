//! Which metadata goes through, as it is written. What follows from it is `translate::FieldNames`.

use serde_json::{Value, json};

use crate::discovery::{Decode, Node, Reader, record};
use crate::translate::{FieldNames, NamePattern, NamePatternError};

record! {
    /// Which of a caller's header fields reach the endpoints as metadata, and which metadata of theirs reaches the caller; in every dialect, gRPC itself among them. What belongs to one hop or to a body's encoding never goes through, and what gRPC lives by always does.
    pub struct Metadata {
        /// From callers to endpoints.
        pub request: MetadataNames = MetadataNames::default(),
        /// From endpoints to callers, trailers included.
        pub reply: MetadataNames = MetadataNames::default(),
    }
}

record! {
    /// Which fields go through: those that are allowed and not denied. A list that is left out is as in `defaults:`.
    pub struct MetadataNames {
        /// Names, whatever their case, `prefix-*` for all that begin so, or `*`.
        pub allow: Vec<FieldPattern> = vec![FieldPattern(NamePattern::any())],
        /// Names and prefixes that do not go through, even when they are allowed.
        pub deny: Vec<FieldPattern> = Vec::new(),
    }
}

impl MetadataNames {
    /// What the request path goes by; `None` when all goes through.
    pub fn names(&self) -> Option<FieldNames> {
        let patterns = |list: &[FieldPattern]| list.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
        FieldNames::new(&patterns(&self.allow), &patterns(&self.deny))
    }
}

/// A name of a field, or how one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern(NamePattern);

impl Decode for FieldPattern {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match reader.text(node, "the name of a field, like `x-tenant`, `x-internal-*` or `*`")?.parse() {
            Ok(pattern) => Some(FieldPattern(pattern)),
            Err(NamePatternError(allowed)) => reader.reject(node, allowed),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^([A-Za-z0-9_.-]+\*?|\*)$" })
    }

    fn written(&self) -> Value {
        self.0.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServletOptions;
    use crate::discovery::Record;

    fn read(text: &str, base: Option<&ServletOptions>) -> ServletOptions {
        let mut reader = Reader::new("f", "");
        let root = reader.root(text).unwrap();
        let mut fields = reader.fields(&root, "").unwrap();
        let options = ServletOptions::take(&mut fields, &mut reader, base).unwrap();
        assert!(reader.is_clean());
        options
    }

    #[test]
    fn all_goes_through_unless_a_list_is_written() {
        let options = ServletOptions::default();
        assert_eq!((options.metadata.request.names(), options.metadata.reply.names()), (None, None));
        let options = read("metadata: { request: { deny: [cookie] } }", None);
        assert!(options.metadata.request.names().is_some() && options.metadata.reply.names().is_none());
    }

    #[test]
    fn a_servlet_replaces_the_lists_that_it_writes_and_inherits_the_others() {
        let defaults = read("metadata: { request: { allow: [x-*], deny: [x-a] }, reply: { deny: [server] } }", None);
        let servlet = read("metadata: { request: { deny: [x-b] } }", Some(&defaults));
        let expected = read("metadata: { request: { allow: [x-*], deny: [x-b] }, reply: { deny: [server] } }", None);
        assert_eq!(servlet.metadata, expected.metadata);
        let none = read("metadata: { request: { allow: [\"*\"], deny: [] }, reply: { deny: [] } }", Some(&defaults));
        assert_eq!(none.metadata, Metadata::default());
    }
}
