//! What can be seen of files without reading them: enough to suppose a change, cheap enough for twice a second.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
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

/// What matters in directories that others use too. Known by the directory's identity, because the kernel tells one name of a
/// directory that has several.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Directories in which everything matters.
    whole: HashSet<DirectoryId>,
    names: HashSet<(DirectoryId, OsString)>,
}

impl Wanted {
    pub(super) fn has(&self, directory: DirectoryId, name: &OsStr) -> bool {
        self.whole.contains(&directory) || self.names.contains(&(directory, name.to_owned()))
    }
}

impl Watched {
    /// The directories whose entries matter, as far as they are there, by absolute paths; and which entries those are.
    pub(super) fn to_watch(&self) -> (BTreeMap<PathBuf, DirectoryId>, Wanted) {
        let mut found = BTreeMap::new();
        let mut add = |directory: &Path| {
            let metadata = fs::metadata(directory).ok().filter(Metadata::is_dir)?;
            let id = (metadata.dev(), metadata.ino());
            found.insert(directory.to_owned(), id);
            Some(id)
        };
        let mut wanted = Wanted::default();
        for directory in &self.directories {
            wanted.whole.extend(add(&absolute(directory)));
        }
        // The files, the links to them, and whatever is above either: a directory on the way may be a link itself.
        let mut on_the_way: BTreeSet<PathBuf> = BTreeSet::new();
        for file in self.files.iter().chain(&self.directories) {
            let mut path = absolute(file);
            for _ in 0..MAX_LINKS {
                let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
                add(&parent);
                on_the_way.extend(path.ancestors().map(Path::to_owned));
                match fs::read_link(&path) {
                    Ok(target) => path = parent.join(target),
                    Err(_) => break,
                }
            }
        }
        for path in on_the_way {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
                && let Some(id) = found.get(parent)
            {
                wanted.names.insert((*id, name.to_owned()));
            }
        }
        (found, wanted)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(here(path)).unwrap_or_else(|_| path.to_owned())
}

/// The empty path means the working directory.
fn here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}
