//! A servlet's schema from the files that it names. What a .proto imports, and what that imports in turn, is looked for beside the
//! .proto, then upwards to the directory of `telamon.yaml`, then in `protos/` there: that finds a tree of .proto files wherever its
//! root is, without an option for it. What is not found so is looked for around the other files that the servlet names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::reading::{Reading, Recorder, Sources};
use super::servlet_file::REFLECTION;
use super::settings::FilePath;
use crate::discovery::{Position, Problem, Reader, Spanned, display_name, resolve};
use crate::schema::{Comments, Schema, Source};

/// How far up from a .proto that lies outside the directory of `telamon.yaml` its imports are looked for.
const MAX_ASCENT: usize = 8;
/// The most files that one schema may consist of.
const MAX_FILES: usize = 10_000;

/// Files by the names that a schema knows them by: those that they are imported by, and that messages call them by.
type Names = BTreeMap<String, PathBuf>;

/// A schema and what it was made from. As long as that is the same, so is the schema: it is not compiled again, nor kept twice.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) schema: Arc<Schema>,
    /// The files that the servlet names.
    named: Vec<PathBuf>,
    /// Them and their imports, and what was looked for in vain.
    sources: Sources,
    /// Each of them by the name that the schema knows it by.
    names: Names,
}

/// Files that make no schema, and why not.
#[derive(Debug)]
pub(super) struct Broken {
    sources: Sources,
    problems: Vec<Problem>,
}

/// What came of compiling.
pub(super) type Outcome = Result<Arc<Compiled>, Arc<Broken>>;

impl Compiled {
    /// A file of the schema as an operator would open it.
    pub(super) fn shown(&self, file: &str) -> String {
        shown(&self.names, file)
    }

    /// The comments in the files as they are now; none when they can no longer be read.
    pub(super) fn comments(&self, root: &Path) -> Comments {
        let (mut reading, mut seen) = (Reading::default(), Sources::default());
        let files = &mut reading.for_servlet(&mut seen);
        let mut tree = Tree { files, root, directories: Vec::new(), imports: BTreeMap::new(), names: BTreeMap::new() };
        let read = self.named.iter().filter_map(|path| Some((path.clone(), tree.read(path).ok()?)));
        let named: Vec<(PathBuf, Content)> = read.collect();
        tree.follow_imports(&named);
        let sources = tree.sources(named);
        Comments::read(&sources, &mut |import| tree.import(import)).unwrap_or_default()
    }
}

/// The schema in the descriptors at `path`, which the endpoints of `servlet` told; the error is why it cannot be used.
pub(super) fn reflected(
    servlet: &str,
    path: &Path,
    last: Option<&Arc<Compiled>>,
    files: &mut Recorder<'_>,
) -> Result<Arc<Compiled>, Vec<Problem>> {
    let mut sources = Sources::default();
    let read = files.for_part(&mut sources).file(path);
    files.include(&sources);
    let named = vec![path.to_owned()];
    if let Some(last) = last.filter(|last| last.named == named && last.sources == sources) {
        return Ok(Arc::clone(last));
    }
    let file = match &*read {
        Ok(file) => file,
        Err(problem) => return Err(vec![problem.clone()]),
    };
    let source = Source::DescriptorSet { name: display_name(path), bytes: file.bytes.clone().into() };
    match Schema::build(&[source], &mut |_| None) {
        Ok(schema) => Ok(Arc::new(Compiled { schema: Arc::new(schema), named, sources, names: Names::default() })),
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| {
                let at = error.place.line.map(|line| Position { line, column: error.place.column.unwrap_or(1) });
                let file = format!("{} (as the endpoints of {servlet} tell it)", error.place.file);
                Problem::new(file, at, "", error.message)
            })
            .collect()),
    }
}

/// Reads and compiles them, unless `last` was made from the same, or another servlet's in this reading: a thousand servlets over one .proto
/// have one schema. What is wrong is reported to `reader`, or returned when it stands
/// in a file of the schema.
pub(super) fn load(
    paths: &[Spanned<FilePath>],
    root: &Path,
    last: Option<&Arc<Compiled>>,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
) -> Result<Arc<Compiled>, Vec<Problem>> {
    let named: Vec<PathBuf> = paths.iter().map(|path| resolve(reader.directory(), &path.value.0)).collect();
    if let Some(last) = last.filter(|last| last.named == named)
        && files.are_still(&last.sources)
    {
        return Ok(Arc::clone(last));
    }
    if let Some(shared) = files.compiled(&named) {
        files.include(shared.as_ref().map_or_else(|broken| &broken.sources, |compiled| &compiled.sources));
        return shared.map_err(|broken| broken.problems.clone());
    }
    let mut sources = Sources::default();
    let result = compile(paths, &named, root, &mut files.for_part(&mut sources), reader);
    files.include(&sources);
    let outcome: Outcome = match result {
        Ok((schema, names)) => Ok(Arc::new(Compiled { schema, named: named.clone(), sources, names })),
        // Those of the servlet's own file have been reported, and each servlet has its own.
        Err(problems) if problems.is_empty() => return Err(problems),
        Err(problems) => Err(Arc::new(Broken { sources, problems })),
    };
    files.keep_compiled(named, outcome.clone());
    outcome.map_err(|broken| broken.problems.clone())
}

fn compile(
    paths: &[Spanned<FilePath>],
    named: &[PathBuf],
    root: &Path,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
) -> Result<(Arc<Schema>, Names), Vec<Problem>> {
    let mut tree = Tree { files, root, directories: Vec::new(), imports: BTreeMap::new(), names: BTreeMap::new() };
    let mut read = Vec::new();
    for (index, (path, full)) in paths.iter().zip(named).enumerate() {
        match tree.read(full) {
            Ok(content) => read.push((full.clone(), content)),
            Err(wrong) => report(reader, path.at, &key(paths, index), &path.value.0, &wrong),
        }
    }
    if read.len() != paths.len() {
        return Err(Vec::new());
    }
    let named = read;
    let mut clear = true;
    for (index, wrong) in tree.follow_imports(&named) {
        if let Some(path) = paths.get(index) {
            report(reader, path.at, &key(paths, index), &path.value.0, &wrong);
            clear = false;
        }
    }
    if !clear {
        return Err(Vec::new());
    }
    let sources = tree.sources(named);
    match Schema::build(&sources, &mut |import| tree.import(import)) {
        Ok(schema) => Ok((Arc::new(schema), tree.names)),
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| {
                let at = error.place.line.map(|line| Position { line, column: error.place.column.unwrap_or(1) });
                Problem::new(shown(&tree.names, &error.place.file), at, "", error.message)
            })
            .collect()),
    }
}

/// The key of the file of that index in the servlet's file.
fn key(paths: &[Spanned<FilePath>], index: usize) -> String {
    if paths.len() == 1 { "schema".to_owned() } else { format!("schema[{index}]") }
}

fn report(reader: &mut Reader, at: Position, key: &str, written: &Path, wrong: &str) {
    let problem = reader.report_at(Some(at), key, wrong);
    problem.value = Some(written.display().to_string().into());
}

/// A file that the servlet names.
enum Content {
    Proto(String),
    Set(Vec<u8>),
}

/// The files of a schema and what they are called.
struct Tree<'t, 'r> {
    files: &'t mut Recorder<'r>,
    root: &'t Path,
    /// Where imports are looked for, in this order, when they are not found around the file that leads to them.
    directories: Vec<PathBuf>,
    /// The imports that have been found, by name.
    imports: BTreeMap<String, PathBuf>,
    /// The name in messages and imports, and the path.
    names: Names,
}

impl Tree<'_, '_> {
    fn read(&mut self, path: &Path) -> Result<Content, String> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.file_name().is_some_and(|name| name == REFLECTION) {
            return Err("cannot stand beside files: `schema: reflection` is alone".into());
        }
        if !matches!(extension, "proto" | "pb" | "binpb") {
            return Err("is not allowed: a .proto file or a descriptor set, .pb or .binpb".into());
        }
        let wrong = |problem: &Problem| format!("cannot be read: {}: {}", display_name(path), problem.wrong);
        if extension == "proto" {
            for directory in self.around(path) {
                if !self.directories.contains(&directory) {
                    self.directories.push(directory);
                }
            }
            return self.files.text(path).map(Content::Proto).map_err(|problem| wrong(&problem));
        }
        match &*self.files.file(path) {
            Ok(file) => Ok(Content::Set(file.bytes.clone())),
            Err(problem) => Err(wrong(problem)),
        }
    }

    /// The directories where the imports of this file are looked for first.
    fn around(&self, path: &Path) -> Vec<PathBuf> {
        // Every path starts with an empty root, which is the working directory.
        let apart = path.is_absolute() || path.starts_with("..");
        let inside = path.starts_with(self.root) && !(self.root.as_os_str().is_empty() && apart);
        let mut upwards: Vec<PathBuf> = Vec::new();
        for directory in path.ancestors().skip(1).take(if inside { usize::MAX } else { MAX_ASCENT }) {
            upwards.push(directory.to_owned());
            if inside && directory == self.root {
                break;
            }
        }
        upwards.push(self.root.join("protos"));
        upwards
    }

    /// Finds what the named files and theirs import. A name is one file in a schema, so it is wrong when two of them lead to
    /// different ones: the second's index, and a sentence.
    fn follow_imports(&mut self, named: &[(PathBuf, Content)]) -> Vec<(usize, String)> {
        let mut wrong = Vec::new();
        // By directory, because all files in one lead to the same.
        let mut looked: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
        let mut leaders: BTreeMap<String, &Path> = BTreeMap::new();
        for (index, (named, content)) in named.iter().enumerate() {
            let Content::Proto(text) = content else { continue };
            let around = self.around(named);
            let looked = looked.entry(named.parent().unwrap_or(Path::new(""))).or_default();
            let mut queue = imports_of(text);
            while let Some(import) = queue.pop() {
                if looked.len() >= MAX_FILES || !looked.insert(import.clone()) || Schema::knows(&import) {
                    continue;
                }
                let Some(path) = self.find(&import, &around) else { continue };
                let text = self.files.text(&path).unwrap_or_default();
                queue.extend(imports_of(&text));
                match self.imports.get(&import) {
                    None => {
                        leaders.insert(import.clone(), named);
                        self.imports.insert(import, path);
                    }
                    Some(other) if *other == path || self.files.text(other).is_ok_and(|other| other == text) => {}
                    Some(other) => {
                        let leader = leaders.get(&import).map_or_else(String::new, |path| display_name(path));
                        wrong.push((
                            index,
                            format!(
                                "leads to {} for the import `{import}`, but {leader} to {}: they differ, and a schema has one file of a name",
                                display_name(&path),
                                display_name(other)
                            ),
                        ));
                    }
                }
            }
        }
        wrong
    }

    /// What the compiler is given, once imports have been followed.
    fn sources(&mut self, named: Vec<(PathBuf, Content)>) -> Vec<Source> {
        let imports: BTreeMap<PathBuf, String> =
            self.imports.iter().map(|(import, path)| (path.clone(), import.clone())).collect();
        named.into_iter().map(|(path, content)| self.source(path, content, &imports)).collect()
    }

    /// A named file that others import goes by the name they import it by, else the compiler would see it twice.
    fn source(&mut self, path: PathBuf, content: Content, imports: &BTreeMap<PathBuf, String>) -> Source {
        let name = imports.get(&path).cloned().unwrap_or_else(|| self.own_name(&path));
        self.names.insert(name.clone(), path);
        match content {
            Content::Proto(text) => Source::Proto { name, text },
            Content::Set(bytes) => Source::DescriptorSet { name, bytes: bytes.into() },
        }
    }

    /// The file's last name, or with its directories before it when another goes by that name.
    fn own_name(&self, path: &Path) -> String {
        let parts: Vec<String> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                _ => None,
            })
            .collect();
        (1..=parts.len())
            .filter_map(|length| Some(parts.get(parts.len() - length..)?.join("/")))
            .find(|name| !self.names.contains_key(name))
            .unwrap_or_else(|| path.display().to_string())
    }

    /// The file of that name in one of the directories, or where all imports are looked for.
    fn find(&mut self, import: &str, first: &[PathBuf]) -> Option<PathBuf> {
        let relative = Path::new(import);
        if import.contains('\0') || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let files = &mut self.files;
        let candidates = first.iter().chain(&self.directories).map(|directory| directory.join(relative));
        candidates.into_iter().find(|path| files.file(path).is_ok())
    }

    fn import(&mut self, import: &str) -> Option<String> {
        if self.names.len() > MAX_FILES {
            return None;
        }
        let path = match self.imports.get(import) {
            Some(path) => path.clone(),
            None => self.find(import, &[])?,
        };
        let text = self.files.text(&path).ok()?;
        self.names.insert(import.to_owned(), path);
        Some(text)
    }
}

fn shown(names: &Names, name: &str) -> String {
    names.get(name).map_or_else(|| name.to_owned(), |path| display_name(path))
}

/// The files that a .proto imports, read without parsing it: only files are chosen by this, so a comment that looks like an import
/// does little harm.
fn imports_of(text: &str) -> Vec<String> {
    let import = |statement: &str| {
        let rest = statement.trim_start().strip_prefix("import")?.trim_start();
        let rest = rest.strip_prefix("public").or_else(|| rest.strip_prefix("weak")).unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (name, _) = rest.get(1..)?.split_once(quote)?;
        Some(name.to_owned())
    };
    let text = text.trim_start_matches('\u{feff}');
    text.split([';', '\n']).filter_map(import).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beneath_the_root_is_looked_through_up_to_it() {
        let (mut reading, mut sources) = (Reading::default(), Sources::default());
        let mut files = reading.for_servlet(&mut sources);
        for (root, path, expected) in [
            ("", "a/b/s.proto", 4),
            ("", "/1/2/3/4/5/6/7/8/9/10/s.proto", MAX_ASCENT + 1),
            ("/etc", "/etc/1/2/3/4/5/6/7/8/9/10/s.proto", 12),
            ("/etc", "/1/2/3/4/5/6/7/8/9/10/s.proto", MAX_ASCENT + 1),
        ] {
            let tree = Tree {
                files: &mut files,
                root: Path::new(root),
                directories: Vec::new(),
                imports: BTreeMap::new(),
                names: BTreeMap::new(),
            };
            assert_eq!(tree.around(Path::new(path)).len(), expected, "{root} {path}");
        }
    }

    #[test]
    fn what_is_broken_is_compiled_once_and_told_to_every_servlet_over_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.proto");
        std::fs::write(&path, "syntax = \"proto3\"; message M { Missing m = 1; }").unwrap();
        let paths = [Spanned { at: Position { line: 1, column: 1 }, value: FilePath("s.proto".into()) }];
        let mut reading = Reading::default();
        let mut told = Vec::new();
        for _ in 0..2 {
            let mut sources = Sources::default();
            let mut reader = Reader::new("f", directory.path());
            let files = &mut reading.for_servlet(&mut sources);
            told.push((load(&paths, directory.path(), None, files, &mut reader).unwrap_err(), sources));
            // What is compiled from now on is not broken.
            let good = crate::discovery::FileText::of(b"syntax = \"proto3\";".to_vec());
            reading.put(&path, Some(Arc::new(Ok(good))));
        }
        assert_eq!(told.first().map(|(problems, _)| problems.len()), Some(1));
        assert_eq!(told.first(), told.last());
    }

    #[test]
    fn imports_are_seen_without_parsing() {
        let text = "syntax = \"proto3\"; import \"a/b.proto\";\nimport public 'c.proto';\n  import weak \"d.proto\" ;\nmessage importer {}\nimport broken;\nimport \"";
        assert_eq!(imports_of(text), ["a/b.proto", "c.proto", "d.proto"]);
    }
}
