//! A header's value with parameters, `value; name=token; name="quoted"` (RFC 9110 §5.6.6): media types, `Accept`, and the
//! `Content-Disposition` of a form's part. Leans towards old writers: what is no parameter is passed over.

use std::borrow::Cow;

/// A value and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Valued<'a> {
    /// In lower case.
    pub(super) value: String,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Valued<'a> {
    pub(super) fn read(text: &'a str) -> Valued<'a> {
        let mut parts = split(text, b';');
        let value = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters = parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
        Valued { value, parameters: parameters.collect() }
    }

    /// The first parameter of a name, without its quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(unquoted(value))
    }
}

/// The parts of a list, at separators that stand outside quotes.
pub(super) fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = outside_quotes(text, separator);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

fn outside_quotes(text: &str, separator: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return byte == separator && !quoted,
        }
        false
    })
}

/// Only quotes and backslashes are taken for escaped: old browsers send `"C:\notes.txt"`.
fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"') else { return Cow::Borrowed(value) };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = characters.next_if(|next| character == '\\' && matches!(next, '"' | '\\'));
        plain.push(escaped.unwrap_or(character));
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_parameters_of_every_writing() {
        let cases = [
            ("Text/Plain", "text/plain", None),
            ("a/b;NAME=x", "a/b", Some("x")),
            (" a/b ; other=1 ;name = x ;name=y", "a/b", Some("x")),
            (r#"form-data; name="a;b\"c""#, "form-data", Some(r#"a;b"c"#)),
            (r#"form-data; name="C:\notes\\x""#, "form-data", Some(r"C:\notes\x")),
            (r#"form-data; name="open"#, "form-data", Some("open")),
            ("a/b; name=\"\"", "a/b", Some("")),
            ("a/b; name", "a/b", None),
            ("", "", None),
        ];
        for (text, value, name) in cases {
            let read = Valued::read(text);
            assert_eq!((&*read.value, read.parameter("name").as_deref()), (value, name), "{text}");
        }
    }

    #[test]
    fn a_list_is_split_outside_quotes() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[""]),
            ("a,b", &["a", "b"]),
            (r#"a;x=",",b"#, &[r#"a;x=",""#, "b"]),
            (r#"a;x="\",",b,"#, &[r#"a;x="\",""#, "b", ""]),
        ];
        for (text, parts) in cases {
            assert_eq!(split(text, b',').collect::<Vec<_>>(), *parts, "{text}");
        }
    }
}
