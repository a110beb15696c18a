//! What an answer says to its caller, read as that caller's dialect has it.

use std::fmt;

use serde_json::Value;

use super::cell::{Cell, Kind, Way};
use super::codec::{content, field_of, frames, from_base64, gunzipped, gunzipped_so_far};
use super::wire::{Fields, Raw};

/// Where and how an error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// `grpc-status` in the trailers.
    Trailers,
    /// `grpc-status` in the head of an answer without a body.
    Head,
    /// `grpc-status` in the last frame.
    TrailerFrame,
    /// An HTTP status and Connect's JSON.
    Connect(u16),
    /// Connect's JSON in the last frame.
    EndFrame,
    /// An HTTP status and `google.rpc.Status` in JSON.
    Status(u16),
    /// The same in protobuf.
    StatusProto(u16),
    /// A record in the stream, and then a break.
    Record,
    /// By the servlet itself.
    Own(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// As the dialect ends what went well.
    Ok,
    Error(u8, How),
    /// Broken off without a word, so that it cannot be taken for whole.
    Broken,
    /// The caller did not wait for it.
    Gone,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub messages: Vec<String>,
    pub end: End,
    /// The error's own words.
    pub words: String,
    /// What came was compressed.
    pub gzip: bool,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.messages, self.end)?;
        if self.gzip {
            f.write_str(" gzip")?;
        }
        if self.words.is_empty() { Ok(()) } else { write!(f, " ({})", self.words) }
    }
}

/// Reads an answer. The error is what no caller of that dialect could read.
pub fn read(cell: &Cell, raw: &Raw) -> Result<Told, String> {
    let mut told = Told { messages: Vec::new(), end: End::Broken, words: String::new(), gzip: false };
    match cell.way {
        Way::Grpc => grpc(cell, raw, &mut told)?,
        Way::Web | Way::WebText => web(cell, raw, &mut told)?,
        Way::ConnectProto | Way::ConnectJson if cell.kind != Kind::Unary && raw.status == 200 => {
            connect_stream(cell, raw, &mut told)?;
        }
        _ => plain(cell, raw, &mut told)?,
    }
    if cell.way.is_bytes(cell.kind) && !told.messages.is_empty() {
        told.messages = vec![told.messages.concat()];
    }
    Ok(told)
}

fn status_of(fields: &Fields) -> Option<(u8, String)> {
    let code = fields.get("grpc-status")?.parse().ok()?;
    let words = fields.get("grpc-message").map_or(String::new(), |text| text.replace("%20", " "));
    Some((code, words))
}

fn text_of(cell: &Cell, message: &[u8]) -> Result<String, String> {
    let text = match cell.way {
        Way::ConnectJson | Way::ConnectGet => return json_text(message),
        _ => field_of(message, 1),
    };
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn json_text(json: &[u8]) -> Result<String, String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| format!("{error}: {}", lossy(json)))?;
    value["text"].as_str().map(str::to_owned).ok_or_else(|| format!("no text in {value}"))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whole messages in frames; what is in the last frame when it is not one of them.
fn messages(cell: &Cell, body: &[u8], last: u8, told: &mut Told) -> Result<(Option<Vec<u8>>, bool), String> {
    let (all, whole) = frames(body);
    let mut end = None;
    told.gzip = !all.is_empty();
    for (flag, message) in all {
        if end.is_some() {
            return Err("a frame after the last".into());
        }
        if flag & last != 0 {
            end = Some(content(flag & 1, &message));
        } else {
            told.gzip &= flag == 1;
            told.messages.push(text_of(cell, &content(flag, &message))?);
        }
    }
    told.gzip &= !told.messages.is_empty();
    Ok((end, whole))
}

fn grpc(cell: &Cell, raw: &Raw, told: &mut Told) -> Result<(), String> {
    if raw.status != 200 || raw.header("content-type").is_none_or(|value| !value.starts_with("application/grpc")) {
        return Err(format!("no gRPC: {} {:?}", raw.status, raw.headers));
    }
    let (_, whole) = messages(cell, &raw.body, 0, told)?;
    let in_head = raw.headers.contains_key("grpc-status");
    let said = status_of(if in_head { &raw.headers } else { &raw.trailers });
    if let Some((code, words)) = said.filter(|_| raw.whole) {
        let how = if in_head { How::Head } else { How::Trailers };
        told.end = if code == 0 { End::Ok } else { End::Error(code, how) };
        told.words = words;
        if code == 0 && !whole {
            return Err("half a message in an answer that went well".into());
        }
    }
    Ok(())
}

fn web(cell: &Cell, raw: &Raw, told: &mut Told) -> Result<(), String> {
    let expected = if cell.way == Way::Web { "application/grpc-web+proto" } else { "application/grpc-web-text+proto" };
    if raw.status != 200 || raw.header("content-type") != Some(expected) {
        return Err(format!("no gRPC-Web: {} {:?}", raw.status, raw.headers));
    }
    let body = if cell.way == Way::Web { Some(raw.body.clone()) } else { from_base64(&raw.body) };
    let body = body.ok_or_else(|| format!("no base64: {}", lossy(&raw.body)))?;
    let (end, _) = messages(cell, &body, 0x80, told)?;
    let Some(end) = end.filter(|_| raw.whole) else { return Ok(()) };
    let text = String::from_utf8(end).map_err(|error| error.to_string())?;
    let fields = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let (code, words) = status_of(&fields).ok_or_else(|| format!("no status in {text:?}"))?;
    told.end = if code == 0 { End::Ok } else { End::Error(code, How::TrailerFrame) };
    told.words = words;
    Ok(())
}

fn connect_stream(cell: &Cell, raw: &Raw, told: &mut Told) -> Result<(), String> {
    let codec = if cell.way == Way::ConnectJson { "json" } else { "proto" };
    if raw.header("content-type") != Some(&format!("application/connect+{codec}")) {
        return Err(format!("no Connect stream: {:?}", raw.headers));
    }
    let (end, _) = messages(cell, &raw.body, 2, told)?;
    let Some(end) = end.filter(|_| raw.whole) else { return Ok(()) };
    let value: Value = serde_json::from_slice(&end).map_err(|error| error.to_string())?;
    told.end = match &value["error"] {
        Value::Null => End::Ok,
        error => End::Error(connect_error(error, told)?, How::EndFrame),
    };
    Ok(())
}

/// Connect's error; its code as a number.
fn connect_error(error: &Value, told: &mut Told) -> Result<u8, String> {
    const CODES: [&str; 17] = [
        "",
        "canceled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ];
    told.words = error["message"].as_str().unwrap_or_default().to_owned();
    let code = CODES.iter().position(|code| error["code"] == *code && !code.is_empty());
    code.and_then(|code| u8::try_from(code).ok()).ok_or_else(|| format!("no code in {error}"))
}

/// Whatever is told by an HTTP status and a body.
fn plain(cell: &Cell, raw: &Raw, told: &mut Told) -> Result<(), String> {
    if raw.status == 0 {
        return Ok(());
    }
    told.gzip = raw.header("content-encoding") == Some("gzip");
    let body = match (told.gzip, raw.whole) {
        (false, _) => raw.body.clone(),
        (true, true) => gunzipped(&raw.body).ok_or("a whole answer with half of its gzip")?,
        (true, false) => gunzipped_so_far(&raw.body),
    };
    if raw.status != 200 {
        return error(cell, raw, &body, told);
    }
    let content_type = raw.header("content-type").unwrap_or_default();
    let expect = |expected: &str| {
        if content_type == expected { Ok(()) } else { Err(format!("content type {content_type}, not {expected}")) }
    };
    let streams = cell.kind.streams_down();
    match cell.way {
        way if way.is_bytes(cell.kind) => {
            expect("text/plain")?;
            told.messages.extend((!body.is_empty()).then(|| lossy(&body)));
        }
        Way::ConnectProto => {
            expect("application/proto")?;
            told.messages.push(text_of(cell, &body)?);
        }
        Way::Protobuf => {
            expect("application/x-protobuf")?;
            told.messages.push(text_of(cell, &body)?);
        }
        Way::Lines | Way::Events if streams => {
            expect(if cell.way == Way::Lines { "application/x-ndjson" } else { "text/event-stream" })?;
            return records(cell, raw, &body, told);
        }
        _ if streams => {
            expect("application/json")?;
            array(raw, &body, told)?;
        }
        _ => {
            expect("application/json")?;
            told.messages.push(json_text(&body)?);
        }
    }
    told.end = if raw.whole { End::Ok } else { End::Broken };
    Ok(())
}

fn error(cell: &Cell, raw: &Raw, body: &[u8], told: &mut Told) -> Result<(), String> {
    if !raw.whole {
        return Err(format!("half an error: {} {}", raw.status, lossy(body)));
    }
    let status = raw.status;
    if raw.header("content-type") == Some("text/plain") {
        told.words = lossy(body);
        told.end = End::Error(5, How::Own(status));
        return Ok(());
    }
    let (code, how) = if raw.header("content-type") == Some("application/x-protobuf") {
        let (code, message) = (field_of(body, 1), field_of(body, 2));
        told.words = lossy(&message);
        (code.first().copied().unwrap_or(0), How::StatusProto(status))
    } else {
        let value: Value = serde_json::from_slice(body).map_err(|error| format!("{error}: {}", lossy(body)))?;
        if value["code"].is_string() {
            (connect_error(&value, told)?, How::Connect(status))
        } else {
            told.words = value["message"].as_str().unwrap_or_default().to_owned();
            let code = value["code"].as_u64().and_then(|code| u8::try_from(code).ok());
            (code.ok_or_else(|| format!("no code in {value}"))?, How::Status(status))
        }
    };
    let is_connect = matches!(how, How::Connect(_));
    let speaks_grpc = !matches!(cell.way, Way::Envelope | Way::Plain) && !is_connect;
    let said = raw.header("grpc-status").map(str::to_owned);
    if said != speaks_grpc.then(|| code.to_string()) {
        return Err(format!("grpc-status is {said:?} beside {code}"));
    }
    told.end = End::Error(code, how);
    Ok(())
}

fn array(raw: &Raw, body: &[u8], told: &mut Told) -> Result<(), String> {
    let closed: Result<Vec<Value>, _> = serde_json::from_slice(body);
    let items = match (closed, raw.whole) {
        (Ok(items), true) => items,
        (Err(error), true) => return Err(format!("{error}: {}", lossy(body))),
        (Ok(_), false) => return Err(format!("half an array that looks whole: {}", lossy(body))),
        (Err(_), false) => serde_json::from_slice(&[body, b"]"].concat()).map_err(|error| error.to_string())?,
    };
    told.messages = items.iter().map(|item| item["text"].as_str().unwrap_or_default().to_owned()).collect();
    Ok(())
}

fn records(cell: &Cell, raw: &Raw, body: &[u8], told: &mut Told) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let between = if cell.way == Way::Lines { "\n" } else { "\n\n" };
    let whole = text.strip_suffix(between).or(text.is_empty().then_some("")).ok_or_else(|| format!("cut: {text:?}"))?;
    told.end = if raw.whole { End::Ok } else { End::Broken };
    for record in whole.split(between).filter(|record| !record.is_empty()) {
        if matches!(told.end, End::Error(..)) {
            return Err("a record after the error".into());
        }
        let (is_error, json) = if cell.way == Way::Lines {
            (record.starts_with("{\"error\":"), record)
        } else {
            (record.starts_with("event: error\n"), record.rsplit_once("data: ").map_or(record, |(_, data)| data))
        };
        if !is_error {
            told.messages.push(json_text(json.as_bytes())?);
            continue;
        }
        let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let status = if cell.way == Way::Lines { &value["error"] } else { &value };
        let code = status["code"].as_u64().and_then(|code| u8::try_from(code).ok());
        told.words = status["message"].as_str().unwrap_or_default().to_owned();
        told.end = End::Error(code.ok_or_else(|| format!("no code in {value}"))?, How::Record);
        if raw.whole {
            return Err("an error's record, and then a clean end".into());
        }
    }
    Ok(())
}
