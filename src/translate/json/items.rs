//! The elements of a JSON array as its bytes arrive, for a stream of requests in one body: each element whole, the array never.
//!
//! Only the array's own syntax is judged here, and of an element just enough to find its end, so that the answer is the same
//! however the bytes are cut; [`super::to_wire`] judges the element.

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_DEPTH;
use super::place::JsonError;

/// Cuts a JSON array into its elements.
///
/// ```text
/// Start ──[──▶ FirstOrEnd ──byte──▶ Item ──its end──▶ CommaOrEnd ──,──▶ Next ──byte──▶ Item
///                  └────]────▶ Done ◀──────]──────────────┘
/// ```
#[derive(Debug)]
pub struct ArrayItems {
    limit: usize,
    buffer: BytesMut,
    // How much of the buffer the state has seen: the beginning of an element, when it is not whole.
    seen: usize,
    // Offset of the buffer's first byte in the whole text.
    base: usize,
    state: State,
    ended: bool,
    failed: Option<JsonError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Start,
    FirstOrEnd,
    Next,
    Item(Item),
    CommaOrEnd,
    Done,
}

/// Inside an element.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A number or a word: until something that cannot belong to one.
    Word,
    /// A string on its own.
    String { escape: bool },
    /// An object or an array, with the brackets still open (a bit each, 1 for a brace).
    Nested { open: u128, depth: u32, string: bool, escape: bool },
}

impl ArrayItems {
    /// Elements of more than `limit` bytes are refused, as soon as they are.
    pub fn new(limit: usize) -> ArrayItems {
        ArrayItems { limit, buffer: BytesMut::new(), seen: 0, base: 0, state: State::Start, ended: false, failed: None }
    }

    /// More of the text. Take all elements out before the next piece, and no more than one element and one piece is held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// There is no more text: from now on, what is missing is an error.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether it failed because an element is over the limit.
    pub fn is_over_limit(&self) -> bool {
        self.seen > self.limit
    }

    /// Whether the array has ended. Whitespace may still follow, and nothing else.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The next element, if it is whole; `None` if more bytes are needed, or the array has ended.
    ///
    /// # Errors
    /// The text is no array, or ends within one, or something follows it, or an element is over the limit. The error stays.
    pub fn next_item(&mut self) -> Result<Option<Bytes>, JsonError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn advance(&mut self) -> Result<Option<Bytes>, JsonError> {
        loop {
            let Some(&byte) = self.buffer.get(self.seen) else { return self.starved() };
            if let State::Item(item) = &mut self.state {
                let step = item.step(byte);
                match step.map_err(|message| JsonError::new(self.base + self.seen, message))? {
                    Step::Inside => self.seen += 1,
                    Step::Last => {
                        self.seen += 1;
                        self.check_limit()?;
                        return Ok(Some(self.take_item()));
                    }
                    Step::Past => return Ok(Some(self.take_item())),
                }
                self.check_limit()?;
                continue;
            }
            if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                self.drop_byte();
                continue;
            }
            match (&self.state, byte) {
                (State::Start, b'[') => self.enter(State::FirstOrEnd),
                (State::Start, _) => return Err(self.fail("expected an array")),
                (State::FirstOrEnd | State::CommaOrEnd, b']') => self.enter(State::Done),
                (State::CommaOrEnd, b',') => self.enter(State::Next),
                (State::CommaOrEnd, _) => return Err(self.fail("expected ',' or ']' after an element")),
                (State::FirstOrEnd | State::Next, _) => {
                    let item = Item::begin(byte).ok_or_else(|| self.fail("expected a value"))?;
                    self.state = State::Item(item);
                    self.seen = 1;
                    self.check_limit()?;
                }
                (State::Done, _) => return Err(self.fail("more text after the array")),
                (State::Item(_), _) => {}
            }
        }
    }

    fn starved(&self) -> Result<Option<Bytes>, JsonError> {
        if self.ended && self.state != State::Done {
            return Err(JsonError::new(self.base + self.seen, "the text ends inside the array"));
        }
        Ok(None)
    }

    fn check_limit(&self) -> Result<(), JsonError> {
        if self.seen > self.limit {
            return Err(JsonError::new(self.base, format!("an element of more than {} bytes", self.limit)));
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.drop_byte();
    }

    fn drop_byte(&mut self) {
        self.buffer.advance(1);
        self.base += 1;
    }

    fn take_item(&mut self) -> Bytes {
        let item = self.buffer.split_to(self.seen).freeze();
        self.base += self.seen;
        self.seen = 0;
        self.state = State::CommaOrEnd;
        item
    }

    fn fail(&self, message: &'static str) -> JsonError {
        JsonError::new(self.base, message)
    }
}

enum Step {
    Inside,
    /// This byte is the element's last.
    Last,
    /// The byte before was.
    Past,
}

impl Item {
    fn begin(byte: u8) -> Option<Item> {
        match byte {
            b'"' => Some(Item::String { escape: false }),
            b'{' => Some(Item::Nested { open: 1, depth: 1, string: false, escape: false }),
            b'[' => Some(Item::Nested { open: 0, depth: 1, string: false, escape: false }),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Item::Word),
            _ => None,
        }
    }

    fn step(&mut self, byte: u8) -> Result<Step, &'static str> {
        match self {
            Item::Word => match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'+' | b'.' => Ok(Step::Inside),
                b',' | b']' | b' ' | b'\t' | b'\n' | b'\r' => Ok(Step::Past),
                _ => Err("expected ',' or ']' after an element"),
            },
            Item::String { escape } => Ok(match byte {
                _ if *escape => {
                    *escape = false;
                    Step::Inside
                }
                b'\\' => {
                    *escape = true;
                    Step::Inside
                }
                b'"' => Step::Last,
                _ => Step::Inside,
            }),
            Item::Nested { open, depth, string, escape } => {
                match byte {
                    _ if *escape => *escape = false,
                    b'\\' if *string => *escape = true,
                    b'"' => *string = !*string,
                    _ if *string => {}
                    b'{' | b'[' => {
                        if *depth == MAX_DEPTH {
                            return Err("too many objects and arrays inside each other");
                        }
                        *depth += 1;
                        *open = *open << 1 | u128::from(byte == b'{');
                    }
                    b'}' | b']' => {
                        if (*open & 1 == 1) != (byte == b'}') {
                            return Err("a bracket that does not fit the one that it closes");
                        }
                        *open >>= 1;
                        *depth -= 1;
                        if *depth == 0 {
                            return Ok(Step::Last);
                        }
                    }
                    _ => {}
                }
                Ok(Step::Inside)
            }
        }
    }
}

#[cfg(test)]
mod tests;
