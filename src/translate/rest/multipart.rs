//! `multipart/form-data` as its bytes arrive (RFC 7578; RFC 2046 §5.1): parts, and the content of each in pieces, whose sizes alone
//! depend on how the body was cut. Leans towards refusing what two readers could cut differently.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

use super::header_value::Valued;

/// The most bytes of a part's headers. Those that browsers send are a few hundred.
const MOST_HEAD: usize = 8 * 1024;

/// The most parts of a body: each costs more than its bytes.
const MOST_PARTS: usize = 1000;

/// The most white space behind a boundary.
const MOST_PADDING: usize = 64;

/// Cuts a body into its parts.
///
/// ```text
/// Preamble ──delimiter──▶ Delimiter ──line's end──▶ Head ──blank line──▶ Content ──delimiter──▶ Delimiter ──`--`──▶ Epilogue
/// ```
/// Push a piece and take events until there is none: what is kept between two pushes is less than a delimiter, or a part's headers.
#[derive(Debug)]
pub(super) struct Multipart {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    // How much of a part's headers has been looked at.
    seen: usize,
    state: State,
    parts: usize,
    empty: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    /// Behind the boundary.
    Delimiter,
    /// The buffer begins with the `\r\n` in front of the headers.
    Head,
    /// `fresh`: the buffer begins with the `\r\n` in front of the content; an empty one may share it with its delimiter.
    Content {
        fresh: bool,
    },
    Epilogue,
}

/// What comes next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Part(PartHead),
    /// More of the part's content; never empty.
    Data(Bytes),
    PartEnd,
    /// The body has ended as it should.
    End,
}

/// What a part's headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    pub(super) name: String,
    /// As the caller calls it; empty when a browser sends the field of a file that nobody chose.
    pub(super) file_name: Option<String>,
    /// Empty when it says none.
    pub(super) content_type: String,
}

/// Why a body is no form.
pub(super) type Wrong = Cow<'static, str>;

impl Multipart {
    pub(super) fn new(boundary: &str) -> Multipart {
        Multipart {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            // The first delimiter has no line before it, when there is no preamble.
            buffer: BytesMut::from(&b"\r\n"[..]),
            seen: 0,
            state: State::Preamble,
            parts: 0,
            empty: true,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.empty &= bytes.is_empty();
        self.buffer.extend_from_slice(bytes);
    }

    /// There is no more of the body.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// What comes next; `None` if more bytes are needed. A body without a byte has no parts.
    pub(super) fn next_event(&mut self) -> Result<Option<Event>, Wrong> {
        loop {
            let event = match self.state {
                State::Preamble if self.ended && self.empty => return Ok(Some(Event::End)),
                State::Preamble => {
                    let Some(start) = self.find_delimiter() else {
                        let tail = self.tail();
                        self.buffer.advance(tail);
                        return self.starved();
                    };
                    self.pass_delimiter(start);
                    None
                }
                State::Delimiter => match self.line_end()? {
                    Some(next) => {
                        self.state = next;
                        None
                    }
                    None => return self.starved(),
                },
                State::Head => match self.head()? {
                    Some(head) => Some(Event::Part(head)),
                    None => return self.starved(),
                },
                State::Content { fresh } => match self.content(fresh) {
                    Some(event) => Some(event),
                    None if self.state != (State::Content { fresh }) => None,
                    None => return self.starved(),
                },
                State::Epilogue => {
                    self.buffer.clear();
                    return Ok(self.ended.then_some(Event::End));
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn starved(&self) -> Result<Option<Event>, Wrong> {
        match (self.ended, self.state) {
            (false, _) => Ok(None),
            (true, State::Preamble) => Err("the form's boundary is nowhere in it".into()),
            (true, _) => Err("the form ends before its last boundary".into()),
        }
    }

    fn find_delimiter(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = self.buffer.get(at..)?;
            at += rest.iter().position(|byte| *byte == b'\r')?;
            if self.buffer.get(at..)?.starts_with(&self.delimiter) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Where a delimiter may begin whose end is not there yet; else the end.
    fn tail(&self) -> usize {
        let first = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
        let starts = |at: &usize| self.buffer.get(*at..).is_some_and(|tail| self.delimiter.starts_with(tail));
        (first..self.buffer.len()).find(starts).unwrap_or(self.buffer.len())
    }

    fn pass_delimiter(&mut self, start: usize) {
        self.buffer.advance(start + self.delimiter.len());
        self.state = State::Delimiter;
    }

    /// What follows a boundary: white space and the line's end, or the two hyphens of the last one.
    fn line_end(&mut self) -> Result<Option<State>, Wrong> {
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = self.buffer.get(padding..).unwrap_or_default();
        let next = match rest {
            _ if padding > MOST_PADDING => None,
            [b'\r', b'\n', ..] => Some(State::Head),
            [b'-', b'-', ..] if padding == 0 => Some(State::Epilogue),
            [] | [b'\r'] => return Ok(None),
            [b'-'] if padding == 0 => return Ok(None),
            _ => None,
        };
        let Some(next) = next else {
            return Err("the form's boundary is followed by something else than the end of its line".into());
        };
        self.buffer.advance(padding);
        if next == State::Head {
            self.parts += 1;
            if self.parts > MOST_PARTS {
                return Err(format!("the form has more than {MOST_PARTS} parts").into());
            }
        }
        Ok(Some(next))
    }

    fn head(&mut self) -> Result<Option<PartHead>, Wrong> {
        let from = self.seen.saturating_sub(3);
        let rest = self.buffer.get(from..).unwrap_or_default();
        let found = rest.windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at);
        // What is looked for may have begun in the last three bytes.
        if found.unwrap_or(self.buffer.len().saturating_sub(3)) > MOST_HEAD {
            return Err(format!("a part of the form has more than {MOST_HEAD} bytes of headers").into());
        }
        let Some(end) = found else {
            self.seen = self.buffer.len();
            return Ok(None);
        };
        let head = self.buffer.split_to(end);
        self.buffer.advance(2);
        self.seen = 0;
        self.state = State::Content { fresh: true };
        PartHead::read(&head).map(Some)
    }

    /// A piece of content, or its end. `None` with another state: go on.
    fn content(&mut self, fresh: bool) -> Option<Event> {
        if fresh && !self.buffer.starts_with(&self.delimiter) {
            if self.delimiter.starts_with(&self.buffer) {
                return None;
            }
            self.buffer.advance(2);
            self.state = State::Content { fresh: false };
            return None;
        }
        match self.find_delimiter() {
            Some(0) => {
                self.pass_delimiter(0);
                Some(Event::PartEnd)
            }
            Some(start) => Some(Event::Data(self.buffer.split_to(start).freeze())),
            None => match self.tail() {
                0 => None,
                tail => Some(Event::Data(self.buffer.split_to(tail).freeze())),
            },
        }
    }
}

impl PartHead {
    fn read(head: &[u8]) -> Result<PartHead, Wrong> {
        let text = std::str::from_utf8(head).map_err(|_| "the headers of a part are not UTF-8")?;
        // Lines may be folded (RFC 822).
        let text = text.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut read = PartHead::default();
        let mut disposed = false;
        for line in text.split("\r\n").filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                return Err("a line of a part's headers has no colon".into());
            };
            match &*name.trim().to_ascii_lowercase() {
                "content-disposition" if disposed => return Err("a part has two Content-Dispositions".into()),
                "content-disposition" => {
                    disposed = true;
                    let value = Valued::read(value);
                    let name = value.parameter("name").filter(|_| value.value == "form-data");
                    read.name =
                        name.ok_or("a part's Content-Disposition is not `form-data` with a `name`")?.into_owned();
                    let file_name = value.parameter("filename").or_else(|| value.parameter("filename*"));
                    read.file_name = file_name.map(Cow::into_owned);
                }
                "content-type" => read.content_type = value.trim().to_owned(),
                "content-transfer-encoding" => {
                    let value = value.trim();
                    if !["binary", "8bit", "7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                        return Err(
                            "a Content-Transfer-Encoding is not read (RFC 7578 §4.7): send the part as it is".into()
                        );
                    }
                }
                _ => {}
            }
        }
        if disposed { Ok(read) } else { Err("a part has no Content-Disposition".into()) }
    }
}

#[cfg(test)]
mod tests;
