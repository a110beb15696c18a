//! The fields that path and query fill, as wire bytes to put behind the body's: messages that are concatenated merge, and the later
//! of two singular values counts. So the path wins over the body; the query cannot meet either, because what they fill is no
//! parameter (google/api/http.proto, rules for HTTP mapping).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::json::{MAX_DEPTH, scalar_from_text};
use super::super::protobuf::{WireType, put_message, records};
use super::RestPlan;
use crate::model::{Fault, Kind, Stage};
use crate::schema::{BodyRule, Cardinality, Field, FieldKind, MessageId, Messages};

/// Field numbers from the outermost to the field itself.
type Numbers = Vec<u32>;

/// What path and query fill.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// To be appended to the body's message.
    pub(super) bytes: Vec<u8>,
    /// Fields to take out of the body's message first, since a message in `bytes` would merge with them instead of replacing them.
    replaced: Vec<Numbers>,
}

impl Bound {
    /// `captures`: a value for each variable of the template, in order, decoded. `query`: without its question mark.
    pub(super) fn new(plan: &RestPlan, captures: &[Cow<'_, str>], query: Option<&str>) -> Result<Bound, Fault> {
        let messages = plan.messages();
        let mut fields = Fields::default();
        let mut replaced = Vec::new();
        for (path, value) in plan.binding.captures.iter().zip(captures) {
            let steps: Vec<&Field> = path.fields(messages).map(|(_, field)| field).collect();
            let told = |why: &str| invalid(format!("the path's value for `{}`: {why}", path.text()));
            fields.put(messages, &steps, value).map_err(|why| told(&why))?;
            if let Some(Field { kind: FieldKind::Message(_), .. }) = steps.last() {
                replaced.push(numbers(&steps));
            }
        }
        if let BodyRule::Field(path) = &plan.binding.body
            && let Some(field) = path.target(messages)
        {
            // Should the path have set another member already, that one wins as it does over any body.
            fields.mark(&[field], &numbers(&[field])).unwrap_or_default();
        }
        let taken: Vec<Numbers> = fields.entries.iter().map(|entry| entry.path.clone()).collect();
        for (name, value) in pairs(query.unwrap_or_default()) {
            let told = |why: &str| invalid(format!("query parameter `{}`: {why}", excerpt(name)));
            let steps = resolve(messages, plan.method.input, name).map_err(|why| told(&why))?;
            check_free(plan, &taken, &numbers(&steps)).map_err(|why| told(&why))?;
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| told("its value is not UTF-8 once percent-decoded"))?;
            fields.put(messages, &steps, &value).map_err(|why| told(&why))?;
        }
        Ok(Bound { bytes: fields.into_bytes(), replaced })
    }

    /// Whether something of the body's message may have to go.
    pub(super) fn replaces(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Puts the fields into a message that the body gave.
    pub(super) fn apply(&self, message: &mut Vec<u8>, start: usize) {
        for path in &self.replaced {
            let body = message.split_off(start);
            without(&body, path, message);
        }
        message.extend_from_slice(&self.bytes);
    }
}

/// Copies a message, which the codec wrote, but for one field.
fn without(message: &[u8], path: &[u32], out: &mut Vec<u8>) {
    let Some((number, within)) = path.split_first() else { return };
    for record in records(message).map_while(Result::ok) {
        if record.number != *number {
            out.extend_from_slice(record.raw);
        } else if !within.is_empty() {
            let mut inner = Vec::with_capacity(record.value.len());
            without(record.value, within, &mut inner);
            put_message(out, record.number, record.wire_type == WireType::StartGroup, &inner);
        }
    }
}

/// `name=value` pairs. Pairs without a name or without `=` are passed over, as in Envoy.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| !name.is_empty())
}

/// The fields that a parameter's name, like `a.b`, leads through; by their JSON names or those of the .proto.
pub(super) fn resolve<'m>(messages: &'m Messages, root: MessageId, name: &str) -> Result<Vec<&'m Field>, String> {
    let mut steps: Vec<&Field> = Vec::new();
    let mut within = Some(root);
    for part in name.split('.') {
        if steps.len() >= MAX_DEPTH as usize {
            return Err(format!("more than {MAX_DEPTH} messages within each other"));
        }
        let part: Cow<'_, str> = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
        let Some(id) = within else {
            return Err(format!("`{}` is within a field that is no single message", excerpt(&part)));
        };
        let message = messages.get(id);
        let Some(field) = message.by_json_name(&part) else {
            return Err(format!("{} has no field `{}`", message.full_name, excerpt(&part)));
        };
        within = match (field.cardinality, field.kind) {
            (Cardinality::Singular { .. }, FieldKind::Message(id)) => Some(id),
            _ => None,
        };
        steps.push(field);
    }
    Ok(steps)
}

/// A parameter fills what neither path nor body fills.
fn check_free(plan: &RestPlan, taken: &[Numbers], path: &Numbers) -> Result<(), String> {
    if taken.iter().any(|taken| taken.starts_with(path) || path.starts_with(taken)) {
        return Err("the path gives this field already".into());
    }
    match &plan.binding.body {
        BodyRule::None => Ok(()),
        BodyRule::Whole => {
            Err(format!("`{}` takes all fields from the body and the path, and no parameter", plan.binding.text))
        }
        BodyRule::Field(field) => match field.target(plan.messages()) {
            Some(field) if path.first() == Some(&field.number) => Err("the body gives this field".into()),
            _ => Ok(()),
        },
    }
}

/// Fields filled from text, one by one.
#[derive(Default)]
pub(super) struct Fields<'m> {
    entries: Vec<Entry<'m>>,
    by_path: BTreeMap<Numbers, usize>,
    /// Which member of a oneof is set: by the path of its message and the oneof's place.
    oneofs: BTreeMap<(Numbers, u32), &'m Field>,
}

struct Entry<'m> {
    path: Numbers,
    parents: Vec<&'m Field>,
    /// Tag and value, without the parents.
    bytes: Vec<u8>,
}

impl<'m> Fields<'m> {
    /// Fills the field that `steps` lead to; of a repeated one, adds an element.
    pub(super) fn put(&mut self, messages: &Messages, steps: &[&'m Field], value: &str) -> Result<(), String> {
        self.put_with(steps, |field, out| {
            scalar_from_text(messages, field, value, out).map_err(|error| error.message().to_owned())
        })
    }

    /// The same, with a value that `write` appends, tag and all.
    pub(super) fn put_with(
        &mut self,
        steps: &[&'m Field],
        write: impl FnOnce(&Field, &mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(), String> {
        let Some((field, parents)) = steps.split_last() else { return Ok(()) };
        let path = numbers(steps);
        self.mark(steps, &path)?;
        let entries = &mut self.entries;
        let place = *self.by_path.entry(path).or_insert_with_key(|path| {
            entries.push(Entry { path: path.clone(), parents: parents.to_vec(), bytes: Vec::new() });
            entries.len() - 1
        });
        let Some(entry) = self.entries.get_mut(place) else { return Ok(()) };
        match field.cardinality {
            // Given twice, the last counts, as in Envoy.
            Cardinality::Singular { .. } => entry.bytes.clear(),
            Cardinality::Repeated { .. } | Cardinality::Map { .. } => {}
        }
        write(field, &mut entry.bytes)
    }

    /// Notes the members of oneofs that are set on the way to a field; the error is that another one is.
    fn mark(&mut self, steps: &[&'m Field], path: &[u32]) -> Result<(), String> {
        for (step, depth) in steps.iter().zip(0..) {
            let Some(oneof) = step.oneof else { continue };
            let key = (path.get(..depth).unwrap_or_default().to_vec(), oneof);
            let member = self.oneofs.entry(key).or_insert(step);
            if member.number != step.number {
                return Err(format!("`{}` and `{}` are of one oneof, and cannot both be set", member.name, step.name));
            }
        }
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut all = Vec::new();
        self.append_to(&mut all);
        all
    }

    pub(super) fn append_to(self, all: &mut Vec<u8>) {
        for entry in self.entries {
            let wrapped = entry.parents.iter().rev().fold(entry.bytes, |inner, parent| {
                let mut outer = Vec::with_capacity(inner.len() + 8);
                put_message(&mut outer, parent.number, parent.delimited, &inner);
                outer
            });
            all.extend_from_slice(&wrapped);
        }
    }
}

fn numbers(steps: &[&Field]) -> Numbers {
    steps.iter().map(|field| field.number).collect()
}

/// How much of a caller's own text an error repeats.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

fn invalid(message: String) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::Plan, message)
}
