//! An HTTP/1.0 client as old programs have it: one connection a call, no Host, read until it closes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer is small; more than this is not read.
const MOST_BYTES: u64 = 1 << 20;

/// The status and the body of `GET path`.
///
/// # Errors
/// No connection, no answer in time, or one that is not HTTP.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut reply = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut reply)?;
    parse(&String::from_utf8_lossy(&reply)).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn parse(reply: &str) -> Option<(u16, String)> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        assert_eq!(parse("HTTP/1.0 200 OK\r\na: b\r\n\r\n{}\r\n\r\n"), Some((200, "{}\r\n\r\n".into())));
        assert_eq!(parse("HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, String::new())));
        for bad in ["", "HTTP/1.0 200 OK", "HTTP/2 200\r\n\r\n", "HTTP/1.0 OK\r\n\r\n", "nonsense\r\n\r\n"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
