//! What files ask of the machine that it will not give, as far as that can be seen without taking it: the files are whole, and a
//! process started from them here would not run. Warnings, because `telamon check` is also run where the files are only written.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::{AccessLog, Loaded, Settings};
use crate::discovery::{Position, Problem, Spanned, display_name};
use crate::model::Address;

/// What would keep a process from starting here.
pub fn warnings(loaded: &Loaded) -> Vec<Problem> {
    let Settings { access_log, listeners, admin, .. } = &loaded.settings;
    let mut warnings = Vec::new();
    let mut warn = |at: Position, key: &str, value: String, wrong: String| {
        let mut problem = Problem::new(display_name(&loaded.file), Some(at), key.to_owned(), wrong);
        problem.value = Some(value.into());
        warnings.push(problem);
    };
    if let Some(Spanned { value: AccessLog::File(path), at }) = access_log
        && let Some(why) = not_writable(path)
    {
        warn(*at, "access_log", path.display().to_string(), format!("cannot be written here: {why}"));
    }
    let listening =
        listeners.0.iter().enumerate().map(|(index, one)| (format!("listeners[{index}].address"), &one.address));
    for (key, address) in listening.chain(admin.iter().map(|admin| ("admin.address".to_owned(), &admin.address))) {
        if let Address::Unix(path) = &address.value
            && let Some(why) = directory_lacks(path)
        {
            warn(address.at, &key, address.value.to_string(), format!("cannot be listened on here: {why}"));
        }
    }
    warnings
}

/// Why a log cannot be written at `path`. Creates nothing.
fn not_writable(path: &Path) -> Option<String> {
    // Opening a pipe would wait for its reader, for ever if there is none.
    if fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo()) {
        return Some("is a pipe; name a file".to_owned());
    }
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Some(plain(error.kind())),
    }
    directory_lacks(path)
}

/// Why nothing can be created at `path`, in its directory. A bare name lies in the current one.
fn directory_lacks(path: &Path) -> Option<String> {
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
    fn a_pipe_is_told_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(not_writable(&path).unwrap(), "is a pipe; name a file");
    }

    #[test]
    fn a_socket_in_a_directory_that_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let settings = "listeners:\n  - { name: a, address: unix:a.sock }\n  - { name: b, address: unix:none/b.sock }\nadmin: { address: unix:none/c.sock }\n";
        fs::write(directory.path().join("telamon.yaml"), settings).unwrap();
        fs::create_dir(directory.path().join("servlets")).unwrap();
        let told = warnings(&crate::config::load(&directory.path().join("telamon.yaml")).unwrap());
        let keys: Vec<String> = told.iter().map(|problem| problem.path.to_string()).collect();
        assert_eq!(keys, ["listeners[1].address", "admin.address"]);
        assert!(told[0].wrong.contains("there is no directory"), "{}", told[0]);
    }

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
