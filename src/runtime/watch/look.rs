//! What can be seen of files without reading them: enough to suppose a change, cheap enough to do it again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Watched;
use crate::runtime::give_way;

/// More links in a row than this is a circle (as with the kernel's own ELOOP).
const MAX_LINKS: usize = 40;

/// Which directory a path means: its device and inode.
pub(super) type DirectoryId = (u64, u64);

/// A look at everything that is watched. Two can be compared when they are at the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    directories: Vec<(Option<Stat>, u64)>,
    files: Vec<Option<Stat>>,
}

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
    fn at(path: &Path) -> Option<Stat> {
        give_way();
        let metadata = fs::metadata(path).ok()?;
        Some(Stat {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Look {
    /// `state`: the same for looks that are to be compared.
    pub(super) fn at(watched: &Watched, state: &RandomState) -> Look {
        let directories = watched.directories.iter().map(|path| (Stat::at(here(path)), names(path, state))).collect();
        Look { directories, files: watched.files.iter().map(|path| Stat::at(path)).collect() }
    }

    /// Whether a link leads elsewhere than it did `before`, as far as a look at the same files shows.
    pub(super) fn is_relinked(&self, before: &Look, watched: &Watched) -> bool {
        let files = watched.files.iter().zip(self.files.iter().zip(&before.files));
        files.filter(|(_, (now, before))| now != before).any(|(path, _)| path.is_symlink())
    }
}

/// Stands for the names in a directory and what they lead to, in whatever order the system tells them.
fn names(directory: &Path, state: &RandomState) -> u64 {
    let entries = fs::read_dir(here(directory)).into_iter().flatten().flatten();
    let hash = |entry: DirEntry| {
        give_way();
        state.hash_one((entry.file_name(), entry.ino()))
    };
    entries.map(hash).fold(0, u64::wrapping_add)
}

/// What matters in directories that others use too. Known by the directory's identity, because the kernel tells one name of a
/// directory that has several.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Directories in which everything matters.
    whole: HashSet<DirectoryId>,
    names: HashMap<DirectoryId, HashSet<OsString>>,
}

impl Wanted {
    pub(super) fn has(&self, directory: DirectoryId, name: &OsStr) -> bool {
        self.whole.contains(&directory) || self.names.get(&directory).is_some_and(|names| names.contains(name))
    }
}

/// The directories whose entries matter, by absolute paths, and which of them are there.
pub(super) type Directories = BTreeMap<PathBuf, Option<DirectoryId>>;

/// Which directory is at `path`, if one is.
pub(super) fn directory_at(path: &Path) -> Option<DirectoryId> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

impl Watched {
    /// The directories whose entries matter, and which entries those are.
    pub(super) fn to_watch(&self) -> (Directories, Wanted) {
        let mut found = Directories::new();
        let mut wanted = Wanted::default();
        for directory in &self.directories {
            let path = absolute(directory);
            let id = *found.entry(path).or_insert_with_key(|path| directory_at(path));
            wanted.whole.extend(id);
        }
        // The files, the links to them, and whatever is above either: a directory on the way may be a link itself.
        for file in self.files.iter().chain(&self.directories) {
            give_way();
            let mut path = absolute(file);
            for _ in 0..MAX_LINKS {
                let parent = path.parent().unwrap_or(Path::new("/"));
                let id = match found.get(parent) {
                    Some(id) => *id,
                    None => *found.entry(parent.to_owned()).or_insert_with_key(|path| directory_at(path)),
                };
                if let (Some(id), Some(name)) = (id, path.file_name()) {
                    wanted.names.entry(id).or_default().insert(name.to_owned());
                }
                match fs::read_link(&path) {
                    Ok(target) => path = parent.join(target),
                    Err(_) => break,
                }
            }
        }
        // Where one is missing, it is seen to come in the nearest directory above it that is there.
        let missing: Vec<PathBuf> = found.iter().filter(|(_, id)| id.is_none()).map(|(path, _)| path.clone()).collect();
        for path in missing {
            for above in path.ancestors().skip(1) {
                if found.entry(above.to_owned()).or_insert_with_key(|path| directory_at(path)).is_some() {
                    break;
                }
            }
        }
        let above: BTreeSet<&Path> = found.keys().flat_map(|directory| directory.ancestors()).collect();
        for path in above {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
                && let Some(Some(id)) = found.get(parent)
            {
                wanted.names.entry(*id).or_default().insert(name.to_owned());
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
