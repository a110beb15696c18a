//! Path templates by the grammar of google/api/http.proto, and the plainer ones of configured routes. Strict about what is written, so
//! that a slip is told at load and not found as a 404; where the grammar names no characters, those of a path segment (RFC 3986 §3.3).
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;          Segments  = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ; Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! Verb     = ":" LITERAL ;                     FieldPath = IDENT { "." IDENT } ;
//! ```

mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::path::{RequestPath, Segments};
use super::percent::{NotUtf8, decode, normalise};

/// More segments than any real path has; it bounds the depth of every walk over templates.
pub const MAX_SEGMENTS: usize = 128;

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Box<[Segment]>,
    verb: Option<Box<str>>,
    variables: Box<[Variable]>,
}

/// What one segment of a path must be. The order is the order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This text, in the spelling that `percent::normalise` gives.
    Literal(Box<str>),
    /// `*`: any one segment.
    One,
    /// `**`: all segments that follow, or none. Always the last.
    Rest,
}

/// A part of the path that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The field path as written, `a.b`.
    pub field: Box<str>,
    /// Where the field path begins in the template's text, in bytes.
    pub at: usize,
    /// The first of its segments.
    start: usize,
    /// How many there are; `None` when the last is `**`.
    count: Option<usize>,
}

impl Variable {
    /// The first of its segments, and how many there are; `None` when the last is `**`.
    pub fn span(&self) -> (usize, Option<usize>) {
        (self.start, self.count)
    }

    /// Whether it spans segments, so that an encoded slash in it must stay encoded.
    pub fn is_multi(&self) -> bool {
        self.count != Some(1)
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The offending place in the text, in bytes.
    pub at: usize,
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

/// What a path holds for each variable of a template, in the order of `Template::variables`.
pub type Captures<'p> = SmallVec<[Cow<'p, str>; 4]>;

/// A captured value cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    pub field: Box<str>,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path's value for `{}` is not UTF-8 once percent-decoded", self.field)
    }
}

impl std::error::Error for CaptureError {}

impl Template {
    /// Reads a template of google/api/http.proto. `/` alone is taken too, as in Envoy.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        parse::template(text, parse::Style::Rule)
    }

    /// Reads the path of a configured route. One with a variable in it is a template as [`Template::parse`] reads it. All others are
    /// plainer: literals, `*` and `**`, where a colon is an ordinary character, and a slash at the end is allowed (it does not count,
    /// here or in a request).
    pub fn parse_route(text: &str) -> Result<Template, TemplateError> {
        let style = if text.contains('{') { parse::Style::Rule } else { parse::Style::Route };
        parse::template(text, style)
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The custom verb, without its colon.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Whether the path, without its query, fits. Linear: a routing table answers this for many templates at once.
    pub fn matches(&self, path: &str) -> bool {
        self.cut(path).is_some_and(|segments| self.fits(segments))
    }

    /// What a path that fits holds for each variable, decoded as google/api/http.proto says: a variable of one segment whole, one of
    /// several but for `%2F`.
    ///
    /// # Errors
    /// When a value is not UTF-8; the fault is the caller's (`Kind::InvalidRequest`).
    pub fn captures<'p>(&self, path: &'p str) -> Result<Captures<'p>, CaptureError> {
        let mut captures = Captures::new();
        let Some(mut segments) = self.cut(path) else { return Ok(captures) };
        let mut at = 0;
        for variable in &self.variables {
            while at < variable.start {
                segments.next();
                at += 1;
            }
            let from = segments.rest();
            let value = match variable.count {
                None => from,
                Some(count) => {
                    segments.by_ref().take(count).for_each(drop);
                    at += count;
                    let left = segments.rest();
                    // What is left begins after the slash that ends the value.
                    let end = if segments.is_done() { from.len() } else { from.len().saturating_sub(left.len() + 1) };
                    from.get(..end).unwrap_or_default()
                }
            };
            let value =
                decode(value, variable.is_multi()).map_err(|NotUtf8| CaptureError { field: variable.field.clone() })?;
            captures.push(value);
        }
        Ok(captures)
    }

    fn cut<'p>(&self, path: &'p str) -> Option<Segments<'p>> {
        let path = RequestPath::of(path)?;
        match &self.verb {
            None => Some(path.segments()),
            Some(verb) => {
                let (segments, found) = path.with_verb()?;
                (normalise(found) == **verb).then_some(segments)
            }
        }
    }

    fn fits(&self, mut segments: Segments<'_>) -> bool {
        for expected in &self.segments {
            let fits = match expected {
                Segment::Rest => return true,
                Segment::One => segments.next().is_some(),
                Segment::Literal(text) => segments.next_spelled().is_some_and(|found| *found == **text),
            };
            if !fits {
                return false;
            }
        }
        segments.next().is_none()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
