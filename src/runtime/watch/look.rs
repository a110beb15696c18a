//! What can be seen of files without reading them: enough to suppose a change, cheap enough for twice a second.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Watched;

/// More links in a row than this is a circle (as with the kernel's own ELOOP).
const MAX_LINKS: usize = 40;

/// Which directory a path means: its device and inode.
pub(super) type DirectoryId = (u64, u64);

/// A look at everything that is watched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look(Vec<(PathBuf, Option<Stat>)>);

/// What a file looks like, links followed.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stat {
    fn of(metadata: &Metadata) -> Stat {
        Stat {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Look {
    pub(super) fn at(watched: &Watched) -> Look {
        let mut seen: Vec<(PathBuf, Option<Stat>)> = Vec::new();
        let mut look = |path: PathBuf| {
            let stat = fs::metadata(&path).ok().map(|metadata| Stat::of(&metadata));
            seen.push((path, stat));
        };
        for directory in &watched.directories {
            let mut names: Vec<PathBuf> =
                fs::read_dir(here(directory)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            names.sort();
            look(directory.clone());
            names.into_iter().for_each(&mut look);
        }
        watched.files.iter().cloned().for_each(look);
        Look(seen)
    }
}

impl Watched {
    /// The directories whose entries matter, as far as they are there.
    pub(super) fn to_watch(&self) -> BTreeMap<PathBuf, DirectoryId> {
        let mut found = BTreeMap::new();
        let mut add = |directory: &Path| {
            let directory = here(directory);
            if let Ok(metadata) = fs::metadata(directory)
                && metadata.is_dir()
            {
                found.insert(directory.to_owned(), (metadata.dev(), metadata.ino()));
            }
        };
        for directory in &self.directories {
            add(directory);
        }
        for file in &self.files {
            let mut path = file.clone();
            for _ in 0..MAX_LINKS {
                let parent = path.parent().unwrap_or(Path::new("")).to_owned();
                add(&parent);
                match fs::read_link(&path) {
                    Ok(target) => path = parent.join(target),
                    Err(_) => break,
                }
            }
        }
        found
    }
}

/// The empty path means the working directory.
fn here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}
