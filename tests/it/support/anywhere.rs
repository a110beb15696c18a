//! One request, over whichever version of HTTP: the same question to every listener's codec.

use std::collections::BTreeMap;

use super::{http1, http2};

pub const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower-case names; repeated fields joined by `, `.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// Asks over HTTP `version`. Panics when the answer breaks.
pub async fn ask(
    address: &str,
    version: &str,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    if version != "2" {
        let mut caller = http1::Caller::connect(address).await;
        caller.write(head(version, method, path, fields, body.len())).await;
        caller.write(body).await;
        let answer = caller.answer_to(method).await.expect("an answer");
        if version == "1.0" {
            assert!(answer.header("transfer-encoding").is_none() && answer.trailers.is_empty());
        }
        return Answer { status: answer.status, headers: answer.headers, body: answer.body };
    }
    let mut request = http2::request(method, path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let answer = http2::once(address, request.body(()).unwrap(), body).await.unwrap();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &answer.headers {
        let entry = headers.entry(name.as_str().to_owned()).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(value.to_str().unwrap());
    }
    Answer { status: answer.status.as_u16(), headers, body: answer.body }
}

/// The head of an HTTP/1 request.
pub fn head(version: &str, method: &str, path: &str, fields: &[(&str, &str)], length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 || method == "POST" {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head + "\r\n"
}

/// The frames of a body whose messages are framed as gRPC's: flag and content. Panics where it is cut.
pub fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        frames.push((body[0], body[5..5 + length].to_vec()));
        body = &body[5 + length..];
    }
    frames
}
