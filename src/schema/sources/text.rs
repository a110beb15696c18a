//! A .proto's text with its lines, so that no place in it costs a reading of the whole: a schema has places by the thousand.

use super::super::place::Place;

#[derive(Debug)]
pub(in crate::schema) struct Text {
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Text {
    pub(super) fn new(text: String) -> Text {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Text { text, lines }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The byte at a line and a byte in it, both from 0: the parser's source information counts so.
    pub(super) fn byte(&self, line: usize, column: usize) -> Option<usize> {
        self.lines.get(line)?.checked_add(column)
    }

    /// The place of a byte; for one beyond the end, the end.
    pub(super) fn place(&self, file: &str, at: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= at).saturating_sub(1);
        let begin = self.lines.get(line).copied().unwrap_or_default();
        let before = self.text.as_bytes().get(begin..at.min(self.text.len())).unwrap_or_default();
        let characters = before.iter().filter(|byte| !(0x80..0xc0).contains(*byte)).count();
        Place::from_zero(file, line, characters)
    }

    /// The place of a line and a byte in it, as source information has them.
    pub(super) fn place_of_column(&self, file: &str, line: usize, column: usize) -> Place {
        self.byte(line, column).map_or_else(|| Place::file(file), |at| self.place(file, at))
    }

    /// The text with a `?` for every byte that is not ASCII: every byte is a character, and where it was.
    pub(super) fn of_single_bytes(&self) -> String {
        self.text.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = Text::new("ä\nxéy\n\nz".into());
        for (at, expected) in [
            (0, "f:1:1"),
            (2, "f:1:2"),
            (3, "f:2:1"),
            (4, "f:2:2"),
            (6, "f:2:3"),
            (8, "f:3:1"),
            (9, "f:4:1"),
            (99, "f:4:2"),
        ] {
            assert_eq!(text.place("f", at).to_string(), expected, "{at}");
        }
        assert_eq!(text.place_of_column("f", 1, 3).to_string(), "f:2:3");
        assert_eq!(text.of_single_bytes().len(), text.as_str().len());
    }
}
