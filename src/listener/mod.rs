//! From a socket to requests and back: accept, tell the protocol, serve it within limits. Knows nothing of what a request means:
//! it feeds whatever implements `Serve`.

mod accept;
mod bells;
mod http1;
mod http2;
mod limits;
mod request_body;
mod serve;
mod sniff;

pub use accept::{Accept, ConnectionCounts, Landing, LandingStrip, Observer, accept};
pub use limits::Limits;
pub use request_body::RequestBody;
pub use serve::Serve;
