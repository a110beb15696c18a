//! Exchanges with a servlet that the test plays itself, on the other end of a pair of sockets.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;

use http::HeaderMap;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::upstream::queue::Queue;

/// A body of these frames. Between them it may have nothing to give for a turn.
#[derive(Debug, Default)]
struct Script {
    items: VecDeque<Item>,
    exact_len: Option<u64>,
    taken: Rc<Cell<usize>>,
}

#[derive(Clone, Debug)]
enum Item {
    Data(Vec<u8>),
    Trailers,
    Wait,
    /// For ever.
    Stall,
    Fault,
}
use Item::{Data, Stall, Trailers, Wait};

impl Script {
    fn of(items: impl IntoIterator<Item = Item>) -> Script {
        Script { items: items.into_iter().collect(), ..Script::default() }
    }

    /// With its length told ahead.
    fn exact(items: impl IntoIterator<Item = Item>, length: usize) -> Script {
        Script { exact_len: Some(length as u64), ..Script::of(items) }
    }
}

impl Body for Script {
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
        if let Some(Stall) = self.items.front() {
            return Poll::Pending;
        }
        let Some(item) = self.items.pop_front() else { return Poll::Ready(None) };
        Poll::Ready(Some(match item {
            Data(data) => {
                self.taken.set(self.taken.get() + data.len());
                Ok(Frame::Data(data.into()))
            }
            Trailers => {
                Ok(Frame::Trailers(HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("t"))])))
            }
            Wait | Stall => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Item::Fault => Err(Fault::new(Kind::CallerGone, Stage::RequestBody, "gone")),
        }))
    }

    fn is_end(&self) -> bool {
        self.items.is_empty()
    }

    fn exact_len(&self) -> Option<u64> {
        self.exact_len
    }
}

/// One connection and where it goes when it is kept.
struct Scene {
    idle: Rc<IdleHttp1>,
    connection: Option<Connection>,
    servlet: UnixStream,
}

impl Scene {
    fn new() -> Scene {
        let (near, servlet) = UnixStream::pair().unwrap();
        let idle = Rc::new(IdleHttp1::new(8, Rc::new(Queue::default())));
        let connection = Connection { stream: Stream::Unix(near), _open: idle.open(8).unwrap() };
        Scene { idle, connection: Some(connection), servlet }
    }

    fn send(&mut self, head: &Request<()>, body: Script) -> Http1Exchange<Script> {
        self.send_as(head, None, body, false, 64 * 1024)
    }

    fn send_as(
        &mut self,
        head: &Request<()>,
        upgrade: Option<Upgrade>,
        body: Script,
        reused: bool,
        head_bytes: u32,
    ) -> Http1Exchange<Script> {
        let options = Options { head_bytes, ..Options::default() };
        let connection = self.connection.take().expect("one call a scene");
        send(connection, Rc::clone(&self.idle), reused, &options, head, upgrade, body)
    }

    /// Whether the connection was kept for the next call.
    fn is_kept(&self) -> bool {
        self.idle.take(Duration::from_secs(100)).is_some()
    }

    /// What the servlet reads until we end.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let _ = self.servlet.read_to_end(&mut read).await;
        String::from_utf8(read).unwrap()
    }
}

fn request(method: &str) -> Request<()> {
    Request::builder().method(method).uri("/a?b").header("host", "h").body(()).unwrap()
}

async fn head(exchange: &mut Http1Exchange<Script>) -> Result<Response<()>, Fault> {
    poll_fn(|cx| exchange.poll_head(cx)).await
}

/// The data, whether trailers came, and the fault that ended it.
async fn body(exchange: &mut Http1Exchange<Script>) -> (String, bool, Option<Fault>) {
    let (mut data, mut trailers) = (Vec::new(), false);
    let fault = loop {
        match poll_fn(|cx| exchange.poll_frame(cx)).await {
            Some(Ok(Frame::Data(piece))) => data.extend_from_slice(&piece),
            Some(Ok(Frame::Trailers(_))) => trailers = true,
            Some(Err(fault)) => break Some(fault),
            None => break None,
        }
    };
    (String::from_utf8(data).unwrap(), trailers, fault)
}

async fn progress(exchange: &mut Http1Exchange<Script>) {
    poll_fn(|cx| {
        exchange.poll_progress(cx);
        Poll::Ready(())
    })
    .await;
}

/// Lets the runtime ask the kernel what there is.
async fn turn() {
    tokio::task::yield_now().await;
}

/// Polls once.
async fn once(exchange: &mut Http1Exchange<Script>) {
    poll_fn(|cx| {
        assert!(exchange.poll_head(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

const HEAD: &str = "POST /a?b HTTP/1.1\r\nhost: h\r\n";

#[tokio::test]
async fn what_there_is_of_a_request_leaves_at_once() {
    let text = |text: &str| Data(text.as_bytes().to_vec());
    let large = "x".repeat(5000);
    let cases = [
        (Script::default(), "content-length: 0\r\n\r\n".to_owned()),
        (Script::exact([text("hello")], 5), "content-length: 5\r\n\r\nhello".to_owned()),
        (Script::exact([text("he"), text("llo")], 5), "content-length: 5\r\n\r\nhello".to_owned()),
        (Script::exact([text(&large)], 5000), format!("content-length: 5000\r\n\r\n{large}")),
        (
            Script::of([text("hello"), text(""), text("you")]),
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n".to_owned(),
        ),
        (Script::of([text(&large)]), format!("transfer-encoding: chunked\r\n\r\n1388\r\n{large}\r\n0\r\n\r\n")),
        (
            Script::of([text("a"), text(&large), Stall]),
            format!("transfer-encoding: chunked\r\n\r\n1\r\na\r\n1388\r\n{large}\r\n"),
        ),
        (Script::of([text("a"), Trailers]), "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".to_owned()),
        (Script::of([Stall]), "transfer-encoding: chunked\r\n\r\n".to_owned()),
    ];
    for (script, expected) in cases {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("POST"), script);
        once(&mut exchange).await;
        let mut read = vec![0; 64 * 1024];
        let len = scene.servlet.read(&mut read).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read[..len]), format!("{HEAD}{expected}"));
    }
}

#[tokio::test]
async fn no_more_of_a_body_is_taken_than_the_servlet_takes() {
    const PIECE: usize = 8 * 1024;
    for exact in [true, false] {
        let pieces = || std::iter::repeat_n(Data(vec![b'x'; PIECE]), 1000);
        let script = if exact { Script::exact(pieces(), 1000 * PIECE) } else { Script::of(pieces()) };
        let taken = Rc::clone(&script.taken);
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("PUT"), script);
        once(&mut exchange).await;
        once(&mut exchange).await;
        // What a socket holds, and a piece.
        let first = taken.get();
        assert!(first < 600 * 1024, "{first}");
        let mut buffer = vec![0; 256 * 1024];
        let mut read = 0;
        loop {
            once(&mut exchange).await;
            turn().await;
            assert!(taken.get() < read + 600 * 1024, "{} of {read}", taken.get());
            match scene.servlet.try_read(&mut buffer) {
                Ok(len) => read += len,
                Err(_) if exchange.sending.is_sent() => break,
                Err(_) => {}
            }
        }
        assert!(read > 1000 * PIECE, "all of it: {read}");
    }
}

/// What a servlet answers, whether the answer ends without the connection, and whether the connection is kept then.
#[tokio::test]
async fn a_connection_is_kept_when_both_messages_are_whole_and_nothing_speaks_against_it() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "ok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n", "ok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "ok", true),
        ("HTTP/1.1 204 None\r\n\r\n", "", true),
        ("HTTP/1.1 204 None\r\n\r\nok", "", false),
        ("HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "", true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "ok",
            true,
        ),
    ];
    for (answer, expected, kept) in cases {
        // All at once, and byte by byte.
        for step in [answer.len(), 1] {
            let mut scene = Scene::new();
            let mut exchange = scene.send(&request("GET"), Script::default());
            let answering = async {
                for part in answer.as_bytes().chunks(step) {
                    // What is too much may find the connection closed.
                    let _ = scene.servlet.write_all(part).await;
                    turn().await;
                }
            };
            let asking = async {
                head(&mut exchange).await.unwrap();
                body(&mut exchange).await
            };
            let ((data, _, fault), ()) = tokio::join!(asking, answering);
            assert!(data == expected && fault.is_none() && exchange.is_end(), "{answer:?}: {data:?} {fault:?}");
            assert_eq!(scene.is_kept(), kept, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_one_without_a_length_ends_with_its_connection() {
    let mut scene = Scene::new();
    let mut exchange = scene.send(&request("HEAD"), Script::default());
    scene.servlet.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    let answer = head(&mut exchange).await.unwrap();
    assert!(exchange.is_end() && answer.headers()["content-length"] == "9");
    assert!(scene.is_kept());

    for version in ["1.0", "1.1"] {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("GET"), Script::default());
        let answer = format!("HTTP/{version} 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end");
        scene.servlet.write_all(answer.as_bytes()).await.unwrap();
        scene.servlet.shutdown().await.unwrap();
        head(&mut exchange).await.unwrap();
        assert!(exchange.exact_len().is_none());
        let (data, _, fault) = body(&mut exchange).await;
        assert!(data == "until the end" && fault.is_none() && !scene.is_kept());
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_sent_and_then_its_connection_is_not_kept() {
    let mut scene = Scene::new();
    let body_of = Script::exact([Data(vec![b'a'; 3]), Stall], 10);
    let mut exchange = scene.send(&request("PUT"), body_of);
    scene.servlet.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
    assert_eq!(head(&mut exchange).await.unwrap().status(), 413);
    assert_eq!(body(&mut exchange).await.0, "big");
    assert!(!scene.is_kept());
    assert!(scene.rest().await.ends_with("aaa"), "and then its end");
}

#[tokio::test]
async fn a_servlet_that_answers_and_takes_no_more_is_heard() {
    let mut scene = Scene::new();
    let mut exchange = scene.send(&request("PUT"), Script::of(std::iter::repeat_n(Data(vec![b'a'; 8192]), 1000)));
    once(&mut exchange).await;
    scene.servlet.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
    // It reads no further: what we write from here on fails.
    rustix::net::shutdown(&scene.servlet, rustix::net::Shutdown::Read).unwrap();
    assert_eq!(head(&mut exchange).await.unwrap().status(), 413);
    assert_eq!(body(&mut exchange).await.0, "big");
    assert!(!scene.is_kept());
}

#[tokio::test]
async fn both_ways_go_on_while_either_is_polled() {
    let mut scene = Scene::new();
    let items = [Data(b"one".to_vec()), Wait, Data(b"two".to_vec()), Wait, Data(b"three".to_vec())];
    let mut exchange = scene.send(&request("POST"), Script::of(items));
    scene.servlet.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await.unwrap();
    head(&mut exchange).await.unwrap();
    for _ in 0..4 {
        progress(&mut exchange).await;
    }
    let mut read = vec![0; 1000];
    let len = scene.servlet.read(&mut read).await.unwrap();
    assert!(String::from_utf8_lossy(&read[..len]).ends_with("3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"));
    scene.servlet.write_all(b"k").await.unwrap();
    assert_eq!(body(&mut exchange).await.0, "ok");
    assert!(scene.is_kept());
}

#[tokio::test]
async fn faults_are_told_by_what_the_servlet_can_have_done() {
    use Kind::{ConnectionLost, GoneAway, MalformedReply};
    let cases = [
        ("GET", false, "", ConnectionLost),
        ("GET", true, "", GoneAway),
        ("PUT", true, "", GoneAway),
        ("POST", true, "", ConnectionLost),
        // It has begun to answer.
        ("GET", true, "H", ConnectionLost),
        ("GET", true, "HTTP/1.1 100 Continue\r\n\r\n", ConnectionLost),
        ("GET", false, "HTTP/1.1 200 OK\r\nContent-Length", ConnectionLost),
        ("GET", true, "what?\r\n\r\n", MalformedReply),
        ("GET", true, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", MalformedReply),
        ("GET", false, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", MalformedReply),
    ];
    for (method, reused, answer, kind) in cases {
        let mut scene = Scene::new();
        let mut exchange =
            scene.send_as(&request(method), None, Script::exact([Data(vec![b'a'; 3])], 3), reused, 65536);
        once(&mut exchange).await;
        scene.servlet.write_all(answer.as_bytes()).await.unwrap();
        scene.servlet.shutdown().await.unwrap();
        let fault = head(&mut exchange).await.unwrap_err();
        assert_eq!((fault.kind, fault.stage), (kind, Stage::Wait), "{method} {reused} {answer:?}: {fault}");
        assert!(exchange.connection.is_none() && !scene.is_kept());
    }
    // Nothing of it was written: whoever it is, it may go elsewhere.
    let mut scene = Scene::new();
    let mut exchange = scene.send_as(&request("POST"), None, Script::default(), true, 65536);
    drop(scene.servlet);
    assert_eq!(head(&mut exchange).await.unwrap_err().kind, GoneAway);
    assert_eq!(exchange.into_body().taken.get(), 0);
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_number() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(20_000));
    let many = "HTTP/1.1 103 Early\r\n\r\n".repeat(17);
    for answer in [long, many] {
        let mut scene = Scene::new();
        let mut exchange = scene.send_as(&request("GET"), None, Script::default(), false, 16 * 1024);
        scene.servlet.write_all(answer.as_bytes()).await.unwrap();
        let fault = head(&mut exchange).await.unwrap_err();
        assert_eq!((fault.kind, fault.stage), (Kind::MalformedReply, Stage::Wait), "{fault}");
    }
    let mut scene = Scene::new();
    let mut exchange = scene.send(&request("GET"), Script::default());
    let answer = format!("{}HTTP/1.1 204 None\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\n".repeat(16));
    scene.servlet.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(head(&mut exchange).await.unwrap().status(), 204);
}

#[tokio::test]
async fn what_is_cut_or_malformed_is_a_fault_and_never_an_end() {
    let cases = [
        ("Content-Length: 5\r\n\r\nhell", Kind::ConnectionLost),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhell", Kind::ConnectionLost),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n", Kind::ConnectionLost),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\n", Kind::ConnectionLost),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhellzz\r\n", Kind::MalformedReply),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n-1\r\n", Kind::MalformedReply),
    ];
    for (answer, kind) in cases {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("GET"), Script::default());
        scene.servlet.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        scene.servlet.shutdown().await.unwrap();
        head(&mut exchange).await.unwrap();
        let (data, _, fault) = body(&mut exchange).await;
        let fault = fault.expect(answer);
        assert_eq!((&*data, fault.kind, fault.stage), ("hell", kind, Stage::ReplyBody), "{answer:?}");
        assert!(!scene.is_kept() && scene.rest().await.starts_with("GET"));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_its_request_off() {
    let broken = || Script::exact([Data(vec![b'a'; 3]), Wait, Item::Fault], 10);
    let mut scene = Scene::new();
    let mut exchange = scene.send(&request("POST"), broken());
    let fault = head(&mut exchange).await.unwrap_err();
    assert_eq!((fault.kind, fault.stage), (Kind::CallerGone, Stage::RequestBody));
    assert!(scene.rest().await.ends_with("\r\n\r\naaa"), "cut, and closed");

    // While the answer is read, or is not.
    for is_read in [true, false] {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("POST"), broken());
        scene.servlet.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await.unwrap();
        turn().await;
        head(&mut exchange).await.unwrap();
        if !is_read {
            progress(&mut exchange).await;
            assert!(exchange.connection.is_none());
        }
        let (_, _, fault) = body(&mut exchange).await;
        assert_eq!(fault.unwrap().kind, Kind::CallerGone);
        assert!(scene.rest().await.ends_with("aaa"));
    }
    // More, or less, than its length.
    for (many, length) in [(3, 2), (2, 3)] {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("POST"), Script::exact([Data(vec![b'a'; many])], length));
        assert_eq!(head(&mut exchange).await.unwrap_err().kind, Kind::MalformedBody);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection_and_frees_its_place() {
    let mut scene = Scene::new();
    let mut exchange = scene.send(&request("GET"), Script::default());
    once(&mut exchange).await;
    assert!(scene.idle.open(1).is_none(), "it is counted");
    drop(exchange);
    assert!(scene.rest().await.starts_with("GET"));
    assert!(scene.idle.open(1).is_some());
}

#[tokio::test]
async fn a_kept_connection_that_its_server_closed_or_spoke_on_is_not_used() {
    for says in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let mut scene = Scene::new();
        let mut exchange = scene.send(&request("GET"), Script::default());
        scene.servlet.write_all(b"HTTP/1.1 204 None\r\n\r\n").await.unwrap();
        head(&mut exchange).await.unwrap();
        scene.servlet.write_all(says.as_bytes()).await.unwrap();
        if says.is_empty() {
            scene.servlet.shutdown().await.unwrap();
        }
        turn().await;
        assert!(!scene.is_kept(), "{says:?}");
    }
}

#[tokio::test]
async fn after_a_101_bytes_go_both_ways() {
    let mut scene = Scene::new();
    let upgrade = Upgrade { protocol: HeaderValue::from_static("x"), idle: Duration::from_secs(60) };
    // Those of the caller wait for it.
    let caller = Script::of([Data(b"up".to_vec())]);
    let mut exchange = scene.send_as(&request("GET"), Some(upgrade), caller, false, 65536);
    once(&mut exchange).await;
    scene.servlet.write_all(b"HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst").await.unwrap();
    let answer = head(&mut exchange).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["upgrade"]), (101, &HeaderValue::from_static("x")));
    assert!(!exchange.is_end());
    let first = poll_fn(|cx| exchange.poll_frame(cx)).await;
    assert!(matches!(first, Some(Ok(Frame::Data(data))) if data == "first"));
    progress(&mut exchange).await;
    scene.servlet.write_all(b" down").await.unwrap();
    scene.servlet.shutdown().await.unwrap();
    assert_eq!(body(&mut exchange).await.0, " down");
    assert!(scene.rest().await.ends_with("connection: upgrade\r\nupgrade: x\r\n\r\nup"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However its pieces come, and however the servlet reads them, a request arrives as it was.
    #[test]
    fn a_request_arrives_as_it_was(
        sizes in prop::collection::vec(prop_oneof![0..3_000_usize, 3_000..100_000_usize], 0..8),
        waits in any::<u8>(),
        exact in any::<bool>(),
        room in 500_usize..70_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pieces: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(at, size)| vec![at as u8; *size]).collect();
        let whole = pieces.concat();
        let items = pieces.into_iter().enumerate().flat_map(|(at, piece)| {
            [Data(piece)].into_iter().chain((waits >> at & 1 == 1).then_some(Wait))
        });
        let script = if exact { Script::exact(items, whole.len()) } else { Script::of(items) };
        let read = runtime.block_on(async {
            let mut scene = Scene::new();
            let mut exchange = scene.send(&request("PUT"), script);
            let servlet = &mut scene.servlet;
            let reading = async {
                let mut read = Vec::new();
                let mut buffer = vec![0; room];
                loop {
                    let len = servlet.read(&mut buffer).await.unwrap();
                    read.extend_from_slice(&buffer[..len]);
                    if let Some(body) = body_of(&read) {
                        servlet.write_all(b"HTTP/1.1 204 None\r\n\r\n").await.unwrap();
                        return body;
                    }
                }
            };
            let (read, answered) = tokio::join!(reading, head(&mut exchange));
            answered.unwrap();
            assert!(scene.is_kept());
            read
        });
        prop_assert!(read == whole, "{} bytes of {}", read.len(), whole.len());
    }
}

/// The body of a request that is whole.
fn body_of(read: &[u8]) -> Option<Vec<u8>> {
    use crate::wire::{BodyDecoder, RequestParser};
    let mut buf = BytesMut::from(read);
    let head = RequestParser::new(HeadLimits::default()).parse(&mut buf, None).unwrap()?;
    let mut decoder = BodyDecoder::new(head.framing);
    let mut body = Vec::new();
    loop {
        match decoder.decode(&mut buf).unwrap()? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(_) => {}
            Piece::End => return Some(body),
        }
    }
}
