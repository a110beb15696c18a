//! What was probably meant by a word that is not known.

/// The nearest of `names`, if one is near enough to be a slip of the hand.
pub fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let most = if written.chars().count() <= 4 { 1 } else { 2 };
    names
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours. Long words are not compared.
fn distance(a: &str, b: &str) -> usize {
    const MOST: usize = 64;
    let a: Vec<char> = a.chars().take(MOST + 1).map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().take(MOST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if a.len() > MOST || b.len() > MOST {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX - MOST);
            let mut best =
                (cell(&above, j) + usize::from(ca != cb)).min(cell(&above, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_named() {
        let names = ["address", "weight"];
        assert_eq!(did_you_mean("wieght", names).as_deref(), Some("did you mean `weight`?"));
        assert_eq!(did_you_mean("Weight", names).as_deref(), Some("did you mean `weight`?"));
        assert_eq!(did_you_mean("adress", names).as_deref(), Some("did you mean `address`?"));
        assert_eq!(did_you_mean("colour", names), None);
        assert_eq!(did_you_mean(&"w".repeat(10_000), names), None);
    }

    #[test]
    fn distances_are_edits() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }
}
