//! Connections to endpoints: one pool a worker, HTTP/2 driven directly, HTTP/1 for servlets that are not gRPC yet. Beside them the one
//! call that Telamon makes for itself, for a servlet's descriptors.

mod exchange;
mod http1;
mod http2;
mod idle;
mod pool;
mod pump;
mod queue;
mod reflection;
mod tunnel;

use std::time::Duration;

pub use exchange::Exchange;
pub use pool::{Head, Pool, Protocol};
pub use reflection::reflect;

/// How endpoints are connected to.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A replica on the same network answers within a millisecond; a second is for one that is starting.
    pub connect_timeout: Duration,
    /// Connections to one endpoint from one worker. The second of HTTP/2 is opened when the first one's streams run short, or its window;
    /// calls that find no stream left wait.
    pub connections: usize,
    /// How long a call may wait for one of them, or for a stream; whoever waits this long is better told, or served elsewhere. A servlet
    /// that is merely busy frees one sooner.
    pub queue_timeout: Duration,
    /// Between pings on an HTTP/2 connection with calls. gRPC servers take pings more often than every five minutes, or without calls,
    /// for abuse and close the connection; a host that vanished is noticed sooner by the kernel (`transport`).
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered.
    pub ping_timeout: Duration,
    /// Bytes of a reply's head.
    pub head_bytes: u32,
    /// Idle HTTP/1 connections kept for one endpoint by one worker.
    pub idle_http1: usize,
    /// How long an HTTP/1 connection is kept without a call. A request that goes out just as the server closes is lost unless it may go
    /// again, so this is below what servers keep theirs for: 5 s with Apache, Node.js and uvicorn, 75 s with nginx.
    pub idle_http1_timeout: Duration,
    /// How long an HTTP/2 connection beside another one may be without a call: crowds come again, but not after minutes.
    pub idle_http2_timeout: Duration,
    /// How long a tunnel may be without a byte in either direction.
    pub tunnel_idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connect_timeout: Duration::from_secs(1),
            connections: 8,
            queue_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(310),
            ping_timeout: Duration::from_secs(20),
            head_bytes: 64 * 1024,
            idle_http1: 32,
            idle_http1_timeout: Duration::from_secs(4),
            idle_http2_timeout: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}
