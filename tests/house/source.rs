//! Reading Rust as text, as far as the rules of the house need it: comments and strings taken out, paths read with their braces.

use std::collections::BTreeSet;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::slice;

/// One file of Rust.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Every file below `dir`, in order; none when there is no such directory.
    pub(crate) fn all(dir: &Path) -> Vec<Source> {
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
        paths.sort();
        let mut sources = Vec::new();
        for path in paths {
            if path.is_dir() {
                sources.extend(Source::all(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is UTF-8");
                sources.push(Source { path, text });
            }
        }
        sources
    }

    /// The path from `src` (or `tests`) on.
    pub(crate) fn shown(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.path.strip_prefix(root).unwrap_or(&self.path).display().to_string()
    }

    /// The module that the file is: `src/a/b.rs` is `a`, `b`. The roots, `lib.rs` and `main.rs`, are none.
    pub(crate) fn modules(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut below = false;
        for part in self.path.with_extension("").components() {
            let name = part.as_os_str().to_string_lossy().into_owned();
            if below {
                names.push(name);
            } else {
                below = name == "src";
            }
            // The last `src` of the path counts: a checkout may lie below another.
            if names.last().is_some_and(|name| name == "src") {
                names.clear();
            }
        }
        if names.last().is_some_and(|name| name == "mod") || names == ["lib"] || names == ["main"] {
            names.pop();
        }
        names
    }

    /// The folder or file right below `src/`.
    pub(crate) fn top(&self) -> Option<&str> {
        let first = self.modules().into_iter().next()?;
        self.path.components().map(|part| part.as_os_str().to_str().unwrap_or_default()).rev().find_map(|part| {
            let stem = part.strip_suffix(".rs").unwrap_or(part);
            (stem == first).then_some(stem)
        })
    }

    /// Whether all of the file is tests.
    pub(crate) fn is_test(&self) -> bool {
        self.modules().iter().any(|name| name == "tests")
    }

    /// Whatever right below the crate's root the file names.
    pub(crate) fn targets(&self) -> BTreeSet<String> {
        let tokens = tokens(&stripped(&self.text));
        let mut targets = BTreeSet::new();
        // The braces that are open, and whether each is a module's.
        let mut open: Vec<bool> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at)).map(String::as_str);
            match token.as_str() {
                "{" => open.push(before(2) == Some("mod")),
                "}" => drop(open.pop()),
                "crate" | "telamon" | "super" if before(1) != Some("::") => {
                    let depth = self.modules().len() + open.iter().filter(|module| **module).count();
                    for path in expanded(&tokens, index) {
                        let up = path.iter().take_while(|name| *name == "super").count();
                        let root = if up == 0 { 1 } else { up };
                        if up == 0 || up >= depth {
                            targets.extend(path.get(root).filter(|name| *name != "self").cloned());
                        }
                    }
                }
                _ => {}
            }
        }
        targets
    }
}

/// The text with comments blanked and the contents of strings and characters replaced by quotes; every newline stays.
pub(crate) fn stripped(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        let end = match (char, next) {
            ('/', Some('/')) => {
                chars.iter().skip(at).position(|char| *char == '\n').map_or(chars.len(), |length| at + length)
            }
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => string_end(&chars, at),
            ('r', Some('"' | '#')) if !follows_name(&chars, at) => raw_end(&chars, at),
            ('\'', _) => char_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(char);
            at += 1;
            continue;
        }
        let fill = if char == '/' { ' ' } else { '"' };
        out.extend(chars.iter().take(end).skip(at).map(|char| if *char == '\n' { '\n' } else { fill }));
        at = end;
    }
    out
}

fn follows_name(chars: &[char], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| chars.get(before))
        .is_some_and(|char| (char.is_alphanumeric() && *char != 'b') || *char == '_')
}

fn comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (Some('/'), Some('*')) => (depth, at) = (depth + 1, at + 2),
            (Some('*'), Some('/')) => (depth, at) = (depth - 1, at + 2),
            (Some(_), _) => at += 1,
            (None, _) => return chars.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match chars.get(at) {
            Some('\\') => at += 2,
            Some('"') => return at + 1,
            Some(_) => at += 1,
            None => return chars.len(),
        }
    }
}

/// `r"…"` and `r#"…"#`; a raw identifier such as `r#type` is no string.
fn raw_end(chars: &[char], start: usize) -> usize {
    let hashes = chars.iter().skip(start + 1).take_while(|char| **char == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = start + 2 + hashes;
    let found = chars.get(body..).unwrap_or_default().windows(closing.len()).position(|window| window == closing);
    found.map_or(chars.len(), |length| body + length + closing.len())
}

/// `'x'` and `'\n'`; a lifetime is no character.
fn char_end(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let close = chars.iter().skip(start + 3).position(|char| *char == '\'');
            close.map_or(chars.len(), |length| start + 3 + length + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

/// Stripped code without the items that are for tests only.
pub(crate) fn production(stripped: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut rest = stripped;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        rest = after.get(item_end(after)..).unwrap_or_default();
    }
    out + rest
}

/// Where the item ends that begins here: at its closing brace, or at its semicolon.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, char) in code.char_indices() {
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Lines that are neither empty nor comment.
pub(crate) fn own_lines(stripped: &str) -> usize {
    stripped.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Every path of the stripped code, a group in braces written out.
pub(crate) fn paths(stripped: &str) -> Vec<Vec<String>> {
    let tokens = tokens(stripped);
    let starts = (0..tokens.len()).filter(|index| {
        let follows = index.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token == "::");
        !follows && tokens.get(*index).is_some_and(|token| is_name(token))
    });
    starts.flat_map(|start| expanded(&tokens, start)).collect()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

/// Names, `::`, and every other character by itself.
fn tokens(stripped: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = stripped.chars().peekable();
    while let Some(char) = chars.next() {
        if char.is_whitespace() {
            continue;
        }
        let mut token = String::from(char);
        if char.is_alphanumeric() || char == '_' {
            while let Some(next) = chars.next_if(|next| next.is_alphanumeric() || *next == '_') {
                token.push(next);
            }
        } else if char == ':' && chars.next_if_eq(&':').is_some() {
            token.push(':');
        }
        tokens.push(token);
    }
    tokens
}

/// The paths that begin with the name at `start`.
fn expanded(tokens: &[String], start: usize) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut rest = tokens.get(start..).unwrap_or_default().iter().peekable();
    tree(&mut rest, &[], &mut paths);
    paths
}

fn tree(tokens: &mut Peekable<slice::Iter<'_, String>>, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    while let Some(name) = tokens.next_if(|token| is_name(token)) {
        path.push(name.clone());
        if tokens.next_if(|token| *token == "::").is_none() {
            break;
        }
    }
    if tokens.next_if(|token| *token == "{").is_none() {
        paths.push(path);
        return;
    }
    loop {
        match tokens.peek().map(|token| token.as_str()) {
            Some("}") | None => break,
            Some("{") => tree(tokens, &path, paths),
            Some(token) if is_name(token) => tree(tokens, &path, paths),
            Some(_) => {}
        }
        // Whatever stands between two branches: a comma, `as Name`, `*`.
        while tokens.next_if(|token| !matches!(token.as_str(), "," | "}")).is_some() {}
        tokens.next_if(|token| *token == ",");
    }
    tokens.next();
}
