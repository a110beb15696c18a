//! A socket as it was accepted, which the runtime hears of when there is something to wait for. A caller with a connection a call has
//! sent its request by then and takes its answer at once: to take its socket into the runtime and out of it again would be two of the
//! system calls that such a call costs, and a turn of the runtime.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, IoSlice, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::BytesMut;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::net::TcpStream;

use super::stream::{Follows, write};

/// A connected socket of which the runtime may not know. It is in one of the two.
#[derive(Debug)]
pub struct Fresh {
    raw: RefCell<Option<std::net::TcpStream>>,
    known: OnceCell<TcpStream>,
    /// Reads and writes that the runtime knew nothing of.
    unknown: Cell<usize>,
}

/// A call needs two of them, or a few. Whoever goes on and on is to let the runtime see to the others as well.
const MOST_UNKNOWN: usize = 4;

/// Takes a connection that the kernel has queued.
///
/// # Errors
/// `WouldBlock` when there is none; what accept(2) fails with.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(Fresh, Option<SocketAddr>)> {
    let (socket, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((Fresh { raw: RefCell::new(Some(socket.into())), known: OnceCell::new(), unknown: Cell::new(0) }, peer))
}

impl Fresh {
    pub(super) fn is_known(&self) -> bool {
        self.known.get().is_some()
    }

    /// The socket that the runtime knows; it is told, if it was not.
    ///
    /// # Errors
    /// The runtime cannot take it: it is closed then.
    pub(super) fn known(&self) -> io::Result<&TcpStream> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let raw = self.raw.borrow_mut().take().ok_or(io::ErrorKind::NotConnected)?;
        let known = TcpStream::from_std(raw)?;
        Ok(self.known.get_or_init(|| known))
    }

    /// The same, for whoever goes on with that alone.
    pub(super) fn take_known(&mut self) -> io::Result<TcpStream> {
        self.known()?;
        self.known.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The socket outside of any runtime.
    pub(super) fn into_std(mut self) -> io::Result<std::net::TcpStream> {
        match (self.known.take(), self.raw.take()) {
            (Some(known), _) => known.into_std(),
            (None, raw) => raw.ok_or_else(|| io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self.known.get() {
            Some(known) => known.peer_addr().ok(),
            None => self.raw.borrow().as_ref()?.peer_addr().ok(),
        }
    }

    /// Reads what is there into `room` bytes behind `buf`; `None` when the runtime is to be asked.
    pub(super) fn read(&self, buf: &mut BytesMut, room: usize) -> Option<io::Result<usize>> {
        let raw = self.raw.borrow();
        let mut socket = raw.as_ref().filter(|_| self.may_go_on())?;
        let start = buf.len();
        buf.resize(start + room, 0);
        let read = again(|| socket.read(buf.get_mut(start..).unwrap_or_default()));
        buf.truncate(start + read.as_ref().copied().unwrap_or(0));
        Some(read)
    }

    /// Writes some of `pieces`; `None` as with `read`.
    pub(super) fn write(&self, pieces: &[IoSlice<'_>], follows: Follows) -> Option<io::Result<usize>> {
        let raw = self.raw.borrow();
        let socket = raw.as_ref().filter(|_| self.may_go_on())?;
        Some(again(|| write(socket, pieces, follows)))
    }

    /// Whether something has come that nobody has read, and the runtime does not know of.
    pub(super) fn has_unseen(&self) -> bool {
        let raw = self.raw.borrow();
        raw.as_ref().is_some_and(|raw| rustix::io::ioctl_fionread(raw).is_ok_and(|unread| unread > 0))
    }

    /// Whether one more may be done without the runtime.
    fn may_go_on(&self) -> bool {
        self.unknown.set(self.unknown.get().saturating_add(1));
        self.unknown.get() <= MOST_UNKNOWN
    }

    /// Does what needs no runtime.
    pub(super) fn with_fd<T>(&self, act: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        match self.known.get() {
            Some(known) => Some(act(known.as_fd())),
            None => Some(act(self.raw.borrow().as_ref()?.as_fd())),
        }
    }
}

/// Over what a signal broke off.
fn again(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
