//! The fields of two versions of a message. A field is the same one when it has the same name, for that is what JSON callers know it
//! by; else when a field of its number stands where it stood, for then it was renamed.

use std::collections::{HashMap, HashSet};

use super::super::message::{Cardinality, Field, Message, MessageId};
use super::{Breaks, Comparison, What, kinds};

/// A field in both versions.
#[derive(Clone, Copy)]
pub(super) struct Pair<'s> {
    pub(super) old: &'s Field,
    pub(super) new: &'s Field,
}

impl Comparison<'_> {
    /// Compares two messages that stand for each other; what types their fields lead to is compared later.
    pub(super) fn message(&mut self, old: MessageId, new: MessageId) {
        let (before, now) = (self.old.messages().get(old), self.new.messages().get(new));
        let subject = |field: &Field| format!("{}.{}", before.full_name, field.name);
        let pairs = pairs(before, now);
        for Pair { old: was, new: is } in &pairs {
            self.field(&subject(was), new, was, is);
        }
        for moved in super::oneofs::moved(&pairs) {
            let place = self.new.place_of_field(new, moved.field.new.index);
            self.tell(What::FieldMoved, subject(moved.field.old), Breaks::BOTH, place, moved.told());
        }
        let kept: HashSet<u32> = pairs.iter().map(|pair| pair.old.index).collect();
        for was in before.fields().iter().filter(|field| !kept.contains(&field.index)) {
            // The wire format takes a field for unknown that is gone, which is safe; its number is not taken by another here.
            let place = self.new.place_of_message(new);
            // Unless its readers require it.
            let breaks = if was.required { Breaks::BOTH } else { Breaks::JSON };
            self.tell(What::FieldRemoved, subject(was), breaks, place, "removed");
        }
        let known: HashSet<u32> = pairs.iter().map(|pair| pair.new.index).collect();
        for is in now.fields().iter().filter(|field| !known.contains(&field.index)) {
            let (place, name) = (self.new.place_of_field(new, is.index), format!("{}.{}", now.full_name, is.name));
            let (breaks, told) = match is.required {
                true => (Breaks::BOTH, "added, and required: what callers send lacks it"),
                false => (Breaks::NOBODY, "added"),
            };
            self.tell(What::FieldAdded, name, breaks, place, told);
        }
    }

    fn field(&mut self, subject: &str, message: MessageId, was: &Field, is: &Field) {
        let place = self.new.place_of_field(message, is.index);
        let mut tell = |what, breaks, told: String| self.tell(what, subject, breaks, place.clone(), told);
        if was.name != is.name {
            // Whatever its JSON name, requests may name a field as the .proto does.
            tell(What::FieldRenamed, Breaks::JSON, format!("renamed to `{}`", is.name));
        } else if was.json_name != is.json_name {
            let told = format!("JSON called it `{}`, and calls it `{}`", was.json_name, is.json_name);
            tell(What::JsonName, Breaks::JSON, told);
        }
        if was.number != is.number {
            let told = format!("renumbered from {} to {}", was.number, is.number);
            tell(What::FieldRenumbered, Breaks::WIRE, told);
        }
        if was.delimited != is.delimited {
            tell(What::FieldRetyped, Breaks::WIRE, "a message in other marks (group or length)".to_owned());
        }
        let presence = |field: &Field| match field.cardinality {
            Cardinality::Singular { presence } => Some(presence),
            Cardinality::Repeated { .. } | Cardinality::Map { .. } => None,
        };
        if let (Some(had), Some(has)) = (presence(was), presence(is))
            && had != has
        {
            let told = if has { "zero now differs from not set" } else { "zero is now the same as not set" };
            tell(What::FieldPresence, Breaks::NOBODY, told.to_owned());
        }
        match (was.required, is.required) {
            (false, true) => {
                tell(What::FieldRequired, Breaks::BOTH, "now required: what callers send may lack it".to_owned());
            }
            (true, false) => {
                tell(
                    What::FieldRequired,
                    Breaks::WIRE,
                    "no longer required: callers refuse answers without it".to_owned(),
                );
            }
            (true, true) | (false, false) => {}
        }
        let (old_type, new_type) = (kinds::spelled(self.old.messages(), was), kinds::spelled(self.new.messages(), is));
        let breaks = self.types(was, is);
        if breaks.anybody() || old_type != new_type {
            let told = format!("retyped from {old_type} to {new_type}");
            self.tell(What::FieldRetyped, subject, breaks, place, told);
        }
    }
}

/// The fields that both versions have, in the order of the old one.
fn pairs<'s>(before: &'s Message, now: &'s Message) -> Vec<Pair<'s>> {
    let by_name = |message: &'s Message| -> HashMap<&'s str, &'s Field> {
        message.fields().iter().map(|field| (&*field.name, field)).collect()
    };
    let (old_names, new_names) = (by_name(before), by_name(now));
    let renamed = |was: &Field| now.by_number(was.number).filter(|is| !old_names.contains_key(&*is.name));
    let pair = |old: &'s Field| {
        let new = new_names.get(&*old.name).copied().or_else(|| renamed(old))?;
        Some(Pair { old, new })
    };
    before.fields().iter().filter_map(pair).collect()
}
