//! Where the instructions of a work go, by layer and by function: from callgrind's own file, self costs alone.

use std::collections::{BTreeMap, HashMap};

/// Instructions by name, most first.
pub(crate) type Shares = Vec<(String, u64)>;

/// What each function costs itself, without what it calls (the format is valgrind's callgrind manual, "Format Specification").
pub(crate) fn by_function(text: &str) -> Shares {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<&str, u64> = HashMap::new();
    let mut current = "";
    let mut is_call = false;
    for line in text.lines() {
        if let Some(spec) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            // "(7) name" the first time, "(7)" from then on.
            let (id, name) = spec.split_once(' ').unwrap_or((spec, ""));
            let name = if name.is_empty() { names.get(id).copied().unwrap_or(spec) } else { name };
            names.insert(id, name);
            if line.starts_with("fn=") {
                current = name;
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // Behind a call stands what it cost with all that it calls.
            if !std::mem::take(&mut is_call) {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
                *costs.entry(current).or_default() += cost;
            }
        }
    }
    sorted(costs.into_iter().map(|(name, cost)| (without_hash(name).to_owned(), cost)))
}

/// The same by whose code it is.
pub(crate) fn by_layer(functions: &Shares) -> Shares {
    sorted(functions.iter().map(|(name, cost)| (layer(name), *cost)))
}

fn sorted(costs: impl Iterator<Item = (String, u64)>) -> Shares {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (name, cost) in costs {
        *sums.entry(name).or_default() += cost;
    }
    let mut shares: Shares = sums.into_iter().collect();
    shares.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    shares
}

/// `name::h0123456789abcdef`, without the end that each build has anew; callgrind adds `'2` to what calls itself.
fn without_hash(name: &str) -> &str {
    let name = name.split('\'').next().unwrap_or(name);
    match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => before,
        _ => name,
    }
}

/// The crate that a function is of, and for ours the folder. What is of the language is told by what it is about: the first crate
/// that its name holds.
fn layer(name: &str) -> String {
    if name.starts_with("mi_") || name.starts_with("_mi_") {
        return "allocator".into();
    }
    let mut words =
        name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).filter(|word| word.contains("::"));
    let foreign = |word: &&str| !["core::", "alloc::", "std::", "::"].iter().any(|own| word.starts_with(own));
    let Some(word) = words.find(foreign) else {
        return if name.contains("::") { "core, alloc, std".into() } else { "libc".into() };
    };
    let mut parts = word.split("::");
    match (parts.next(), parts.next()) {
        (Some("telamon"), Some(folder)) => format!("telamon::{folder}"),
        (Some(name), _) => name.to_owned(),
        (None, _) => "?".to_owned(),
    }
}
