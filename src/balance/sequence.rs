//! A weighted order of deadlines: whoever's is earliest is next, and pays for a turn by a stride of 1 / weight.
//!
//! Deadlines are in virtual time, in which a weight of 1 gets one call a unit, so that a member that leaves or joins moves nobody
//! else's deadline. A turn may cost more than 1 / weight: then the member stands in the order with the weight that it paid for, its
//! *standing*. The clock follows the deadlines: the debts against it, `standing * (deadline - clock)`, always sum to half a call a
//! member, which is what they sum to in a perfectly interleaved order. So whoever joins at a random point of its first
//! stride is neither ahead nor behind, and a debt or credit that leaves with its owner is shared out by moving the clock.

use super::SplitMix;
use super::tree::Tree;

/// The largest stride of an unpenalised member takes this many bits less than a key has: room for 4,096 of them.
const SPAN_BITS: u32 = 12;

#[derive(Clone, Debug)]
struct Slot {
    /// One over the stride that it paid last.
    standing: f64,
    deadline: f64,
    /// One over its weight.
    stride: f64,
    weight: u32,
    active: bool,
}

impl Slot {
    fn weight(&self) -> f64 {
        f64::from(self.weight)
    }
}

/// The order of one worker over one set of members, known by their index. Members may be set inactive for a while.
#[derive(Clone, Debug)]
pub struct Sequence {
    slots: Vec<Slot>,
    tree: Tree,
    /// The sums over the active members.
    weight: f64,
    standing: f64,
    active: usize,
    clock: f64,
    /// Key units a unit of virtual time.
    scale: f64,
    chance: SplitMix,
}

impl Sequence {
    /// An order over nobody.
    pub fn new(seed: u64) -> Sequence {
        Sequence {
            slots: Vec::new(),
            tree: Tree::new(0),
            weight: 0.0,
            standing: 0.0,
            active: 0,
            clock: 0.0,
            scale: 1.0,
            chance: SplitMix::new(seed),
        }
    }

    /// Changes the members: for each, its index in the order so far (`None` for one that joins) and its weight, which is at
    /// least 1. Who stays keeps its credit in calls. All are active afterwards; one that was not joins anew.
    pub fn rebuild(&mut self, members: impl IntoIterator<Item = (Option<usize>, u32)>) {
        let members = members.into_iter();
        let mut slots = Vec::with_capacity(members.size_hint().0);
        for (before, weight) in members {
            let exact = weight.max(1);
            let weight = f64::from(exact);
            let (standing, lag) = match before.and_then(|index| self.slots.get(index)).filter(|slot| slot.active) {
                Some(slot) => (weight * slot.standing / slot.weight(), (self.clock - slot.deadline) * slot.standing),
                None => (weight, -self.chance.unit()),
            };
            // Against a clock of zero; `rebase` sets it.
            slots.push(Slot { standing, deadline: -lag / standing, stride: 1.0 / weight, weight: exact, active: true });
        }
        self.weight = slots.iter().map(Slot::weight).sum();
        self.standing = slots.iter().map(|slot| slot.standing).sum();
        self.active = slots.len();
        let lightest = slots.iter().map(Slot::weight).fold(f64::INFINITY, f64::min);
        self.slots = slots;
        self.tree = Tree::new(self.slots.len());
        if self.active == 0 {
            return;
        }
        self.scale = lightest * (1_u64 << (self.tree.key_bits() - SPAN_BITS)) as f64;
        self.rebase();
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many members may be chosen.
    pub fn active(&self) -> usize {
        self.active
    }

    /// The weight of the members that may be chosen.
    pub fn active_weight(&self) -> f64 {
        self.weight
    }

    pub fn weight(&self, index: usize) -> f64 {
        self.slots.get(index).map_or(0.0, Slot::weight)
    }

    /// What a turn costs one that gets this part of its share.
    pub(super) fn stride(&self, index: usize, part: f64) -> f64 {
        let stride = self.slots.get(index).map_or(1.0, |slot| slot.stride);
        if part == 1.0 { stride } else { stride / part }
    }

    /// Whose turn it is.
    pub fn first(&self) -> Option<usize> {
        self.tree.min().map(|(_, index)| index)
    }

    /// Takes a member out of the order, or back in. One that leaves takes neither credit nor debt with it; one that comes back
    /// starts at a random point of its first stride, like one that joins. Tells whether that changed anything.
    pub fn set_active(&mut self, index: usize, active: bool) -> bool {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.active != active) else { return false };
        slot.active = active;
        if active {
            slot.deadline = self.clock + self.chance.unit() * slot.stride;
            slot.standing = slot.weight();
            self.weight += slot.weight();
            self.standing += slot.weight();
            self.active += 1;
            let key = self.key(self.slots.get(index).map_or(0.0, |slot| slot.deadline));
            self.tree.set(index, key);
        } else {
            let lag = (self.clock - slot.deadline) * slot.standing;
            self.weight -= slot.weight();
            self.standing -= slot.standing;
            self.active -= 1;
            if self.active > 0 {
                self.clock += (lag + 0.5) / self.standing;
            }
            self.tree.remove(index);
        }
        true
    }

    /// Hides a member until [`Sequence::show`]: for one call, at no cost to it. Returns its key.
    pub fn hide(&mut self, index: usize) -> u64 {
        let key = self.tree.key(index).unwrap_or(0);
        self.tree.remove(index);
        key
    }

    pub fn show(&mut self, index: usize, key: u64) {
        self.tree.set(index, key);
    }

    /// Forgives a member its credit past `most` strides of this length.
    pub(super) fn forgive(&mut self, index: usize, stride: f64, most: f64) {
        let low = self.clock - most * stride;
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.deadline < low) else { return };
        self.clock += (low - slot.deadline) * slot.standing / self.standing;
        slot.deadline = low;
    }

    /// Passes a member over: it is looked at again a stride later, and keeps its credit.
    pub(super) fn pass(&mut self, index: usize, stride: f64) {
        let at = self.tree.key(index).unwrap_or(0).max(self.key(self.clock));
        self.tree.set(index, at.saturating_add((stride * self.scale) as u64));
    }

    /// A member takes its turn and pays with a stride.
    pub fn take(&mut self, index: usize, stride: f64) {
        self.charge(index, stride, false);
    }

    /// A member takes a turn out of order: the same price, and not before those that are waiting.
    pub(super) fn take_late(&mut self, index: usize, stride: f64) {
        self.charge(index, stride, true);
    }

    fn charge(&mut self, index: usize, stride: f64, late: bool) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let standing = if stride == slot.stride { slot.weight() } else { 1.0 / stride };
        let gained = standing - slot.standing;
        self.standing += gained;
        self.clock += (gained * (slot.deadline - self.clock) + 1.0) / self.standing;
        slot.standing += gained;
        slot.deadline += stride;
        let deadline = slot.deadline;
        let mut key = self.key(deadline);
        if late {
            key = key.max(self.tree.min().map_or(0, |(key, _)| key));
        }
        self.tree.set(index, key);
        if self.is_far() {
            self.rebase();
        }
    }

    /// Virtual time zero stands a quarter into the keys: below it is room for any credit.
    fn key(&self, time: f64) -> u64 {
        key(time, self.scale, self.quarter())
    }

    fn quarter(&self) -> f64 {
        (1_u64 << (self.tree.key_bits() - 2)) as f64
    }

    /// Whether the keys come near their end. The second half cannot happen while deadlines are near the clock; if it ever does,
    /// this puts it right.
    fn is_far(&self) -> bool {
        let far = self.quarter() * 2.0;
        self.clock * self.scale >= self.quarter()
            || self.tree.min().is_some_and(|(key, _)| key as f64 >= far + far / 2.0)
    }

    /// Moves the clock to zero and everything with it, so that neither keys nor floats lose precision however long an order
    /// lives, and takes out what rounding has added up. Who was passed over is looked at at its deadline once.
    fn rebase(&mut self) {
        let active = || self.slots.iter().filter(|slot| slot.active);
        self.standing = active().map(|slot| slot.standing).sum();
        let debts: f64 = active().map(|slot| slot.standing * slot.deadline).sum();
        let clock = (debts - self.active as f64 / 2.0) / self.standing;
        let (scale, quarter) = (self.scale, self.quarter());
        self.tree.fill(self.slots.iter_mut().map(|slot| {
            slot.active.then(|| {
                slot.deadline -= clock;
                key(slot.deadline, scale, quarter)
            })
        }));
        self.clock = 0.0;
    }
}

fn key(time: f64, scale: f64, quarter: f64) -> u64 {
    (time * scale + quarter) as u64
}

#[cfg(test)]
mod tests;
