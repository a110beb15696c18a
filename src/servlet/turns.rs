//! What a servlet's workers ask before each choice: whether anybody was set aside or taken back since they last looked.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by the endpoints of one servlet.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Endpoints set aside, taken back, or tried after a wait.
    taken: AtomicU64,
    /// Endpoints that have something against them now.
    aside: AtomicU64,
}

impl Turns {
    /// How many turns there have been. What is asked after this knows of them.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether nothing is against any endpoint: then there is no need to ask each.
    pub(super) fn all_are_fine(&self) -> bool {
        self.aside.load(Ordering::Relaxed) == 0
    }

    /// A turn that changes nothing about how many are aside.
    pub(super) fn take(&self) {
        self.taken.fetch_add(1, Ordering::Release);
    }

    /// One that was fine is set aside.
    pub(super) fn leave(&self) {
        self.aside.fetch_add(1, Ordering::Relaxed);
        self.take();
    }

    /// One that was aside is fine again, or gone.
    pub(super) fn come_back(&self) {
        self.aside.fetch_sub(1, Ordering::Relaxed);
        self.take();
    }
}
