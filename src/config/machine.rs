//! What files ask of the machine that it will not give, as far as that can be seen without taking it: the files are whole, and a
//! process started from them here would not run. Warnings, because `telamon check` is also run where the files are only written.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::{AccessLog, Loaded};
use crate::discovery::{Problem, display_name};

/// What would keep a process from starting here.
pub fn warnings(loaded: &Loaded) -> Vec<Problem> {
    let Some(log) = &loaded.settings.access_log else { return Vec::new() };
    let AccessLog::File(path) = &log.value else { return Vec::new() };
    let warning = |wrong: String| {
        let mut problem = Problem::new(display_name(&loaded.file), Some(log.at), "access_log", wrong);
        problem.value = Some(path.display().to_string().into());
        problem
    };
    not_writable(path).map(|why| warning(format!("cannot be written here: {why}"))).into_iter().collect()
}

/// Why a log cannot be written at `path`. Creates nothing.
fn not_writable(path: &Path) -> Option<String> {
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Some(plain(error.kind())),
    }
    // It would be created in its directory. A bare name lies in the current one.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => Some(format!("{} is no directory", directory.display())),
        Ok(_) => {
            use rustix::fs::{Access, access};
            let may = access(directory, Access::WRITE_OK | Access::EXEC_OK);
            may.err().map(|_| format!("no file can be created in {}", directory.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("there is no directory {}", directory.display()))
        }
        Err(error) => Some(format!("{}: {}", directory.display(), plain(error.kind()))),
    }
}

fn plain(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_written_is_told_and_nothing_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "old\n").unwrap();
        assert_eq!((not_writable(&at("file")), not_writable(&at("new"))), (None, None));
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "old\n");
        assert!(!at("new").exists());
        let told = |name: &str| not_writable(&at(name)).unwrap_or_else(|| panic!("{name}"));
        assert!(told("none/new").contains("there is no directory"), "{}", told("none/new"));
        assert!(told("file/new").contains("not a directory"), "{}", told("file/new"));
        assert_eq!(not_writable(directory.path()).unwrap(), "it is a directory");
    }
}
