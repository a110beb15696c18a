//! The comments in .proto files, by the full names of what they stand beside. Read for a document and for nothing else: a schema that
//! serves traffic does not keep them.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;
use prost_types::source_code_info::Location;

use super::super::place::SchemaError;
use super::super::sources::{self, Source};

/// Comments by full name: `pkg.Message`, `pkg.Message.field`, `pkg.Enum.VALUE`, `pkg.Service.Method`.
#[derive(Clone, Debug, Default)]
pub struct Comments(HashMap<String, String>);

impl Comments {
    /// Reads the comments of a schema's files; descriptor sets have them when they carry source information.
    ///
    /// # Errors
    /// All that is wrong with the files, as for [`Schema::build`](super::super::Schema::build).
    pub fn read(
        sources: &[Source],
        resolve: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Result<Comments, Vec<SchemaError>> {
        let (pool, _) = sources::compile(sources, resolve)?;
        let located: HashMap<String, HashMap<Vec<i32>, String>> =
            pool.files().map(|file| (file.name().to_owned(), by_path(&file))).collect();
        let mut comments = HashMap::new();
        let mut keep = |file: &FileDescriptor, path: &[i32], name: String| {
            if let Some(text) = located.get(file.name()).and_then(|comments| comments.get(path)) {
                comments.insert(name, text.clone());
            }
        };
        for message in pool.all_messages() {
            let file = message.parent_file();
            keep(&file, message.path(), message.full_name().to_owned());
            for field in message.fields() {
                keep(&file, field.path(), format!("{}.{}", message.full_name(), field.name()));
            }
        }
        for enumeration in pool.all_enums() {
            let file = enumeration.parent_file();
            keep(&file, enumeration.path(), enumeration.full_name().to_owned());
            for value in enumeration.values() {
                keep(&file, value.path(), format!("{}.{}", enumeration.full_name(), value.name()));
            }
        }
        for service in pool.services() {
            let file = service.parent_file();
            keep(&file, service.path(), service.full_name().to_owned());
            for method in service.methods() {
                keep(&file, method.path(), format!("{}.{}", service.full_name(), method.name()));
            }
        }
        Ok(Comments(comments))
    }

    /// The comment on what has this full name.
    pub fn of(&self, full_name: &str) -> Option<&str> {
        self.0.get(full_name).map(String::as_str)
    }
}

fn by_path(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    locations.iter().filter_map(|location| Some((location.path.clone(), comment(location)?))).collect()
}

/// The comment before it, else the one behind it; without the space that every line begins with.
fn comment(location: &Location) -> Option<String> {
    let text = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    let text = lines.join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}
