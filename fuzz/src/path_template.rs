//! Path templates and the paths that they match: a template is read again from its text, and spells of a path that mean the same
//! are matched and captured alike.

use telamon::schema::{Template, TemplateError, normalise};

use super::draw::two_texts;

fn check_template(text: &str, parse: fn(&str) -> Result<Template, TemplateError>) -> Option<Template> {
    match parse(text) {
        Ok(template) => {
            assert_eq!(template.text(), text);
            assert_eq!(parse(template.text()).as_ref(), Ok(&template));
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

fn captured(template: &Template, path: &str) -> Option<Vec<String>> {
    let captures = template.captures(path).ok()?;
    // Of several segments an encoded slash stays as it is spelled.
    Some(captures.iter().map(|value| value.replace("%2f", "%2F")).collect())
}

pub fn check(data: &[u8]) {
    let Some((text, path)) = two_texts(data) else { return };
    check_template(text, Template::parse_route);
    for (one, other) in [(text, path), (path, text)] {
        if normalise(one) == normalise(other) {
            let decoded = |text| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
            assert_eq!(decoded(one), decoded(other), "what is spelled the same means the same");
        }
    }
    let Some(template) = check_template(text, Template::parse) else { return };
    let path = path.split('?').next().unwrap_or_default();
    let matches = template.matches(path);
    if let Some(captured) = captured(&template, path)
        && matches
    {
        assert_eq!(captured.len(), template.variables().len());
    }
    if !has_broken_escapes(path) {
        let respelled = respelled(path);
        assert_eq!(template.matches(&respelled), matches, "{path} and {respelled}");
        if matches {
            assert_eq!(captured(&template, &respelled), captured(&template, path), "{path} and {respelled}");
        }
    }
}
