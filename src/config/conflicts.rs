//! What two servlets both claim. A tie would leave a request's way to chance, so it is an error that names both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ServletDef;
use super::routing::{Claim, claims};
use crate::discovery::Problem;
use crate::route::TableBuilder;

/// Two claims to the same.
pub(super) struct Conflict {
    pub(super) sides: [Side; 2],
    what: String,
}

pub(super) struct Side {
    pub(super) servlet: Arc<str>,
    /// The problem as told here, without what is on the other side.
    file: Arc<str>,
    key: String,
    at: crate::discovery::Position,
    origin: String,
    /// [`Claim::text`] and [`Claim::service`].
    pub(super) claim: String,
    pub(super) service: Option<String>,
}

impl Conflict {
    /// As it is told in the file of `servlet`.
    pub(super) fn problem(&self, servlet: &str) -> Problem {
        let [one, other] = &self.sides;
        let (mine, theirs) = if *other.servlet == *servlet { (other, one) } else { (one, other) };
        let wrong = format!("is claimed twice: also by {}", theirs.origin);
        Problem::new(&*mine.file, Some(mine.at), mine.key.as_str(), wrong).value(self.what.as_str())
    }

    /// As it is told to a servlet that keeps the others from it by having `service`, and gives that up by this version of its file,
    /// `None` when the file is gone.
    pub(super) fn problem_of_giving_up(
        &self,
        before: &ServletDef,
        service: &str,
        after: Option<&ServletDef>,
    ) -> Problem {
        let [one, other] = &self.sides;
        let clash = format!("{} is claimed twice: by {} and by {}", self.what, one.origin, other.origin);
        match after {
            Some(after) => {
                let wrong = format!("cannot be given up: without it {clash}");
                Problem::new(&*after.file, Some(after.services_at), "services", wrong).value(service)
            }
            None => {
                let wrong = format!("is gone, and the servlet goes on: without its service {service}, {clash}");
                Problem::new(&*before.file, None, "", wrong)
            }
        }
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
        let service = claim.service().map(str::to_owned);
        Some(Side { servlet, file, key: claim.key.clone(), at: claim.at, origin, claim: claim.text(), service })
    };
    found
        .into_iter()
        .filter_map(|conflict| {
            let sides = [side(conflict.first.to_string())?, side(conflict.second.to_string())?];
            Some(Conflict { sides, what: conflict.what })
        })
        .collect()
}
