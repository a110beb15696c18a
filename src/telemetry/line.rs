//! One call as a line of JSON (RFC 8259). What callers sent is hostile: control characters, also those that a terminal obeys, are
//! escaped, bytes that are not UTF-8 are replaced, and a field is cut, so that a line cannot grow past a few KiB.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use super::call::{CallRecord, side_name};
use super::rfc3339::rfc3339_millis;

/// Longer fields are cut, and end in `…`. Generous for paths, and far below the 64 KiB that a header may have.
const MOST_FIELD: usize = 2048;

/// Writes `call`, with the newline. Every key is there every time; what is not known is `null`.
pub(super) fn write(line: &mut Vec<u8>, call: &CallRecord<'_>) {
    let reply = &call.reply;
    line.extend_from_slice(b"{\"time\":");
    text(line, Some(rfc3339_millis(call.start).as_bytes()));
    field(line, "listener", Some(call.listener));
    key(line, "peer");
    display(line, call.peer);
    field(line, "protocol", Some(call.protocol.name()));
    field(line, "dialect", call.dialect.map(|dialect| dialect.name()));
    field(line, "method", Some(call.method));
    bytes(line, "host", call.host);
    bytes(line, "path", Some(call.path));
    field(line, "servlet", call.servlet);
    field(line, "grpc_method", call.grpc_method);
    number(line, "status", reply.status.map(|status| u64::from(status.as_u16())));
    field(line, "grpc_code", reply.code.map(|code| code.name()));
    field(line, "flag", reply.fault.map(|kind| kind.flag()));
    field(line, "side", reply.side().map(side_name));
    key(line, "endpoint");
    display(line, call.endpoint);
    number(line, "attempts", Some(u64::from(call.attempts)));
    number(line, "bytes_in", Some(call.bytes_in));
    number(line, "bytes_out", Some(call.bytes_out));
    millis(line, "duration_ms", Some(call.duration));
    millis(line, "head_ms", call.head_after);
    millis(line, "upstream_ms", call.upstream);
    bytes(line, "user_agent", call.user_agent);
    line.extend_from_slice(b"}\n");
}

fn key(line: &mut Vec<u8>, name: &'static str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

fn field(line: &mut Vec<u8>, name: &'static str, value: Option<&str>) {
    bytes(line, name, value.map(str::as_bytes));
}

fn bytes(line: &mut Vec<u8>, name: &'static str, value: Option<&[u8]>) {
    key(line, name);
    text(line, value);
}

fn number(line: &mut Vec<u8>, name: &'static str, value: Option<u64>) {
    key(line, name);
    match value {
        Some(value) => line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        None => line.extend_from_slice(b"null"),
    }
}

/// Milliseconds with three decimals: microseconds are what a sidecar's cost is told in.
fn millis(line: &mut Vec<u8>, name: &'static str, value: Option<Duration>) {
    key(line, name);
    let Some(value) = value else { return line.extend_from_slice(b"null") };
    let micros = value.as_micros();
    // Writing to a Vec cannot fail.
    let _ = write!(line, "{}.{:03}", micros / 1000, micros % 1000);
}

/// A value whose text is written out first, because an address may hold a path and a path may hold anything.
fn display(line: &mut Vec<u8>, value: Option<impl Display>) {
    match value {
        Some(value) => text(line, Some(value.to_string().as_bytes())),
        None => text(line, None),
    }
}

/// A JSON string, or `null`.
fn text(line: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return line.extend_from_slice(b"null") };
    line.push(b'"');
    let kept = value.get(..MOST_FIELD).unwrap_or(value);
    for chunk in kept.utf8_chunks() {
        chunk.valid().chars().for_each(|char| escaped(line, char));
        if !chunk.invalid().is_empty() {
            escaped(line, char::REPLACEMENT_CHARACTER);
        }
    }
    if kept.len() < value.len() {
        escaped(line, '…');
    }
    line.push(b'"');
}

fn escaped(line: &mut Vec<u8>, char: char) {
    match char {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        // C0, DEL and C1.
        char if char.is_control() => {
            let _ = write!(line, "\\u{:04x}", u32::from(char));
        }
        char => line.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Reply;
    use super::*;
    use crate::model::{Address, Code, HttpProtocol, Kind};

    fn parsed(call: &CallRecord<'_>) -> Value {
        let mut line = Vec::new();
        write(&mut line, call);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(&line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)))
    }

    #[test]
    fn a_call_is_told_whole() {
        let endpoint: Address = "127.0.0.1:50051".parse().unwrap();
        let call = CallRecord { endpoint: Some(&endpoint), ..CallRecord::example() };
        let expected = json!({
            "time": "2009-02-13T23:31:30.042Z", "listener": "ingress", "peer": "10.0.0.9:4242", "protocol": "HTTP/1.1",
            "dialect": "rest", "method": "GET", "host": "legacy.internal", "path": "/v1/who?x=1", "servlet": "echo",
            "grpc_method": "bench.v1.EchoService/Echo", "status": 200, "grpc_code": "OK", "flag": null, "side": null,
            "endpoint": "127.0.0.1:50051", "attempts": 1, "bytes_in": 0, "bytes_out": 64, "duration_ms": 1.5,
            "head_ms": 1.4, "upstream_ms": 1.25, "user_agent": null
        });
        assert_eq!(parsed(&call), expected);
    }

    #[test]
    fn what_is_not_known_is_null_and_no_key_is_missing() {
        let whole = parsed(&CallRecord::example());
        let call = CallRecord {
            peer: None,
            protocol: HttpProtocol::Http10,
            dialect: None,
            host: None,
            servlet: None,
            grpc_method: None,
            reply: Reply { status: Some(StatusCode::NOT_FOUND), code: None, fault: Some(Kind::NoRoute) },
            head_after: None,
            upstream: None,
            ..CallRecord::example()
        };
        let partial = parsed(&call);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&partial), keys(&whole));
        for key in ["peer", "dialect", "host", "servlet", "grpc_method", "head_ms", "upstream_ms", "endpoint"] {
            assert_eq!(partial[key], Value::Null, "{key}");
        }
        assert_eq!(partial["flag"], "no_route");
        assert_eq!(partial["side"], "caller");
    }

    #[test]
    fn an_error_of_the_servlet_is_told_as_its_own() {
        let reply = Reply { status: Some(StatusCode::OK), code: Some(Code::DataLoss), fault: None };
        let line = parsed(&CallRecord { reply, ..CallRecord::example() });
        assert_eq!(
            (&line["side"], &line["grpc_code"], &line["flag"]),
            (&json!("servlet"), &json!("DATA_LOSS"), &Value::Null)
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let mut line = Vec::new();
        text(&mut line, Some("a\u{1b}[31m\u{7f}\u{9b}2J\r\n\t\"\\é".as_bytes()));
        let expected = "\"a\\u001b[31m\\u007f\\u009b2J\\u000d\\u000a\\u0009\\\"\\\\é\"";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_long_field_is_cut_and_says_so() {
        for (byte, length) in [(b'a', MOST_FIELD), (b'a', MOST_FIELD + 1), (0, 65_536), (0xff, 65_536)] {
            let mut line = Vec::new();
            text(&mut line, Some(&vec![byte; length]));
            let value: String = serde_json::from_slice(&line).unwrap();
            assert_eq!(value.ends_with('…'), length > MOST_FIELD);
            assert!(line.len() <= 6 * MOST_FIELD + 5);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_one_line_of_json(
            host in proptest::collection::vec(any::<u8>(), 0..80), path in proptest::collection::vec(any::<u8>(), 0..80),
            agent in ".*", micros in any::<u64>(),
        ) {
            let call = CallRecord {
                host: Some(&host),
                path: &path,
                user_agent: Some(agent.as_bytes()),
                duration: Duration::from_micros(micros),
                ..CallRecord::example()
            };
            let line = parsed(&call);
            prop_assert_eq!(&line["host"], &json!(String::from_utf8_lossy(&host)));
            prop_assert_eq!(&line["path"], &json!(String::from_utf8_lossy(&path)));
            if agent.len() <= MOST_FIELD {
                prop_assert_eq!(&line["user_agent"], &json!(agent));
            }
        }
    }
}
