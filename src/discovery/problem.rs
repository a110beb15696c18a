//! One mistake in a file that people write: where it is, what was written, what is allowed. Leans towards saying too much: the
//! reader of a problem has the file open and nothing else.

use std::fmt;

use serde::Serialize;

/// A place in a file, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// One mistake. Shown as `endpoints/echo.yaml:4:31: endpoints[2].weight: 1000001 is not allowed: an integer from 0 to 1000000`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file's path, as an operator would open it.
    pub file: Box<str>,
    /// `None` when the file as a whole is meant.
    pub at: Option<Position>,
    /// The key's path, e.g. `endpoints[2].weight`; empty for the whole file.
    pub path: Box<str>,
    /// What was written there, shortened.
    pub value: Option<Box<str>>,
    /// What is wrong, following the value: `is not allowed`, `unknown key`.
    pub wrong: Box<str>,
    /// What would be right.
    pub allowed: Option<Box<str>>,
    /// What was probably meant.
    pub hint: Option<Box<str>>,
}

impl Problem {
    pub fn new(
        file: impl Into<Box<str>>,
        at: Option<Position>,
        path: impl Into<Box<str>>,
        wrong: impl Into<Box<str>>,
    ) -> Self {
        Problem {
            file: file.into(),
            at,
            path: path.into(),
            value: None,
            wrong: wrong.into(),
            allowed: None,
            hint: None,
        }
    }

    pub fn value(mut self, value: impl Into<Box<str>>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub fn allowed(mut self, allowed: impl Into<Box<str>>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        f.write_str(": ")?;
        if let Some(value) = &self.value {
            write!(f, "{value} ")?;
        }
        f.write_str(&self.wrong)?;
        if let Some(allowed) = &self.allowed {
            write!(f, ": {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}
