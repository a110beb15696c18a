//! The messages that errors are explained with all over the field (google/rpc/error_details.proto), known to every servlet whether or
//! not its schema imports them: a servlet's library packs them into a status without its own .proto ever naming one.

use std::sync::{Arc, LazyLock};

use super::message::Messages;
use super::service::Schema;
use super::sources::Source;

/// What is known beside a schema: google/rpc's own, and the messages of google/protobuf that are packed as they are.
const KNOWN: &str = r#"
syntax = "proto3";
import "google/rpc/error_details.proto";
import "google/rpc/status.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
"#;

/// The messages of google/rpc. Compiled once a process, when the first error with details asks for them; `None` never.
pub fn error_details() -> Option<&'static Messages> {
    static MESSAGES: LazyLock<Option<Arc<Messages>>> = LazyLock::new(|| {
        let source = Source::Proto { name: "error_details".into(), text: KNOWN.into() };
        let schema = Schema::build(&[source], &mut |_| None).ok()?;
        Some(Arc::clone(schema.messages()))
    });
    MESSAGES.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_details_are_known_without_a_schema() {
        let messages = error_details().unwrap();
        for name in [
            "ErrorInfo",
            "RetryInfo",
            "DebugInfo",
            "QuotaFailure",
            "QuotaFailure.Violation",
            "PreconditionFailure",
            "BadRequest",
            "BadRequest.FieldViolation",
            "RequestInfo",
            "ResourceInfo",
            "Help",
            "LocalizedMessage",
            "Status",
        ] {
            assert!(messages.by_name(&format!("google.rpc.{name}")).is_some(), "{name}");
        }
        for name in ["Any", "Duration", "Empty", "FieldMask", "Struct", "Timestamp", "StringValue"] {
            assert!(messages.by_name(&format!("google.protobuf.{name}")).is_some(), "{name}");
        }
    }

    #[test]
    fn a_schema_imports_them_without_having_them() {
        for import in ["google/rpc/code.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"] {
            assert!(Schema::knows(import), "{import}");
        }
        let text = r#"
            syntax = "proto3";
            package p;
            import "google/rpc/error_details.proto";
            import "google/rpc/status.proto";
            message Failed { google.rpc.Status status = 1; google.rpc.ErrorInfo why = 2; }
        "#;
        let source = Source::Proto { name: "p.proto".into(), text: text.into() };
        let schema = Schema::build(&[source], &mut |_| None).unwrap();
        assert!(schema.messages().by_name("p.Failed").is_some());
    }
}
