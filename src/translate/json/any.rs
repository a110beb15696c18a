//! Where the `@type` of each `google.protobuf.Any` is. It names the type of everything beside it, and may come last: then the
//! object is read over once to find it. That reading notes every `@type` further inside as well, so that Anys nested in each
//! other cost one reading over, not one each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lexer::Lexer;
use super::place::JsonError;

pub(super) const TYPE_KEY: &str = "@type";

#[derive(Debug, Default)]
pub(super) struct TypeUrls<'a> {
    // By where the object begins.
    found: BTreeMap<usize, Cow<'a, str>>,
    // Everything before this has been read over.
    read_to: usize,
}

impl<'a> TypeUrls<'a> {
    /// The type of the object that begins at the lexer's place; `None` if it has none.
    pub(super) fn of_object(&mut self, mut lexer: Lexer<'a>) -> Result<Option<Cow<'a, str>>, JsonError> {
        lexer.peek()?;
        let start = lexer.offset();
        let mut ahead = lexer;
        ahead.open_object()?;
        match ahead.key(&mut true)? {
            None => return Ok(None),
            Some(key) if key.cow()? == TYPE_KEY => return ahead.string()?.cow().map(Some),
            Some(_) => {}
        }
        if start >= self.read_to {
            self.read_over(&mut lexer)?;
            self.read_to = lexer.offset();
        }
        Ok(self.found.remove(&start))
    }

    fn read_over(&mut self, lexer: &mut Lexer<'a>) -> Result<(), JsonError> {
        match lexer.peek()? {
            b'{' => {
                let start = lexer.offset();
                lexer.open_object()?;
                let mut first = true;
                while let Some(key) = lexer.key(&mut first)? {
                    if key.cow()? == TYPE_KEY && lexer.peek()? == b'"' {
                        self.found.insert(start, lexer.string()?.cow()?);
                    } else {
                        self.read_over(lexer)?;
                    }
                }
            }
            b'[' => {
                lexer.open_array()?;
                let mut first = true;
                while lexer.element(&mut first)? {
                    self.read_over(lexer)?;
                }
            }
            _ => lexer.skip_value()?,
        }
        Ok(())
    }
}

/// The full name in a type URL: what follows its last slash.
pub(super) fn type_name(url: &str) -> Option<&str> {
    url.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty())
}
