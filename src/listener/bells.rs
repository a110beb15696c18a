//! Wakes the connections of an accept loop: all of them when draining begins and when it has run out of time, and each once when it is no
//! longer young. Connections then look for themselves. One that waited for it on a channel, or by a timer of its own, would pay for
//! that with each of its waits, and most do not live to see the day.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::Timer;

/// How long a connection is young: longer than most calls take, and short for a servlet that works for a caller who has gone. It is
/// woken when it is as old as this, and no older than twice that.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// The bells of the connections that are open.
#[derive(Debug, Default)]
pub(super) struct Bells {
    hung: RefCell<Hung>,
    clock: RefCell<Timer>,
    /// When those that are young then ring; none without any.
    next: Cell<Option<Instant>>,
    /// Of the accept loop, which has the clock.
    keeper: RefCell<Option<Waker>>,
}

#[derive(Debug, Default)]
struct Hung {
    places: Vec<Place>,
    /// Places that are empty.
    free: Vec<usize>,
    /// Places where a bell was hung since the clock last struck, and those from before.
    new: Vec<usize>,
    young: Vec<usize>,
}

#[derive(Debug, Default)]
struct Place {
    waker: Option<Waker>,
    /// It is among the new.
    is_new: bool,
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

    /// All of them.
    pub(super) fn ring(&self) {
        self.hung.borrow().places.iter().filter_map(|place| place.waker.as_ref()).for_each(Waker::wake_by_ref);
    }

    /// Keeps the clock: the accept loop is to come by whenever it is woken.
    pub(super) fn keep(&self, cx: &mut Context<'_>) {
        self.keeper.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        if self.next.get().is_none() && self.hung.borrow().new.is_empty() {
            return;
        }
        loop {
            let next = self.next.get().unwrap_or_else(|| Instant::now() + PATIENCE);
            self.next.set(Some(next));
            if self.clock.borrow_mut().poll(next, cx).is_pending() {
                return;
            }
            self.next.set(None);
            if !self.strike() {
                return;
            }
        }
    }

    /// Rings for those who are no longer young. Whether there are others who will be that.
    fn strike(&self) -> bool {
        let Hung { places, new, young, .. } = &mut *self.hung.borrow_mut();
        for place in young.drain(..).filter_map(|place| places.get(place)) {
            place.waker.iter().for_each(Waker::wake_by_ref);
        }
        std::mem::swap(new, young);
        for place in &*young {
            if let Some(place) = places.get_mut(*place) {
                place.is_new = false;
            }
        }
        !young.is_empty()
    }
}

impl Bell {
    /// Hangs it up, once: a task's waker stays the same.
    pub(super) fn hang(&mut self, waker: &Waker) {
        if self.place.is_some() {
            return;
        }
        let hung = &mut *self.bells.hung.borrow_mut();
        let place = hung.free.pop().unwrap_or(hung.places.len());
        if place == hung.places.len() {
            hung.places.push(Place::default());
        }
        if let Some(empty) = hung.places.get_mut(place) {
            empty.waker = Some(waker.clone());
            if !std::mem::replace(&mut empty.is_new, true) {
                hung.new.push(place);
            }
        }
        self.place = Some(place);
        if self.bells.next.get().is_none() {
            self.bells.keeper.borrow().iter().for_each(Waker::wake_by_ref);
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let hung = &mut *self.bells.hung.borrow_mut();
        if let Some(emptied) = hung.places.get_mut(place) {
            emptied.waker = None;
            hung.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Poll, Wake};

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
        let places = bells.hung.borrow().places.len();
        assert!(places <= open.len() + 2, "places are used again: {places}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_rings_once_when_it_is_no_longer_young() {
        let bells = Rc::<Bells>::default();
        let keeping = |until: Duration| {
            let bells = Rc::clone(&bells);
            let kept = poll_fn(move |cx| {
                bells.keep(cx);
                Poll::<()>::Pending
            });
            async move { tokio::time::timeout(until, kept).await.unwrap_err() }
        };
        let hang = || {
            let (mut bell, heard) = (bells.bell(), Arc::<Heard>::default());
            bell.hang(&Waker::from(Arc::clone(&heard)));
            (bell, heard)
        };
        let heard = |heard: &Heard| heard.0.load(Ordering::Relaxed);
        let first = hang();
        keeping(PATIENCE / 2).await;
        let second = hang();
        // It is gone early, and another has its place.
        drop(hang());
        keeping(PATIENCE * 2).await;
        assert_eq!([heard(&first.1), heard(&second.1)], [1, 1]);
        keeping(PATIENCE * 5).await;
        let third = hang();
        keeping(PATIENCE - Duration::from_millis(2)).await;
        assert_eq!([heard(&first.1), heard(&second.1), heard(&third.1)], [1, 1, 0]);
        keeping(PATIENCE + Duration::from_millis(4)).await;
        assert_eq!([heard(&first.1), heard(&second.1), heard(&third.1)], [1, 1, 1]);
        assert_eq!(bells.next.get(), None, "nothing to keep the clock for");
    }
}
