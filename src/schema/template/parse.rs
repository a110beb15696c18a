//! From the text of a template to its parts, one pass, with the place of every complaint.

use super::super::percent::{is_unreserved, normalise};
use super::{MAX_SEGMENTS, Segment, Template, TemplateError, Variable};

/// Which grammar is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// google/api/http.proto.
    Rule,
    /// A configured route without variables.
    Route,
}

pub(super) fn template(text: &str, style: Style) -> Result<Template, TemplateError> {
    let mut parser = Parser { text, at: 0, style, segments: Vec::new(), variables: Vec::new() };
    let verb = parser.template()?;
    Ok(Template { text: text.into(), segments: parser.segments.into(), verb, variables: parser.variables.into() })
}

struct Parser<'t> {
    text: &'t str,
    /// The next byte to read; always at a character's border.
    at: usize,
    style: Style,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

impl Parser<'_> {
    fn template(&mut self) -> Result<Option<Box<str>>, TemplateError> {
        if self.text.is_empty() {
            return Err(self.wrong("the path is empty; it must begin with `/`"));
        }
        if !self.eat('/') {
            return Err(self.wrong("a path must begin with `/`"));
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        self.segment_list(true)?;
        let verb = if self.eat(':') { Some(self.literal("the verb after `:` is empty")?) } else { None };
        match self.peek() {
            None => Ok(verb),
            Some('/') => Err(self.wrong("a verb (`:name`) must end the template; write a colon elsewhere as `%3A`")),
            Some(':') => Err(self.wrong("there can be one verb only; write a colon elsewhere as `%3A`")),
            Some('}') => Err(self.wrong("this `}` closes nothing")),
            Some(other) => Err(self.wrong(format!("`{other}` cannot follow here"))),
        }
    }

    /// Segments up to something that is not a slash. `outside`: not within a variable.
    fn segment_list(&mut self, outside: bool) -> Result<(), TemplateError> {
        loop {
            self.segment(outside)?;
            if self.peek() != Some('/') {
                return Ok(());
            }
            if self.segments.last() == Some(&Segment::Rest) {
                return Err(self.wrong("`**` must be the last segment"));
            }
            self.eat('/');
            if self.style == Style::Route && self.peek().is_none() {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, outside: bool) -> Result<(), TemplateError> {
        let begin = self.at;
        match self.peek() {
            Some('*') => {
                self.at += 1;
                let kind = if self.eat('*') { Segment::Rest } else { Segment::One };
                let alone = match self.peek() {
                    None | Some('/' | '}') => true,
                    Some(next) => next == ':' && self.style == Style::Rule,
                };
                if !alone {
                    self.at = begin;
                    return Err(
                        self.wrong("`*` and `**` must stand alone in a segment; a literal `*` is written `%2A`")
                    );
                }
                self.push(kind, begin)
            }
            Some('{') if !outside => Err(self.wrong("a variable cannot contain another variable")),
            Some('{') => self.variable(),
            _ => {
                let text = self.literal("a segment is empty")?;
                self.push(Segment::Literal(text), begin)
            }
        }
    }

    fn variable(&mut self) -> Result<(), TemplateError> {
        let open = self.at;
        self.at += 1;
        let at = self.at;
        self.field_path()?;
        let field: Box<str> = self.text.get(at..self.at).unwrap_or_default().into();
        if self.variables.iter().any(|variable| variable.field == field) {
            return Err(TemplateError { at, message: format!("`{field}` is captured twice") });
        }
        let start = self.segments.len();
        if self.eat('=') {
            self.segment_list(false)?;
        } else {
            self.push(Segment::One, at)?;
        }
        if !self.eat('}') {
            return Err(match self.peek() {
                None => TemplateError { at: open, message: "this `{` is never closed".into() },
                Some(':') => self.wrong("a verb cannot stand within a variable"),
                Some(other) => self.wrong(format!("`{other}` cannot stand here; expected `=`, `.` or `}}`")),
            });
        }
        if !matches!(self.peek(), None | Some('/' | ':')) {
            return Err(self.wrong("a variable must be a whole segment: only `/` or `:` can follow it"));
        }
        let count = if self.segments.last() == Some(&Segment::Rest) { None } else { Some(self.segments.len() - start) };
        self.variables.push(Variable { field, at, start, count });
        Ok(())
    }

    fn field_path(&mut self) -> Result<(), TemplateError> {
        loop {
            let begin = self.at;
            while let Some(next) = self.peek() {
                let fits = next == '_' || next.is_ascii_alphabetic() || (self.at > begin && next.is_ascii_digit());
                if !fits {
                    break;
                }
                self.at += 1;
            }
            if self.at == begin {
                return Err(self.wrong("expected a field's name: letters, digits and `_`, not beginning with a digit"));
            }
            if !self.eat('.') {
                return Ok(());
            }
        }
    }

    /// A literal in its normal spelling; stops at a slash, a closing brace, and (in rules) a colon.
    fn literal(&mut self, empty: &str) -> Result<Box<str>, TemplateError> {
        let mut out = String::new();
        while let Some(next) = self.peek() {
            match next {
                '/' | '}' => break,
                ':' if self.style == Style::Rule => break,
                '%' => {
                    let escape = self.text.get(self.at..self.at + 3).unwrap_or_default();
                    if escape.len() < 3 || !escape.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.wrong("`%` must be followed by two hexadecimal digits"));
                    }
                    out.push_str(escape);
                    self.at += 3;
                    continue;
                }
                '*' => {
                    return Err(
                        self.wrong("`*` and `**` must stand alone in a segment; a literal `*` is written `%2A`")
                    );
                }
                '{' => return Err(self.wrong("a variable must be a whole segment: it begins after `/`")),
                '?' => {
                    return Err(self.wrong("a path has no query; fields that the path does not name are read from it"));
                }
                '!' | '$' | '&' | '\'' | '(' | ')' | '+' | ',' | ';' | '=' | '@' | ':' => out.push(next),
                _ if next.is_ascii() && is_unreserved(next as u8) => out.push(next),
                _ if !next.is_ascii() => {
                    // A request carries these encoded (RFC 3987 §3.1).
                    let mut bytes = [0_u8; 4];
                    for byte in next.encode_utf8(&mut bytes).bytes() {
                        out.push_str(&format!("%{byte:02X}"));
                    }
                }
                _ => {
                    return Err(self.wrong(format!(
                        "`{}` cannot stand in a path; write it percent-encoded",
                        next.escape_default()
                    )));
                }
            }
            self.at += next.len_utf8();
        }
        if out.is_empty() {
            return Err(self.wrong(empty));
        }
        Ok(normalise(&out).into())
    }

    fn push(&mut self, segment: Segment, at: usize) -> Result<(), TemplateError> {
        if self.segments.len() == MAX_SEGMENTS {
            return Err(TemplateError { at, message: format!("more than {MAX_SEGMENTS} segments") });
        }
        self.segments.push(segment);
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn wrong(&self, message: impl Into<String>) -> TemplateError {
        TemplateError { at: self.at, message: message.into() }
    }
}
