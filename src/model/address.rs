//! Where an endpoint or a listener is. Names are refused: a table says addresses, discovery turns names into them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A socket address: `IPv4:port`, `[IPv6]:port` or `unix:path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(pub String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(AddressError("`unix:` needs a path".into()));
            }
            if path.contains('\0') {
                return Err(AddressError("a socket path cannot hold a NUL byte".into()));
            }
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        text.parse().map(Address::Tcp).map_err(|_| {
            let port_of_an_ip = text.rsplit_once(':').is_some_and(|(host, port)| {
                let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
                !port.is_empty() && host.parse::<std::net::IpAddr>().is_ok()
            });
            let hint = if text.parse::<std::net::IpAddr>().is_ok() {
                ": the port is missing"
            } else if port_of_an_ip {
                ": the port is a number from 0 to 65535"
            } else if text.chars().any(|c| c.is_ascii_alphabetic()) && !text.contains("::") {
                ": host names are not resolved"
            } else {
                ""
            };
            AddressError(format!("expected `IPv4:port`, `[IPv6]:port` or `unix:path`{hint}"))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_addresses_agree_both_ways() {
        for text in ["127.0.0.1:80", "[::1]:50051", "unix:/run/a.sock", "unix:rel.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let cases = [
            ("127.0.0.1", "port is missing"),
            ("localhost:80", "host names are not resolved"),
            ("unix:", "needs a path"),
            ("1.2.3.4:99999", "the port is a number from 0 to 65535"),
            ("[::1]:70000", "the port is a number from 0 to 65535"),
            ("1.2.3.4:http", "the port is a number from 0 to 65535"),
            ("1.2.3.4:", "expected"),
            ("::1", "port is missing"),
            ("", "expected"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
