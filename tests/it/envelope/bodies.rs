//! Bodies both ways: as they come, of any length, with nothing held that nobody reads.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{answering, before, raw};
use crate::support::envelope::{asked, body, head};
use crate::support::flow::Flow;
use crate::support::http1::Caller;
use crate::support::servlet::trailers;
use crate::support::{Call, Servlet, http2};

const MIB: usize = 1024 * 1024;
/// More than all the buffers between the two ends hold.
const MANY: usize = 32;
/// What the kernel and both sides' windows hold at most.
const AHEAD: usize = 16 * MIB;

/// Bytes that repeat only after a while.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 251) as u8).collect()
}

#[tokio::test]
async fn ten_mebibytes_go_each_way() {
    let noise = noise(10 * MIB);
    let pieces: Vec<Vec<u8>> = [head(200, &[])].into_iter().chain(noise.chunks(100_000).map(body)).collect();
    let answer = Bytes::from(pieces.concat());
    let servlet = Servlet::start(move |mut call: Call| {
        let answer = answer.clone();
        async move {
            call.read().await;
            let mut send = call.begin();
            if Flow::default().carry(&mut send, &answer, 1).await {
                let _ = send.send_trailers(trailers("0", None));
            }
        }
    })
    .await;
    let proxy = before(&servlet).await;
    for version in ["1.0", "1.1"] {
        let caller = Caller::connect(&proxy.address).await;
        let (mut read, mut write) = caller.socket.into_split();
        let head = format!(
            "PUT /file HTTP/{version}\r\nHost: a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            noise.len()
        );
        let upload = [head.as_bytes(), &noise].concat();
        let sending = tokio::spawn(async move {
            write.write_all(&upload).await.unwrap();
            write
        });
        let mut all = Vec::new();
        read.read_to_end(&mut all).await.unwrap();
        drop(sending.await.unwrap());
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        if version == "1.0" {
            assert!(all[end..] == noise[..], "the body is another");
        } else {
            assert!(all.len() > end + noise.len(), "in chunks");
        }
        let asked = asked(&servlet.seen().pop().unwrap().body);
        assert!(asked.body == noise, "the upload is another");
        assert!(asked.largest <= 64 * 1024, "{}", asked.largest);
    }
    let request = http2::request("GET", "/file").body(()).unwrap();
    let answer = http2::once(&proxy.address, request, b"").await.unwrap();
    assert!(answer.body == noise);
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_the_connection_for_http10() {
    let servlet = answering(vec![head(200, &[]), body(b"one"), body(b"two")], "0").await;
    let proxy = before(&servlet).await;
    let (text, clean) = raw(&proxy.address, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    assert!(clean && text.ends_with("\r\nconnection: close\r\n\r\nonetwo"), "{text}");
    assert!(!text.contains("ontent-") && !text.contains("chunked"), "{text}");
    // With a length the connection may go on.
    let servlet = answering(vec![head(200, &[("Content-Length", "6")]), body(b"one"), body(b"two")], "0").await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..3 {
        caller.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.text(), answer.header("connection")), ("onetwo", Some("keep-alive")));
    }
}

#[tokio::test]
async fn the_head_and_each_piece_arrive_before_the_next_is_sent() {
    let (servlet, go) = Servlet::gated(|mut call, sign| async move {
        let mut send = call.begin();
        let events = [head(200, &[("Content-Type", "text/event-stream")]), body(b"data: 1\n\n"), body(b"data: 2\n\n")];
        for message in events {
            send.send_data(message.into(), false).unwrap();
            sign.acquire().await.unwrap().forget();
        }
        send.send_trailers(trailers("0", None)).unwrap();
    })
    .await;
    let proxy = before(&servlet).await;
    for version in ["1.0", "1.1"] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller.write(format!("GET /events HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        let head = caller.until("\r\n\r\n").await;
        assert!(head.contains("Content-Type: text/event-stream"), "{head}");
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            go.add_permits(1);
            caller.until(event).await;
        }
        go.add_permits(1);
        if version == "1.0" {
            assert_eq!(caller.rest().await, (Vec::new(), true));
        } else {
            caller.until("0\r\n\r\n").await;
        }
    }
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn an_answer_may_come_while_the_request_goes_on() {
    // Says each piece back as it comes.
    let servlet = Servlet::start(|mut call: Call| async move {
        let mut send = call.begin();
        send.send_data(head(200, &[]).into(), false).unwrap();
        let mut said = 0;
        while call.piece().await.is_some() {
            let so_far = asked(&call.seen.lock().unwrap().body).body;
            if so_far.len() > said {
                send.send_data(body(&so_far[said..]).into(), false).unwrap();
                said = so_far.len();
            }
        }
        send.send_trailers(trailers("0", None)).unwrap();
    })
    .await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    caller.until("\r\n\r\n").await;
    for word in ["one", "three"] {
        caller.write(format!("{:x}\r\n{word}\r\n", word.len())).await;
        caller.until(&format!("{:x}\r\n{word}\r\n", word.len())).await;
    }
    caller.write("0\r\n\r\n").await;
    caller.until("0\r\n\r\n").await;
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn an_upload_waits_for_the_servlet() {
    let (servlet, go) = Servlet::gated(|mut call, sign| async move {
        sign.acquire().await.unwrap().forget();
        let length = call.read().await.len();
        let mut send = call.begin();
        send.send_data([head(200, &[]), body(length.to_string().as_bytes())].concat().into(), false).unwrap();
        send.send_trailers(trailers("0", None)).unwrap();
    })
    .await;
    let proxy = before(&servlet).await;
    let (mut read, mut write) = Caller::connect(&proxy.address).await.socket.into_split();
    let flow = Flow::default();
    let sending = tokio::spawn({
        let flow = flow.clone();
        async move {
            let head = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", MANY * MIB);
            write.write_all(head.as_bytes()).await.unwrap();
            flow.pour(&mut write, 1, MANY * MIB).await;
            write
        }
    });
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= AHEAD, "{ahead} bytes taken that the servlet did not read");
    go.add_permits(1);
    let mut text = String::new();
    read.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(sending.await.unwrap());
    proxy.at_rest("web").await;
}

#[tokio::test]
async fn a_download_waits_for_its_caller() {
    let flow = Flow::default();
    let watched = flow.clone();
    let servlet = Servlet::start(move |mut call: Call| {
        let flow = watched.clone();
        async move {
            call.read().await;
            let mut send = call.begin();
            send.send_data(head(200, &[]).into(), false).unwrap();
            if flow.carry(&mut send, &body(&vec![1; 64 * 1024]).into(), MANY * 16).await {
                send.send_trailers(trailers("0", None)).unwrap();
            }
        }
    })
    .await;
    let proxy = before(&servlet).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET / HTTP/1.0\r\n\r\n").await;
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= AHEAD, "{ahead} bytes sent that the caller did not read");
    caller.until("\r\n\r\n").await;
    let (rest, clean) = caller.rest().await;
    assert_eq!((rest.len(), clean), (MANY * MIB, true));
    proxy.at_rest("web").await;
}
