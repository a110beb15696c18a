//! What a caller may ask of a connection. Every number has its reason.

use std::time::Duration;

use http::HeaderValue;

/// Limits of one listener's connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's head. Large tokens need more than the 8 to 16 KiB of other proxies.
    pub head_bytes: usize,
    /// Fields of a head, so that many tiny fields cost no more than a few long ones.
    pub head_fields: usize,
    /// From a head's first byte to its last, in total: a byte now and then buys no time.
    pub head_timeout: Duration,
    /// The longest pause in a body, or in the caller's reading of an answer.
    pub stall_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// Connections of the whole process.
    pub connections: usize,
    /// Streams of one HTTP/2 connection at a time.
    pub streams: u32,
    /// An answer of unknown length to an HTTP/1.0 caller is held up to this, to tell its Content-Length.
    pub reply_buffer: usize,
    /// What a request without a Host is taken to mean.
    pub default_host: Option<HeaderValue>,
    /// HTTP/1 field names as old clients expect them: `Content-Type` rather than `content-type`.
    pub title_case: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes: 64 * 1024,
            head_fields: 100,
            head_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            connections: 10_000,
            streams: 256,
            reply_buffer: 64 * 1024,
            default_host: None,
            title_case: false,
        }
    }
}
