//! A bad file of each kind, and the very words it is answered with. The cases lie in `tests/data/config`: the files, then what is
//! expected, every problem a line.

use std::fs;
use std::path::Path;

use super::Tree;
use crate::config::load;

const SETTINGS: &str = "listeners: [{ name: in, address: 127.0.0.1:0 }]\n";

fn cases() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config");
    let mut cases: Vec<(String, String)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    cases.sort();
    cases
}

/// Lays out the files of a case and returns what is expected of it.
fn lay_out(case: &str, tree: &Tree) -> String {
    tree.write("telamon.yaml", SETTINGS);
    fs::create_dir_all(tree.path("servlets")).unwrap();
    let mut expected = None;
    for part in case.split("=== ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap();
        match name {
            "expected" => expected = Some(content.to_owned()),
            _ => tree.write(name, content),
        }
    }
    expected.expect("a case says what is expected")
}

#[test]
fn every_bad_file_is_answered_with_its_message() {
    let cases = cases();
    assert!(cases.len() > 40, "the cases are there");
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let tree = Tree::new();
        let expected = lay_out(&case, &tree);
        let told = load(&tree.path("telamon.yaml")).err().map(|report| tree.local(&report.to_string()));
        let told = told.unwrap_or_else(|| "nothing is wrong".into());
        if told != expected.trim_end() {
            wrong.push(format!("--- {name}\nexpected:\n{expected}told:\n{told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
