//! The access log: a line of JSON a call, with who, what, where and how long; nothing at all unless it is asked for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::grpc::Caller;
use crate::support::program::Program;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::{Call, Running, Servlet, http1, text_field};

const SAY: &str = "/echo.v1.Echo/Say";

/// Every key, in the order of the line.
const KEYS: [&str; 22] = [
    "time",
    "listener",
    "peer",
    "protocol",
    "dialect",
    "method",
    "host",
    "path",
    "servlet",
    "grpc_method",
    "status",
    "grpc_code",
    "flag",
    "side",
    "endpoint",
    "attempts",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "head_ms",
    "upstream_ms",
    "user_agent",
];

/// `echo` with a log; the log's directory is there already.
async fn start_logged(endpoints: &[(&str, u32)]) -> Running {
    Running::with(
        &[
            ("log/.keep", ""),
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", ECHO),
            ("endpoints/echo.yaml", &table(endpoints)),
        ],
        "access_log: log/access.json\n",
    )
    .await
}

/// Waits until the log has so many lines.
async fn lines(path: &std::path::Path, count: usize) -> Vec<Value> {
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn answering() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        call.reply(&[&text_field(1, "hi")], "0", None);
    })
    .await
}

/// These fields of the line.
fn fields(line: &Value, expected: &Value) -> Value {
    expected.as_object().unwrap().keys().map(|key| (key.clone(), line[key].clone())).collect()
}

fn assert_line(line: &Value, expected: Value) {
    assert_eq!(fields(line, &expected), expected, "{line}");
    let object = line.as_object().unwrap();
    assert!(KEYS.iter().all(|key| object.contains_key(*key)) && object.len() == KEYS.len(), "{line}");
    let duration = line["duration_ms"].as_f64().unwrap();
    for part in ["head_ms", "upstream_ms"] {
        assert!(line[part].as_f64().is_none_or(|part| part <= duration), "{part}: {line}");
    }
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
}

#[tokio::test]
async fn a_good_call_is_told_whole() {
    let servlet = answering().await;
    let proxy = start_logged(&[(&servlet.address, 1)]).await;
    let request = "POST /v1/say?number=3 HTTP/1.0\r\nHost: old.example\r\nUser-Agent: cron/1\r\nContent-Length: 14\r\n\r\n{\"text\":\"you\"}";
    assert_eq!(http1::Caller::once(&proxy.address, request).await.status, 400, "`number` is not the query's");
    let request = request.replace("?number=3", "");
    assert_eq!(http1::Caller::once(&proxy.address, &request).await.status, 200);
    let caller = Caller::connect(&proxy.address).await;
    assert_eq!(caller.call(SAY, &text_field(1, "you")).await.grpc_status(), "0");
    let lines = lines(&proxy.path("log/access.json"), 3).await;
    let line = lines.iter().find(|line| line["status"] == 200 && line["protocol"] == "HTTP/1.0").unwrap();
    assert_line(
        line,
        json!({
            "listener": "ingress", "protocol": "HTTP/1.0", "dialect": "rest", "method": "POST", "host": "old.example",
            "path": "/v1/say", "servlet": "echo", "grpc_method": "echo.v1.Echo/Say", "status": 200, "grpc_code": "OK",
            "flag": null, "side": null, "endpoint": servlet.address, "attempts": 1, "bytes_in": 14, "bytes_out": 13,
            "user_agent": "cron/1",
        }),
    );
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["head_ms"].is_f64() && line["upstream_ms"].is_f64(), "{line}");
    let line = lines.iter().find(|line| line["dialect"] == "grpc").unwrap();
    assert_line(
        line,
        json!({
            "protocol": "HTTP/2", "method": "POST", "host": "proxy.test", "path": SAY, "grpc_method": "echo.v1.Echo/Say",
            "status": 200, "grpc_code": "OK", "flag": null, "side": null, "attempts": 1, "bytes_in": 10, "bytes_out": 9,
            "user_agent": null,
        }),
    );
}

#[tokio::test]
async fn an_error_of_the_servlet_is_its_own_and_a_fault_of_ours_is_flagged() {
    let servlet = Servlet::start(|mut call: Call| async move { call.refuse("5", Some("no such word")) }).await;
    let proxy = start_logged(&[(&servlet.address, 1)]).await;
    let log = proxy.path("log/access.json");
    assert_eq!(http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status, 404);
    let told = json!({
        "status": 404, "grpc_code": "NOT_FOUND", "flag": null, "side": "servlet", "endpoint": servlet.address, "attempts": 1,
        "host": null, "servlet": "echo",
    });
    assert_line(&lines(&log, 1).await[0], told);
    assert_eq!(http1::Caller::once(&proxy.address, "GET /nowhere?a=b HTTP/1.0\r\n\r\n").await.status, 404);
    let told = json!({
        "path": "/nowhere?a=b", "status": 404, "grpc_code": "NOT_FOUND", "flag": "no_route", "side": "caller",
        "servlet": null, "grpc_method": null, "endpoint": null, "attempts": 0, "upstream_ms": null,
    });
    assert_line(&lines(&log, 2).await[1], told);
    proxy.replace("endpoints/echo.yaml", "endpoints: []\n");
    proxy.until("echo", |endpoints| endpoints.is_empty()).await;
    let caller = Caller::connect(&proxy.address).await;
    assert_eq!(caller.call(SAY, b"").await.grpc_status(), "14");
    let told = json!({
        "status": 200, "grpc_code": "UNAVAILABLE", "flag": "no_endpoint", "side": "proxy", "servlet": "echo",
        "endpoint": null, "attempts": 0,
    });
    assert_line(&lines(&log, 3).await[2], told);
}

#[tokio::test]
async fn a_retry_is_counted_and_the_last_endpoint_named() {
    let refusing =
        Servlet::start(|mut call: Call| async move { call.respond.send_reset(h2::Reason::REFUSED_STREAM) }).await;
    let good = answering().await;
    let proxy = start_logged(&[(&refusing.address, 1000), (&good.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    while refusing.calls() == 0 {
        assert_eq!(caller.call(SAY, b"").await.grpc_status(), "0");
    }
    let lines = lines(&proxy.path("log/access.json"), good.calls()).await;
    let retried: Vec<&Value> = lines.iter().filter(|line| line["attempts"] == 2).collect();
    assert!(!retried.is_empty(), "{lines:?}");
    for line in retried {
        assert_line(line, json!({ "endpoint": good.address, "grpc_code": "OK", "flag": null, "attempts": 2 }));
    }
    assert!(proxy.metric("telamon_retries_total{servlet=\"echo\"}").await.unwrap() >= 1.0);
}

#[tokio::test]
async fn a_caller_that_leaves_is_told_as_such() {
    let servlet = Servlet::start(|mut call: Call| async move { call.reset().await }).await;
    let proxy = start_logged(&[(&servlet.address, 1)]).await;
    let mut caller = http1::Caller::connect(&proxy.address).await;
    caller.write("GET /v1/say/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    while servlet.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(caller);
    let told = json!({
        "protocol": "HTTP/1.1", "status": null, "grpc_code": "CANCELLED", "flag": "caller_gone", "side": "caller",
        "endpoint": servlet.address, "attempts": 1, "head_ms": null,
    });
    assert_line(&lines(&proxy.path("log/access.json"), 1).await[0], told);
}

#[tokio::test]
async fn hostile_bytes_are_escaped_and_one_call_is_one_line() {
    let servlet = answering().await;
    let proxy = start_logged(&[(&servlet.address, 1)]).await;
    let mut caller = http1::Caller::connect(&proxy.address).await;
    let mut request = b"GET /v1/say/%1b%5b31m%0a\"?text=%0d HTTP/1.0\r\nUser-Agent: ".to_vec();
    request.extend_from_slice(b"a\"\\\xff\xc2\x9b2J,\"flag\":\"x\tz\r\n\r\n");
    caller.write(request).await;
    caller.answer().await.unwrap();
    let log = proxy.path("log/access.json");
    let line = lines(&log, 1).await.remove(0);
    assert_eq!(line["path"], "/v1/say/%1b%5b31m%0a\"?text=%0d");
    assert_eq!(line["user_agent"], "a\"\\\u{fffd}\u{9b}2J,\"flag\":\"x\tz");
    let text = std::fs::read(&log).unwrap();
    assert!(!text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'));
    assert!(!text.windows(2).any(|two| two == b"\xc2\x9b"), "no control character reaches a terminal");
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[tokio::test]
async fn what_was_logged_is_written_when_the_process_ends() {
    let servlet = answering().await;
    let mut proxy = start_logged(&[(&servlet.address, 1)]).await;
    for _ in 0..200 {
        assert_eq!(http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status, 200);
    }
    let directory = std::mem::replace(&mut proxy.directory, tempfile::tempdir().unwrap());
    proxy.stop(Duration::from_secs(3600)).await;
    let text = std::fs::read_to_string(directory.path().join("log/access.json")).unwrap();
    assert_eq!(text.lines().count(), 200);
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let servlet = answering().await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    assert_eq!(http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status, 200);
    let mut names: Vec<String> = std::fs::read_dir(proxy.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["endpoints", "protos", "servlets", "telamon.yaml"]);
}

/// The program's own ways: standard output, and SIGUSR1 after a rotation.
#[tokio::test]
async fn the_program_logs_to_standard_output_or_to_a_file_that_is_opened_anew() {
    let servlet = answering().await;
    for target in ["stdout", "access.json"] {
        let directory = tempfile::tempdir().unwrap();
        let start = format!(
            "listeners: [{{ name: in, address: 127.0.0.1:0 }}]\nadmin: {{ address: 127.0.0.1:0 }}\naccess_log: {target}\n"
        );
        for (path, text) in [
            ("telamon.yaml", &*start),
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", ECHO),
            ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let file = directory.path().join("telamon.yaml");
        let (program, address) = tokio::task::spawn_blocking(move || {
            let program = Program::start(&["run", "--config", file.to_str().unwrap()], &[]);
            let (address, _) = program.addresses();
            (program, address)
        })
        .await
        .unwrap();
        let call = async || http1::Caller::once(&address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await.status;
        assert_eq!(call().await, 200);
        if target == "stdout" {
            program.signal(rustix::process::Signal::TERM);
            let left = program.end().await;
            let line: Value = serde_json::from_str(left.out.trim_end()).unwrap();
            assert_line(&line, json!({ "listener": "in", "status": 200 }));
            continue;
        }
        let (log, moved) = (directory.path().join(target), directory.path().join("access.json.1"));
        lines(&log, 1).await;
        std::fs::rename(&log, &moved).unwrap();
        assert_eq!(call().await, 200);
        lines(&moved, 2).await;
        program.signal(rustix::process::Signal::USR1);
        while !log.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(call().await, 200);
        assert_eq!(lines(&log, 1).await.len(), 1);
        assert_eq!(lines(&moved, 2).await.len(), 2);
        program.signal(rustix::process::Signal::TERM);
        assert_eq!(program.end().await.status.code(), Some(0));
    }
}
