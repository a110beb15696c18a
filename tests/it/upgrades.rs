//! `Upgrade` to an `http1` servlet: only after its 101, then bytes both ways.

use tokio::io::AsyncReadExt;

use crate::support::http1::Caller;
use crate::support::origin::{Origin, Wire};
use crate::untranslated::{OK, ask, proxy, rests};

#[tokio::test]
async fn an_upgrade_joins_both_sides_until_one_ends() {
    let origin = Origin::start(|mut wire: Wire| async move {
        let Some(asked) = wire.request().await else { return };
        if asked.field("upgrade") != Some("echo") {
            return wire.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
        // The first bytes of the new protocol come with the head.
        wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ").await;
        let mut buffer = [0; 1024];
        loop {
            match wire.socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => wire.write(&buffer[..read]).await,
            }
        }
        // The caller has ended its side, and still hears us.
        wire.write("goodbye").await;
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    for version in ["1.1"] {
        let mut caller = Caller::connect(&proxy.address).await;
        caller
            .write(format!("GET /chat HTTP/{version}\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly "))
            .await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("upgrade")), (101, Some("echo")));
        caller.write("there").await;
        caller.half_close().await;
        let (bytes, clean) = caller.rest().await;
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), clean), ("hello early theregoodbye", true));
    }
    rests(&proxy).await;
}

#[tokio::test]
async fn an_origin_that_ends_a_tunnel_ends_it_for_the_caller() {
    let origin = Origin::start(|mut wire: Wire| async move {
        wire.request().await;
        wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbye").await;
    })
    .await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 101);
    assert_eq!(caller.rest().await.0, b"bye");
    rests(&proxy).await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let origin = Origin::always("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = Caller::connect(&proxy.address).await;
    for _ in 0..2 {
        caller.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.text()), (426, "no"));
    }
    assert_eq!(origin.asked()[0].field("upgrade"), Some("x"));
    rests(&proxy).await;
}

#[tokio::test]
async fn a_caller_of_1_0_or_2_upgrades_nothing() {
    let origin = Origin::always(OK).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let answer = ask(&proxy, "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(answer.text(), "ok");
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n").await;
    assert_eq!(answer.text(), "ok");
    for asked in origin.asked() {
        assert_eq!((asked.field("upgrade"), asked.field("connection")), (None, None));
    }
    rests(&proxy).await;
}
