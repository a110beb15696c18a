//! What two servlets both claim. A tie would leave a request's way to chance, so it is an error that names both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::ServletDef;
use super::routing::{Claim, claims};
use crate::discovery::Problem;
use crate::route::TableBuilder;

/// Two claims to the same.
pub(super) struct Conflict {
    sides: [Side; 2],
    what: String,
}

struct Side {
    servlet: Arc<str>,
    /// The problem as told here, without what is on the other side.
    file: Arc<str>,
    key: String,
    at: crate::discovery::Position,
    origin: String,
    claim: String,
}

impl Conflict {
    /// The servlets that claim something new here: those that `held` does not know to have this claim. All in it when none does.
    pub(super) fn intruders(&self, mut held: impl FnMut(&str, &str) -> bool) -> BTreeSet<&str> {
        let new: BTreeSet<&str> =
            self.sides.iter().filter(|side| !held(&side.servlet, &side.claim)).map(|side| &*side.servlet).collect();
        if new.is_empty() { self.sides.iter().map(|side| &*side.servlet).collect() } else { new }
    }

    /// As it is told in the file of `servlet`.
    pub(super) fn problem(&self, servlet: &str) -> Problem {
        let [one, other] = &self.sides;
        let (mine, theirs) = if *other.servlet == *servlet { (other, one) } else { (one, other) };
        let wrong = format!("is claimed twice: also by {}", theirs.origin);
        Problem::new(&*mine.file, Some(mine.at), mine.key.as_str(), wrong).value(self.what.as_str())
    }
}

/// All conflicts between these servlets, and within them.
pub(super) fn conflicts(servlets: &BTreeMap<String, Arc<ServletDef>>) -> Vec<Conflict> {
    let claims = claims(servlets.values());
    let mut builder = TableBuilder::new();
    for claim in &claims {
        claim.add_to(&mut builder, ());
    }
    let Err(found) = builder.build() else { return Vec::new() };
    let by_origin: HashMap<String, &Claim<'_>> = claims.iter().map(|claim| (claim.origin.to_string(), claim)).collect();
    let side = |origin: String| {
        let claim = by_origin.get(&origin)?;
        let (servlet, file) = (Arc::clone(&claim.servlet.name), Arc::clone(&claim.servlet.file));
        Some(Side { servlet, file, key: claim.key.clone(), at: claim.at, origin, claim: claim.text() })
    };
    found
        .into_iter()
        .filter_map(|conflict| {
            let sides = [side(conflict.first.to_string())?, side(conflict.second.to_string())?];
            Some(Conflict { sides, what: conflict.what })
        })
        .collect()
}
