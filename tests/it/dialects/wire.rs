//! A request over whichever version of HTTP, and its answer as far as it comes: how it ended is a part of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::asked::Asked;
use super::cell::Http;
use crate::support::http2;

pub type Fields = BTreeMap<String, String>;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    pub status: u16,
    /// Lower-case names; repeated fields joined by `, `.
    pub headers: Fields,
    pub body: Vec<u8>,
    pub trailers: Fields,
    /// It ended as its framing says that it should.
    pub whole: bool,
}

impl Raw {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A request that has been sent, or is being sent, and what has come of its answer.
pub struct Exchange {
    connection: Connection,
    raw: Raw,
}

enum Connection {
    Http1 { socket: TcpStream, bytes: Vec<u8> },
    Http2 { response: ResponseFuture, body: Option<RecvStream>, send: SendStream<Bytes>, left: VecDeque<Vec<u8>> },
}

impl Exchange {
    pub async fn open(address: &str, http: Http, asked: Asked) -> Exchange {
        if http != Http::V2 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            // An answer may come, and the connection end, before all is written.
            let _ = socket.write_all(&as_http1(http, &asked)).await;
            return Exchange { connection: Connection::Http1 { socket, bytes: Vec::new() }, raw: Raw::default() };
        }
        let mut request = http2::request(asked.method, &asked.target);
        for (name, value) in &asked.fields {
            request = request.header(*name, value);
        }
        let mut ready = http2::connect(address).await.ready().await.unwrap();
        let bodiless = asked.pieces.is_empty();
        let (response, mut send) = ready.send_request(request.body(()).unwrap(), bodiless).unwrap();
        let mut left: VecDeque<_> = asked.pieces.into();
        go_on(&mut send, &mut left);
        while !asked.is_talk && !left.is_empty() {
            go_on(&mut send, &mut left);
        }
        Exchange { connection: Connection::Http2 { response, body: None, send, left }, raw: Raw::default() }
    }

    /// Reads all that comes. May be dropped, and called again.
    pub async fn read(&mut self) -> Raw {
        match &mut self.connection {
            Connection::Http1 { socket, bytes } => {
                let mut buffer = [0; 4096];
                let clean = loop {
                    match socket.read(&mut buffer).await {
                        Ok(0) => break true,
                        Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                        Err(_) => break false,
                    }
                };
                of_http1(bytes, clean)
            }
            Connection::Http2 { response, body, send, left } => {
                let raw = &mut self.raw;
                let stream = match body {
                    Some(stream) => stream,
                    None => {
                        let Ok(response) = response.await else { return Raw::default() };
                        let (parts, stream) = response.into_parts();
                        (raw.status, raw.headers) = (parts.status.as_u16(), fields_of(&parts.headers));
                        body.insert(stream)
                    }
                };
                // An answer that is whole before the request is ends so (RFC 9113 §8.1).
                let is_whole = |error: h2::Error| error.reason() == Some(h2::Reason::NO_ERROR);
                while let Some(data) = stream.data().await {
                    match data {
                        Ok(data) => {
                            let _ = stream.flow_control().release_capacity(data.len());
                            raw.body.extend_from_slice(&data);
                        }
                        Err(error) => {
                            raw.whole = is_whole(error);
                            return raw.clone();
                        }
                    }
                    go_on(send, left);
                }
                match stream.trailers().await {
                    Ok(trailers) => {
                        raw.trailers = fields_of(&trailers.unwrap_or_default());
                        raw.whole = true;
                    }
                    Err(error) => raw.whole = is_whole(error),
                }
                raw.clone()
            }
        }
    }

    /// Breaks off, without a word.
    pub fn vanish(self) {
        match self.connection {
            Connection::Http1 { socket, .. } => {
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
            }
            Connection::Http2 { mut send, .. } => send.send_reset(h2::Reason::CANCEL),
        }
    }
}

/// Sends the next piece.
fn go_on(send: &mut SendStream<Bytes>, left: &mut VecDeque<Vec<u8>>) {
    if let Some(piece) = left.pop_front() {
        let _ = send.send_data(piece.into(), left.is_empty());
    }
}

/// A request whose length is known; in chunks where HTTP/1.1 sends more than one piece.
fn as_http1(http: Http, asked: &Asked) -> Vec<u8> {
    let version = http.word();
    let mut head = format!("{} {} {version}\r\nHost: proxy.test\r\nConnection: close\r\n", asked.method, asked.target);
    for (name, value) in &asked.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut body = asked.pieces.concat();
    if http == Http::V11 && asked.pieces.len() > 1 {
        head.push_str("Transfer-Encoding: chunked\r\n");
        let chunk = |piece: &Vec<u8>| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        body = asked.pieces.iter().map(chunk).chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat();
    } else if !asked.pieces.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// `clean`: the connection ended, and was not reset.
fn of_http1(bytes: &[u8], clean: bool) -> Raw {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Raw::default() };
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let (line, lines) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut raw = Raw {
        status: line.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: fields_of_lines(lines),
        ..Raw::default()
    };
    let rest = &bytes[end + 4..];
    if raw.header("transfer-encoding") == Some("chunked") {
        unchunk(rest, &mut raw);
    } else {
        let length = raw.header("content-length").map(|length| length.parse::<usize>().unwrap());
        raw.body = rest.to_vec();
        raw.whole = length.map_or(clean, |length| length == rest.len());
    }
    raw
}

fn unchunk(mut rest: &[u8], raw: &mut Raw) {
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            let lines = std::str::from_utf8(rest).unwrap();
            raw.trailers = fields_of_lines(lines);
            raw.whole = lines.ends_with("\r\n");
            return;
        }
        raw.body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(after) = rest.get(size + 2..) else { return };
        rest = after;
    }
}

fn fields_of_lines(lines: &str) -> Fields {
    let pairs = lines.split("\r\n").filter_map(|line| line.split_once(':'));
    joined(pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
}

fn fields_of(headers: &HeaderMap) -> Fields {
    joined(
        headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    )
}

fn joined(pairs: impl Iterator<Item = (String, String)>) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in pairs {
        let entry = fields.entry(name).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(&value);
    }
    fields
}
