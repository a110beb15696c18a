//! Where in a schema something stands, so that whoever wrote it finds it.

use std::fmt;
use std::sync::Arc;

/// A place in a schema file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name that the file is imported by.
    pub file: Arc<str>,
    /// From 1; unknown for descriptor sets without source information.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
}

/// What is wrong with a schema, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    pub place: Place,
    pub message: String,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: &str) -> Place {
        Place { file: file.into(), line: None, column: None }
    }

    /// A line and column counted from 0.
    pub(super) fn from_zero(file: &str, line: usize, column: usize) -> Place {
        let count = |number: usize| u32::try_from(number).ok().and_then(|number| number.checked_add(1));
        Place { file: file.into(), line: count(line), column: count(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for SchemaError {}
