//! Field masks: snake_case paths on the wire, one comma-separated lowerCamelCase string in JSON. A path that would not come back
//! the same is refused on either side, since a mask that changes on the way updates other fields.

/// How strictly a path's case is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// As JSON has it: an underscore is an error.
    Camel,
    /// As a query parameter has it: paths as the .proto spells them are taken too.
    Either,
}

/// The paths of a mask as JSON says it; `None` where one cannot be read.
pub(super) fn paths(text: &str, case: Case) -> impl Iterator<Item = Option<String>> {
    // No paths at all are one empty string.
    let paths = if text.is_empty() { None } else { Some(text.split(',')) };
    paths.into_iter().flatten().map(move |path| snake_case(path, case))
}

fn snake_case(path: &str, case: Case) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let mut snake = String::with_capacity(path.len() + 4);
    for character in path.chars() {
        match character {
            'A'..='Z' => {
                snake.push('_');
                snake.push(character.to_ascii_lowercase());
            }
            '_' if case == Case::Camel => return None,
            _ => snake.push(character),
        }
    }
    Some(snake)
}

/// Appends a path as JSON says it; `None` where it would not come back the same.
pub(super) fn camel_case(path: &str, out: &mut String) -> Option<()> {
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            // A comma ends a path.
            'A'..='Z' | ',' => return None,
            'a'..='z' if after_underscore => out.push(character.to_ascii_uppercase()),
            _ if after_underscore => return None,
            '_' => {}
            _ => out.push(character),
        }
        after_underscore = character == '_';
    }
    if after_underscore || path.is_empty() { None } else { Some(()) }
}
