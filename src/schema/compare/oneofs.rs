//! Fields that move into a oneof with others, or out of it. What counts is which fields can be set together: a oneof that is renamed,
//! that gets a new member, or that a single field moves into, changes nothing for those who know the fields that were there.

use std::collections::BTreeMap;

use super::fields::Pair;

/// A field with the fields that it excludes now and did not, or the other way round.
pub(super) struct Moved<'p, 's> {
    pub(super) field: &'p Pair<'s>,
    into: Vec<&'s str>,
    out_of: Vec<&'s str>,
}

impl Moved<'_, '_> {
    pub(super) fn told(&self) -> String {
        // A few are enough to find the oneof by.
        let list = |names: &[&str]| names.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match (self.into.as_slice(), self.out_of.as_slice()) {
            (into, []) => format!("moved into a oneof with {}", list(into)),
            ([], out_of) => format!("moved out of the oneof with {}", list(out_of)),
            (into, out_of) => {
                format!("moved out of the oneof with {} into one with {}", list(out_of), list(into))
            }
        }
    }
}

/// Each move is told of the field that moved: the one that was in no oneof, or is in none.
pub(super) fn moved<'p, 's>(pairs: &'p [Pair<'s>]) -> Vec<Moved<'p, 's>> {
    let (mut before, mut now): (Members<'_, '_>, Members<'_, '_>) = Default::default();
    for pair in pairs {
        if let Some(oneof) = pair.old.oneof {
            before.entry(oneof).or_default().push(pair);
        }
        if let Some(oneof) = pair.new.oneof {
            now.entry(oneof).or_default().push(pair);
        }
    }
    let excluded = |one: &Pair<'_>, other: &Pair<'_>| one.old.oneof.is_some() && one.old.oneof == other.old.oneof;
    let excludes = |one: &Pair<'_>, other: &Pair<'_>| one.new.oneof.is_some() && one.new.oneof == other.new.oneof;
    // A field that stayed is not told of another that came or went by itself.
    let crossed = |pair: &Pair<'_>| pair.old.oneof.is_some() != pair.new.oneof.is_some();
    let mut found = Vec::new();
    for field in pairs {
        let others = |members: &Members<'p, 's>, oneof: Option<u32>| -> Vec<&'p Pair<'s>> {
            let all = oneof.and_then(|oneof| members.get(&oneof)).into_iter().flatten().copied();
            all.filter(|other| other.old.index != field.old.index && (crossed(field) || !crossed(other))).collect()
        };
        let into = others(&now, field.new.oneof).into_iter().filter(|other| !excluded(field, other));
        let out_of = others(&before, field.old.oneof).into_iter().filter(|other| !excludes(field, other));
        let (into, out_of): (Vec<_>, Vec<_>) = (into.map(name).collect(), out_of.map(name).collect());
        if !into.is_empty() || !out_of.is_empty() {
            found.push(Moved { field, into, out_of });
        }
    }
    found
}

/// The members of each oneof that are in both versions.
type Members<'p, 's> = BTreeMap<u32, Vec<&'p Pair<'s>>>;

fn name<'s>(pair: &Pair<'s>) -> &'s str {
    &pair.old.name
}
