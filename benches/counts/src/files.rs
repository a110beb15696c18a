//! A configuration on disk, for as long as it is needed.

use std::fs;
use std::path::PathBuf;

pub(crate) struct Files(PathBuf);

impl Files {
    /// Paths and texts, beside a `telamon.yaml` with one listener.
    pub(crate) fn new(files: &[(&str, &str)]) -> Files {
        let root = std::env::temp_dir().join(format!("telamon-counts-{}", std::process::id()));
        let telamon = ("telamon.yaml", "listeners:\n  - { name: in, address: 127.0.0.1:0 }\n");
        for (path, text) in files.iter().chain([&telamon]) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        Files(root)
    }

    /// The file that leads to the others.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("telamon.yaml")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
