//! A schema told by the servlet itself (`grpc.reflection.v1.ServerReflection`, grpc/reflection/v1/reflection.proto): what to ask next,
//! and what the answers come to. A conversation without its wire. The replica is not trusted: every answer is bounded, nothing recurses,
//! and whatever comes of it is a descriptor set that is checked like one from a file.
//!
//! ```text
//! list_services (for patterns) ──▶ file_containing_symbol, a service each ──▶ file_by_filename, an import each ──▶ done
//! ```
//! v1 and v1alpha differ by the name of the service alone; their messages are the same on the wire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use bytes::Bytes;
use prost::Message as _;

use super::service::Schema;

/// The bytes of one answer: what gRPC libraries take at most unless told otherwise, so no replica can have meant more.
pub const MAX_ANSWER: usize = 4 << 20;
/// The bytes of all descriptors. One servlet's are far below a MiB; decoded they take many times their bytes, which is what this bounds.
const MAX_BYTES: usize = 8 << 20;
/// The files of one schema.
const MAX_FILES: usize = 4096;
/// The services that a replica may list.
const MAX_SERVICES: usize = 4096;
/// The length of a name. Longer ones would only serve to fill our memory with questions.
const MAX_NAME: usize = 4096;
/// gRPC's code for what is not there.
const NOT_FOUND: i32 = 5;

/// grpc.reflection.v1.ServerReflectionRequest.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(oneof = "Question", tags = "3, 4, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Question {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

/// grpc.reflection.v1.ServerReflectionResponse.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(oneof = "Answer", tags = "4, 6, 7")]
    answer: Option<Answer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Answer {
    #[prost(message, tag = "4")]
    Files(FileDescriptorResponse),
    #[prost(message, tag = "6")]
    Services(ListServiceResponse),
    #[prost(message, tag = "7")]
    Error(ErrorResponse),
}

#[derive(Clone, PartialEq, prost::Message)]
struct FileDescriptorResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file_descriptor_proto: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListServiceResponse {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ServiceResponse {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ErrorResponse {
    #[prost(int32, tag = "1")]
    error_code: i32,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// google.protobuf.FileDescriptorProto, as far as it says what else is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct FileHead {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}

/// google.protobuf.FileDescriptorSet, of files as they were told.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// Why there is no schema to be had from this replica. For people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReflectionError(String);

impl fmt::Display for ReflectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReflectionError {}

/// One conversation. Encode what [`Reflection::ask`] gives, hand the answer to [`Reflection::hear`], until nothing is asked any more.
#[derive(Clone, Debug)]
pub struct Reflection {
    /// `pkg.v1.*` without its end; empty for every package.
    packages: Vec<String>,
    queue: VecDeque<Question>,
    asked: Option<Question>,
    /// The names of files that have been asked for.
    imports: BTreeSet<String>,
    /// By name, so that the same files make the same set whatever the order of the answers.
    files: BTreeMap<String, Bytes>,
    bytes: usize,
    /// The services that are asked for by name.
    named: BTreeSet<String>,
    /// Those of them that the replica does not know.
    missing: Vec<String>,
}

impl Reflection {
    /// Asks for the services of these patterns: `pkg.v1.Service`, `pkg.v1.*` or `*`, and for all that they import.
    pub fn of<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Reflection {
        let mut exact = BTreeSet::new();
        let mut packages = Vec::new();
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some(package) => packages.push(package.to_owned()),
                None => drop(exact.insert(pattern.to_owned())),
            }
        }
        let mut queue: VecDeque<Question> = exact.iter().cloned().map(Question::FileContainingSymbol).collect();
        if !packages.is_empty() {
            queue.push_front(Question::ListServices(String::new()));
        }
        Reflection {
            packages,
            queue,
            asked: None,
            imports: BTreeSet::new(),
            files: BTreeMap::new(),
            bytes: 0,
            named: exact,
            missing: Vec::new(),
        }
    }

    /// The next question, as a message; `None` when everything has been told.
    pub fn ask(&mut self) -> Option<Vec<u8>> {
        self.asked = self.queue.pop_front();
        let question = self.asked.clone()?;
        Some(Request { question: Some(question) }.encode_to_vec())
    }

    /// The answer to the last question, as a message.
    ///
    /// # Errors
    /// It is none, it is over a limit, or the replica says that it cannot answer.
    pub fn hear(&mut self, message: Bytes) -> Result<(), ReflectionError> {
        if message.len() > MAX_ANSWER {
            return Err(wrong(format!("an answer is over {} MiB", MAX_ANSWER >> 20)));
        }
        let answer = Response::decode(message).map_err(|error| wrong(format!("its answer cannot be read: {error}")))?;
        match (self.asked.take(), answer.answer) {
            (Some(Question::ListServices(_)), Some(Answer::Services(list))) => self.services(list),
            (
                Some(Question::FileContainingSymbol(_) | Question::FileByFilename(_)),
                Some(Answer::Files(FileDescriptorResponse { file_descriptor_proto: files })),
            ) => files.into_iter().try_for_each(|file| self.file(file)),
            (Some(Question::FileContainingSymbol(name)), Some(Answer::Error(error)))
                if error.error_code == NOT_FOUND =>
            {
                // One that it lists and cannot describe is one that nobody asked it for.
                if self.named.contains(&name) {
                    self.missing.push(name);
                }
                Ok(())
            }
            // What lacks it is told when the schema is compiled, with the file that imports it.
            (Some(Question::FileByFilename(_)), Some(Answer::Error(error))) if error.error_code == NOT_FOUND => Ok(()),
            (_, Some(Answer::Error(error))) => {
                let told: String = error.error_message.chars().take(200).flat_map(char::escape_default).collect();
                Err(wrong(format!("it answers with code {}: {told}", error.error_code)))
            }
            _ => Err(wrong("it answers what was not asked")),
        }
    }

    /// What was told, as a `google.protobuf.FileDescriptorSet`; the same bytes for the same files.
    ///
    /// # Errors
    /// A service that was asked for by name is not known to the replica, or none is: another replica may know more.
    pub fn into_descriptor_set(self) -> Result<Vec<u8>, ReflectionError> {
        if !self.missing.is_empty() {
            return Err(wrong(format!("it does not know {}", self.missing.join(", "))));
        }
        if self.files.is_empty() {
            return Err(wrong("it tells of no service that is wanted"));
        }
        Ok(FileSet { file: self.files.into_values().collect() }.encode_to_vec())
    }

    fn services(&mut self, list: ListServiceResponse) -> Result<(), ReflectionError> {
        if list.service.len() > MAX_SERVICES {
            return Err(wrong(format!("it lists more than {MAX_SERVICES} services")));
        }
        let mut known: BTreeSet<String> = BTreeSet::new();
        for question in &self.queue {
            if let Question::FileContainingSymbol(name) = question {
                known.insert(name.clone());
            }
        }
        for ServiceResponse { name } in list.service {
            // A server that tells of itself is not meant by `*`.
            let wanted = !name.starts_with("grpc.reflection.")
                && self.packages.iter().any(|package| name.strip_prefix(package.as_str()).is_some());
            if wanted && short(&name)? && known.insert(name.clone()) {
                self.queue.push_back(Question::FileContainingSymbol(name));
            }
        }
        Ok(())
    }

    fn file(&mut self, bytes: Bytes) -> Result<(), ReflectionError> {
        let head = FileHead::decode(bytes.clone())
            .map_err(|error| wrong(format!("a file descriptor cannot be read: {error}")))?;
        if head.name.is_empty() || !short(&head.name)? {
            return Err(wrong("a file descriptor has no name"));
        }
        match self.files.get(&head.name) {
            Some(other) if *other == bytes => return Ok(()),
            Some(_) => return Err(wrong(format!("it tells two different files of the name {}", head.name))),
            None => {}
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            let most = MAX_BYTES >> 20;
            return Err(wrong(format!("it tells more than {MAX_FILES} files or {most} MiB of descriptors")));
        }
        for import in head.dependency {
            let known = self.files.contains_key(&import) || import == head.name || Schema::knows(&import);
            if !known && short(&import)? && self.imports.insert(import.clone()) {
                if self.imports.len() > MAX_FILES {
                    return Err(wrong(format!("its files import more than {MAX_FILES} others")));
                }
                self.queue.push_back(Question::FileByFilename(import));
            }
        }
        // A copy of its own: the answer that it is a part of is not kept alive.
        self.files.insert(head.name, Bytes::copy_from_slice(&bytes));
        Ok(())
    }
}

fn short(name: &str) -> Result<bool, ReflectionError> {
    if name.len() > MAX_NAME { Err(wrong(format!("a name in it has more than {MAX_NAME} bytes"))) } else { Ok(true) }
}

fn wrong(message: impl Into<String>) -> ReflectionError {
    ReflectionError(message.into())
}

#[cfg(test)]
mod tests;
