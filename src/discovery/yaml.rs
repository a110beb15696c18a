//! YAML as a tree that knows where each of its nodes was written. Built straight from parse events, because a tree lets every
//! mistake of a file be reported at once where a typed reader stops at the first. Everything is bounded: nodes, depth, and what
//! aliases expand to.

use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, StructureStyle, Tag};

use super::{Position, Problem};
use crate::runtime::give_way;

/// Nodes in one file, aliases counted as what they expand to. A table line is three, so this is 300,000 endpoints.
const MAX_NODES: usize = 1_000_000;
/// Nesting, through aliases too. The deepest of our files needs eight.
const MAX_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Debug)]
pub struct Node {
    pub at: Position,
    /// Shared by the aliases of a value, which differ in where they are.
    pub content: Rc<Content>,
    size: usize,
    depth: usize,
}

/// A mapping's key and where it begins.
#[derive(Clone, Debug)]
pub struct Key {
    pub at: Position,
    pub text: String,
}

#[derive(Debug)]
pub enum Content {
    /// `plain` when written without quotes, so that it may be a number or a truth value.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
pub type Entry = (Key, Rc<Node>);

impl Node {
    /// The one document in `text`.
    pub fn parse(file: &str, text: &str) -> Result<Rc<Node>, Problem> {
        Builder { file, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None }.run(text)
    }

    /// Whether nothing, `~` or `null` was written.
    pub fn is_null(&self) -> bool {
        matches!(&*self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value for a message: as written when it is short, else what kind of thing it is.
    pub fn describe(&self) -> String {
        const MOST: usize = 80;
        match &*self.content {
            Content::List(_) => "a list".into(),
            Content::Map(_) => "a mapping".into(),
            Content::Scalar { .. } if self.is_null() => "an empty value".into(),
            Content::Scalar { text, plain } => {
                let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
                if *plain {
                    // Escaping is for control characters; quotes inside a plain value stay as they were written.
                    shown = shown.replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\");
                }
                if text.chars().nth(MOST).is_some() {
                    shown.push('…');
                }
                if *plain { shown } else { format!("\"{shown}\"") }
            }
        }
    }
}

/// The tree of a long table is megabytes, which takes longer to free than a call should wait.
impl Drop for Node {
    fn drop(&mut self) {
        give_way();
    }
}

/// A collection whose end has not been seen.
struct Open {
    at: Position,
    /// Written in brackets.
    flow: bool,
    anchor: usize,
    items: Vec<Rc<Node>>,
    /// For a mapping: its entries, and the key that waits for its value.
    map: Option<(Vec<Entry>, Option<Key>)>,
}

struct Builder<'a> {
    file: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    root: Option<Rc<Node>>,
}

impl Builder<'_> {
    fn run(mut self, text: &str) -> Result<Rc<Node>, Problem> {
        let mut options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        for step in Parser::new_from_str_with_options(text, options) {
            give_way();
            let (event, span) = step.map_err(|error| self.not_yaml(position(error.marker()), &error.info()))?;
            self.event(event, position(&span.start))?;
        }
        match self.root.take() {
            Some(root) if !root.is_null() => Ok(root),
            Some(_) | None => Err(self.wrong(Position { line: 1, column: 1 }, "the file is empty")),
        }
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text(tag.as_deref(), at)?;
                self.leaf(at, anchor, Content::Scalar { text: text.into_owned(), plain })
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.is_text(tag.as_deref(), at)?;
                let flow = style == StructureStyle::Flow;
                self.open.push(Open { at, flow, anchor, items: Vec::new(), map: None });
                Ok(())
            }
            Event::MappingStart(style, anchor, tag) => {
                self.is_text(tag.as_deref(), at)?;
                let flow = style == StructureStyle::Flow;
                self.open.push(Open { at, flow, anchor, items: Vec::new(), map: Some((Vec::new(), None)) });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(id) => {
                // An alias inside its own anchor finds nothing, because the anchor is known only once it is closed.
                let Some(target) = self.anchors.get(&id).cloned() else {
                    return Err(self.wrong(at, "an alias to something that contains it"));
                };
                self.place_alias(&target, at)
            }
            Event::UnresolvedAlias(name) => Err(self.wrong(at, format!("unknown anchor `{name}`"))),
            Event::DocumentStart(..) if self.root.is_some() => Err(self.wrong(at, "a second document: one a file")),
            _ => Ok(()),
        }
    }

    /// Whether a tag makes this text whatever it looks like. Tags outside YAML's own are refused.
    fn is_text(&self, tag: Option<&Tag>, at: Position) -> Result<bool, Problem> {
        match tag {
            None => Ok(false),
            Some(tag) => match tag.core_suffix() {
                Some(name) => Ok(name == "str"),
                None => Err(self.wrong(at, "tags are not supported")),
            },
        }
    }

    fn leaf(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), Problem> {
        self.finish(Node { at, content: Rc::new(content), size: 1, depth: 1 }, anchor)
    }

    fn close(&mut self, at: Position) -> Result<(), Problem> {
        let Some(Open { at, anchor, items, map, .. }) = self.open.pop() else {
            return Err(self.wrong(at, "not YAML: an end without a start"));
        };
        let children =
            || items.iter().chain(map.iter().flat_map(|(entries, _)| entries.iter().map(|(_, value)| value)));
        let size = 1 + children().map(|child| child.size).sum::<usize>();
        let depth = 1 + children().map(|child| child.depth).max().unwrap_or(0);
        let content = match map {
            Some((entries, _)) => Content::Map(entries),
            None => Content::List(items),
        };
        self.finish(Node { at, content: Rc::new(content), size, depth }, anchor)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        let at = node.at;
        // Children were counted when they were placed.
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place_counted(node, at, 1)
    }

    fn place_alias(&mut self, target: &Node, at: Position) -> Result<(), Problem> {
        let Node { size, depth, .. } = *target;
        self.place_counted(Rc::new(Node { at, content: Rc::clone(&target.content), size, depth }), at, size)
    }

    fn place_counted(&mut self, node: Rc<Node>, at: Position, size: usize) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MAX_NODES {
            return Err(self.wrong(at, format!("more than {MAX_NODES} values, aliases expanded")));
        }
        if node.depth > MAX_DEPTH {
            return Err(self.wrong(at, format!("nested deeper than {MAX_DEPTH}")));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.map {
            None => parent.items.push(node),
            Some((entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => match &*node.content {
                    Content::Scalar { text, .. } => *waiting = Some(Key { at, text: text.clone() }),
                    Content::List(_) | Content::Map(_) => return Err(self.wrong(at, "a key must be a plain text")),
                },
            },
        }
        Ok(())
    }

    /// What the parser says, and what would end the innermost bracket that is open there: most often it was forgotten.
    fn not_yaml(&self, at: Position, info: &str) -> Problem {
        let mut problem = self.wrong(at, format!("not YAML: {info}"));
        let brackets = self.open.iter().rev().find(|open| open.flow).map(|open| (open.at, open.map.is_none()));
        let unclosed = match brackets {
            _ if info.contains("quote") || info.contains("tab") => None,
            // The parser looks ahead: it may tell of a bracket before it has told that it is there.
            _ if info.contains("bracket '['") => Some((at, true)),
            _ if info.contains("bracket '{'") => Some((at, false)),
            found => found,
        };
        problem.allowed = unclosed.map(|(Position { line, column }, is_list)| {
            let (what, end) = if is_list { ("list", ']') } else { ("mapping", '}') };
            format!("the {what} that begins on line {line}, column {column} goes on with `,` or ends with `{end}`")
                .into()
        });
        problem
    }

    fn wrong(&self, at: Position, wrong: impl Into<Box<str>>) -> Problem {
        Problem::new(self.file, Some(at), "", wrong)
    }
}

fn position(marker: &Marker) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(marker.line().max(1)), column: number(marker.col() + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::given;

    fn problem(text: &str) -> String {
        Node::parse("f.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_an_error() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "~", "null\n"] {
            assert_eq!(problem(text), "f.yaml:1:1: the file is empty", "{text:?}");
        }
    }

    #[test]
    fn who_stands_back_gives_way_while_it_reads_and_while_it_frees() {
        let text = format!("[{}]", "a, ".repeat(100_000));
        std::thread::spawn(move || {
            crate::runtime::stand_back();
            let root = Node::parse("f.yaml", &text).unwrap();
            let reading = given();
            drop(root);
            assert!(!reading.is_zero() && given() > reading);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let root = Node::parse("f.yaml", "a: 1\nbé: [x, {c: \"d\"}]\n").unwrap();
        let Content::Map(entries) = &*root.content else { panic!() };
        let [(_, one), (key, list)] = entries.as_slice() else { panic!() };
        assert_eq!((one.at.line, one.at.column), (1, 4));
        assert_eq!((key.at.line, key.at.column), (2, 1));
        let Content::List(items) = &*list.content else { panic!() };
        assert_eq!((items[1].at.line, items[1].at.column), (2, 9));
    }

    #[test]
    fn syntax_errors_have_a_position() {
        assert!(problem("a: [1, 2\nb: 3\n").starts_with("f.yaml:2:"), "{}", problem("a: [1, 2\nb: 3\n"));
        for (text, told) in [
            ("a: [1, 2\nb: 3\n", "the list that begins on line 1, column 4 goes on with `,` or ends with `]`"),
            ("a: [1, 2\n", "the list that begins on line 1, column 4 goes on with `,` or ends with `]`"),
            ("a:\n  - { b: 1\n", "the mapping that begins on line 2, column 5 goes on with `,` or ends with `}`"),
            ("a: [{ b: 1 ]\n", "the mapping that begins on line 1, column 5 goes on with `,` or ends with `}`"),
        ] {
            assert!(problem(text).ends_with(told), "{text:?}: {}", problem(text));
        }
        assert!(problem("a: 'x\n").starts_with("f.yaml:"));
        assert!(problem("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(problem("a: !thing 1\n").contains("f.yaml:1:11: tags are not supported"));
        assert!(problem("[a]: 1\n").contains("a key must be a plain text"));
        assert!(problem("a: *b\n").starts_with("f.yaml:1:4: "), "{}", problem("a: *b\n"));
    }

    #[test]
    fn bombs_are_bounded() {
        let mut wide = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(", ");
            wide.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(problem(&wide).contains("aliases expanded"));
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..5000 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(problem(&deep).contains("nested deeper"));
        assert!(problem(&"[".repeat(100_000)).starts_with("f.yaml:1:"));
        assert!(problem(&"- ".repeat(100_000)).starts_with("f.yaml:1:"));
        assert!(problem("a: &a [*a]\n").starts_with("f.yaml:1:8: "));
    }

    #[test]
    fn an_alias_is_what_it_names() {
        let root = Node::parse("f.yaml", "a: &x {b: 1}\nc: *x\n").unwrap();
        let Content::Map(entries) = &*root.content else { panic!() };
        assert!(matches!(&*entries[1].1.content, Content::Map(inner) if inner[0].0.text == "b"));
        assert_eq!(entries[0].1.at, Position { line: 1, column: 7 });
        assert_eq!(entries[1].1.at, Position { line: 2, column: 4 }, "it stands where it was written");
    }
}
