//! Telamon's own contract, known without a schema file. It is compiled the first time that a servlet's file asks for it.

use std::sync::{Arc, LazyLock};

use super::service::{Method, Schema};
use super::sources::Source;

/// The method that takes whole HTTP exchanges: its service and name.
pub const ENVELOPE: (&str, &str) = ("telamon.v1.HttpServlet", "Serve");

/// The method of that service and name, if it is one of Telamon's own.
pub fn built_in(service: &str, method: &str) -> Option<Arc<Method>> {
    static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
        let name = "telamon/v1/http_servlet.proto".to_owned();
        let text = include_str!("../../proto/telamon/v1/http_servlet.proto").to_owned();
        Schema::build(&[Source::Proto { name, text }], &mut |_| None).ok()
    });
    if (service, method) != ENVELOPE {
        return None;
    }
    SCHEMA.as_ref()?.method(service, method).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_contract_is_known() {
        let method = built_in(ENVELOPE.0, ENVELOPE.1).unwrap();
        assert_eq!(method.path, "/telamon.v1.HttpServlet/Serve");
        assert!(method.client_streaming && method.server_streaming);
        assert!(built_in("telamon.v1.HttpServlet", "serve").is_none());
        assert!(built_in("telamon.v1.Other", "Serve").is_none());
    }
}
