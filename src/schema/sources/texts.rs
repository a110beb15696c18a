//! The texts that a schema was compiled from, for as long as it is being built: descriptors know where a method's option stands, and
//! the text tells where in it the path is that is wrong.

use std::collections::HashMap;

use prost_reflect::{FileDescriptor, MethodDescriptor};
use prost_types::SourceCodeInfo;
use prost_types::source_code_info::Location;

use super::super::place::Place;

/// .proto texts by name. Descriptor sets have none.
#[derive(Debug, Default)]
pub(in crate::schema) struct Texts {
    texts: HashMap<String, String>,
}

/// google.api.http within google.protobuf.MethodOptions, and those within google.protobuf.MethodDescriptorProto.
const HTTP_OPTION: [i32; 2] = [4, 72_295_728];

impl Texts {
    pub(super) fn new(texts: HashMap<String, String>) -> Texts {
        Texts { texts }
    }

    /// Where the definition of a descriptor's path stands.
    pub(in crate::schema) fn definition(&self, file: &FileDescriptor, path: &[i32]) -> Place {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        info.and_then(|info| location(file.name(), info, path)).unwrap_or_else(|| Place::file(file.name()))
    }

    /// Where `about` stands in the method's HTTP rule, and the byte `at` in it; as near to that as is known.
    pub(in crate::schema) fn rule(&self, method: &MethodDescriptor, about: &str, at: usize) -> Place {
        let file = method.parent_file();
        let path: Vec<i32> = method.path().iter().copied().chain(HTTP_OPTION).collect();
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let within =
            info.into_iter().flat_map(|info| &info.location).filter(|location| location.path.starts_with(&path));
        let mut option = None;
        for location in within {
            let Some((begin, end)) = self.texts.get(file.name()).and_then(|text| span(text, location)) else {
                continue;
            };
            let text = self.texts.get(file.name()).map(String::as_str).unwrap_or_default();
            let written = text.get(begin..end).unwrap_or_default();
            if let Some(found) = find(written, about) {
                return Place::of_byte(file.name(), text, begin + found + at);
            }
            option.get_or_insert_with(|| Place::of_byte(file.name(), text, begin));
        }
        option.unwrap_or_else(|| self.definition(&file, method.path()))
    }
}

/// Where `about` is written: as a string, else as a word. An escape in the string hides it, which costs the column only.
fn find(written: &str, about: &str) -> Option<usize> {
    if about.is_empty() {
        return None;
    }
    let quoted = ['"', '\''].into_iter().find_map(|quote| written.find(&format!("{quote}{about}{quote}")));
    quoted.map(|at| at + 1).or_else(|| written.find(about))
}

/// Where a descriptor's path stands in the file, by its source information.
pub(super) fn location(file: &str, info: &SourceCodeInfo, path: &[i32]) -> Option<Place> {
    let location = info.location.iter().find(|location| location.path == path)?;
    let [line, column, ..] = location.span.as_slice() else { return None };
    Some(Place::from_zero(file, usize::try_from(*line).ok()?, usize::try_from(*column).ok()?))
}

/// The bytes of the text that a location spans.
fn span(text: &str, location: &Location) -> Option<(usize, usize)> {
    let (begin, end) = match *location.span.as_slice() {
        [line, column, end] => ((line, column), (line, end)),
        [line, column, end_line, end] => ((line, column), (end_line, end)),
        _ => return None,
    };
    Some((byte(text, begin)?, byte(text, end)?))
}

/// The byte at a line and a column, both from 0.
fn byte(text: &str, (line, column): (i32, i32)) -> Option<usize> {
    let begin: usize = text.split_inclusive('\n').take(usize::try_from(line).ok()?).map(str::len).sum();
    let rest = text.get(begin..)?;
    let column = rest.char_indices().nth(usize::try_from(column).ok()?).map_or(rest.len(), |(at, _)| at);
    begin.checked_add(column)
}
