//! Connecting to an endpoint.

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
            stream.tune();
            Ok(stream)
        }
        Ok(Err(error)) => {
            Err(Fault::new(Kind::ConnectFailed, Stage::Connect, format!("cannot connect to the servlet: {error}")))
        }
        Err(_) => Err(Fault::new(
            Kind::ConnectTimeout,
            Stage::Connect,
            format!("the servlet did not accept a connection within {timeout:?}"),
        )),
    }
}
