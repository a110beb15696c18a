//! One connected byte stream, whatever it runs over.
//!
//! HTTP/2 libraries take it as `AsyncRead + AsyncWrite`; the HTTP/1 side reads and writes through `&self`, because there a body is
//! read by one part of a call while another part writes its answer.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::fresh::Fresh;
use crate::model::Address;

thread_local! {
    /// What connections without a buffer read into, one after the other. A piece of it holds all of it, so it is no large one; when it is
    /// used up, it starts anew, or another one does while somebody holds a piece.
    static SPARE: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(SPARE_ROOM));
}

/// Some hundred small messages, or two of the size that is asked for first.
const SPARE_ROOM: usize = 16 * 1024;

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Over TCP, as it was accepted.
    Fresh(Fresh),
}

/// The socket as the runtime knows it.
#[derive(Clone, Copy)]
enum Known<'s> {
    Tcp(&'s TcpStream),
    Unix(&'s UnixStream),
}

impl Known<'_> {
    fn poll_read_ready(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Known::Tcp(socket) => socket.poll_read_ready(cx),
            Known::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    fn try_read_buf(self, buf: &mut BytesMut) -> io::Result<usize> {
        match self {
            Known::Tcp(socket) => socket.try_read_buf(buf),
            Known::Unix(socket) => socket.try_read_buf(buf),
        }
    }

    fn poll_write_ready(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Known::Tcp(socket) => socket.poll_write_ready(cx),
            Known::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    fn try_write(self, pieces: &[IoSlice<'_>], follows: Follows) -> io::Result<usize> {
        match self {
            Known::Tcp(socket) => socket.try_io(Interest::WRITABLE, || write(socket, pieces, follows)),
            Known::Unix(socket) => socket.try_io(Interest::WRITABLE, || write(socket, pieces, Follows::Anything)),
        }
    }

    /// Notes that nothing more is there to be read: a read that leaves room has taken all (epoll(7), "Questions and answers", 9), and
    /// another one only to hear so would be a system call for nothing. What comes later, and the end, are news to the runtime.
    fn is_drained(self) {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = match self {
            Known::Tcp(socket) => socket.try_io(Interest::READABLE, nothing),
            Known::Unix(socket) => socket.try_io(Interest::READABLE, nothing),
        };
    }
}

/// What comes behind a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Nobody knows: it leaves at once.
    Anything,
    /// These are the last bytes, and the end of our side follows at once: the kernel may hold the last segment back for it, so that both
    /// cross the network together. It would hold it for 0.2 s without. Of TCP alone.
    End,
}

/// Writes some of `pieces`. By send(2) and sendmsg(2), which go straight to the socket; writev(2) goes through all that a file may be,
/// some 8 % of an untranslated call.
pub(super) fn write(socket: impl AsFd, pieces: &[IoSlice<'_>], follows: Follows) -> io::Result<usize> {
    let flags = match follows {
        Follows::Anything => SendFlags::NOSIGNAL,
        Follows::End => SendFlags::NOSIGNAL | SendFlags::MORE,
    };
    let mut filled = pieces.iter().filter(|piece| !piece.is_empty());
    Ok(match (filled.next(), filled.next()) {
        (Some(piece), None) => send(socket, piece, flags)?,
        _ => sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), flags)?,
    })
}

/// A socket on its way to another thread, registered with no runtime.
#[derive(Debug)]
pub enum Handover {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Handover {
    /// Registers the socket with the runtime of the calling thread.
    pub fn land(self) -> io::Result<Stream> {
        match self {
            Handover::Tcp(socket) => TcpStream::from_std(socket).map(Stream::Tcp),
            Handover::Unix(socket) => UnixStream::from_std(socket).map(Stream::Unix),
        }
    }
}

impl Stream {
    pub fn hand_over(self) -> io::Result<Handover> {
        match self {
            Stream::Tcp(socket) => socket.into_std().map(Handover::Tcp),
            Stream::Fresh(socket) => socket.into_std().map(Handover::Tcp),
            Stream::Unix(socket) => socket.into_std().map(Handover::Unix),
        }
    }

    /// The peer, unless it is an unnamed Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(socket) => socket.peer_addr().ok(),
            Stream::Fresh(socket) => socket.peer(),
            Stream::Unix(_) => None,
        }
    }

    /// Whether the runtime knows the socket, and so can tell what happens to it. Waiting for it to be read or written makes it known.
    pub fn is_known(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => true,
            Stream::Fresh(socket) => socket.is_known(),
        }
    }

    fn known(&self) -> io::Result<Known<'_>> {
        Ok(match self {
            Stream::Tcp(socket) => Known::Tcp(socket),
            Stream::Unix(socket) => Known::Unix(socket),
            Stream::Fresh(socket) => Known::Tcp(socket.known()?),
        })
    }

    /// From now on the runtime knows the socket: for the libraries that it is handed to.
    fn make_known(&mut self) -> io::Result<&mut Stream> {
        if let Stream::Fresh(socket) = self {
            *self = Stream::Tcp(socket.take_known()?);
        }
        Ok(self)
    }

    /// Sets a connected socket up as `tune` says. What is accepted has it from its listener.
    pub(super) fn tune(&self, peer: &Address) {
        if let (Stream::Tcp(socket), Address::Tcp(peer)) = (self, peer) {
            // A socket whose peer has gone refuses options; the first read tells.
            let _ = tune(&socket2::SockRef::from(socket), peer.ip());
        }
    }

    /// Reads what is there into spare room of at least `room` bytes; 0 is the end of the stream. A buffer that has none gets what was
    /// read and little more, so that who waits for a few bytes does not hold room for many.
    pub fn poll_read_buf(&self, cx: &mut Context<'_>, buf: &mut BytesMut, room: usize) -> Poll<io::Result<usize>> {
        if buf.capacity() > 0 || room > SPARE_ROOM {
            let read = self.poll_read_into(cx, buf, room);
            if buf.is_empty() {
                // Whoever waits now may wait for long.
                *buf = BytesMut::new();
            }
            return read;
        }
        SPARE.with_borrow_mut(|spare| {
            let read = self.poll_read_into(cx, spare, room);
            if !spare.is_empty() {
                *buf = spare.split();
            }
            read
        })
    }

    /// The same, into a buffer that is kept.
    pub(super) fn poll_read_into(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        if let Stream::Fresh(socket) = self {
            match socket.read(buf, room) {
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Some(read) => return Poll::Ready(read),
                None => {}
            }
        }
        let socket = self.known()?;
        loop {
            ready!(socket.poll_read_ready(cx))?;
            buf.reserve(room);
            let spare = buf.capacity() - buf.len();
            match socket.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(len) if 0 < len && len < spare => {
                    socket.is_drained();
                    return Poll::Ready(Ok(len));
                }
                other => return Poll::Ready(other),
            }
        }
    }

    /// Whether nothing has come that was not read, not even the peer's end: as far as the runtime has been told, and so most often
    /// without asking the socket.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = self.known().and_then(|socket| match socket {
            Known::Tcp(socket) => socket.try_read(&mut byte),
            Known::Unix(socket) => socket.try_read(&mut byte),
        });
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether something has come that nobody could hear of, since the runtime does not know the socket yet: a close would be a reset.
    pub fn has_unseen(&self) -> bool {
        matches!(self, Stream::Fresh(socket) if socket.has_unseen())
    }

    /// Writes some of `pieces`.
    pub fn poll_write_pieces(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        follows: Follows,
    ) -> Poll<io::Result<usize>> {
        if let Stream::Fresh(socket) = self {
            match socket.write(pieces, follows) {
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Some(written) => return Poll::Ready(written),
                None => {}
            }
        }
        let socket = self.known()?;
        loop {
            match socket.try_write(pieces, follows) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
            ready!(socket.poll_write_ready(cx))?;
        }
    }

    /// Ends our side; the peer may go on sending.
    pub fn shut_down_writing(&self) {
        let how = rustix::net::Shutdown::Write;
        // Failing means that the peer is gone already, which is what follows anyway.
        let _ = match self {
            Stream::Tcp(socket) => rustix::net::shutdown(socket, how),
            Stream::Unix(socket) => rustix::net::shutdown(socket, how),
            Stream::Fresh(socket) => socket.with_fd(|socket| rustix::net::shutdown(socket, how)).unwrap_or(Ok(())),
        };
    }

    /// Ends the connection so that the peer cannot take what it has for the whole: a reset over TCP. A Unix socket has none.
    pub fn reset(&self) {
        let at_once = Some(Duration::ZERO);
        let _ = match self {
            Stream::Tcp(socket) => socket2::SockRef::from(socket).set_linger(at_once),
            Stream::Fresh(socket) => {
                socket.with_fd(|socket| socket2::SockRef::from(&socket).set_linger(at_once)).unwrap_or(Ok(()))
            }
            Stream::Unix(_) => Ok(()),
        };
    }

    /// Waits until the peer, which has already ended its side, is gone altogether: a reset over TCP, a full close over a Unix socket.
    pub async fn vanished(&self) {
        let Ok(socket) = self.known() else { return };
        match socket {
            Known::Tcp(socket) => {
                if socket.ready(Interest::ERROR).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Known::Unix(socket) => loop {
                // A full close wakes nobody who has already read the end, so it is asked for.
                let mut set = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::empty())];
                let polled = rustix::event::poll(&mut set, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
                let gone = rustix::event::PollFlags::HUP | rustix::event::PollFlags::ERR;
                if polled.is_ok() && set.iter().any(|one| one.revents().intersects(gone)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            },
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().make_known()? {
            Stream::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Fresh(_) => gone(),
        }
    }
}

/// What `make_known` leaves nothing of.
fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut().make_known()? {
            Stream::Tcp(socket) => Pin::new(socket).poll_write(cx, data),
            Stream::Unix(socket) => Pin::new(socket).poll_write(cx, data),
            Stream::Fresh(_) => gone(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().make_known()? {
            Stream::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Stream::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Stream::Fresh(_) => gone(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().make_known()? {
            Stream::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Fresh(_) => gone(),
        }
    }
}

/// An idle connection is probed after this time, and given up when as long again has passed without an answer: a host that vanished
/// is noticed, whatever runs over the connection. A peer that is there but does not read is another matter (TCP_USER_TIMEOUT would
/// cut it off): that is for time-outs that know what they wait for.
const SILENCE: Duration = Duration::from_secs(30);

/// Small writes leave at once, since a proxy that waits to fill segments adds its wait to every call; and the kernel finds out when a
/// peer's host is gone. Accepted sockets take all of this over from the listening one. `address`: where it listens, or its peer's.
pub(super) fn tune(socket: &socket2::Socket, address: IpAddr) -> io::Result<()> {
    if address.to_canonical().is_loopback() {
        // No network is between them. A host that uses BBR would pace what stays on it, by a timer for each burst. Where this may not be
        // chosen, it goes on as it is.
        let _ = socket.set_tcp_congestion(b"reno");
    }
    let probes = socket2::TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3).with_retries(3);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&probes)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read(stream: &Stream, buf: &mut BytesMut, room: usize) -> io::Result<usize> {
        poll_fn(|cx| stream.poll_read_buf(cx, buf, room)).await
    }

    #[tokio::test]
    async fn what_many_read_stays_what_it_was_and_takes_no_more_room_than_it_needs() {
        let mut pairs: Vec<_> =
            (0..3).map(|_| UnixStream::pair().unwrap()).map(|(near, far)| (Stream::Unix(near), far)).collect();
        let mut kept = Vec::new();
        for round in 0..200_u16 {
            for (which, (near, far)) in pairs.iter_mut().enumerate() {
                let said = format!("{which} says {round}").repeat(usize::from(round));
                far.write_all(said.as_bytes()).await.unwrap();
                let mut buf = BytesMut::new();
                while buf.len() < said.len() {
                    read(near, &mut buf, 8 * 1024).await.unwrap();
                }
                assert!(
                    said.len() > 8 * 1024 || buf.capacity() <= said.len() + 8,
                    "{} for {}",
                    buf.capacity(),
                    said.len()
                );
                kept.push((buf, said));
            }
        }
        assert!(kept.iter().all(|(buf, said)| buf == said.as_bytes()));
    }

    #[tokio::test]
    async fn what_stays_on_the_host_is_not_paced() {
        for (address, unpaced) in [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:0", false)] {
            let Ok(mut bound) = super::super::bind(&address.parse().unwrap(), 1) else { continue };
            let acceptor = bound.take(0).unwrap()().unwrap();
            let Address::Tcp(at) = bound.address else { unreachable!() };
            let of = |socket: socket2::SockRef<'_>| {
                let name = socket.tcp_congestion().unwrap();
                String::from_utf8(name).unwrap().trim_end_matches('\0').to_owned()
            };
            let default = of(socket2::SockRef::from(&std::net::TcpListener::bind((at.ip(), 0)).unwrap()));
            let to = format!("127.0.0.1:{}", at.port());
            let to = if at.is_ipv6() { bound.address.clone() } else { to.parse().unwrap() };
            let connected = super::super::connect(&to, Duration::from_secs(60)).await.unwrap();
            let (mut accepted, _) = acceptor.accept().await.unwrap();
            let (Stream::Tcp(connected), Stream::Tcp(accepted)) = (&connected, accepted.make_known().unwrap()) else {
                unreachable!()
            };
            assert_eq!(of(socket2::SockRef::from(connected)), "reno");
            let expected = if unpaced { "reno" } else { &default };
            assert_eq!(of(socket2::SockRef::from(&*accepted)), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn after_a_read_that_left_room_more_is_heard_and_so_is_the_end() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Stream::Unix(near);
        let mut buf = BytesMut::new();
        for _ in 0..3 {
            far.write_all(b"more").await.unwrap();
            assert_eq!(read(&near, &mut buf, 100).await.unwrap(), 4);
            assert!(near.is_quiet());
        }
        far.write_all(b"last").await.unwrap();
        drop(far);
        assert_eq!(read(&near, &mut buf, 100).await.unwrap(), 4);
        assert!(!near.is_quiet(), "its end is there");
        assert_eq!(read(&near, &mut buf, 100).await.unwrap(), 0);
        assert_eq!(buf, "moremoremorelast");
    }
}
