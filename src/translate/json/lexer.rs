//! JSON to the letter of RFC 8259: no comments, no trailing commas, no bare control characters, no lone surrogates, and, beyond
//! it, no deeper than the limit. It hands out slices of the input; whoever asks decides what a value must be.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::keys::Keys;
use super::place::JsonError;
use super::string::{RawString, plain_prefix};

/// A place in a JSON text. A copy remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(json: &'a [u8]) -> Result<Lexer<'a>, JsonError> {
        match std::str::from_utf8(json) {
            Ok(text) => Ok(Lexer { text, at: 0, depth: 0 }),
            Err(error) => Err(JsonError::new(error.valid_up_to(), "the text is not UTF-8")),
        }
    }

    /// Where the next token starts, once it has been peeked at.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    #[cold]
    pub(super) fn fail(&self, message: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError::new(self.at, message)
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The first byte of the next token, past any whitespace.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_whitespace();
        self.byte().ok_or_else(|| self.fail("the text ends too early"))
    }

    /// Nothing but whitespace may follow.
    pub(super) fn finish(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fail("more text after the value")) }
    }

    /// That something else was expected here.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: &str) -> JsonError {
        let found = match self.peek() {
            Err(error) => return error,
            Ok(b'{') => "an object",
            Ok(b'[') => "an array",
            Ok(b'"') => "a string",
            Ok(b'-' | b'0'..=b'9') => "a number",
            Ok(b't' | b'f') => "a bool",
            Ok(b'n') => "null",
            Ok(_) => {
                let found = self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
                return self.fail(format!("expected {expected}, found {found:?}"));
            }
        };
        self.fail(format!("expected {expected}, found {found}"))
    }

    fn open(&mut self, bracket: u8, expected: &str) -> Result<(), JsonError> {
        if self.peek()? != bracket {
            return Err(self.unexpected(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.fail(format!("more than {MAX_DEPTH} objects and arrays inside each other")));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps into an object; then [`Lexer::key`] until it ends.
    pub(super) fn open_object(&mut self) -> Result<(), JsonError> {
        self.open(b'{', "an object")
    }

    /// Steps into an array; then [`Lexer::element`] until it ends.
    pub(super) fn open_array(&mut self) -> Result<(), JsonError> {
        self.open(b'[', "an array")
    }

    /// The next key of an object, with its colon; or the object's end.
    #[inline]
    pub(super) fn key(&mut self, first: &mut bool) -> Result<Option<RawString<'a>>, JsonError> {
        if !self.separator(b'}', first, "',' or '}' after a member")? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(self.unexpected("':' after a key"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether another element follows in an array; if not, the array has ended.
    #[inline]
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, JsonError> {
        self.separator(b']', first, "',' or ']' after an element")
    }

    #[inline(always)]
    fn separator(&mut self, close: u8, first: &mut bool, expected: &str) -> Result<bool, JsonError> {
        match self.peek()? {
            byte if byte == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            b',' if !*first => {
                self.at += 1;
                if self.peek()? == close {
                    return Err(self.fail("a comma with nothing after it"));
                }
                Ok(true)
            }
            _ if *first => {
                *first = false;
                Ok(true)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// A string, its escapes not yet looked at: [`RawString::cow`] or [`RawString::append`] does.
    #[inline]
    pub(super) fn string(&mut self) -> Result<RawString<'a>, JsonError> {
        if self.peek()? != b'"' {
            return Err(self.unexpected("a string"));
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escapes = 0;
        loop {
            let rest = self.text.as_bytes().get(at..).unwrap_or_default();
            at += plain_prefix(rest);
            match self.text.as_bytes().get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes += 1;
                    at += 2;
                }
                Some(_) => return Err(JsonError::new(at, "a control character in a string must be escaped")),
                None => return Err(JsonError::new(self.text.len(), "the text ends inside a string")),
            }
        }
        self.at = at + 1;
        // After a backslash two bytes are taken, and the second may begin a longer character: then there is no such escape.
        let Some(text) = self.text.get(start..at) else { return Err(JsonError::new(start, "no such escape")) };
        Ok(RawString::new(text, escapes, start))
    }

    /// A number, as it is written.
    pub(super) fn number(&mut self) -> Result<&'a str, JsonError> {
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return Err(self.unexpected("a number"));
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = number_length(rest.as_bytes()).ok_or_else(|| self.fail("not a number as JSON writes it"))?;
        self.at += length;
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-' | b'_') = self.byte() {
            return Err(self.fail("not a number as JSON writes it"));
        }
        Ok(rest.get(..length).unwrap_or_default())
    }

    fn literal(&mut self, word: &str, expected: &str) -> Result<(), JsonError> {
        self.peek()?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.unexpected(expected));
        }
        self.at += word.len();
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_') = self.byte() {
            return Err(self.fail(format!("unknown word that begins with {word}")));
        }
        Ok(())
    }

    pub(super) fn null(&mut self) -> Result<(), JsonError> {
        self.literal("null", "null")
    }

    pub(super) fn bool(&mut self) -> Result<bool, JsonError> {
        let value = self.peek()? == b't';
        self.literal(if value { "true" } else { "false" }, "true or false")?;
        Ok(value)
    }

    /// Reads over a value of any kind, as strictly as if it were used.
    pub(super) fn skip_value(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            b'{' => {
                self.open_object()?;
                let (mut first, mut keys) = (true, Keys::new());
                while let Some(key) = self.key(&mut first)? {
                    if !keys.insert(key.cow()?) {
                        return Err(key.twice());
                    }
                    self.skip_value()?;
                }
                Ok(())
            }
            b'[' => {
                self.open_array()?;
                let mut first = true;
                while self.element(&mut first)? {
                    self.skip_value()?;
                }
                Ok(())
            }
            b'"' => self.string()?.check(),
            b't' | b'f' => self.bool().map(|_| ()),
            b'n' => self.null(),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            _ => Err(self.unexpected("a value")),
        }
    }
}

/// The length of the number at the start of a text: `-? (0 | [1-9][0-9]*) ([.][0-9]+)? ([eE][+-]?[0-9]+)?`.
pub(super) fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}
