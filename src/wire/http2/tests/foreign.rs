//! Against the `h2` crate, over pipes in memory: ours serves its client, and calls its server.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::task::{LocalSet, spawn_local};

use super::super::{Connection, Input, Lost, RecvStream, SendStream};
use super::{CLIENT, SERVER, options};
use crate::model::Frame;

/// Reads and writes for `connection` until the other side is gone.
async fn drive(connection: Connection, mut pipe: DuplexStream, mut each: impl FnMut(&Connection)) {
    let mut held = BytesMut::new();
    poll_fn(|cx| {
        connection.attend(cx.waker());
        while connection.lost().is_none() {
            let mut is_moved = connection.may_read() && read(&connection, &mut pipe, &mut held, cx);
            each(&connection);
            let written = connection.write(|pieces| {
                let written = write(&mut pipe, pieces, cx);
                is_moved |= written.is_ready();
                written
            });
            if let Poll::Ready(Err(error)) = written {
                connection.lose(Lost::Io(error.kind()));
            }
            if !is_moved {
                break;
            }
        }
        connection.rest();
        if connection.lost().is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn write(pipe: &mut DuplexStream, pieces: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    Pin::new(pipe).poll_write_vectored(cx, pieces)
}

fn read(connection: &Connection, pipe: &mut DuplexStream, held: &mut BytesMut, cx: &mut Context<'_>) -> bool {
    let mut space = [0; 5_000];
    let mut buf = ReadBuf::new(&mut space);
    let Poll::Ready(read) = Pin::new(pipe).poll_read(cx, &mut buf) else { return false };
    if read.is_err() || buf.filled().is_empty() {
        connection.lose(Lost::Closed);
        return true;
    }
    held.extend_from_slice(buf.filled());
    let mut input = Input::Owned(std::mem::take(held));
    connection.receive(&mut input).expect("the other side keeps to the rules");
    *held = input.into_rest();
    true
}

/// One call: its pieces come back as they are, and trailers with them if they were there.
#[derive(Clone, Debug)]
struct Call {
    pieces: Vec<usize>,
    has_trailers: bool,
    field: usize,
}

impl Call {
    fn request(&self, nth: usize) -> Request<()> {
        let field = HeaderValue::from_bytes(&vec![b'a' + (nth % 20) as u8; self.field]).unwrap();
        Request::post(format!("http://a.example/{nth}")).header("field", field).body(()).unwrap()
    }

    fn bodies(&self) -> impl Iterator<Item = Bytes> {
        self.pieces.iter().enumerate().map(|(nth, len)| (0..*len).map(|at| (at * 3 + nth) as u8).collect())
    }

    fn check(&self, field: &HeaderValue, body: &[u8], trailers: Option<HeaderMap>) {
        assert_eq!(field.len(), self.field);
        assert!(body == self.bodies().flatten().collect::<Vec<u8>>());
        assert_eq!(trailers.map(|trailers| trailers["end"].clone()), self.has_trailers.then(trailer));
    }
}

fn trailer() -> HeaderValue {
    HeaderValue::from_static("well")
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("end"), trailer())])
}

async fn send(stream: &mut SendStream, mut data: Bytes) {
    while !data.is_empty() {
        poll_fn(|cx| stream.poll_room(cx)).await.unwrap();
        assert!(stream.send(&mut data, false));
    }
}

/// Ours: gives everything back.
async fn echo(request: super::super::Opened) {
    let super::super::Opened { head, mut recv, send: mut stream } = request;
    let response = Response::builder().header("field", &head.fields["field"]).body(()).unwrap();
    assert!(stream.answer(&response, false));
    while let Some(frame) = poll_fn(|cx| recv.poll_frame(cx)).await {
        match frame.unwrap() {
            Frame::Data(data) => send(&mut stream, data).await,
            Frame::Trailers(trailers) => {
                assert!(stream.send_trailers(&trailers));
                return;
            }
        }
    }
    assert!(stream.send(&mut Bytes::new(), true));
}

/// Ours: one call of theirs.
async fn call(nth: usize, call: Call, (mut recv, mut stream): (RecvStream, SendStream)) {
    let sending = call.clone();
    spawn_local(async move {
        for body in sending.bodies() {
            send(&mut stream, body).await;
        }
        let is_sent =
            if sending.has_trailers { stream.send_trailers(&trailers()) } else { stream.send(&mut Bytes::new(), true) };
        assert!(is_sent, "{nth}");
    });
    let head = poll_fn(|cx| recv.poll_head(cx)).await.unwrap();
    let (mut body, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| recv.poll_frame(cx)).await {
        match frame.unwrap() {
            Frame::Data(data) => body.extend(data),
            Frame::Trailers(fields) => trailers = Some(fields),
        }
    }
    call.check(&head.fields["field"], &body, trailers);
}

async fn their_send(stream: &mut h2::SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        stream.send_data(data.split_to(room.min(data.len())), false).unwrap();
    }
}

async fn their_call(nth: usize, call: Call, mut client: h2::client::SendRequest<Bytes>) {
    poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
    let (response, mut stream) = client.send_request(call.request(nth), false).unwrap();
    let sending = call.clone();
    spawn_local(async move {
        for body in sending.bodies() {
            their_send(&mut stream, body).await;
        }
        if sending.has_trailers {
            stream.send_trailers(trailers()).unwrap()
        } else {
            stream.send_data(Bytes::new(), true).unwrap()
        }
    });
    let mut response = response.await.unwrap();
    let mut body = Vec::new();
    while let Some(data) = response.body_mut().data().await {
        let data = data.unwrap();
        response.body_mut().flow_control().release_capacity(data.len()).unwrap();
        body.extend(data);
    }
    let trailers = response.body_mut().trailers().await.unwrap();
    call.check(&response.headers()["field"], &body, trailers);
}

async fn their_echo(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let response = Response::builder().header("field", &request.headers()["field"]).body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        their_send(&mut stream, data).await;
    }
    match body.trailers().await.unwrap() {
        Some(trailers) => stream.send_trailers(trailers).unwrap(),
        None => stream.send_data(Bytes::new(), true).unwrap(),
    }
}

async fn they_call_us(calls: Vec<Call>, pipe: usize, window: u32) {
    let (ours, theirs) = duplex(pipe);
    spawn_local(drive(Connection::new(options(SERVER)), ours, |connection| {
        while let Some(opened) = connection.accept() {
            spawn_local(echo(opened));
        }
    }));
    let mut builder = h2::client::Builder::new();
    let (client, connection) = builder.initial_window_size(window).handshake(theirs).await.unwrap();
    spawn_local(async move { connection.await.unwrap() });
    let running: Vec<_> =
        calls.into_iter().enumerate().map(|(nth, call)| spawn_local(their_call(nth, call, client.clone()))).collect();
    for call in running {
        call.await.unwrap();
    }
}

async fn we_call_them(calls: Vec<Call>, pipe: usize, window: u32) {
    let (ours, theirs) = duplex(pipe);
    spawn_local(async move {
        let mut builder = h2::server::Builder::new();
        let mut connection = builder.initial_window_size(window).handshake::<_, Bytes>(theirs).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            spawn_local(their_echo(request, respond));
        }
    });
    let connection = Connection::new(options(CLIENT));
    let (begin, begun) = tokio::sync::oneshot::channel();
    let mut begin = Some(begin);
    spawn_local(drive(connection.clone(), ours, move |connection| {
        if connection.allowed_streams() > 0
            && let Some(begin) = begin.take()
        {
            begin.send(()).unwrap();
        }
    }));
    begun.await.unwrap();
    let calls: Vec<_> = calls.into_iter().enumerate().collect();
    let begun = calls.into_iter().map(|(nth, plan)| {
        let handles = connection.request(&plan.request(nth), false).unwrap();
        spawn_local(call(nth, plan, handles))
    });
    for call in begun.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert!(connection.state().streams.is_empty());
    assert_eq!(connection.state().open, 0);
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let len = prop_oneof![3 => 1..200_usize, 1 => 1..40_000_usize];
    let call = (prop::collection::vec(len, 0..4), any::<bool>(), 0..300_usize);
    prop::collection::vec(call.prop_map(|(pieces, has_trailers, field)| Call { pieces, has_trailers, field }), 1..12)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn theirs_understands_ours(
        calls in calls(),
        pipe in prop::sample::select(vec![500_usize, 5_000, 100_000]),
        window in prop::sample::select(vec![1_000_u32, 65_535, 1 << 20]),
    ) {
        run(they_call_us(calls.clone(), pipe, window));
        run(we_call_them(calls, pipe, window));
    }
}
