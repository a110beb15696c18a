//! Going away: readiness off, doors closed, what is in flight finishes within its time, and a second word ends at once.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::grpc::Caller;
use crate::support::program::Program;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet::{one_and_no_more, three_words};
use crate::support::{Call, Running, Servlet, framed, http1, http2, text_field};

const SAY: &str = "/echo.v1.Echo/Say";
const LONG: Duration = Duration::from_secs(3600);

/// A servlet whose calls wait for a permit.
async fn gated() -> (Servlet, Arc<Semaphore>) {
    Servlet::gated(|mut call, gate| async move {
        call.read().await;
        gate.acquire().await.unwrap().forget();
        call.reply(&[&text_field(1, "late")], "0", None);
    })
    .await
}

async fn until_calls(servlet: &Servlet, calls: usize) {
    while servlet.calls() < calls {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn readiness(admin: &str) -> (u16, String) {
    let answer = http1::Caller::once(admin, "GET /readyz HTTP/1.0\r\n\r\n").await;
    (answer.status, answer.text().to_owned())
}

async fn until_draining(admin: &str) {
    while readiness(admin).await != (503, "draining\n".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_nobody_accepts(address: &str) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn doors_close_and_calls_in_flight_finish() {
    let (servlet, gate) = gated().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let (address, admin) = (proxy.address.clone(), proxy.admin.clone());
    assert_eq!(readiness(&admin).await, (200, "ok\n".to_owned()));
    let grpc = Caller::connect(&address).await;
    let waiting = tokio::spawn({
        let grpc = grpc.clone();
        async move { grpc.call(SAY, b"").await }
    });
    let mut old = http1::Caller::connect(&address).await;
    old.write("GET /v1/say/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let mut newer = http1::Caller::connect(&address).await;
    newer.write("GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until_calls(&servlet, 3).await;

    let stopping = tokio::spawn(proxy.stop(LONG));
    until_draining(&admin).await;
    until_nobody_accepts(&address).await;
    // Alive all the same: nobody should start it anew.
    assert_eq!(http1::Caller::once(&admin, "GET /livez HTTP/1.0\r\n\r\n").await.status, 200);
    // GOAWAY: the connection takes no new stream.
    while grpc.send.clone().ready().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!stopping.is_finished());
    gate.add_permits(3);
    assert_eq!(waiting.await.unwrap().messages, [text_field(1, "late")]);
    for caller in [&mut old, &mut newer] {
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, r#"{"text":"late"}"#));
        assert_ne!(answer.header("connection"), Some("keep-alive"));
        assert!(caller.answer().await.is_none(), "closed after its answer");
    }
    stopping.await.unwrap();
    assert!(TcpStream::connect(&admin).await.is_err(), "admin is there to the end and no longer");
}

#[tokio::test]
async fn a_keep_alive_answer_during_the_drain_says_close() {
    let (servlet, gate) = gated().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let admin = proxy.admin.clone();
    let mut caller = http1::Caller::connect(&proxy.address).await;
    caller.write("GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until_calls(&servlet, 1).await;
    let stopping = tokio::spawn(proxy.stop(LONG));
    until_draining(&admin).await;
    gate.add_permits(1);
    assert_eq!(caller.answer().await.unwrap().header("connection"), Some("close"));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_takes_requests_until_it_was_told_to_close() {
    let (servlet, gate) = Servlet::gated(three_words).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let admin = proxy.admin.clone();
    let mut caller = http1::Caller::connect(&proxy.address).await;
    let request = "GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n";
    caller.write(request).await;
    let head = caller.until("\r\n\r\n").await;
    assert!(!head.to_ascii_lowercase().contains("connection:"), "{head}");
    let stopping = tokio::spawn(proxy.stop(LONG));
    until_draining(&admin).await;
    gate.add_permits(6);
    caller.until("0\r\n\r\n").await;
    // It could not know, and its next request may have been under way.
    caller.write(request).await;
    let answer = caller.answer().await.expect("an answer to what was sent before anything told not to");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(answer.text().contains("three"), "{}", answer.text());
    assert!(caller.answer().await.is_none());
    stopping.await.unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let (servlet, gate) = gated().await;
    gate.add_permits(10);
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut kept = http1::Caller::connect(&proxy.address).await;
    kept.write("GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    let mut old = http1::Caller::connect(&proxy.address).await;
    old.write("GET /v1/say/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    assert_eq!(old.answer().await.unwrap().status, 200);
    let grpc = Caller::connect(&proxy.address).await;
    assert_eq!(grpc.call(SAY, b"").await.grpc_status(), "0");
    let mut silent = http1::Caller::connect(&proxy.address).await;
    proxy.stop(LONG).await;
    assert!(kept.answer().await.is_none() && old.answer().await.is_none() && silent.answer().await.is_none());
    assert!(grpc.send.clone().ready().await.is_err());
}

#[tokio::test]
async fn what_outlasts_the_limit_is_cut_and_does_not_look_whole() {
    let servlet = Servlet::start(one_and_no_more).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let grpc = Caller::connect(&proxy.address).await;
    let mut ready = grpc.send.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(Caller::request("/echo.v1.Echo/Count"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), framed(&text_field(1, "one")));
    let mut old = Vec::new();
    for version in ["1.0", "1.1"] {
        let mut caller = http1::Caller::connect(&proxy.address).await;
        caller.write(format!("GET /v1/count/x HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        old.push(caller);
    }
    until_calls(&servlet, 3).await;
    // Limits do not run before the calls are under way.
    proxy.stop(Duration::from_millis(50)).await;
    let grpc_end = body.data().await;
    assert!(!matches!(grpc_end, Some(Ok(_))), "{grpc_end:?}");
    assert!(!body.trailers().await.is_ok_and(|end| end.is_some_and(|end| end["grpc-status"] == "0")));
    for mut caller in old {
        let (bytes, clean) = caller.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(!clean || text.is_empty(), "{text:?} ended cleanly");
        assert!(!text.ends_with(']') && !text.contains("\r\n0\r\n"), "{text:?}");
    }
    while !servlet.seen().iter().all(|seen| seen.reset) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_call_that_is_cut_before_its_answer_began_is_told_so() {
    let (servlet, _gate) = gated().await;
    let proxy = Running::with(
        &[
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", ECHO),
            ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
        ],
        "access_log: access.log\n",
    )
    .await;
    let log = proxy.path("access.log");
    let kept = tempfile::tempdir().unwrap();
    let copy = kept.path().join("access.log");
    std::fs::write(&log, "").unwrap();
    std::fs::hard_link(&log, &copy).unwrap();
    let mut old = Vec::new();
    // The last of them waits for the first item of a stream.
    for request in [
        "GET /v1/say/x HTTP/1.0\r\n\r\n",
        "GET /v1/say/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /v1/say HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        "GET /v1/count/x HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut caller = http1::Caller::connect(&proxy.address).await;
        caller.write(request).await;
        old.push((request, caller));
    }
    // Half a head.
    let mut half = http1::Caller::connect(&proxy.address).await;
    half.write("GET /v1/say/x HTTP/1.1\r\nHo").await;
    let grpc = Caller::connect(&proxy.address).await;
    let waiting = tokio::spawn(async move { grpc.call(SAY, b"").await });
    let address = proxy.address.clone();
    let json = tokio::spawn(async move {
        http2::once(&address, http2::request("GET", "/v1/say/x").body(()).unwrap(), b"").await.unwrap()
    });
    until_calls(&servlet, 6).await;
    proxy.stop(Duration::from_millis(50)).await;
    for (request, mut caller) in old {
        let answer = caller.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("grpc-status")), (503, Some("14")), "{request:?}");
        assert_eq!((answer.header("connection"), answer.json()["code"].as_u64()), (Some("close"), Some(14)));
        assert!(caller.answer().await.is_none());
    }
    let answer = half.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection"), &answer.json()["code"]), (503, Some("close"), &14.into()));
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, "14"));
    assert!(answer.messages.is_empty() && answer.headers == answer.trailers, "trailers only");
    let answer = json.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (503, &14.into()));
    let log = std::fs::read_to_string(copy).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7, "{log}");
    assert!(lines.iter().all(|line| line["flag"] == "draining"), "{log}");
}

/// The real program before one gated servlet.
struct Alone {
    program: Program,
    address: String,
    admin: String,
    servlet: Servlet,
    gate: Arc<Semaphore>,
    directory: tempfile::TempDir,
}

impl Alone {
    async fn start(settings: &str) -> Alone {
        let (servlet, gate) = gated().await;
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("protos/echo.proto", ECHO_PROTO);
        write("servlets/echo.yaml", ECHO);
        write("endpoints/echo.yaml", &table(&[(&servlet.address, 1)]));
        let start =
            "workers: 2\nlisteners: [{ name: ingress, address: 127.0.0.1:0 }]\nadmin: { address: 127.0.0.1:0 }\n";
        write("telamon.yaml", &format!("{start}{settings}"));
        let file = directory.path().join("telamon.yaml");
        let (program, address, admin) = tokio::task::spawn_blocking(move || {
            let program = Program::start(&["run", "--config", file.to_str().unwrap()], &[]);
            let (address, admin) = program.addresses();
            (program, address, admin)
        })
        .await
        .unwrap();
        Alone { program, address, admin, servlet, gate, directory }
    }

    /// A call that waits in the servlet.
    async fn waiting(&self) -> http1::Caller {
        let mut caller = http1::Caller::connect(&self.address).await;
        caller.write("GET /v1/say/x HTTP/1.0\r\n\r\n").await;
        until_calls(&self.servlet, 1).await;
        caller
    }
}

#[tokio::test]
async fn the_program_drains_on_a_signal_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut alone = Alone::start("").await;
        let mut caller = alone.waiting().await;
        alone.program.signal(signal);
        until_draining(&alone.admin).await;
        until_nobody_accepts(&alone.address).await;
        assert!(!alone.program.has_ended());
        alone.gate.add_permits(1);
        assert_eq!(caller.answer().await.unwrap().status, 200);
        let left = alone.program.end().await;
        assert_eq!(left.status.code(), Some(0), "{}", left.err);
        assert!(left.out.is_empty(), "{left:?}");
        for told in ["INFO draining: 1 call in flight, at most 30 s\n", "INFO drained in "] {
            assert!(left.err.contains(told), "{told}: {}", left.err);
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_so_does_the_limit() {
    let alone = Alone::start("").await;
    let mut caller = alone.waiting().await;
    alone.program.signal(Signal::TERM);
    until_draining(&alone.admin).await;
    alone.program.signal(Signal::INT);
    let left = alone.program.end().await;
    assert_eq!(left.status.code(), Some(0));
    assert!(left.err.contains("WARN ended at once: 1 call cut\n"), "{}", left.err);
    assert_eq!(caller.answer().await.unwrap().status, 503);

    let alone = Alone::start("limits: { drain: 50ms }\n").await;
    let mut caller = alone.waiting().await;
    alone.program.signal(Signal::TERM);
    let left = alone.program.end().await;
    assert_eq!(left.status.code(), Some(0));
    assert!(left.err.contains("WARN drain limit reached: 1 call cut\n"), "{}", left.err);
    assert_eq!(caller.answer().await.unwrap().status, 503);
}

/// Waits until the process log of `alone` holds `line`, and `times` of it.
async fn until_logged(alone: Alone, line: &'static str, times: usize) -> Alone {
    let waiting = tokio::task::spawn_blocking(move || {
        alone.program.logs(|text| (text.matches(line).count() >= times).then_some(()));
        alone
    });
    waiting.await.unwrap()
}

#[tokio::test]
async fn the_log_says_what_a_reload_did_and_answers_whoever_asks() {
    let alone = until_logged(Alone::start("").await, "listening", 2).await;
    alone.program.signal(Signal::HUP);
    let alone = until_logged(alone, "INFO reloaded: nothing changed (1 servlet)\n", 1).await;
    let file = alone.directory.path().join("endpoints/echo.yaml");
    std::fs::write(&file, table(&[(&alone.servlet.address, 7)])).unwrap();
    let told = " 1→7) servlet=echo\n";
    let alone = until_logged(alone, told, 1).await;
    std::fs::write(&file, "endpoints: 5\n").unwrap();
    let told = "WARN not reloaded: refused, 1 problem: the version before goes on servlet=echo\n";
    let alone = until_logged(alone, told, 1).await;
    alone.program.signal(Signal::HUP);
    let alone = until_logged(alone, told, 2).await;
    let settings = alone.directory.path().join("telamon.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}limits: {{ connections: 5 }}\n")).unwrap();
    let alone = until_logged(alone, "WARN reloaded: settings changed; needs a restart: limits\n", 1).await;
    alone.program.signal(Signal::TERM);
    let left = alone.program.end().await;
    assert!(left.err.contains("WARN ") && !left.err.contains("servlet=\""), "{}", left.err);
}

#[tokio::test]
async fn an_endpoint_that_is_set_aside_and_comes_back_is_logged_once_each_way() {
    let alone = until_logged(Alone::start("").await, "listening", 2).await;
    alone.gate.add_permits(100);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let file = alone.directory.path().join("endpoints/echo.yaml");
    std::fs::write(&file, table(&[(&address.to_string(), 1)])).unwrap();
    let alone = until_logged(alone, "WARN set aside: cannot connect to the servlet: connection refused", 1).await;
    for _ in 0..20 {
        let answer = http1::Caller::once(&alone.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await;
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("connection refused") && !answer.text().contains("os error"));
    }
    let socket = tokio::net::TcpListener::bind(address).await.unwrap();
    let _back = Servlet::on(socket, h2::server::Builder::new(), |mut call: Call| async move {
        call.read().await;
        call.reply(&[&text_field(1, "back")], "0", None);
    });
    while http1::Caller::once(&alone.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status != 200 {}
    let alone = until_logged(alone, "INFO back: a connection came up", 1).await;
    alone.program.signal(Signal::TERM);
    let left = alone.program.end().await;
    assert_eq!((left.err.matches("set aside").count(), left.err.matches(" back: ").count()), (1, 1), "{}", left.err);
}

#[tokio::test]
async fn hang_up_reloads_and_user_1_is_no_end() {
    let alone = Alone::start("").await;
    alone.gate.add_permits(100);
    let file = alone.directory.path().join("endpoints/echo.yaml");
    for weight in 2..6 {
        std::fs::write(&file, table(&[(&alone.servlet.address, weight)])).unwrap();
        alone.program.signal(Signal::HUP);
        alone.program.signal(Signal::USR1);
        loop {
            let path = "GET /api/v1/servlets/echo/endpoints HTTP/1.0\r\n\r\n";
            let answer = http1::Caller::once(&alone.admin, path).await;
            if answer.json()["endpoints"][0]["configured_weight"] == weight {
                break;
            }
        }
        assert_eq!(http1::Caller::once(&alone.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status, 200);
    }
    alone.program.signal(Signal::TERM);
    assert_eq!(alone.program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn signals_during_the_start_are_not_lost() {
    // Wherever in its start the program is, SIGHUP does not kill it and SIGTERM ends it with 0.
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("telamon.yaml", "listeners: [{ name: a, address: 127.0.0.1:0 }]\n"),
        ("servlets/echo.yaml", "services: [\"*\"]\n"),
        ("endpoints/echo.yaml", "endpoints: []\n"),
    ] {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = directory.path().join("telamon.yaml");
    for _ in 0..5 {
        let file = file.clone();
        let program = tokio::task::spawn_blocking(move || {
            let program = Program::start(&["run", "--config", file.to_str().unwrap()], &[]);
            program.logs(|text| text.contains("listening").then_some(()));
            program
        });
        let program = program.await.unwrap();
        program.signal(Signal::HUP);
        program.signal(Signal::TERM);
        assert_eq!(program.end().await.status.code(), Some(0));
    }
}
