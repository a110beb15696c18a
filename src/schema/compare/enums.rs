//! The values of two versions of an enum. JSON has their names, the wire their numbers; proto3 enums are open, so a number without a
//! name is still carried.

use super::super::message::EnumId;
use super::{Breaks, Comparison, What};

impl Comparison<'_> {
    pub(super) fn enumeration(&mut self, old: EnumId, new: EnumId) {
        let (before, now) = (self.old.messages().enumeration(old), self.new.messages().enumeration(new));
        let place = self.new.place_of_enum(new);
        for (name, number) in before.values() {
            let subject = format!("{}.{name}", before.full_name);
            let (what, breaks, told) = match now.number(name) {
                Some(same) if same == number => {
                    let (was, is) = (before.name(number), now.name(number));
                    if was != Some(name) || is == was {
                        continue;
                    }
                    let told = format!("{number} is now written `{}`", is.unwrap_or_default());
                    (What::ValueRenamed, Breaks::JSON, told)
                }
                Some(other) => (What::ValueRenumbered, Breaks::WIRE, format!("renumbered from {number} to {other}")),
                None => match now.name(number).filter(|name| before.number(name).is_none()) {
                    Some(other) => (What::ValueRenamed, Breaks::JSON, format!("renamed to `{other}`")),
                    None => (What::ValueRemoved, Breaks::JSON, "removed".to_owned()),
                },
            };
            self.tell(what, subject, breaks, place.clone(), told);
        }
        for (name, number) in now.values() {
            let renamed = || before.name(number).is_some_and(|old| now.number(old).is_none());
            if before.number(name).is_none() && !renamed() {
                let subject = format!("{}.{name}", now.full_name);
                self.tell(What::ValueAdded, subject, Breaks::NOBODY, place.clone(), "added");
            }
        }
    }
}
