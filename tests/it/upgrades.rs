//! `Upgrade` to an `http1` servlet: only after its 101, then bytes both ways.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http1::Caller;
use crate::support::origin::{Origin, Wire};
use crate::support::proxy::{PLAIN, table};
use crate::support::{Running, until};
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

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

/// What an origin read in a tunnel, and whether it ended cleanly.
type Ends = Arc<Mutex<Vec<(Vec<u8>, bool)>>>;

/// Opens tunnels, does `script` in them, and then reads to the end.
async fn reading<F, T>(script: F) -> (Origin, Ends)
where
    F: Fn(Wire) -> T + Copy + Send + 'static,
    T: Future<Output = Wire> + Send + 'static,
{
    let ends = Ends::default();
    let all = Arc::clone(&ends);
    let origin = Origin::start(move |mut wire: Wire| {
        let all = Arc::clone(&all);
        async move {
            wire.request().await;
            wire.write(SWITCH).await;
            let mut wire = script(wire).await;
            let mut bytes = Vec::new();
            let clean = wire.socket.read_to_end(&mut bytes).await.is_ok();
            all.lock().unwrap().push((bytes, clean));
        }
    })
    .await;
    (origin, ends)
}

async fn ended(ends: &Ends) -> (Vec<u8>, bool) {
    until(|| !ends.lock().unwrap().is_empty()).await;
    ends.lock().unwrap().remove(0)
}

async fn switched(proxy: &Running) -> Caller {
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(caller.answer().await.unwrap().status, 101);
    caller
}

#[tokio::test]
async fn an_origin_that_ends_its_side_hears_the_caller_out() {
    let (origin, ends) = reading(|mut wire: Wire| async move {
        wire.write("bye").await;
        wire.socket.shutdown().await.unwrap();
        wire
    })
    .await;
    // What goes through a tunnel is no body.
    let proxy = proxy(&origin.address, "http1", "body_size: 1KiB\n").await;
    let mut caller = switched(&proxy).await;
    assert_eq!(caller.rest().await, (b"bye".to_vec(), true));
    let long = vec![b'x'; 1024 * 1024];
    caller.write(&long).await;
    caller.half_close().await;
    let (bytes, clean) = ended(&ends).await;
    assert!(bytes == long && clean, "{} bytes, clean: {clean}", bytes.len());
    rests(&proxy).await;
}

#[tokio::test]
async fn a_side_that_breaks_a_tunnel_off_breaks_it_for_the_other() {
    let (origin, ends) = reading(|wire: Wire| async move { wire }).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    switched(&proxy).await.vanish();
    assert_eq!(ended(&ends).await, (Vec::new(), false));
    rests(&proxy).await;

    let origin = Origin::start(|mut wire: Wire| async move {
        wire.request().await;
        wire.write(SWITCH).await;
        wire.exactly(3).await;
        socket2::SockRef::from(&wire.socket).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let proxy = crate::untranslated::proxy(&origin.address, "http1", "").await;
    let mut caller = switched(&proxy).await;
    caller.write("now").await;
    assert_eq!(caller.rest().await, (Vec::new(), false));
    rests(&proxy).await;
}

#[tokio::test]
async fn a_tunnel_that_nobody_uses_ends_and_one_way_is_use() {
    let (origin, ends) = reading(|mut wire: Wire| async move {
        for _ in 0..10 {
            wire.write("tick ").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wire
    })
    .await;
    let servlet = format!("{PLAIN}tunnel_idle: 250ms\n");
    let files = [("servlets/old.yaml", &*servlet), ("endpoints/old.yaml", &table(&[(&origin.address, 1)]))];
    // A caller that only listens has no body that stalls.
    let proxy = Running::with(&files, "limits: { body_timeout: 20ms }\n").await;
    let mut caller = switched(&proxy).await;
    caller.until(&"tick ".repeat(10)).await;
    caller.write("heard").await;
    assert_eq!(caller.rest().await, (Vec::new(), false));
    let (bytes, clean) = ended(&ends).await;
    assert!(!clean, "{bytes:?}");
    rests(&proxy).await;
}

#[tokio::test]
async fn a_drain_waits_for_tunnels_and_cuts_them_at_its_limit() {
    let (origin, ends) = reading(|wire: Wire| async move { wire }).await;
    let proxy = proxy(&origin.address, "http1", "").await;
    let mut caller = switched(&proxy).await;
    proxy.stop(Duration::from_millis(50)).await;
    assert_eq!(caller.rest().await, (Vec::new(), false));
    assert_eq!(ended(&ends).await, (Vec::new(), false));
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
    assert_eq!(caller.rest().await, (b"bye".to_vec(), true));
    // It might have gone on.
    drop(caller);
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
