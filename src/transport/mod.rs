//! Sockets: TCP and Unix, bound, accepted, connected and reset. TLS joins as another arm of `Stream`.

mod bind;
mod connect;
mod fresh;
mod http2;
mod stream;

pub use bind::{Accepted, Acceptor, BindError, Bound, bind};
pub use connect::connect;
pub use fresh::Fresh;
pub use http2::Http2Socket;
pub use stream::{Follows, Handover, Stream};
