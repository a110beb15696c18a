//! Reading a file that others write while we read it: bounded, never a pipe or a device, known by the hash of its content.

use std::fs;
use std::hash::Hasher;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Position, Problem};
use crate::runtime::{give_way, give_way_now};

/// The largest file that is read. Descriptor sets of whole companies are a few MiB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// So much is read or hashed at a stretch: some tens of microseconds.
const PART_BYTES: usize = 64 * 1024;

/// What a file holds, as far as change is concerned. Not kept over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(u64);

impl ContentHash {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        for part in bytes.chunks(PART_BYTES) {
            hasher.write(part);
            give_way_now();
        }
        ContentHash(hasher.finish())
    }
}

/// A file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    pub bytes: Vec<u8>,
    pub hash: ContentHash,
    /// By which it is known again without being read; `None` when a later write may leave the file looking the same.
    pub stamp: Option<Stamp>,
}

impl FileText {
    /// What is in no file.
    pub fn of(bytes: Vec<u8>) -> FileText {
        FileText { hash: ContentHash::of(&bytes), bytes, stamp: None }
    }
}

/// What the system says of a file. Nobody can set the time of its last change but by setting the clock; only a store into a page that is
/// mapped and was written before may leave all of it as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file that changed so long before it was read is not written again within the same tick of the clock by which changes are stamped.
const SETTLED: Duration = Duration::from_secs(2);

impl Stamp {
    /// That of the file at `path`, links followed; `None` when there is none.
    pub fn at(path: &Path) -> Option<Stamp> {
        give_way();
        fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
    }

    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a write(2) after `now` would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
        now.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| changed + SETTLED <= now)
    }
}

/// The file systems that stamp a file when it is written, and not when they hear of it: those of a disk of this machine, and of memory
/// (statfs(2)). On any other, what is to be known is read.
const STAMPING: [u32; 9] = [
    0xef53,      // ext2 to ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0x2fc1_2fc1, // ZFS
    0xf2f5_2010, // F2FS
    0xca45_1a4e, // bcachefs
];

fn is_stamped(file: &fs::File) -> bool {
    // The magic numbers have 32 bits; the system's type is wider, and signed.
    rustix::fs::fstatfs(file).is_ok_and(|system| STAMPING.contains(&(system.f_type as u32)))
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
    let now = SystemTime::now();
    let Some((bytes, stamp)) = read_unchanged(&file, (&file).take(MAX_FILE_BYTES + 1)).map_err(io)? else {
        return Err(wrong("is being written".into()));
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let stamp = Some(stamp).filter(|stamp| stamp.is_settled(now) && is_stamped(&file));
    Ok(FileText { stamp, ..FileText::of(bytes) })
}

/// All of `reader`, which reads `file`; `None` when the file was written meanwhile, so that no half of it is taken for the whole.
fn read_unchanged(file: &fs::File, mut reader: impl Read) -> io::Result<Option<(Vec<u8>, Stamp)>> {
    let state = || file.metadata().map(|metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
    let metadata = file.metadata()?;
    let before = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_FILE_BYTES)).unwrap_or(0) + 1);
    while reader.by_ref().take(PART_BYTES as u64).read_to_end(&mut bytes)? > 0 {
        give_way_now();
    }
    Ok((state()? == before).then_some((bytes, Stamp::of(&metadata))))
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
    fn a_stamp_is_trusted_when_the_file_has_rested() {
        let stamp = Stamp { device: 1, inode: 1, size: 1, modified: (5, 0), changed: (1_000, 500) };
        let at = |seconds, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        for (now, settled) in
            [(at(999, 0), false), (at(1_002, 499), false), (at(1_002, 500), true), (at(9_999, 0), true)]
        {
            assert_eq!(stamp.is_settled(now), settled, "{now:?}");
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
