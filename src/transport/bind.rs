//! Listening sockets. All are bound before any serves, so that an address in use ends the start and nothing else.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixListener, UnixStream};

use super::stream::tune;
use super::{Stream, fresh};
use crate::model::Address;

/// How many connections the kernel queues for us: a burst of legacy clients, a connection a call, must fit between two wake-ups.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    pub address: Address,
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.error)
    }
}

impl std::error::Error for BindError {}

/// The sockets of one address: over TCP one a worker (SO_REUSEPORT), else one in all. Belongs to whoever starts the process.
#[derive(Debug)]
pub struct Bound {
    /// With the port that the kernel chose when the asked one was 0.
    pub address: Address,
    sockets: Vec<Listening>,
    /// Removes the file of a Unix socket when all is over.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: a successor may have bound the same path while we drained.
    own: Option<(u64, u64)>,
}

impl SocketFile {
    fn identity(path: &Path) -> Option<(u64, u64)> {
        std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.own.is_some() && SocketFile::identity(&self.path) == self.own {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// The socket for worker `index`, to be registered on its own thread; `None` when another worker accepts for this one.
    pub fn take(&mut self, index: usize) -> Option<impl FnOnce() -> io::Result<Acceptor> + Send + use<>> {
        if index >= self.sockets.len() {
            return None;
        }
        let socket = match self.sockets.get(index)? {
            Listening::Tcp(socket) => Listening::Tcp(socket.try_clone().ok()?),
            Listening::Unix(socket) => Listening::Unix(socket.try_clone().ok()?),
        };
        Some(move || match socket {
            Listening::Tcp(socket) => registered(socket).map(Acceptor::Tcp),
            Listening::Unix(socket) => UnixListener::from_std(socket).map(Acceptor::Unix),
        })
    }

    /// Closes our hold on the sockets; they are gone when the workers' are.
    pub fn release(&mut self) {
        self.sockets.clear();
    }
}

/// A listening socket on a worker's thread.
#[derive(Debug)]
pub enum Acceptor {
    Tcp(AsyncFd<std::net::TcpListener>),
    Unix(UnixListener),
}

/// A connection with its peer, who is nobody on an unnamed Unix socket.
pub type Accepted = (Stream, Option<SocketAddr>);

impl Acceptor {
    pub async fn accept(&self) -> io::Result<Accepted> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Acceptor::Tcp(socket) => loop {
                let mut ready = ready!(socket.poll_read_ready(cx))?;
                if let Ok(accepted) = ready.try_io(|socket| fresh::accept(socket.get_ref())) {
                    return Poll::Ready(accepted.map(|(socket, peer)| (Stream::Fresh(socket), peer)));
                }
            },
            Acceptor::Unix(socket) => {
                Poll::Ready(ready!(socket.poll_accept(cx)).map(|(socket, _)| (Stream::Unix(socket), None)))
            }
        }
    }

    /// A connection that the kernel has queued already, whatever the runtime knows of it.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; what `accept` fails with.
    pub fn accept_queued(&self) -> io::Result<Accepted> {
        match self {
            Acceptor::Tcp(socket) => {
                fresh::accept(socket.get_ref()).map(|(socket, peer)| (Stream::Fresh(socket), peer))
            }
            Acceptor::Unix(socket) => {
                let (accepted, _) = SockRef::from(socket).accept()?;
                accepted.set_nonblocking(true)?;
                Ok((UnixStream::from_std(accepted.into()).map(Stream::Unix)?, None))
            }
        }
    }
}

/// Has the runtime tell when there is something to accept. Its own listener would take what it accepts into the runtime as well.
#[expect(
    deprecated,
    reason = "what takes its place is unsafe, for types that do not own the descriptor they name; a listener of std does"
)]
fn registered(socket: std::net::TcpListener) -> io::Result<AsyncFd<std::net::TcpListener>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Binds `address` for `workers` threads.
///
/// # Errors
/// The address is in use, not ours, or not allowed. A socket file that nobody listens on any more is replaced.
pub fn bind(address: &Address, workers: usize) -> Result<Bound, BindError> {
    let refused = |error| BindError { address: address.clone(), error };
    match address {
        Address::Tcp(wanted) => {
            let first = bind_tcp(*wanted, true).map_err(refused)?;
            let real = first.local_addr().map_err(refused)?;
            let mut sockets = vec![Listening::Tcp(first)];
            for _ in 1..workers {
                sockets.push(Listening::Tcp(bind_tcp(real, false).map_err(refused)?));
            }
            Ok(Bound { address: Address::Tcp(real), sockets, _file: None })
        }
        Address::Unix(path) => {
            let socket = bind_unix(path).map_err(refused)?;
            let file = Some(SocketFile { path: path.clone(), own: SocketFile::identity(path) });
            Ok(Bound { address: address.clone(), sockets: vec![Listening::Unix(socket)], _file: file })
        }
    }
}

/// The first socket of an address is tried without SO_REUSEPORT: with it, a second Telamon would silently share the port.
fn bind_tcp(address: SocketAddr, first: bool) -> io::Result<std::net::TcpListener> {
    if first && address.port() != 0 {
        let probe = tcp_socket(address)?;
        probe.bind(&address.into())?;
    }
    let socket = tcp_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    tune(&socket, address.ip())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` on one port are two listeners, not a clash.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind_unix(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = std::os::unix::net::UnixListener::bind(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
