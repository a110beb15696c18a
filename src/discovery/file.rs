//! Reading a file that others write while we read it: bounded, never a pipe or a device, known by the hash of its content.

use std::fs;
use std::hash::Hasher;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use super::{Position, Problem};

/// The largest file that is read. Descriptor sets of whole companies are a few MiB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// What a file holds, as far as change is concerned. Not kept over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(u64);

impl ContentHash {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(bytes);
        ContentHash(hasher.finish())
    }
}

/// A file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    pub bytes: Vec<u8>,
    pub hash: ContentHash,
}

impl FileText {
    /// The bytes as text, or where they stop being UTF-8.
    pub fn text(&self, file: &str) -> Result<&str, Problem> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let before = self.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let last = String::from_utf8_lossy(before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default());
            let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
            let line = number(before.iter().filter(|byte| **byte == b'\n').count());
            Problem::new(file, Some(Position { line, column: number(last.chars().count()) }), "", "not UTF-8 text")
        })
    }
}

/// Reads `path` whole. A problem says why it cannot be read.
pub fn read(path: &Path) -> Result<FileText, Problem> {
    let wrong = |wrong: String| Problem::new(display_name(path), None, "", wrong);
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => wrong("no such file".into()),
        _ => wrong(format!("cannot be read: {error}")),
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(wrong("is not a regular file".into()));
    }
    let file = fs::File::open(path).map_err(io)?;
    let Some(bytes) = read_unchanged(&file, (&file).take(MAX_FILE_BYTES + 1)).map_err(io)? else {
        return Err(wrong("is being written".into()));
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let hash = ContentHash::of(&bytes);
    Ok(FileText { bytes, hash })
}

/// All of `reader`, which reads `file`; `None` when the file was written meanwhile, so that no half of it is taken for the whole.
fn read_unchanged(file: &fs::File, mut reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let state = || file.metadata().and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
    let before = state()?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok((state()? == before).then_some(bytes))
}

/// `path` as meant in a file that lies in `directory`. `a/..` falls out where that is the same place, which it is not when `a` is
/// a symlink, so that one file has one name.
pub fn resolve(directory: &Path, path: &Path) -> PathBuf {
    shorten(&directory.join(path), |directory| !directory.is_symlink())
}

/// A path as an operator would type it: `a/../b` becomes `b`. Only for showing, because a symlink makes them differ.
pub fn display_name(path: &Path) -> String {
    shorten(path, |_| true).display().to_string()
}

fn shorten(path: &Path, may_leave: impl Fn(&Path) -> bool) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(short.components().next_back(), Some(Component::Normal(_))) && may_leave(&short) =>
            {
                short.pop();
            }
            _ => short.push(part),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn names_are_shown_short() {
        for (path, shown) in [
            ("config/servlets/../endpoints/a.yaml", "config/endpoints/a.yaml"),
            ("./a.yaml", "a.yaml"),
            ("../a/../b.yaml", "../b.yaml"),
            ("/a/../../b", "/../b"),
        ] {
            assert_eq!(display_name(Path::new(path)), shown);
        }
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_not_taken() {
        /// Reads, and has the file written between two reads.
        struct Written<'f>(&'f fs::File, Option<(PathBuf, &'static str)>);

        impl Read for Written<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.read(buffer)?;
                if let Some((path, more)) = self.1.take() {
                    fs::OpenOptions::new().append(true).open(path)?.write_all(more.as_bytes())?;
                }
                Ok(count)
            }
        }

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.yaml");
        for (more, taken) in [("", true), ("- 2\n", false)] {
            fs::write(&path, "- 1\n").unwrap();
            let file = fs::File::open(&path).unwrap();
            let bytes = read_unchanged(&file, Written(&file, Some((path.clone(), more)))).unwrap();
            assert_eq!(bytes.is_some(), taken, "{more:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let told = |path: &Path| read(path).unwrap_err().wrong.into_string();
        assert_eq!(told(&directory.path().join("none")), "no such file");
        assert_eq!(told(directory.path()), "is not a regular file");
        let path = directory.path().join("latin.yaml");
        fs::write(&path, b"a: 1\nb: \xc3\xa9 \xff").unwrap();
        assert_eq!(read(&path).unwrap().text("f").unwrap_err().to_string(), "f:2:6: not UTF-8 text");
    }
}
