//! The compiler's complaints, all of them, as places and sentences.

use miette::Diagnostic;
use prost_reflect::DescriptorError;

use super::super::place::{Place, SchemaError};
use super::text::Text;

/// What is said of a file in Protobuf editions.
pub(super) const NO_EDITIONS: &str = "is written in Protobuf editions, which are not supported; use proto3 or proto2";

/// What a .proto's text got wrong.
pub(super) fn parse_errors(file: &str, text: &Text, error: &protox::Error, errors: &mut Vec<SchemaError>) {
    let before = errors.len();
    for complaint in std::iter::once(error as &dyn Diagnostic).chain(error.related().into_iter().flatten()) {
        let at = place(file, Some(text), complaint).unwrap_or_else(|| text.place(file, text.as_str().trim_end().len()));
        errors.push(SchemaError { place: at, message: sentence(complaint) });
    }
    // The parser only says that it expected something else.
    if let Some(first) = errors.get_mut(before)
        && let Some(line) =
            first.place.line.and_then(|line| text.as_str().lines().nth(usize::try_from(line).ok()?.checked_sub(1)?))
        && line.trim_start().starts_with("edition")
    {
        first.message = format!("this file {NO_EDITIONS}");
        errors.truncate(before + 1);
    }
}

/// What is wrong with a file that could be read: names, types, numbers, options. Descriptor sets have no text.
pub(super) fn check_errors(file: &str, text: Option<&Text>, error: &DescriptorError, errors: &mut Vec<SchemaError>) {
    let first = match (error.line(), error.column()) {
        (Some(line), Some(column)) => match text {
            Some(text) => text.place_of_column(file, line, column),
            None => Place::from_zero(file, line, column),
        },
        _ => Place::file(file),
    };
    // The parser gives the place of a whole option, and the label the same; positions within an option are not known.
    errors.push(SchemaError { place: first, message: sentence(error) });
    for complaint in error.related().into_iter().flatten() {
        let place = place(file, text, complaint).unwrap_or_else(|| Place::file(file));
        errors.push(SchemaError { place, message: sentence(complaint) });
    }
}

/// Where the complaint points. Of two labels, "first defined here" and "defined again here", the second is the one to mend.
fn place(file: &str, text: Option<&Text>, complaint: &dyn Diagnostic) -> Option<Place> {
    let labels: Vec<_> = complaint.labels()?.collect();
    let again = labels.iter().find(|label| label.label().is_some_and(|text| text.contains("again")));
    let at = again.or(labels.first())?.offset();
    text.map(|text| text.place(file, at))
}

fn sentence(complaint: &dyn Diagnostic) -> String {
    let mut message = complaint.to_string();
    if let Some(cause) = complaint.source() {
        message = format!("{message}: {cause}");
    }
    if message.contains("'google.api.http' is not defined") {
        message.push_str("; import \"google/api/annotations.proto\", which is known here");
    }
    match complaint.help() {
        Some(help) => format!("{message} ({help})"),
        None => message,
    }
}
