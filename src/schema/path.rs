//! A request's path, cut where templates cut it: at slashes, and at the colon of a custom verb. Slashes at the end do not count, as in
//! Envoy; nothing else is normalised (`.`, `..` and empty segments stand), so that what is matched is what is forwarded.

use std::borrow::Cow;

use super::percent::normalise;

/// A path without its leading slash and without slashes at its end.
#[derive(Clone, Copy, Debug)]
pub struct RequestPath<'p> {
    body: &'p str,
    /// Whether there is a `%` in it: looked for once, since most paths have none.
    escaped: bool,
    /// Where the last colon is, when it is in the last segment and no slash follows.
    colon: Option<usize>,
}

impl<'p> RequestPath<'p> {
    /// `None` for what is no path, like the `*` of OPTIONS. `path` comes without its query.
    pub fn of(path: &'p str) -> Option<RequestPath<'p>> {
        let whole = path.strip_prefix('/')?;
        let body = whole.trim_end_matches('/');
        let last = body.rfind('/').map_or(0, |slash| slash + 1);
        let colon = if body.len() == whole.len() { body.get(last..).and_then(|last| last.rfind(':')) } else { None };
        Some(RequestPath { body, escaped: body.contains('%'), colon: colon.map(|colon| colon + last) })
    }

    /// The segments, with a colon taken as part of the last one.
    pub fn segments(self) -> Segments<'p> {
        Segments { rest: (!self.body.is_empty()).then_some(self.body), escaped: self.escaped }
    }

    /// The segments and the custom verb after the last colon, if the path can be read so.
    pub fn with_verb(self) -> Option<(Segments<'p>, &'p str)> {
        let (before, from) = self.body.split_at_checked(self.colon?)?;
        Some((Segments { rest: Some(before), escaped: self.escaped }, from.strip_prefix(':')?))
    }
}

/// The segments of a path. `rest` gives what has not been cut yet.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'p> {
    rest: Option<&'p str>,
    escaped: bool,
}

impl<'p> Segments<'p> {
    /// What is left, uncut; empty when nothing is.
    pub fn rest(self) -> &'p str {
        self.rest.unwrap_or_default()
    }

    /// The next segment in the spelling that templates have.
    pub fn next_spelled(&mut self) -> Option<Cow<'p, str>> {
        let segment = self.next()?;
        Some(if self.escaped { normalise(segment) } else { Cow::Borrowed(segment) })
    }

    /// Whether every segment has been taken.
    pub fn is_done(self) -> bool {
        self.rest.is_none()
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let rest = self.rest?;
        // Segments are short: a plain loop is quicker than the search that `split_once` would set up.
        let slash = rest.bytes().position(|byte| byte == b'/');
        self.rest = slash.and_then(|slash| rest.get(slash + 1..));
        rest.get(..slash.unwrap_or(rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_paths_are_cut() {
        type Cut<'c> = &'c [&'c str];
        type WithVerb<'c> = Option<(Cut<'c>, &'c str)>;
        let cases: &[(&str, Cut<'_>, WithVerb<'_>)] = &[
            ("/", &[], None),
            ("//", &[], None),
            ("/a", &["a"], None),
            ("/a/", &["a"], None),
            ("/a//b///", &["a", "", "b"], None),
            ("/a/b:c", &["a", "b:c"], Some((&["a", "b"], "c"))),
            ("/a/b:c:d", &["a", "b:c:d"], Some((&["a", "b:c"], "d"))),
            ("/a:b/c", &["a:b", "c"], None),
            ("/a:b/", &["a:b"], None),
            ("/:v", &[":v"], Some((&[""], "v"))),
            ("/a/../b", &["a", "..", "b"], None),
        ];
        for (path, segments, verb) in cases {
            let cut = RequestPath::of(path).unwrap();
            assert_eq!(cut.segments().collect::<Vec<_>>(), *segments, "{path}");
            let read = cut.with_verb().map(|(segments, verb)| (segments.collect::<Vec<_>>(), verb));
            assert_eq!(read, verb.map(|(segments, verb)| (segments.to_vec(), verb)), "{path}");
        }
        for path in ["", "*", "a/b"] {
            assert!(RequestPath::of(path).is_none(), "{path}");
        }
    }
}
