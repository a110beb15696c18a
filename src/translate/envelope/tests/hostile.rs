//! Bytes that nobody vouches for.

use http::HeaderName;
use proptest::prelude::*;

use super::replies::answered;
use super::stream;

proptest! {
    #[test]
    fn whatever_comes_is_an_answer_or_a_fault(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..5),
        raw in proptest::collection::vec(any::<u8>(), 0..80),
        framed in any::<bool>(),
    ) {
        let bytes = if framed { stream(&messages) } else { raw };
        let told = answered(false, &bytes, 11, "0");
        prop_assert!(told.ended != told.fault.is_some());
        for (name, value) in told.head.iter().flat_map(|head| head.headers()) {
            prop_assert!(HeaderName::from_bytes(name.as_str().as_bytes()).is_ok());
            prop_assert!(!value.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
        }
    }

    #[test]
    fn a_head_of_any_fields_is_refused_or_one_head(
        fields in proptest::collection::vec(("[ -~\r\n]{0,6}", "[ -~\r\n\u{e9}]{0,8}"), 0..5),
        reason in "[ -~\r\n]{0,6}",
    ) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let head = serde_json::json!({ "head": { "status": 200, "reason": reason, "fields": super::listed(&fields) } });
        let told = answered(false, &stream(&[super::encoded(head)]), 64, "0");
        let clean = |text: &str| !text.contains(['\r', '\n']);
        if told.ended {
            prop_assert!(clean(&reason) && fields.iter().all(|(name, value)| clean(name) && clean(value)));
        }
    }
}
