//! Path templates and the paths that they match: a template matches and captures what a plain reading of google/api/http.proto has
//! it match and capture, and spells of a path that mean the same are matched and captured alike.

use telamon::schema::{Template, TemplateError, normalise};

use super::draw::two_texts;

/// What stands in a segment: a byte, and whether it is encoded and has to be.
type Spelled = Vec<(u8, bool)>;

fn check_template(text: &str, parse: fn(&str) -> Result<Template, TemplateError>) -> Option<Template> {
    match parse(text) {
        Ok(template) => {
            assert_eq!(template.text(), text);
            assert!(template.variables().iter().all(|variable| text[variable.at..].starts_with(&*variable.field)));
            Some(template)
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.at) && !error.message.is_empty());
            None
        }
    }
}

fn has_broken_escapes(path: &str) -> bool {
    let is_escape = |from: &str| from.len() >= 2 && from.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    path.split('%').skip(1).any(|from| !is_escape(from))
}

/// As it may be spelled too.
fn respelled(path: &str) -> String {
    path.split('/').map(normalise).collect::<Vec<_>>().join("/")
}

/// `encodes`: in a template, what is not ASCII stands for its encoded bytes.
fn spelled(segment: &str, encodes: bool) -> Spelled {
    let mut rest = segment.as_bytes();
    let mut all = Vec::new();
    while let [byte, after @ ..] = rest {
        let digits = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.filter(|_| *byte == b'%') {
            Some(digits) => {
                let byte = u8::from_str_radix(digits, 16).expect("two digits");
                all.push((byte, !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte)));
                rest = &rest[3..];
            }
            None => {
                all.push((*byte, encodes && !byte.is_ascii()));
                rest = after;
            }
        }
    }
    all
}

/// The segments of a path, and the verb behind them.
fn cut(path: &str, with_verb: bool) -> Option<(Vec<&str>, Option<&str>)> {
    let whole = path.strip_prefix('/')?;
    let body = whole.trim_end_matches('/');
    if !with_verb {
        return Some((if body.is_empty() { Vec::new() } else { body.split('/').collect() }, None));
    }
    let (before, verb) = body.rsplit_once(':').filter(|(_, verb)| body == whole && !verb.contains('/'))?;
    Some((before.split('/').collect(), Some(verb)))
}

/// What a path holds for the variables of a template, or nothing where it does not match: an error where a value is no text.
/// `is_rule`: with variables and a verb.
fn read(template: &str, is_rule: bool, path: &str) -> Option<Result<Vec<String>, ()>> {
    let (body, verb) =
        template.split_once(':').filter(|_| is_rule).map_or((template, None), |(body, verb)| (body, Some(verb)));
    // Slashes within a variable are cut as others are; where each begins and ends is kept.
    let (mut patterns, mut spans) = (Vec::new(), Vec::new());
    for (at, part) in body.split(['{', '}']).enumerate() {
        let begin = patterns.len();
        let pattern = if at % 2 == 0 { part } else { part.split_once('=').map_or("*", |(_, pattern)| pattern) };
        patterns.extend(pattern.split('/').filter(|pattern| !pattern.is_empty()));
        if at % 2 == 1 {
            spans.push((begin, patterns.len()));
        }
    }
    let (segments, found) = cut(path, verb.is_some())?;
    let open = patterns.last() == Some(&"**");
    let least = patterns.len() - usize::from(open);
    let alike = |one: &str, other: &str| spelled(one, true) == spelled(other, false);
    let fits = (segments.len() == least || (open && segments.len() > least))
        && patterns.iter().zip(&segments).all(|(pattern, segment)| pattern.starts_with('*') || alike(pattern, segment))
        && verb.zip(found).is_none_or(|(verb, found)| alike(verb, found));
    fits.then(|| {
        let value = |(begin, end): &(usize, usize)| {
            let is_rest = open && *end == patterns.len();
            let several = is_rest || end - begin > 1;
            let taken = &segments[*begin.min(&segments.len())..if is_rest { segments.len() } else { *end }];
            let mut bytes = Vec::new();
            let joined = taken.join("/");
            for (byte, encoded) in spelled(&joined, false) {
                // Of several segments an encoded slash stays encoded.
                if several && encoded && byte == b'/' { bytes.extend_from_slice(b"%2F") } else { bytes.push(byte) }
            }
            String::from_utf8(bytes).map_err(|_| ())
        };
        spans.iter().map(value).collect()
    })
}

fn check_read(template: &Template, is_rule: bool, path: &str) {
    let expected = read(template.text(), is_rule, path);
    assert_eq!(template.matches(path), expected.is_some(), "{template} {path}");
    if let Some(expected) = expected {
        let expected = expected.ok().map(|values| values.iter().map(|value| value.replace("%2f", "%2F")).collect());
        assert_eq!(captured(template, path), expected, "{template} {path}");
    }
}

fn captured(template: &Template, path: &str) -> Option<Vec<String>> {
    let captures = template.captures(path).ok()?;
    // As it is spelled.
    Some(captures.iter().map(|value| value.replace("%2f", "%2F")).collect())
}

pub fn check(data: &[u8]) {
    let Some((text, path)) = two_texts(data) else { return };
    let (route, rule) = (check_template(text, Template::parse_route), check_template(text, Template::parse));
    // What a `%` stands for that is no escape is nobody's promise.
    if has_broken_escapes(path) {
        return;
    }
    if !has_broken_escapes(text) {
        assert_eq!(normalise(text) == normalise(path), spelled(text, false) == spelled(path, false));
    }
    let path = path.split('?').next().unwrap_or_default();
    if let Some(template) = route {
        check_read(&template, text.contains('{'), path);
    }
    let Some(template) = rule else { return };
    check_read(&template, true, path);
    let respelled = respelled(path);
    assert_eq!(template.matches(&respelled), template.matches(path), "{path} and {respelled}");
    if template.matches(path) {
        assert_eq!(captured(&template, &respelled), captured(&template, path), "{path} and {respelled}");
    }
}
