//! The texts that a schema was compiled from, for as long as it is being built: descriptors know where a method's option stands, and
//! the text tells where in it the path is that is wrong. Every method asks, so source information is put in order once for each file.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor};
use prost_types::SourceCodeInfo;
use prost_types::source_code_info::Location;

use super::super::place::Place;
use super::text::Text;

/// .proto texts by name, and all files' source information. Descriptor sets have no texts.
#[derive(Debug, Default)]
pub(in crate::schema) struct Texts {
    texts: HashMap<String, Text>,
    located: HashMap<String, Located>,
}

/// google.api.http within google.protobuf.MethodOptions, and those within google.protobuf.MethodDescriptorProto.
const HTTP_OPTION: [i32; 2] = [4, 72_295_728];

impl Texts {
    pub(super) fn new(texts: HashMap<String, Text>, pool: &DescriptorPool) -> Texts {
        let located = pool.files().map(|file| (file.name().to_owned(), Located::new(file))).collect();
        Texts { texts, located }
    }

    /// Where the definition of a descriptor's path stands.
    pub(in crate::schema) fn definition(&self, file: &FileDescriptor, path: &[i32]) -> Place {
        let location = self.located.get(file.name()).and_then(|located| located.at(path));
        location
            .and_then(|location| place(file.name(), self.texts.get(file.name()), location))
            .unwrap_or_else(|| Place::file(file.name()))
    }

    /// Where `about` stands in the method's HTTP rule, and the byte `at` in it; as near to that as is known.
    pub(in crate::schema) fn rule(&self, method: &MethodDescriptor, about: &str, at: usize) -> Place {
        let file = method.parent_file();
        let path: Vec<i32> = method.path().iter().copied().chain(HTTP_OPTION).collect();
        let known = self.texts.get(file.name()).zip(self.located.get(file.name()));
        let mut option = None;
        for (text, location) in
            known.into_iter().flat_map(|(text, located)| located.within(&path).into_iter().map(move |one| (text, one)))
        {
            let Some((begin, end)) = span(text, location) else { continue };
            let written = text.as_str().get(begin..end).unwrap_or_default();
            if let Some(found) = find(written, about) {
                return text.place(file.name(), begin + found + at);
            }
            option.get_or_insert_with(|| text.place(file.name(), begin));
        }
        option.unwrap_or_else(|| self.definition(&file, method.path()))
    }
}

/// A file's source information, found by path.
#[derive(Debug)]
struct Located {
    file: FileDescriptor,
    /// The locations' indices, by their paths; those of one path as they stand.
    order: Vec<usize>,
}

impl Located {
    fn new(file: FileDescriptor) -> Located {
        let locations = locations(&file);
        let mut order: Vec<usize> = (0..locations.len()).collect();
        order.sort_by_key(|index| locations.get(*index).map(|location| location.path.as_slice()));
        Located { file, order }
    }

    /// Those of this path and of longer ones that begin with it, with their indices.
    fn from(&self, path: &[i32]) -> impl Iterator<Item = (usize, &Location)> {
        let locations = locations(&self.file);
        let before = |index: &usize| locations.get(*index).is_some_and(|location| location.path.as_slice() < path);
        let begin = self.order.partition_point(before);
        self.order.iter().skip(begin).filter_map(|index| Some((*index, locations.get(*index)?)))
    }

    fn at(&self, path: &[i32]) -> Option<&Location> {
        self.from(path).next().map(|(_, location)| location).filter(|location| location.path == path)
    }

    /// All that is within the path, as it stands in the file.
    fn within(&self, path: &[i32]) -> Vec<&Location> {
        let mut within: Vec<_> = self.from(path).take_while(|(_, location)| location.path.starts_with(path)).collect();
        within.sort_by_key(|(index, _)| *index);
        within.into_iter().map(|(_, location)| location).collect()
    }
}

fn locations(file: &FileDescriptor) -> &[Location] {
    file.file_descriptor_proto().source_code_info.as_ref().map(|info| info.location.as_slice()).unwrap_or_default()
}

/// Where `about` is written: as a string, else as a word. An escape in the string hides it, which costs the column only.
fn find(written: &str, about: &str) -> Option<usize> {
    if about.is_empty() {
        return None;
    }
    let quoted = ['"', '\''].into_iter().find_map(|quote| written.find(&format!("{quote}{about}{quote}")));
    quoted.map(|at| at + 1).or_else(|| written.find(about))
}

/// Where a descriptor's path stands in a file that is not compiled yet.
pub(super) fn location(file: &str, text: Option<&Text>, info: &SourceCodeInfo, path: &[i32]) -> Option<Place> {
    place(file, text, info.location.iter().find(|location| location.path == path)?)
}

/// Where a location begins.
fn place(file: &str, text: Option<&Text>, location: &Location) -> Option<Place> {
    let [line, column, ..] = location.span.as_slice() else { return None };
    let (line, column) = (usize::try_from(*line).ok()?, usize::try_from(*column).ok()?);
    Some(match text {
        Some(text) => text.place_of_column(file, line, column),
        None => Place::from_zero(file, line, column),
    })
}

/// The bytes of the text that a location spans.
fn span(text: &Text, location: &Location) -> Option<(usize, usize)> {
    let (begin, end) = match *location.span.as_slice() {
        [line, column, end] => ((line, column), (line, end)),
        [line, column, end_line, end] => ((line, column), (end_line, end)),
        _ => return None,
    };
    let byte = |(line, column)| text.byte(usize::try_from(line).ok()?, usize::try_from(column).ok()?);
    Some((byte(begin)?, byte(end)?))
}
