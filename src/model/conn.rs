//! What is known of a connection before its first request.

use super::Address;

/// Where a connection came from. One value a connection, shared by its requests.
#[derive(Clone, Debug)]
pub struct ConnInfo {
    /// The peer; `None` for an unnamed Unix socket.
    pub peer: Option<std::net::SocketAddr>,
    /// The address that accepted it.
    pub local: Address,
    /// Where the caller meant to go before it was intercepted; filled by transparent interception.
    pub original_destination: Option<std::net::SocketAddr>,
}

/// What a caller's connection speaks, for logs and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpProtocol {
    Http10,
    Http11,
    Http2,
}

impl HttpProtocol {
    pub const ALL: [HttpProtocol; 3] = [HttpProtocol::Http10, HttpProtocol::Http11, HttpProtocol::Http2];

    pub fn of(version: http::Version) -> HttpProtocol {
        if version == http::Version::HTTP_10 {
            HttpProtocol::Http10
        } else if version == http::Version::HTTP_2 {
            HttpProtocol::Http2
        } else {
            HttpProtocol::Http11
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            HttpProtocol::Http10 => "HTTP/1.0",
            HttpProtocol::Http11 => "HTTP/1.1",
            HttpProtocol::Http2 => "HTTP/2",
        }
    }
}
