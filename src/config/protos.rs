//! A servlet's schema from the files that it names. A .proto's imports are looked for beside it, then upwards to the directory of
//! `telamon.yaml`, then in `protos/` there: that finds a tree of .proto files wherever its root is, without an option for it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::reading::Recorder;
use super::settings::FilePath;
use crate::discovery::{Position, Problem, Reader, Spanned, display_name, resolve};
use crate::schema::{Schema, Source};

/// How far up from a .proto that lies outside the directory of `telamon.yaml` its imports are looked for.
const MAX_ASCENT: usize = 8;
/// The most files that one schema may consist of.
const MAX_FILES: usize = 10_000;

/// Reads and compiles them. What is wrong is reported to `reader`, or returned when it stands in a file of the schema.
pub(super) fn load(
    paths: &[Spanned<FilePath>],
    root: &Path,
    files: &mut Recorder<'_>,
    reader: &mut Reader,
) -> Result<Arc<Schema>, Vec<Problem>> {
    let mut tree = Tree { files, root, directories: Vec::new(), names: BTreeMap::new() };
    let mut named = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let full = resolve(reader.directory(), &path.value.0);
        match tree.read(&full) {
            Ok(content) => named.push((full, content)),
            Err(wrong) => {
                let key = if paths.len() == 1 { "schema".to_owned() } else { format!("schema[{index}]") };
                report(reader, path.at, &key, &path.value.0, &wrong);
            }
        }
    }
    if named.len() != paths.len() {
        return Err(Vec::new());
    }
    let imports = tree.imports(&named);
    let sources: Vec<Source> = named.into_iter().map(|(path, content)| tree.source(path, content, &imports)).collect();
    match Schema::build(&sources, &mut |import| tree.import(import)) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| {
                let at = error.place.line.map(|line| Position { line, column: error.place.column.unwrap_or(1) });
                Problem::new(tree.shown(&error.place.file), at, "", error.message)
            })
            .collect()),
    }
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
    /// Where imports are looked for, in this order.
    directories: Vec<PathBuf>,
    /// The name in messages and imports, and the path.
    names: BTreeMap<String, PathBuf>,
}

impl Tree<'_, '_> {
    fn read(&mut self, path: &Path) -> Result<Content, String> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(extension, "proto" | "pb" | "binpb") {
            return Err("is not allowed: a .proto file or a descriptor set, .pb or .binpb".into());
        }
        let wrong = |problem: &Problem| format!("cannot be read: {}: {}", display_name(path), problem.wrong);
        if extension == "proto" {
            self.look_around(path);
            return self.files.text(path).map(Content::Proto).map_err(|problem| wrong(&problem));
        }
        match &*self.files.file(path) {
            Ok(file) => Ok(Content::Set(file.bytes.clone())),
            Err(problem) => Err(wrong(problem)),
        }
    }

    /// Adds the directories where the imports of this file are looked for.
    fn look_around(&mut self, path: &Path) {
        let inside = path.starts_with(self.root);
        let mut upwards: Vec<PathBuf> = Vec::new();
        for directory in path.ancestors().skip(1).take(if inside { usize::MAX } else { MAX_ASCENT }) {
            upwards.push(directory.to_owned());
            if inside && directory == self.root {
                break;
            }
        }
        upwards.push(self.root.join("protos"));
        for directory in upwards {
            if !self.directories.contains(&directory) {
                self.directories.push(directory);
            }
        }
    }

    /// What the named files and theirs import, as far as it is found: the path and the name it is imported by.
    fn imports(&mut self, named: &[(PathBuf, Content)]) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut queue: Vec<String> = Vec::new();
        for (_, content) in named {
            if let Content::Proto(text) = content {
                queue.extend(imports_of(text));
            }
        }
        while let Some(import) = queue.pop() {
            let Some(path) = self.find(&import) else { continue };
            if found.len() < MAX_FILES && !found.contains_key(&path) {
                if let Ok(text) = self.files.text(&path) {
                    queue.extend(imports_of(&text));
                }
                found.insert(path, import);
            }
        }
        found
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

    fn find(&mut self, import: &str) -> Option<PathBuf> {
        let relative = Path::new(import);
        if import.contains('\0') || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let candidates: Vec<PathBuf> = self.directories.iter().map(|directory| directory.join(relative)).collect();
        candidates.into_iter().find(|path| self.files.file(path).is_ok())
    }

    fn import(&mut self, import: &str) -> Option<String> {
        if self.names.len() > MAX_FILES {
            return None;
        }
        let path = self.find(import)?;
        let text = self.files.text(&path).ok()?;
        self.names.insert(import.to_owned(), path);
        Some(text)
    }

    fn shown(&self, name: &str) -> String {
        self.names.get(name).map_or_else(|| name.to_owned(), |path| display_name(path))
    }
}

/// The files that a .proto imports, read without parsing it: only names are chosen by this, so a comment that looks like an import
/// does no harm.
fn imports_of(text: &str) -> Vec<String> {
    let import = |statement: &str| {
        let rest = statement.trim_start().strip_prefix("import")?.trim_start();
        let rest = rest.strip_prefix("public").or_else(|| rest.strip_prefix("weak")).unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (name, _) = rest.get(1..)?.split_once(quote)?;
        Some(name.to_owned())
    };
    text.split([';', '\n']).filter_map(import).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_seen_without_parsing() {
        let text = "syntax = \"proto3\"; import \"a/b.proto\";\nimport public 'c.proto';\n  import weak \"d.proto\" ;\nmessage importer {}\nimport broken;\nimport \"";
        assert_eq!(imports_of(text), ["a/b.proto", "c.proto", "d.proto"]);
    }
}
