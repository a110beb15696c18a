//! The demo's files: the ones that an operator would write, in a directory to look at and to edit.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{PROTO, Places, Replica};

/// The directory of the files. A temporary one is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    temporary: bool,
}

impl Files {
    /// Writes them into `dir`, which must be new or empty, or into a new temporary directory.
    ///
    /// # Errors
    /// A sentence with the path in it.
    pub(super) fn write(dir: Option<&Path>, places: &Places, replicas: &[Replica]) -> Result<Files, String> {
        let files = match dir {
            Some(dir) => {
                let told = |error| format!("{} cannot be used: {error}", dir.display());
                fs::create_dir_all(dir).map_err(told)?;
                if fs::read_dir(dir).map_err(told)?.next().is_some() {
                    return Err(format!("{} is not empty: the demo writes into a new directory", dir.display()));
                }
                Files { dir: fs::canonicalize(dir).map_err(told)?, temporary: false }
            }
            None => {
                Files { dir: temporary().map_err(|error| format!("no temporary directory: {error}"))?, temporary: true }
            }
        };
        files.write_all(places, replicas).map_err(|error| format!("{}: {error}", files.dir.display()))?;
        Ok(files)
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.dir.join("telamon.yaml")
    }

    pub(super) fn table(&self) -> PathBuf {
        self.dir.join("endpoints/bakery.yaml")
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn write_all(&self, places: &Places, replicas: &[Replica]) -> io::Result<()> {
        for dir in ["servlets", "endpoints", "protos"] {
            fs::create_dir(self.dir.join(dir))?;
        }
        fs::write(self.dir.join("protos/bakery.proto"), PROTO)?;
        fs::write(self.dir.join("servlets/bakery.yaml"), SERVLET)?;
        fs::write(self.table(), table(replicas))?;
        fs::write(self.settings(), settings(places))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A directory that nobody else can have made or can look into.
fn temporary() -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    let mut number = std::process::id();
    loop {
        let dir = base.join(format!("telamon-demo-{number}"));
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return fs::canonicalize(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.wrapping_add(1),
            Err(error) => return Err(error),
        }
    }
}

fn settings(places: &Places) -> String {
    let Places { proxy, admin } = places;
    format!(
        "# The process: where callers come in, and where operators look.
listeners:
  - name: ingress                   # HTTP/1.0, HTTP/1.1 and HTTP/2 on one port
    address: {proxy}
admin:
  address: {admin}
servlets: servlets/                 # a file more in it is a servlet more
"
    )
}

const SERVLET: &str = "# One servlet. Its endpoints are in ../endpoints/bakery.yaml, the file of the same name.
schema: ../protos/bakery.proto
services: [demo.v1.Bakery]
";

fn table(replicas: &[Replica]) -> String {
    let mut table = String::from(
        "# Who serves the bakery. Change a weight, save, and the next call follows it; 0 drains.\nendpoints:\n",
    );
    for Replica { bakery, weight, address } in replicas {
        table += &format!("  - {{ address: {address}, weight: {weight} }}   # {}\n", bakery.name());
    }
    table
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{BAKERS, Bakery};
    use super::*;

    fn replicas() -> Vec<Replica> {
        let replica = |(index, (name, weight)): (usize, (&str, u32))| Replica {
            bakery: Arc::new(Bakery::new(name, Duration::ZERO)),
            weight,
            address: ([127, 0, 0, 1], 50051 + index as u16).into(),
        };
        BAKERS.into_iter().enumerate().map(replica).collect()
    }

    fn places() -> Places {
        Places { proxy: ([127, 0, 0, 1], 8080).into(), admin: ([127, 0, 0, 1], 9900).into() }
    }

    #[test]
    fn what_is_written_is_what_run_would_load() {
        let files = Files::write(None, &places(), &replicas()).unwrap();
        let loaded = crate::config::load(&files.settings()).unwrap();
        let bakery = &loaded.servlets["bakery"];
        let endpoints: Vec<_> = bakery.table.endpoints().map(|spec| (spec.address.to_string(), spec.weight)).collect();
        let expected = [("127.0.0.1:50051", 3), ("127.0.0.1:50052", 2), ("127.0.0.1:50053", 1)];
        assert_eq!(endpoints, expected.map(|(address, weight)| (address.to_owned(), weight)));

        let dir = files.dir().to_owned();
        assert!(dir.is_dir());
        drop(files);
        assert!(!dir.exists());
    }

    #[test]
    fn a_directory_of_ones_own_stays_and_is_never_written_over() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("new/one");
        drop(Files::write(Some(&dir), &places(), &replicas()).unwrap());
        assert!(dir.join("telamon.yaml").is_file());
        let error = Files::write(Some(&dir), &places(), &replicas()).unwrap_err();
        assert!(error.contains("not empty"), "{error}");
    }
}
