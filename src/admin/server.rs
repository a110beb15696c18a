//! The admin thread: hyper's HTTP/1 server on a runtime of its own, within limits that a stuck scraper cannot reach past. It answers
//! until it is stopped, through the whole of a drain, because that is when people look.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Answers;
use crate::model::Address;
use crate::transport::{Acceptor, Bound, Stream};

/// For scrapers, probes and a few people. One more is closed at once, so that those who hold on cannot queue up a probe behind them.
const MOST_CONNECTIONS: usize = 64;

/// From a request's first wait to the end of its head; a keep-alive connection may be idle no longer. Above the 15 s of a usual scrape.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection ends after this, whatever it does: a reader that takes nothing of an answer would hold it for ever.
const LONGEST: Duration = Duration::from_secs(300);

/// How long an answer that has begun may take once the process ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A head has a handful of fields; hyper's least buffer is 8 KiB.
const HEAD_BYTES: usize = 16 * 1024;

/// The running server. Dropping it stops it.
pub struct Admin {
    socket: Bound,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Starts to answer on `socket` (bound for one thread), on a thread of its own.
    ///
    /// # Errors
    /// When the system has no thread, or will not watch the socket.
    pub fn start(mut socket: Bound, answers: Answers) -> io::Result<Admin> {
        let acceptor = socket.take(0).ok_or_else(|| io::Error::other("the admin socket cannot be shared"))?;
        socket.release();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptor = {
            let _inside = runtime.enter();
            acceptor()?
        };
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new()
            .name("admin".into())
            .spawn(move || runtime.block_on(serve(acceptor, Arc::new(answers), stopped)))?;
        Ok(Admin { socket, stop, thread: Some(thread) })
    }

    /// Where it is reached.
    pub fn address(&self) -> &Address {
        &self.socket.address
    }

    /// Closes the socket, lets answers that have begun end, and waits for it, a second at most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread had died");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(acceptor: Acceptor, answers: Arc<Answers>, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let connection = connection(stream, Arc::clone(&answers), stopped.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept for now");
                sleep(Duration::from_millis(100)).await; // out of descriptors: trying at once would only spin
            }
        }
    }
    drop(acceptor);
    // All places free means all connections ended.
    let _ = timeout(STOP_TIMEOUT, room.acquire_many(MOST_CONNECTIONS as u32)).await;
}

async fn connection(stream: Stream, answers: Arc<Answers>, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let reply: Response<Bytes> = answers.answer(&head, !body.is_end_stream());
        std::future::ready(Ok::<_, Infallible>(reply.map(Full::new)))
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    // How a connection ends is its peer's affair: errors are not told.
    tokio::select! {
        _ = served.as_mut() => return,
        _ = sleep(LONGEST) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = timeout(STOP_TIMEOUT, served).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::super::answers::tests::answers;
    use super::*;
    use crate::transport::bind;

    fn started() -> (Admin, SocketAddr) {
        let socket = bind(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let admin = Admin::start(socket, answers().0).unwrap();
        let address = admin.address().to_string().parse().unwrap();
        (admin, address)
    }

    /// What comes back for `request` until the server closes.
    fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    #[test]
    fn it_answers_any_http1_client() {
        let (_admin, address) = started();
        let old = exchange(address, "GET /livez HTTP/1.0\r\n\r\n");
        assert!(old.starts_with("HTTP/1.0 200 OK\r\n") && old.ends_with("\r\n\r\nok\n"), "{old}");
        let new = exchange(address, "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert!(new.starts_with("HTTP/1.1 200 OK\r\n") && new.ends_with("\r\n\r\nok\n"), "{new}");
        let head = exchange(address, "HEAD /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert!(head.contains("content-length: 3\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn what_follows_a_refused_body_is_not_a_request() {
        let (_admin, address) = started();
        let smuggled = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";
        let length = smuggled.len();
        for framing in [format!("content-length: {length}"), "transfer-encoding: chunked".to_owned()] {
            let reply = exchange(address, &format!("GET /livez HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{smuggled}"));
            assert!(reply.starts_with("HTTP/1.1 400"), "{framing}: {reply}");
            assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{framing}: {reply}");
        }
    }

    #[test]
    fn a_unix_socket_does_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let admin = Admin::start(bind(&Address::Unix(path.clone()), 1).unwrap(), answers().0).unwrap();
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
        admin.stop();
        assert!(!path.exists());
    }

    #[test]
    fn one_more_than_the_limit_is_closed_and_room_comes_back() {
        let (_admin, address) = started();
        let mut held: Vec<TcpStream> = (0..MOST_CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        for stream in &mut held {
            // An answer proves that the place is taken.
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 1);
        }
        let mut refused = TcpStream::connect(address).unwrap();
        assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);

        // Ours to close first; the server says so by closing in turn.
        let mut leaving = held.pop().unwrap();
        leaving.shutdown(std::net::Shutdown::Write).unwrap();
        leaving.read_to_string(&mut String::new()).unwrap();
        let free = (0..1000).any(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let sent = stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n");
            sent.is_ok() && stream.read(&mut [0; 1]).unwrap_or(0) == 1
        });
        assert!(free);
    }

    #[test]
    fn stopping_closes_the_socket_and_idle_connections() {
        let (admin, address) = started();
        let mut idle = TcpStream::connect(address).unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert_eq!(idle.read(&mut [0; 1]).unwrap(), 1);
        admin.stop();
        idle.read_to_string(&mut String::new()).unwrap();
        assert!(TcpStream::connect(address).is_err());
    }
}
