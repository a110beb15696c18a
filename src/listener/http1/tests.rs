//! Connections of one worker beside each other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{Shared, TURN};
use crate::listener::{Accept, ConnectionCounts, Landing, Limits, Observer, RequestBody, Serve, accept};
use crate::model::{Body, ConnInfo, Fault, Frame, Pieces};
use crate::runtime::{DrainControl, Worker, runtime};
use crate::transport::{Stream, bind};
use crate::wire::Framing;

/// Answers at once, and remembers who asked, by port.
#[derive(Default)]
struct AtOnce(RefCell<Vec<u16>>);

struct Nothing;

impl Body for Nothing {
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        Poll::Ready(None)
    }

    fn is_end(&self) -> bool {
        true
    }
}

impl Serve for AtOnce {
    type Connection = u16;
    type Reply = Nothing;

    fn open(&self, info: ConnInfo) -> u16 {
        info.peer.unwrap().port()
    }

    async fn call(&self, conn: &Rc<u16>, _: Request<RequestBody>) -> Response<Nothing> {
        self.0.borrow_mut().push(**conn);
        Response::new(Nothing)
    }

    fn refuse(&self, _: &Rc<u16>, _: Option<&Parts>, fault: &Fault) -> Response<Bytes> {
        panic!("{fault:?}");
    }

    fn gave_up(&self, _: &Rc<u16>, fault: &Fault) {
        panic!("{fault:?}");
    }
}

/// Lets the accept loop end with the last of so many connections.
struct Last(Cell<usize>, DrainControl);

impl Observer for Last {
    fn opened(&self) {}

    fn closed(&self) {
        self.0.set(self.0.get() - 1);
        if self.0.get() == 0 {
            self.1.begin(Duration::ZERO);
        }
    }

    fn refused(&self, why: &'static str) {
        panic!("{why}");
    }
}

/// Who asked, in this order, when callers had sent so many requests each before anybody looked.
fn order(requests: &[usize]) -> Vec<usize> {
    let mut bound = bind(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let mut callers: Vec<TcpStream> =
        requests.iter().map(|_| TcpStream::connect(bound.address.to_string()).unwrap()).collect();
    for (caller, count) in callers.iter_mut().zip(requests) {
        let kept = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(count - 1);
        caller.write_all(format!("{kept}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    }
    let service = Rc::new(AtOnce::default());
    let (control, drain) = DrainControl::new();
    let (landing, mut strips) = Landing::new(1);
    let register = bound.take(0).unwrap();
    let local = bound.address.clone();
    bound.release();
    let (served, open) = (Rc::clone(&service), callers.len());
    runtime().unwrap().block_on(async move {
        accept(Accept {
            worker: Worker { index: 0, of: 1 },
            acceptor: Some(register().unwrap()),
            local,
            landing,
            strip: strips.remove(0),
            counts: ConnectionCounts::new(1),
            limits: Rc::new(Limits::default()),
            service: served,
            observer: Rc::new(Last(Cell::new(open), control)),
            drain,
        })
        .await;
    });
    let ports: Vec<u16> = callers.iter().map(|caller| caller.local_addr().unwrap().port()).collect();
    for (caller, count) in callers.iter_mut().zip(requests) {
        let mut answers = String::new();
        caller.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), *count);
    }
    service.0.borrow().iter().map(|port| ports.iter().position(|own| own == port).unwrap()).collect()
}

#[test]
fn pipelined_requests_take_turns_with_other_connections() {
    let requests = [64, 10, 64];
    let order = order(&requests);
    let mut left = requests;
    for run in order.chunk_by(|one, other| one == other) {
        left[run[0]] -= run.len();
        let others: usize = (0..3).filter(|caller| *caller != run[0]).map(|caller| left[caller]).sum();
        // The runtime takes those who stood back in either order, so that two turns may meet.
        assert!(run.len() <= 2 * TURN as usize || others == 0, "{} in a row while {others} wait: {order:?}", run.len());
    }
    assert_eq!(left, [0; 3]);
}

#[tokio::test]
async fn a_body_that_is_gathered_pins_little_more_than_its_bytes() {
    for step in [100_usize, 4_096, 8_192, 20_000] {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = tokio::net::TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let near = Stream::Tcp(socket.accept().await.unwrap().0);
        let shared = Shared::new(near, BytesMut::new(), Duration::from_secs(60), Instant::now());
        shared.begin(Framing::Length(step as u64 * 100), false, None, false);
        let mut gathered = Pieces::default();
        for _ in 0..100 {
            far.write_all(&vec![7; step]).await.unwrap();
            let Some(Ok(Frame::Data(data))) = poll_fn(|cx| shared.poll_frame(cx)).await else { panic!("no data") };
            gathered.push_to_hold(data);
        }
        drop(shared);
        let (len, mut pinned) = (gathered.len(), 0);
        while let Some(piece) = gathered.pop() {
            // Nobody else has any of it.
            pinned += piece.try_into_mut().map_or(0, |piece| piece.capacity());
        }
        assert!(pinned <= 4 * len + 64 * 1024, "{pinned} for {len}, in steps of {step}");
    }
}
