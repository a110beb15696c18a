//! Where in a document something is wrong. A path costs nothing until there is an error: it is put together on the way out.

use std::borrow::Cow;
use std::fmt;

/// JSON that cannot become the message asked for. For its author to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(Box<Place>);

/// Bytes that are not a message of the type expected, or one that JSON cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError(Box<Place>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    // The innermost first.
    path: Vec<Step>,
    offset: usize,
    message: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Index(usize),
}

/// How much of a caller's own text an error repeats.
const EXCERPT: usize = 64;

/// The beginning of a text that may be long.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

macro_rules! error {
    ($name:ident) => {
        impl $name {
            pub(super) fn new(offset: usize, message: impl Into<Cow<'static, str>>) -> $name {
                $name(Box::new(Place { path: Vec::new(), offset, message: message.into() }))
            }

            pub(super) fn in_key(mut self, key: &str) -> $name {
                self.0.path.push(Step::Key(excerpt(key).into()));
                self
            }

            pub(super) fn in_index(mut self, index: usize) -> $name {
                self.0.path.push(Step::Index(index));
                self
            }

            /// What is wrong, without where.
            pub fn message(&self) -> &str {
                &self.0.message
            }

            /// Where, in bytes from the start of the input.
            pub fn offset(&self) -> usize {
                self.0.offset
            }

            /// Where, as a path: `$.order.lines[3].price`.
            pub fn path(&self) -> String {
                self.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}: {} (at byte {})", self.0, self.0.message, self.0.offset)
            }
        }

        impl std::error::Error for $name {}
    };
}

error!(JsonError);
error!(WireError);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in self.path.iter().rev() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'@')
}
