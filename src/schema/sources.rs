//! From what an operator names to one descriptor pool: .proto texts are parsed, descriptor sets taken apart, imports fetched, all of it
//! added in the order of the imports. A file's name is its identity. What is known here (google/api, google/rpc, google/protobuf) is never asked
//! for, so that a schema means the same wherever it is loaded; a descriptor set's own copy of such a file is used, since its other files
//! were compiled against it.

mod depth;
mod report;
mod text;
mod texts;

use std::collections::{BTreeMap, HashSet};

use bytes::{Buf, Bytes};
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::DescriptorPool;
use prost_types::{DescriptorProto, FileDescriptorProto, SourceCodeInfo};
use protox::file::{File, FileResolver as _, GoogleFileResolver};

use super::place::{Place, SchemaError};
use text::Text;
pub(super) use texts::Texts;

/// A schema file, as read.
#[derive(Clone, Debug)]
pub enum Source {
    /// A .proto: the name that others import it by, and its text.
    Proto { name: String, text: String },
    /// A `google.protobuf.FileDescriptorSet`: its name for messages, and its bytes.
    DescriptorSet { name: String, bytes: Bytes },
}

const TOO_DEEP: &str = "this option's value is nested too deep: at most 100 messages within each other are read";
const _: () = assert!(depth::MAX_DEPTH == 100, "the message says how deep");

/// A file that takes part.
struct Unit {
    /// With the text, when it is a .proto.
    text: Option<Text>,
    /// As encoded, when it comes from a descriptor set: keeps options that are not defined here.
    encoded: Option<Bytes>,
    descriptor: FileDescriptorProto,
}

#[derive(Default)]
struct Units {
    files: BTreeMap<String, Unit>,
    errors: Vec<SchemaError>,
}

pub(super) fn compile(
    sources: &[Source],
    resolve: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<(DescriptorPool, Texts), Vec<SchemaError>> {
    let mut units = Units::default();
    for source in sources {
        match source {
            Source::Proto { name, text } => units.add_text(name, text.clone()),
            Source::DescriptorSet { name, bytes } => units.add_set(name, bytes.clone()),
        }
    }
    units.fetch_imports(resolve);
    let (order, mut broken) = units.in_order();
    let mut pool = DescriptorPool::new();
    for name in order {
        let Some(unit) = units.files.get(&name) else { continue };
        // What only follows from the error of an import is not told as well.
        let lacks = |import: &String| broken.contains(import) || !units.files.contains_key(import);
        let whole = !broken.contains(&name) && !unit.descriptor.dependency.iter().any(lacks);
        if !whole || !add_to_pool(&mut pool, &name, unit, &mut units.errors) {
            broken.insert(name);
        }
    }
    if !units.errors.is_empty() {
        return Err(units.errors);
    }
    let texts = units.files.into_iter().filter_map(|(name, unit)| Some((name, unit.text?))).collect();
    let texts = Texts::new(texts, &pool);
    Ok((pool, texts))
}

fn add_to_pool(pool: &mut DescriptorPool, name: &str, unit: &Unit, errors: &mut Vec<SchemaError>) -> bool {
    let added = match &unit.encoded {
        Some(encoded) => pool.decode_file_descriptor_proto(encoded.clone()),
        None => pool.add_file_descriptor_proto(unit.descriptor.clone()),
    };
    match added {
        Ok(()) => true,
        Err(error) => {
            match &unit.text {
                // Labels are found by lines and columns, and descriptors count columns in bytes.
                Some(text) => {
                    let error = error.with_source_code(&text.of_single_bytes());
                    report::check_errors(name, Some(text), &error, errors);
                }
                None => report::check_errors(name, None, &error, errors),
            }
            false
        }
    }
}

impl Units {
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(SchemaError { place, message: message.into() });
    }

    fn add_text(&mut self, name: &str, mut text: String) {
        // Some editors begin a file with a byte order mark, which is no part of what it says; protoc skips it.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let parsed = File::from_source(name, &text);
        let text = Text::new(text);
        let descriptor = match parsed {
            Ok(file) => FileDescriptorProto::from(file),
            Err(error) => return report::parse_errors(name, &text, &error, &mut self.errors),
        };
        if let Some(path) = depth::too_deep(&descriptor) {
            let info = descriptor.source_code_info.as_ref();
            let place = info.and_then(|info| texts::location(name, Some(&text), info, &path));
            return self.wrong(place.unwrap_or_else(|| Place::file(name)), TOO_DEEP);
        }
        self.add(name, Unit { text: Some(text), encoded: None, descriptor });
    }

    fn add_set(&mut self, set: &str, bytes: Bytes) {
        let files = match split_set(bytes) {
            Ok(files) if !files.is_empty() => files,
            Ok(_) => return self.wrong(Place::file(set), "not a descriptor set: there is no file in it"),
            Err(error) => return self.wrong(Place::file(set), format!("not a descriptor set: {error}")),
        };
        for encoded in files {
            let descriptor = match FileDescriptorProto::decode(encoded.as_ref()) {
                Ok(descriptor) => descriptor,
                Err(error) => return self.wrong(Place::file(set), format!("not a descriptor set: {error}")),
            };
            let name = descriptor.name().to_owned();
            if let Some(message) = bad_map_entry(&descriptor) {
                self.wrong(Place::file(set), format!("{name} is damaged: map entry {message} has no key and value"));
                continue;
            }
            if depth::too_deep(&descriptor).is_some() {
                self.wrong(Place::file(set), format!("{name}: {TOO_DEEP}"));
                continue;
            }
            match descriptor.syntax() {
                "" | "proto2" | "proto3" => self.add(&name, Unit { text: None, encoded: Some(encoded), descriptor }),
                "editions" => {
                    self.wrong(Place::file(set), format!("{name} {}", report::NO_EDITIONS));
                }
                other => self.wrong(Place::file(set), format!("{name} has the unknown syntax `{other}`")),
            }
        }
    }

    fn add(&mut self, name: &str, unit: Unit) {
        match self.files.get(name) {
            None => {
                self.files.insert(name.to_owned(), unit);
            }
            // Sets carry what they import, so the same file often comes twice; compiled or with other comments, it looks different.
            Some(other)
                if other.encoded.is_some() != unit.encoded.is_some()
                    || same(&other.descriptor, &unit.descriptor)
                    || name.starts_with("google/") => {}
            Some(_) => self.wrong(Place::file(name), "two different files have this name"),
        }
    }

    /// Adds all that is imported and not there yet.
    fn fetch_imports(&mut self, resolve: &mut dyn FnMut(&str) -> Option<String>) {
        let mut told: HashSet<String> = HashSet::new();
        let mut queue: Vec<String> = self.files.keys().rev().cloned().collect();
        while let Some(name) = queue.pop() {
            let Some(unit) = self.files.get(&name) else { continue };
            let (imports, info) = (unit.descriptor.dependency.clone(), unit.descriptor.source_code_info.clone());
            for (index, import) in imports.iter().enumerate() {
                if self.files.contains_key(import) || told.contains(import) {
                    continue;
                }
                if let Some(known) = known(import) {
                    self.add(import, Unit { text: None, encoded: None, descriptor: known });
                } else if let Some(text) = resolve(import) {
                    self.add_text(import, text);
                } else {
                    let text = self.files.get(&name).and_then(|unit| unit.text.as_ref());
                    let place = import_place(&name, text, info.as_ref(), index);
                    self.wrong(place, format!("import `{import}` is not found"));
                }
                if self.files.contains_key(import) {
                    queue.push(import.clone());
                } else {
                    told.insert(import.clone());
                }
            }
        }
    }

    /// The files' names, each after what it imports; and those in circles, which are told.
    fn in_order(&mut self) -> (Vec<String>, HashSet<String>) {
        let mut order = Vec::new();
        let mut done: HashSet<String> = HashSet::new();
        let mut circles = Vec::new();
        for first in self.files.keys() {
            // The way from `first`: each file with the number of its imports that have been looked at.
            let mut way: Vec<(&str, usize)> = if done.contains(first) { Vec::new() } else { vec![(first, 0)] };
            while let Some((name, next)) = way.pop() {
                let import = self.files.get(name).and_then(|unit| unit.descriptor.dependency.get(next));
                let Some(import) = import else {
                    if done.insert(name.to_owned()) {
                        order.push(name.to_owned());
                    }
                    continue;
                };
                way.push((name, next + 1));
                if let Some(begin) = way.iter().position(|(other, _)| *other == import.as_str()) {
                    let circle: Vec<&str> =
                        way.iter().skip(begin).map(|(name, _)| *name).chain([import.as_str()]).collect();
                    circles.push((name.to_owned(), next, circle.into_iter().map(str::to_owned).collect::<Vec<_>>()));
                } else if self.files.contains_key(import) && !done.contains(import) {
                    way.push((import, 0));
                }
            }
        }
        let mut circular = HashSet::new();
        for (name, index, circle) in circles {
            let text = circle.join(" -> ");
            circular.extend(circle);
            let unit = self.files.get(&name);
            let info = unit.and_then(|unit| unit.descriptor.source_code_info.as_ref());
            let place = import_place(&name, unit.and_then(|unit| unit.text.as_ref()), info, index);
            self.wrong(place, format!("files import each other in a circle: {text}"));
        }
        (order, circular)
    }
}

/// What needs no resolver.
pub(super) fn known(import: &str) -> Option<FileDescriptorProto> {
    let text = match import {
        "google/api/annotations.proto" => include_str!("google/api/annotations.proto"),
        "google/api/http.proto" => include_str!("google/api/http.proto"),
        "google/api/httpbody.proto" => include_str!("google/api/httpbody.proto"),
        "google/rpc/code.proto" => include_str!("google/rpc/code.proto"),
        "google/rpc/error_details.proto" => include_str!("google/rpc/error_details.proto"),
        "google/rpc/status.proto" => include_str!("google/rpc/status.proto"),
        _ => return GoogleFileResolver::new().open_file(import).ok().map(FileDescriptorProto::from),
    };
    File::from_source(import, text).ok().map(FileDescriptorProto::from)
}

/// The encoded files of a set: its field 1. The files are decoded by the pool, which keeps what it does not know.
fn split_set(mut bytes: Bytes) -> Result<Vec<Bytes>, String> {
    let mut files = Vec::new();
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes).map_err(|error| error.to_string())?;
        if (number, wire) == (1, WireType::LengthDelimited) {
            let length = decode_varint(&mut bytes).map_err(|error| error.to_string())?;
            let length = usize::try_from(length).ok().filter(|length| *length <= bytes.remaining());
            files.push(bytes.split_to(length.ok_or("it ends within a file")?));
        } else {
            skip_field(wire, number, &mut bytes, DecodeContext::default()).map_err(|error| error.to_string())?;
        }
    }
    Ok(files)
}

/// A map entry without its two fields: no compiler writes one, and the descriptor pool takes them for granted.
fn bad_map_entry(file: &FileDescriptorProto) -> Option<String> {
    let mut open: Vec<&DescriptorProto> = file.message_type.iter().collect();
    while let Some(message) = open.pop() {
        let is_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
        let has = |number| message.field.iter().any(|field| field.number() == number);
        if is_entry && !(has(1) && has(2)) {
            return Some(message.name().to_owned());
        }
        open.extend(&message.nested_type);
    }
    None
}

/// Whether two files are the same but for comments and positions.
fn same(one: &FileDescriptorProto, other: &FileDescriptorProto) -> bool {
    let bare = |file: &FileDescriptorProto| FileDescriptorProto { source_code_info: None, ..file.clone() };
    bare(one) == bare(other)
}

/// Where a file names its import of that index.
fn import_place(file: &str, text: Option<&Text>, info: Option<&SourceCodeInfo>, index: usize) -> Place {
    const DEPENDENCY: i32 = 3; // of FileDescriptorProto
    let path = i32::try_from(index).map(|index| [DEPENDENCY, index]);
    info.zip(path.ok())
        .and_then(|(info, path)| texts::location(file, text, info, &path))
        .unwrap_or_else(|| Place::file(file))
}
