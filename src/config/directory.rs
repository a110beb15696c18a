//! The servlets' directory: a file is a servlet, and its name is the servlet's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::discovery::{Problem, display_name};

/// The files of one servlet: one, or there is something wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) paths: Vec<PathBuf>,
}

impl Listed {
    /// The file to read; a problem when there are two, or when its name cannot be a servlet's.
    pub(super) fn path(&self, name: &str) -> Result<&Path, Box<Problem>> {
        let [first, rest @ ..] = self.paths.as_slice() else {
            return Err(Box::new(Problem::new(name, None, "", "no such file")));
        };
        if let [second, ..] = rest {
            let wrong = format!("the servlet `{name}` has two files: also {}", display_name(second));
            return Err(Box::new(Problem::new(display_name(first), None, "", wrong)));
        }
        if name.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            let wrong = "the file's name is no name for a servlet";
            return Err(Box::new(
                Problem::new(display_name(first), None, "", wrong).allowed("UTF-8 without control characters"),
            ));
        }
        Ok(first)
    }
}

/// The servlets that have a file in `directory`: `*.yaml` and `*.yml` that do not start with a dot.
pub(super) fn list(directory: &Path) -> Result<BTreeMap<String, Listed>, Box<Problem>> {
    let io = |error: std::io::Error| {
        let wrong = match error.kind() {
            std::io::ErrorKind::NotFound => "no such directory".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Box::new(Problem::new(display_name(directory), None, "", wrong))
    };
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
    for entry in fs::read_dir(here).map_err(io)? {
        let file_name = PathBuf::from(entry.map_err(io)?.file_name());
        let is_yaml = matches!(file_name.extension().and_then(|end| end.to_str()), Some("yaml" | "yml"));
        let name = file_name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if is_yaml && !name.starts_with('.') {
            let paths = &mut listed.entry(name).or_insert(Listed { paths: Vec::new() }).paths;
            paths.push(directory.join(file_name));
            paths.sort();
        }
    }
    Ok(listed)
}
