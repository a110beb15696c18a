//! The calls of a connection: futures that lie where they were put, each with a waker that says which of them it is. The place of one
//! that has ended is the next one's, so that a busy connection allocates nothing for a call; one without calls holds nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Places whose wake-ups are told in one word.
const PLACES: usize = u64::BITS as usize;

/// All calls of a connection.
pub(super) struct Calls<F> {
    pages: Vec<Page<F>>,
    running: usize,
    connection: Arc<AtomicWaker>,
}

struct Page<F> {
    places: Vec<Place<F>>,
    woken: Arc<Woken>,
    /// One bit for each place with a call.
    taken: u64,
}

struct Place<F> {
    call: Pin<Box<Option<F>>>,
    waker: Waker,
}

/// Which calls of a page are to be polled.
struct Woken {
    bits: AtomicU64,
    connection: Arc<AtomicWaker>,
}

/// Wakes one call.
struct WakeOne {
    page: Arc<Woken>,
    bit: u64,
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever was woken and has not been polled has woken the connection.
        if self.page.bits.fetch_or(self.bit, Ordering::AcqRel) & self.bit == 0 {
            self.page.connection.wake();
        }
    }
}

impl<F: Future<Output = ()>> Calls<F> {
    pub(super) fn new() -> Calls<F> {
        Calls { pages: Vec::new(), running: 0, connection: Arc::default() }
    }

    /// Takes a call on. It is polled with the others.
    pub(super) fn push(&mut self, call: F) {
        let place = self.pages.iter().position(|page| page.taken != u64::MAX).unwrap_or(self.pages.len());
        if place == self.pages.len() {
            let woken = Woken { bits: AtomicU64::new(0), connection: Arc::clone(&self.connection) };
            self.pages.push(Page { places: Vec::new(), woken: Arc::new(woken), taken: 0 });
        }
        if let Some(page) = self.pages.get_mut(place) {
            page.put(call);
            self.running += 1;
        }
    }

    /// Carries on those that can go on. Whether any is left.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.register(cx.waker());
        for page in &mut self.pages {
            self.running -= page.poll();
        }
        if self.running > 0 {
            return Poll::Pending;
        }
        self.pages = Vec::new();
        Poll::Ready(())
    }

    /// Has all of them polled: something has changed that wakes nobody.
    pub(super) fn look_up(&mut self) {
        for page in &self.pages {
            page.woken.bits.store(page.taken, Ordering::Release);
        }
    }
}

impl<F: Future<Output = ()>> Page<F> {
    /// There is a place free.
    fn put(&mut self, call: F) {
        let free = (!self.taken).trailing_zeros() as usize;
        let bit = 1 << (free % PLACES);
        match self.places.get_mut(free) {
            Some(place) => place.call.set(Some(call)),
            None => {
                let waker = Waker::from(Arc::new(WakeOne { page: Arc::clone(&self.woken), bit }));
                self.places.push(Place { call: Box::pin(Some(call)), waker });
            }
        }
        self.taken |= bit;
        self.woken.bits.fetch_or(bit, Ordering::AcqRel);
    }

    /// How many of them have ended.
    fn poll(&mut self) -> usize {
        if self.woken.bits.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let mut woken = self.woken.bits.swap(0, Ordering::AcqRel) & self.taken;
        let mut ended = 0;
        while woken != 0 {
            let index = woken.trailing_zeros();
            woken &= woken - 1;
            let Some(place) = self.places.get_mut(index as usize) else { continue };
            let Some(call) = place.call.as_mut().as_pin_mut() else { continue };
            if call.poll(&mut Context::from_waker(&place.waker)).is_ready() {
                place.call.set(None);
                self.taken &= !(1 << index);
                ended += 1;
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Default)]
    struct Told {
        polls: Cell<usize>,
        waker: RefCell<Option<Waker>>,
        is_over: Cell<bool>,
    }

    impl Told {
        fn wake(&self) {
            self.waker.borrow_mut().take().unwrap().wake();
        }
    }

    fn call(told: &Rc<Told>) -> impl Future<Output = ()> + use<> {
        let told = Rc::clone(told);
        poll_fn(move |cx| {
            told.polls.set(told.polls.get() + 1);
            *told.waker.borrow_mut() = Some(cx.waker().clone());
            if told.is_over.get() { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    #[test]
    fn only_who_was_woken_is_polled_and_places_are_used_again() {
        let (mut calls, counting) = (Calls::new(), Arc::new(Counting::default()));
        let waker = Waker::from(Arc::clone(&counting));
        let mut cx = Context::from_waker(&waker);
        let told: Vec<Rc<Told>> = (0..3 * PLACES).map(|_| Rc::default()).collect();
        told.iter().for_each(|told| calls.push(call(told)));
        assert!(calls.poll(&mut cx).is_pending() && calls.poll(&mut cx).is_pending());
        assert!(told.iter().all(|told| told.polls.get() == 1));
        for index in [0, 63, 64, 130] {
            told[index].wake();
            assert!(calls.poll(&mut cx).is_pending());
            assert_eq!(told[index].polls.get(), 2);
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 4);
        assert_eq!(told.iter().map(|told| told.polls.get()).sum::<usize>(), told.len() + 4);
        // A place of one that has ended: its old waker wakes whoever has it now, in vain.
        let old = told[70].waker.borrow().clone().unwrap();
        told[70].is_over.set(true);
        told[70].wake();
        assert!(calls.poll(&mut cx).is_pending());
        assert_eq!(Rc::strong_count(&told[70]), 1, "what has ended is dropped");
        let next = Rc::<Told>::default();
        calls.push(call(&next));
        assert!(calls.poll(&mut cx).is_pending());
        old.wake();
        assert!(calls.poll(&mut cx).is_pending());
        assert_eq!((next.polls.get(), calls.pages.len(), calls.running), (2, 3, 3 * PLACES));
        calls.look_up();
        assert!(calls.poll(&mut cx).is_pending());
        assert_eq!(next.polls.get(), 3);
        told.iter().chain([&next]).for_each(|told| told.is_over.set(true));
        calls.look_up();
        assert!(calls.poll(&mut cx).is_ready());
        assert!(calls.pages.is_empty() && told.iter().all(|told| Rc::strong_count(told) == 1));
        next.wake();
        assert!(calls.poll(&mut cx).is_ready());
    }
}
