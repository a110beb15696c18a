//! Replies onto a connection: status line, fields and framing for the version that the caller speaks. It would rather break a
//! connection than let a cut reply look whole: a length that was promised is kept, or the caller must see a reset.
//!
//! The status line says HTTP/1.1 to HTTP/1.0 callers too, as RFC 9110 §2.5 asks and as the common servers have done since there
//! was a 1.1; what is of 1.1 (chunks, trailers, 1xx, persistence by default) is never sent to them, and `Connection` always says what
//! becomes of the connection.

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, UPGRADE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use super::delimiter::{BodyBroken, BodyLength, Delimiter};
use super::framing::parse_length;
use super::hop_by_hop::{ends_here, strip_reply};
use super::spelling::Spelling;
use super::trailers;

/// What a 1.1 caller that expects it gets before its body is read (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What of the request decides how its reply is written.
#[derive(Clone, Copy, Debug)]
pub struct ReplyTerms {
    /// The caller's.
    pub version: Version,
    /// The request was HEAD: the reply has no body, whatever its fields say.
    pub head_request: bool,
    /// Asked for by the caller, and still allowed.
    pub keep_alive: bool,
    /// The caller said `TE: trailers`.
    pub accepts_trailers: bool,
    /// Write `Content-Length`, not `content-length`: for old callers that compare by bytes (`ab` among them).
    pub title_case: bool,
}

/// Writes one reply.
#[derive(Debug)]
pub struct ReplyEncoder {
    delimiter: Delimiter,
    sends_body: bool,
    keep_alive: bool,
    title_case: bool,
}

impl ReplyEncoder {
    /// Writes the status line and fields to `out`. `date` is added when the reply has none.
    ///
    /// A body of unknown length goes in chunks to 1.1 and until close to 1.0. `Content-Length` is the one that `length` gives, but for
    /// replies to HEAD and 304, which keep their own. Fields that end at this hop are left out. A head with a [`Spelling`] is written in
    /// it. A 101 (RFC 9110 §15.2.2) keeps its
    /// `Upgrade` and ends HTTP on this connection; any other 1xx, or a 101 to a 1.0 caller, is no final reply and becomes a 502.
    pub fn start(
        terms: &ReplyTerms,
        head: &Parts,
        length: BodyLength,
        date: &HeaderValue,
        out: &mut BytesMut,
    ) -> ReplyEncoder {
        let http10 = terms.version < Version::HTTP_11;
        let mut writer = FieldWriter { out, title_case: terms.title_case };
        if head.status == StatusCode::SWITCHING_PROTOCOLS && !http10 {
            return ReplyEncoder::switch(writer, head, terms);
        }
        if head.status.is_informational() {
            return ReplyEncoder::refuse(writer, date, terms);
        }
        let delimiter = delimiter(terms, head.status, length, http10);
        let keep_alive = terms.keep_alive && delimiter != Delimiter::Close;
        let length = match delimiter {
            Delimiter::Length(length) => Some(length),
            Delimiter::None => bodiless_length(terms, head, length),
            Delimiter::Chunks { .. } | Delimiter::Close | Delimiter::Over => None,
        };
        let spelling = head.extensions.get::<Spelling>();
        let trailers_follow = matches!(delimiter, Delimiter::Chunks { trailers: true });
        writer.status(head.status, spelling.and_then(Spelling::reason));
        match spelling {
            Some(spelling) => writer.spelled_fields(spelling, &head.headers, trailers_follow, length),
            None => writer.reply_fields(&head.headers, trailers_follow),
        }
        if !has(&head.headers, &DATE) {
            writer.field(&DATE, date);
        }
        if let (Some(length), None) = (length, spelling) {
            writer.length(length);
        }
        if let Delimiter::Chunks { .. } = delimiter {
            writer.line("transfer-encoding", b"chunked");
        }
        match (keep_alive, http10) {
            (true, true) => writer.line("connection", b"keep-alive"),
            (true, false) => {}
            (false, _) => writer.line("connection", b"close"),
        }
        writer.out.put_slice(b"\r\n");
        let sends_body = delimiter != Delimiter::None;
        ReplyEncoder { delimiter, sends_body, keep_alive, title_case: terms.title_case }
    }

    /// Frames a piece of `len` bytes: writes what precedes it to `out`, and returns what must follow its bytes. After an error the
    /// connection must be reset, so that the caller does not take the reply for whole.
    pub fn frame(&mut self, len: usize, out: &mut BytesMut) -> Result<&'static [u8], BodyBroken> {
        self.delimiter.frame(len, out).inspect_err(|_| self.keep_alive = false)
    }

    /// Ends the body: writes the last chunk, with those `trailers` that are allowed there if the caller accepts any.
    pub fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut BytesMut) -> Result<(), BodyBroken> {
        let ended = self.delimiter.end().inspect_err(|_| self.keep_alive = false)?;
        if let Delimiter::Chunks { trailers: accepted } = ended {
            out.put_slice(b"0\r\n");
            let mut writer = FieldWriter { out, title_case: self.title_case };
            for (name, value) in trailers.filter(|_| accepted).into_iter().flatten() {
                if trailers::is_allowed(name) {
                    writer.field(name, value);
                }
            }
            writer.out.put_slice(b"\r\n");
        }
        Ok(())
    }

    /// Whether the connection may carry another request after this reply, once it ended well.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the reply has a body on the wire: not to HEAD, and not with 101, 204 or 304. What a servlet sends nevertheless is
    /// to be dropped, not framed.
    pub fn sends_body(&self) -> bool {
        self.sends_body
    }

    fn switch(mut writer: FieldWriter<'_>, head: &Parts, terms: &ReplyTerms) -> ReplyEncoder {
        writer.status(head.status, None);
        writer.reply_fields(&head.headers, false);
        writer.line("connection", b"Upgrade");
        for value in head.headers.get_all(UPGRADE) {
            writer.field(&UPGRADE, value);
        }
        writer.out.put_slice(b"\r\n");
        ReplyEncoder { delimiter: Delimiter::None, sends_body: false, keep_alive: false, title_case: terms.title_case }
    }

    fn refuse(mut writer: FieldWriter<'_>, date: &HeaderValue, terms: &ReplyTerms) -> ReplyEncoder {
        writer.status(StatusCode::BAD_GATEWAY, None);
        writer.field(&DATE, date);
        writer.length(0);
        writer.line("connection", b"close");
        writer.out.put_slice(b"\r\n");
        ReplyEncoder {
            delimiter: Delimiter::Length(0),
            sends_body: true,
            keep_alive: false,
            title_case: terms.title_case,
        }
    }
}

fn delimiter(terms: &ReplyTerms, status: StatusCode, length: BodyLength, http10: bool) -> Delimiter {
    if terms.head_request || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Delimiter::None;
    }
    match length {
        BodyLength::Empty => Delimiter::Length(0),
        BodyLength::Exact(length) => Delimiter::Length(length),
        BodyLength::Unknown if http10 => Delimiter::Close,
        BodyLength::Unknown => Delimiter::Chunks { trailers: terms.accepts_trailers },
    }
}

/// What `Content-Length` says in a reply without a body: how long it would be (RFC 9110 §8.6). Never in a 204.
fn bodiless_length(terms: &ReplyTerms, head: &Parts, length: BodyLength) -> Option<u64> {
    if head.status == StatusCode::NO_CONTENT {
        return None;
    }
    let mut given = head.headers.get_all(CONTENT_LENGTH).iter();
    match (given.next(), given.next(), length) {
        (Some(value), None, _) => parse_length(value.as_bytes()),
        (None, _, BodyLength::Exact(length)) if terms.head_request && head.status != StatusCode::NOT_MODIFIED => {
            Some(length)
        }
        _ => None,
    }
}

/// Whether there is such a field: heads are short, and a look at each name is less than a search.
fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.keys().any(|other| other == name)
}

/// Writes lines of a head.
struct FieldWriter<'out> {
    out: &'out mut BytesMut,
    title_case: bool,
}

impl FieldWriter<'_> {
    fn status(&mut self, status: StatusCode, reason: Option<&[u8]>) {
        self.out.reserve(512);
        if status == StatusCode::OK && reason.is_none() {
            return self.out.put_slice(b"HTTP/1.1 200 OK\r\n");
        }
        self.out.put_slice(b"HTTP/1.1 ");
        self.out.put_slice(status.as_str().as_bytes());
        self.out.put_u8(b' ');
        // The phrase may be empty, but some old callers insist on one.
        self.out.put_slice(reason.unwrap_or(status.canonical_reason().unwrap_or("Unknown").as_bytes()));
        self.out.put_slice(b"\r\n");
    }

    /// The reply's own fields, without those of this hop and of framing.
    fn reply_fields(&mut self, headers: &HeaderMap, trailers_follow: bool) {
        if has(headers, &CONNECTION) {
            let mut stripped = headers.clone();
            strip_reply(&mut stripped);
            return self.reply_fields(&stripped, trailers_follow);
        }
        for (name, value) in headers {
            let is_framing = name == CONTENT_LENGTH || (name == TRAILER && !trailers_follow);
            if !is_framing && !ends_here(name) {
                self.field(name, value);
            }
        }
    }

    /// The same as they were spelled, with `length` in the place of their own.
    fn spelled_fields(&mut self, spelling: &Spelling, headers: &HeaderMap, trailers_follow: bool, length: Option<u64>) {
        let mut headers = headers.clone();
        strip_reply(&mut headers);
        headers.remove(CONTENT_LENGTH);
        if !trailers_follow {
            headers.remove(TRAILER);
        }
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        for (name, value) in spelling.fields(&headers) {
            self.out.reserve(name.len() + value.len() + 4);
            self.out.put_slice(name);
            self.out.put_slice(b": ");
            self.out.put_slice(value.as_bytes());
            self.out.put_slice(b"\r\n");
        }
    }

    fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name.as_str(), value.as_bytes());
    }

    fn length(&mut self, length: u64) {
        self.line("content-length", itoa::Buffer::new().format(length).as_bytes());
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        self.out.reserve(name.len() + value.len() + 4);
        if self.title_case {
            let mut starts_word = true;
            for byte in name.bytes() {
                self.out.put_u8(if starts_word { byte.to_ascii_uppercase() } else { byte });
                starts_word = byte == b'-';
            }
        } else {
            self.out.put_slice(name.as_bytes());
        }
        self.out.put_slice(b": ");
        self.out.put_slice(value);
        self.out.put_slice(b"\r\n");
    }
}
