//! Where messages, fields and enums are defined, so that whoever hears of a change of one finds it. A running proxy keeps this for
//! every schema, so it is numbers only: eight bytes a field, far less than the field itself.

use std::sync::Arc;

use prost_reflect::{DescriptorPool, FileDescriptor};

use super::message::{EnumId, MessageId, Messages};
use super::place::Place;
use super::sources::Texts;

/// The places of one schema, by the ids of its messages and enums.
#[derive(Debug)]
pub(super) struct Places {
    files: Box<[Arc<str>]>,
    messages: Box<[Definition]>,
    enums: Box<[Definition]>,
}

#[derive(Debug)]
struct Definition {
    file: u32,
    at: At,
    /// Of a message, in the order of `Message::fields`.
    fields: Box<[At]>,
}

/// From 1; 0 where it is not known, as in a descriptor set without source information.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    line: u32,
    column: u32,
}

impl Places {
    pub(super) fn build(pool: &DescriptorPool, messages: &Messages, texts: &Texts) -> Places {
        let files: Box<[Arc<str>]> = pool.files().map(|file| file.name().into()).collect();
        let number = |file: &FileDescriptor| files.iter().zip(0..).find(|(name, _)| &***name == file.name());
        let file_of = |file: &FileDescriptor| number(file).map_or(u32::MAX, |(_, number)| number);
        let at = |file: &FileDescriptor, path: &[i32]| {
            let place = texts.definition(file, path);
            At { line: place.line.unwrap_or(0), column: place.column.unwrap_or(0) }
        };
        let messages = pool.all_messages().map(|message| {
            let file = message.parent_file();
            let known = messages.by_name(message.full_name()).map(|id| messages.get(id).fields()).unwrap_or_default();
            // An extension may stand in another file; the place of its message has to do.
            let of_field = |number| message.get_field(number).map_or(At::default(), |field| at(&file, field.path()));
            let fields = known.iter().map(|field| of_field(field.number)).collect();
            Definition { file: file_of(&file), at: at(&file, message.path()), fields }
        });
        let enums = pool.all_enums().map(|enumeration| {
            let file = enumeration.parent_file();
            Definition { file: file_of(&file), at: at(&file, enumeration.path()), fields: Box::default() }
        });
        Places { messages: messages.collect(), enums: enums.collect(), files }
    }

    pub(super) fn message(&self, id: MessageId) -> Place {
        self.place(self.messages.get(id.index()), None)
    }

    pub(super) fn field(&self, id: MessageId, index: u32) -> Place {
        let definition = self.messages.get(id.index());
        let at = definition.and_then(|definition| definition.fields.get(index as usize));
        self.place(definition, at.filter(|at| at.line > 0))
    }

    pub(super) fn enumeration(&self, id: EnumId) -> Place {
        self.place(self.enums.get(id.index()), None)
    }

    fn place(&self, definition: Option<&Definition>, within: Option<&At>) -> Place {
        let file = definition.and_then(|definition| self.files.get(definition.file as usize));
        let at = within.copied().or(definition.map(|definition| definition.at)).unwrap_or_default();
        let known = |number: u32| (number > 0).then_some(number);
        Place { file: file.cloned().unwrap_or_default(), line: known(at.line), column: known(at.column) }
    }
}
