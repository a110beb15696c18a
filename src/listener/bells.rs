//! Wakes every connection of an accept loop at once: when draining begins, and when it has run out of time. Connections then look at the
//! drain themselves. One that waited for it on a channel would pay for that with each of its waits, and nearly none of them lives to see
//! the day.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

/// The bells of the connections that are open.
#[derive(Debug, Default)]
pub(super) struct Bells(RefCell<Hung>);

#[derive(Debug, Default)]
struct Hung {
    wakers: Vec<Option<Waker>>,
    /// Places that are empty.
    free: Vec<usize>,
}

/// One connection's, from when it is first polled to its end.
#[derive(Debug)]
pub(super) struct Bell {
    bells: Rc<Bells>,
    place: Option<usize>,
}

impl Bells {
    pub(super) fn bell(self: &Rc<Bells>) -> Bell {
        Bell { bells: Rc::clone(self), place: None }
    }

    pub(super) fn ring(&self) {
        self.0.borrow().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

impl Bell {
    /// Hangs it up, once: a task's waker stays the same.
    pub(super) fn hang(&mut self, waker: &Waker) {
        if self.place.is_some() {
            return;
        }
        let hung = &mut *self.bells.0.borrow_mut();
        let free = hung.free.pop();
        let place = free.unwrap_or(hung.wakers.len());
        match hung.wakers.get_mut(place) {
            Some(empty) => *empty = Some(waker.clone()),
            None => hung.wakers.push(Some(waker.clone())),
        }
        self.place = Some(place);
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let hung = &mut *self.bells.0.borrow_mut();
        if let Some(waker) = hung.wakers.get_mut(place) {
            *waker = None;
            hung.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Heard(AtomicUsize);

    impl Wake for Heard {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_hang_ring_and_none_that_are_gone() {
        let bells = Rc::<Bells>::default();
        let mut open: Vec<(Bell, Arc<Heard>)> = Vec::new();
        for round in 0..5 {
            for _ in 0..3 {
                let (mut bell, heard) = (bells.bell(), Arc::<Heard>::default());
                let waker = Waker::from(Arc::clone(&heard));
                bell.hang(&waker);
                bell.hang(&waker);
                open.push((bell, heard));
            }
            let gone: Vec<Arc<Heard>> = (0..2).map(|_| open.remove(round % open.len()).1).collect();
            let before: Vec<usize> = open.iter().map(|(_, heard)| heard.0.load(Ordering::Relaxed)).collect();
            bells.ring();
            let after: Vec<usize> = open.iter().map(|(_, heard)| heard.0.load(Ordering::Relaxed)).collect();
            assert_eq!(after, before.iter().map(|count| count + 1).collect::<Vec<_>>());
            assert!(gone.iter().all(|heard| Arc::strong_count(heard) == 1), "let go of");
        }
        let never_polled = bells.bell();
        drop(never_polled);
        let places = bells.0.borrow().wakers.len();
        assert!(places <= open.len() + 2, "places are used again: {places}");
    }
}
