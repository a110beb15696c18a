//! Which fields an operator lets through, by their names. Denying wins over allowing. What gRPC itself lives by is never touched: a
//! list that could take a call's status away would turn every answer into an error.

use std::str::FromStr;

use http::{HeaderMap, HeaderName};

/// A name of a field, or how one begins: `x-tenant`, `x-internal-*`, `*`. Whatever the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    // In small letters; without the star.
    text: Box<str>,
    begins: bool,
}

/// Why a text is no pattern: what it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePatternError(pub &'static str);

impl NamePattern {
    /// All names.
    pub fn any() -> NamePattern {
        NamePattern { text: "".into(), begins: true }
    }

    fn is_any(&self) -> bool {
        self.begins && self.text.is_empty()
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        const GRAMMAR: &str =
            "a name of letters, digits, `-`, `_` and `.`, with a `*` at its end for all that begin so, or `*`";
        let text = text.to_ascii_lowercase();
        let (name, begins) = text.strip_suffix('*').map_or((text.as_str(), false), |start| (start, true));
        let in_grammar = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if !name.bytes().all(in_grammar) || (name.is_empty() && !begins) {
            return Err(NamePatternError(GRAMMAR));
        }
        if !begins && is_grpcs_own(name) {
            return Err(NamePatternError("a field that is not gRPC's own: those always go through"));
        }
        Ok(NamePattern { text: name.into(), begins })
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.text, if self.begins { "*" } else { "" })
    }
}

/// The fields of one direction that go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames {
    /// `None` for all.
    allowed: Option<Names>,
    denied: Names,
}

impl FieldNames {
    /// `None` when nothing is withheld, so that a call without lists does not look for any.
    pub fn new(allow: &[NamePattern], deny: &[NamePattern]) -> Option<FieldNames> {
        let allowed = (!allow.iter().any(NamePattern::is_any)).then(|| Names::new(allow));
        (allowed.is_some() || !deny.is_empty()).then(|| FieldNames { allowed, denied: Names::new(deny) })
    }

    /// Removes what does not go through.
    pub fn withhold(&self, fields: &mut HeaderMap) {
        if fields.keys().all(|name| self.lets_through(name.as_str())) {
            return;
        }
        let withheld: Vec<HeaderName> =
            fields.keys().filter(|name| !self.lets_through(name.as_str())).cloned().collect();
        for name in withheld {
            fields.remove(name);
        }
    }

    fn lets_through(&self, name: &str) -> bool {
        if is_grpcs_own(name) {
            return true;
        }
        // A caller is told why, unless a list says that it is not.
        let allowed = name == DETAILS || self.allowed.as_ref().is_none_or(|allowed| allowed.has(name));
        allowed && !self.denied.has(name)
    }
}

/// Names for looking up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    // Sorted.
    exact: Box<[Box<str>]>,
    beginnings: Box<[Box<str>]>,
}

impl Names {
    fn new(patterns: &[NamePattern]) -> Names {
        let of = |begins: bool| {
            let mut names: Vec<Box<str>> = patterns
                .iter()
                .filter(|pattern| pattern.begins == begins)
                .map(|pattern| pattern.text.clone())
                .collect();
            names.sort_unstable();
            names.dedup();
            names.into_boxed_slice()
        };
        Names { exact: of(false), beginnings: of(true) }
    }

    fn has(&self, name: &str) -> bool {
        self.exact.binary_search_by(|one| (**one).cmp(name)).is_ok()
            || self.beginnings.iter().any(|beginning| name.starts_with(&**beginning))
    }
}

/// The details of an error: metadata, although gRPC reserves its name.
const DETAILS: &str = "grpc-status-details-bin";

/// What is no metadata although it travels with it.
fn is_grpcs_own(name: &str) -> bool {
    match name {
        "content-type" | "te" => true,
        DETAILS | "grpc-trace-bin" | "grpc-tags-bin" => false,
        name => name.starts_with("grpc-"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const OWN: [&str; 6] = ["content-type", "te", "grpc-status", "grpc-message", "grpc-timeout", "grpc-encoding"];

    fn left(allow: &[&str], deny: &[&str], names: &[&'static str]) -> Vec<String> {
        let mut fields = HeaderMap::new();
        for name in names.iter().chain(&OWN) {
            fields.append(*name, HeaderValue::from_static("1"));
            fields.append(*name, HeaderValue::from_static("2"));
        }
        if let Some(lists) = FieldNames::new(&patterns(allow), &patterns(deny)) {
            lists.withhold(&mut fields);
        }
        assert!(OWN.iter().all(|name| fields.get_all(*name).iter().count() == 2), "gRPC's own go through");
        let metadata = fields.keys().map(|name| name.as_str().to_owned()).filter(|name| !OWN.contains(&name.as_str()));
        let mut metadata: Vec<String> = metadata.collect();
        metadata.sort();
        metadata
    }

    #[test]
    fn what_goes_through_is_allowed_and_not_denied() {
        let names = ["cookie", "x-a", "x-a-b", "x-internal-key", "x-internal", "grpc-trace-bin", DETAILS];
        type Lists = &'static [&'static str];
        let cases: [(Lists, Lists, Lists); 9] = [
            (&["*"], &[], &["cookie", DETAILS, "grpc-trace-bin", "x-a", "x-a-b", "x-internal", "x-internal-key"]),
            (&["*"], &["cookie"], &[DETAILS, "grpc-trace-bin", "x-a", "x-a-b", "x-internal", "x-internal-key"]),
            (&["*"], &["x-internal-*"], &["cookie", DETAILS, "grpc-trace-bin", "x-a", "x-a-b", "x-internal"]),
            (&["*"], &["X-Internal*", "Cookie"], &[DETAILS, "grpc-trace-bin", "x-a", "x-a-b"]),
            (&["*"], &["*"], &[]),
            (&["x-*"], &["x-a"], &[DETAILS, "x-a-b", "x-internal", "x-internal-key"]),
            (&["x-a", "cookie"], &[], &["cookie", DETAILS, "x-a"]),
            (&[], &[], &[DETAILS]),
            (&["*"], &["grpc-*"], &["cookie", "x-a", "x-a-b", "x-internal", "x-internal-key"]),
        ];
        for (allow, deny, expected) in cases {
            assert_eq!(left(allow, deny, &names), expected, "{allow:?} {deny:?}");
        }
        let denied = left(&["*"], &[DETAILS], &[DETAILS, "x-a"]);
        assert_eq!(denied, ["x-a"], "details may be kept from callers");
    }

    #[test]
    fn lists_that_withhold_nothing_are_none() {
        assert_eq!(FieldNames::new(&patterns(&["*"]), &[]), None);
        assert_eq!(FieldNames::new(&patterns(&["x-a", "*"]), &[]), None);
        assert!(FieldNames::new(&[], &[]).is_some());
    }

    #[test]
    fn only_names_of_metadata_are_patterns() {
        for text in ["x-a", "X_A.b", "*", "x-*", "9", "grpc-status-details-bin", "grpc-*", "authorization"] {
            assert_eq!(text.parse::<NamePattern>().unwrap().to_string(), text.to_ascii_lowercase());
        }
        for text in
            ["", "x *", "x-*-y", "**", ":path", "caf\u{e9}", "a!", "content-type", "TE", "grpc-status", "Grpc-Timeout"]
        {
            assert!(text.parse::<NamePattern>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn lists_mean_what_their_patterns_say_one_by_one(
            allow in proptest::collection::vec("[a-c]{1,3}\\*?|\\*", 0..4),
            deny in proptest::collection::vec("[a-c]{1,3}\\*?", 0..4),
            name in "[a-c]{1,4}",
        ) {
            let read = |texts: &[String]| -> Vec<NamePattern> { texts.iter().map(|text| text.parse().unwrap()).collect() };
            let fits = |text: &String| match text.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *text,
            };
            let expected = allow.iter().any(fits) && !deny.iter().any(fits);
            let lists = FieldNames::new(&read(&allow), &read(&deny));
            prop_assert_eq!(lists.is_none_or(|lists| lists.lets_through(&name)), expected);
        }
    }
}
