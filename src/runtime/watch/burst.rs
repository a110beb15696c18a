//! When a change is told. Leans towards whole files: while somebody writes, it waits for the close, but never so long that a
//! change does not act within a second. Pure: time is an argument.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long nothing must happen before a change is told: a burst of writes is one change.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// The same when changes are found by looking, which sees no close: a writer that flushes as it goes makes shorter pauses.
pub(super) const STILL: Duration = Duration::from_millis(100);
/// A change is told this long after it, even when writing goes on: a reload fits in what is left of the second.
pub(super) const PATIENCE: Duration = Duration::from_millis(700);

/// Changes that have been seen and not told yet.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// The earliest that the first change may have happened, and when the last one was seen.
    span: Option<(Instant, Instant)>,
    /// Files that were written and not closed yet.
    writing: BTreeSet<PathBuf>,
    /// Whether looking has found a change in it.
    by_look: bool,
}

impl Burst {
    /// Something has changed just now.
    pub(super) fn touch(&mut self, now: Instant) {
        self.since(now, now);
    }

    /// Something has changed since the look at `before`.
    pub(super) fn found(&mut self, before: Instant, now: Instant) {
        self.by_look = true;
        self.since(before, now);
    }

    /// This file is being written.
    pub(super) fn written(&mut self, path: &Path, now: Instant) {
        self.writing.insert(path.to_owned());
        self.touch(now);
    }

    /// This file was closed after writing, has gone, or came whole.
    pub(super) fn done(&mut self, path: &Path, now: Instant) {
        self.writing.remove(path);
        self.touch(now);
    }

    fn since(&mut self, first: Instant, now: Instant) {
        self.span = Some((self.span.map_or(first, |(before, _)| before), now));
    }

    /// When it is to be told; `None` when there is nothing to tell.
    pub(super) fn tell_at(&self) -> Option<Instant> {
        let (first, last) = self.span?;
        let latest = first + PATIENCE;
        Some(match (self.writing.is_empty(), self.by_look) {
            (false, _) => latest,
            (true, true) => latest.min(last + STILL),
            (true, false) => latest.min(last + QUIET),
        })
    }

    /// Whether it is better told later: looking has found it, another look finds more, and there is time.
    pub(super) fn goes_on(&mut self, changed: bool, now: Instant) -> bool {
        let goes_on = self.by_look && changed && self.span.is_some_and(|(first, _)| now < first + PATIENCE);
        if goes_on {
            self.touch(now);
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_file_that_is_written_is_told_when_it_is_closed() {
        let start = Instant::now();
        let file = Path::new("/t.yaml");
        let mut burst = Burst::default();
        assert_eq!(burst.tell_at(), None);
        for pause in [0, 60, 300] {
            burst.written(file, start + ms(pause));
            assert_eq!(burst.tell_at(), Some(start + PATIENCE), "a pause of {pause} ms is not the end");
        }
        burst.touch(start + ms(310));
        assert_eq!(burst.tell_at(), Some(start + PATIENCE), "another file does not end it");
        burst.done(file, start + ms(400));
        assert_eq!(burst.tell_at(), Some(start + ms(400) + QUIET));
        burst.done(file, start + ms(690));
        assert_eq!(burst.tell_at(), Some(start + PATIENCE), "however long it goes on");
    }

    #[test]
    fn what_is_found_by_looking_is_told_when_it_is_still() {
        let before = Instant::now();
        let mut burst = Burst::default();
        burst.found(before, before + ms(500));
        assert_eq!(burst.tell_at(), Some(before + ms(600)));
        assert!(burst.goes_on(true, before + ms(600)));
        assert_eq!(burst.tell_at(), Some(before + PATIENCE), "the change may be as old as the look before");
        assert!(!burst.goes_on(false, before + ms(650)), "still");
        assert!(!burst.goes_on(true, before + PATIENCE), "no time is left");

        let mut told_by_kernel = Burst::default();
        told_by_kernel.touch(before);
        assert!(!told_by_kernel.goes_on(true, before + QUIET), "it has told what there was");
    }
}
