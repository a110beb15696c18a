//! From nodes to values, reporting every mistake and going on. A decoder that returns `None` has reported why; the caller decodes
//! the rest of its fields before it gives up, so that one run shows all that is wrong.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use smallvec::SmallVec;

use super::{Content, Entry, Node, Position, Problem, description, did_you_mean};
use crate::runtime::give_way;

/// A value that can be read from a file that people write, and described to their editor.
pub trait Decode: Sized {
    /// Reads it. `None` when a problem has been reported.
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// The same where `base` stands for what is left out. Only a mapping with fixed keys has parts to leave out.
    fn decode_over(node: &Node, reader: &mut Reader, base: Option<&Self>) -> Option<Self> {
        let _ = base;
        Self::decode(node, reader)
    }

    /// What a key of this type stands for when it is left out; `None` when it must be written.
    fn absent() -> Option<Self> {
        None
    }

    /// The JSON Schema of what may be written.
    fn schema() -> Value;

    /// The value as it would be written, for showing a default; null when there is no short way to say it.
    fn written(&self) -> Value {
        Value::Null
    }
}

/// Where decoding is, and what it has found wrong so far. One a file.
pub struct Reader {
    file: String,
    directory: PathBuf,
    path: Vec<Step>,
    problems: Vec<Problem>,
    /// How many problems there are beyond those that are kept, and what is filled in for them and never shown.
    more: usize,
    unseen: Problem,
}

/// More problems than anybody reads; a file of nothing but mistakes must not fill the memory.
const MAX_PROBLEMS: usize = 200;

enum Step {
    Key(Cow<'static, str>),
    Index(usize),
}

/// Up to so many keys are compared with each other; a mapping of more is hashed.
const FEW_KEYS: usize = 16;

impl Reader {
    /// `file` is its name in messages; relative paths in it are meant from `directory`.
    pub fn new(file: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Reader {
            file: file.into(),
            directory: directory.into(),
            path: Vec::new(),
            problems: Vec::new(),
            more: 0,
            unseen: Problem::new("", None, "", ""),
        }
    }

    /// Reads a whole file as one `T`.
    pub fn document<T: Decode>(&mut self, text: &str) -> Option<T> {
        let root = self.root(text)?;
        T::decode(&root, self)
    }

    /// The tree of a whole file.
    pub fn root(&mut self, text: &str) -> Option<Rc<Node>> {
        Node::parse(&self.file, text).map_err(|problem| self.problems.push(problem)).ok()
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All that was found, in the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.at);
        if self.more > 0 {
            self.problems.push(Problem::new(self.file, None, "", format!("and {} problems more", self.more)));
        }
        self.problems
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Reports something at `at` under the path where decoding is, to be filled in further.
    pub fn report(&mut self, at: Position, wrong: impl Into<Box<str>>) -> &mut Problem {
        if self.is_full() {
            return self.count();
        }
        let problem = Problem::new(self.file.clone(), Some(at), self.path_text(), wrong);
        self.push(problem)
    }

    /// The same, where it is work to say more: `explain` is asked only for a problem that will be shown.
    pub fn report_with(&mut self, at: Position, wrong: &str, explain: impl FnOnce(&mut Problem)) {
        if self.is_full() {
            self.count();
        } else {
            explain(self.report(at, wrong));
        }
    }

    /// Reports something at `at` under `path`, written out.
    pub fn report_at(&mut self, at: Option<Position>, path: &str, wrong: impl Into<Box<str>>) -> &mut Problem {
        if self.is_full() {
            return self.count();
        }
        let problem = Problem::new(self.file.clone(), at, path, wrong);
        self.push(problem)
    }

    /// Whether further problems are only counted.
    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    fn count(&mut self) -> &mut Problem {
        self.more += 1;
        &mut self.unseen
    }

    fn push(&mut self, problem: Problem) -> &mut Problem {
        let index = self.problems.len();
        self.problems.push(problem);
        #[allow(clippy::indexing_slicing)] // it was pushed the line before
        &mut self.problems[index]
    }

    /// Reports that this value may not be there, and what may.
    pub fn reject<T>(&mut self, node: &Node, allowed: impl Into<Box<str>>) -> Option<T> {
        self.report_with(node.at, "is not allowed", |problem| {
            problem.value = Some(node.describe().into());
            problem.allowed = Some(allowed.into());
        });
        None
    }

    /// The same for a value that is no longer at hand as it was written.
    pub fn reject_at<T>(&mut self, at: Position, value: impl Into<String>, allowed: impl Into<Box<str>>) -> Option<T> {
        let value: String = value.into();
        let problem = self.report(at, "is not allowed");
        problem.value = Some(value.into());
        problem.allowed = Some(allowed.into());
        None
    }

    /// Decodes one step further down. A key that the program knows costs nothing to remember.
    pub fn key<R>(&mut self, key: impl Into<Cow<'static, str>>, decode: impl FnOnce(&mut Reader) -> R) -> R {
        self.step(Step::Key(key.into()), decode)
    }

    pub fn index<R>(&mut self, index: usize, decode: impl FnOnce(&mut Reader) -> R) -> R {
        self.step(Step::Index(index), decode)
    }

    fn step<R>(&mut self, step: Step, decode: impl FnOnce(&mut Reader) -> R) -> R {
        give_way();
        self.path.push(step);
        let result = decode(self);
        self.path.pop();
        result
    }

    /// The key's path, e.g. `groups.canary.endpoints[0].weight`.
    pub fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => {
                    text.push('.');
                    text.push_str(key);
                }
                // Writing to a String cannot fail.
                Step::Index(index) => drop(write!(text, "[{index}]")),
            }
        }
        text
    }

    /// The entries of a mapping; a key written twice is reported.
    pub fn fields<'n>(&mut self, node: &'n Node, allowed: impl Into<Box<str>>) -> Option<Fields<'n>> {
        let Content::Map(entries) = &*node.content else {
            return self.reject(node, allowed);
        };
        if entries.len() <= FEW_KEYS {
            for (place, (key, _)) in entries.iter().enumerate() {
                if let Some((first, _)) = entries.iter().take(place).find(|(first, _)| first.text == key.text) {
                    self.duplicate(&key.text, key.at, first.at);
                }
            }
        } else {
            let mut first: HashMap<&str, Position> = HashMap::new();
            for (key, _) in entries {
                match first.get(key.text.as_str()) {
                    Some(at) => self.duplicate(&key.text, key.at, *at),
                    None => drop(first.insert(&key.text, key.at)),
                }
            }
        }
        Some(Fields { at: node.at, entries, known: SmallVec::new() })
    }

    fn duplicate(&mut self, key: &str, at: Position, first: Position) {
        self.key(key.to_owned(), |reader| {
            reader.report_with(at, "", |problem| {
                problem.wrong = format!("duplicate key: first on line {}", first.line).into();
            });
        });
    }

    /// The items of a list, each decoded; `None` when one of them fails.
    pub fn list<T>(
        &mut self,
        node: &Node,
        allowed: &str,
        mut decode: impl FnMut(&Rc<Node>, &mut Reader) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Content::List(items) = &*node.content else {
            return self.reject(node, allowed);
        };
        // What follows a failure is decoded all the same: its mistakes are told too.
        let mut decoded = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.iter().enumerate() {
            let value = self.index(index, |reader| decode(item, reader));
            decoded = decoded.zip(value).map(|(mut values, value)| {
                values.push(value);
                values
            });
        }
        decoded
    }

    /// The text of a scalar; numbers written without quotes are text too.
    pub fn text<'n>(&mut self, node: &'n Node, allowed: &str) -> Option<&'n str> {
        match &*node.content {
            Content::Scalar { text, .. } if !node.is_null() => Some(text),
            _ => self.reject(node, allowed),
        }
    }
}

/// The entries of a mapping while its keys are asked for one by one.
pub struct Fields<'n> {
    /// Where the mapping begins.
    pub at: Position,
    entries: &'n [Entry],
    known: SmallVec<[&'static str; 4]>,
}

impl<'n> Fields<'n> {
    /// The entry of that key, which is known from now on.
    pub fn take(&mut self, name: &'static str) -> Option<&'n Entry> {
        self.known.push(name);
        self.entries.iter().find(|(key, _)| key.text == name)
    }

    /// Decodes the entry of that key, else takes `absent`; when there is neither, reports that it is missing and what it is about: the first
    /// sentence of `about`, the lines of its description.
    pub fn decode<T: Decode>(
        &mut self,
        name: &'static str,
        about: &[&str],
        absent: Option<T>,
        reader: &mut Reader,
    ) -> Option<T> {
        match self.take(name) {
            Some((_, node)) => reader.key(name, |reader| T::decode_over(node, reader, absent.as_ref())),
            None => match absent.or_else(T::absent) {
                Some(value) => Some(value),
                None => {
                    let at = self.at;
                    reader.key(name, |reader| {
                        reader.report_with(at, "is missing", |problem| {
                            let about = description(about);
                            let sentence = about.split_inclusive(". ").next().unwrap_or_default().trim();
                            problem.allowed = (!sentence.is_empty()).then(|| sentence.into());
                        });
                    });
                    None
                }
            },
        }
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, reader: &mut Reader) -> Option<()> {
        let mut clean = Some(());
        let mut told = HashSet::new();
        for (key, _) in self.entries {
            if self.known.contains(&key.text.as_str()) || !told.insert(&key.text) {
                continue;
            }
            clean = None;
            reader.key(key.text.clone(), |reader| {
                reader.report_with(key.at, "unknown key", |problem| {
                    problem.allowed = Some(format!("allowed here: {}", quoted_list(&self.known)).into());
                    problem.hint = did_you_mean(&key.text, self.known.iter().copied()).map(Into::into);
                });
            });
        }
        clean
    }
}

/// The keys that a mapping may have, as what is allowed where something else was written.
pub(crate) struct MappingWith(pub(crate) &'static [&'static str]);

impl From<MappingWith> for Box<str> {
    fn from(MappingWith(keys): MappingWith) -> Box<str> {
        format!("a mapping with {}", quoted_list(keys)).into()
    }
}

/// `` `a`, `b` ``.
pub fn quoted_list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A value and where it was written. Values are equal wherever they stand.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    pub value: T,
    pub at: Position,
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        Some(Spanned { value: T::decode(node, reader)?, at: node.at })
    }

    fn schema() -> Value {
        T::schema()
    }

    fn written(&self) -> Value {
        self.value.written()
    }
}

/// A value that may have turned out wrong: what is beside it is checked all the same. Whether all is well is for the reader to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lenient<T>(pub Option<T>);

impl<T: Decode> Decode for Lenient<T> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        Some(Lenient(T::decode(node, reader)))
    }

    fn absent() -> Option<Self> {
        T::absent().map(|value| Lenient(Some(value)))
    }

    fn schema() -> Value {
        T::schema()
    }

    fn written(&self) -> Value {
        self.0.as_ref().map(T::written).unwrap_or_default()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::decode(node, reader).map(Some)
    }

    fn decode_over(node: &Node, reader: &mut Reader, base: Option<&Self>) -> Option<Self> {
        T::decode_over(node, reader, base.and_then(Option::as_ref)).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema() -> Value {
        T::schema()
    }

    fn written(&self) -> Value {
        self.as_ref().map(T::written).unwrap_or_default()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        reader.list(node, "a list", |item, reader| T::decode(item, reader))
    }

    fn schema() -> Value {
        serde_json::json!({ "type": "array", "items": T::schema() })
    }

    fn written(&self) -> Value {
        self.iter().map(T::written).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_mistakes_is_told_up_to_a_bound() {
        let text: String = (0..10_000).map(|number| format!("k{number}: 1\n")).collect();
        let mut reader = Reader::new("f", "");
        let root = reader.root(&text).unwrap();
        let fields = reader.fields(&root, "").unwrap();
        assert_eq!(fields.finish(&mut reader), None);
        let problems = reader.into_problems();
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(problems[MAX_PROBLEMS].to_string(), "f: and 9800 problems more");
    }

    #[test]
    fn no_work_is_done_for_problems_that_nobody_will_see() {
        let at = Position { line: 1, column: 1 };
        let mut reader = Reader::new("f", "");
        let mut explained = 0;
        for _ in 0..10 * MAX_PROBLEMS {
            reader.report_with(at, "is wrong", |_| explained += 1);
        }
        assert_eq!(explained, MAX_PROBLEMS);

        /// An explanation whose making is a mistake.
        struct Unseen;
        impl From<Unseen> for Box<str> {
            fn from(_: Unseen) -> Box<str> {
                panic!("nobody will see it")
            }
        }
        let node = Node::parse("f", "[1]").unwrap();
        reader.report(at, Unseen);
        reader.report_at(None, "", Unseen);
        assert_eq!(reader.reject::<()>(&node, Unseen), None);
        assert_eq!(reader.into_problems().len(), MAX_PROBLEMS + 1);
    }
}
