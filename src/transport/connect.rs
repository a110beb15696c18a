//! Connecting to an endpoint.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Stream;
use crate::model::{Address, Fault, Kind, Stage};

/// Connects within `timeout`.
///
/// # Errors
/// `ConnectFailed` with the system's reason, `ConnectTimeout`.
pub async fn connect(address: &Address, timeout: Duration) -> Result<Stream, Fault> {
    let connecting = async {
        match address {
            Address::Tcp(address) => TcpStream::connect(address).await.map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        }
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(stream)) => {
            stream.tune(address);
            Ok(stream)
        }
        Ok(Err(error)) => Err(Fault::new(
            Kind::ConnectFailed,
            Stage::Connect,
            format!("cannot connect to the servlet: {}", plain(&error)),
        )),
        Err(_) => Err(Fault::new(
            Kind::ConnectTimeout,
            Stage::Connect,
            format!("the servlet did not accept a connection within {timeout:?}"),
        )),
    }
}

/// What the system says of a failure, without its number: `connection refused`.
fn plain(error: &io::Error) -> String {
    let told = error.to_string();
    let told = told.split_once(" (os error").map_or(told.as_str(), |(told, _)| told);
    let mut chars = told.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_plain_words() {
        for (code, told) in [(111, "connection refused"), (113, "no route to host"), (2, "no such file or directory")] {
            assert_eq!(plain(&io::Error::from_raw_os_error(code)), told);
        }
        assert_eq!(plain(&io::Error::other("Odd")), "odd");
    }
}
