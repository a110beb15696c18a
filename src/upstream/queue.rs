//! Calls that wait for a connection to one endpoint, or for a stream on one: first come, first served. Only the first looks whether
//! there is something for it; whoever leaves, served, tired of waiting or dropped, calls the next. So nothing that was freed is lost
//! with a call that was called and did not come, and what is freed at once is found by one after the other. It leans towards calling
//! in vain: a look is cheap.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::model::Fault;

/// Those who wait, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: RefCell<BTreeMap<u64, Rc<Waiter>>>,
    next: Cell<u64>,
}

#[derive(Debug)]
struct Waiter {
    waker: RefCell<Option<Waker>>,
    /// Something may have changed since it last looked.
    called: Cell<bool>,
    fault: RefCell<Option<Fault>>,
}

/// One's place in the queue, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    queue: Rc<Queue>,
    number: u64,
    own: Rc<Waiter>,
}

impl Waiter {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Gets in line.
    pub(super) fn join(self: &Rc<Self>) -> Ticket {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let own = Rc::new(Waiter { waker: RefCell::default(), called: Cell::new(true), fault: RefCell::default() });
        self.waiting.borrow_mut().insert(number, Rc::clone(&own));
        Ticket { queue: Rc::clone(self), number, own }
    }

    /// Something was freed, or has changed otherwise.
    pub(super) fn call_first(&self) {
        let first = self.waiting.borrow().first_key_value().map(|(_, first)| Rc::clone(first));
        if let Some(first) = first {
            first.called.set(true);
            first.wake();
        }
    }

    /// There will be nothing for any of them.
    pub(super) fn send_away(&self, fault: &Fault) {
        let all = self.waiting.take();
        for waiter in all.values() {
            *waiter.fault.borrow_mut() = Some(fault.clone());
            waiter.wake();
        }
    }
}

impl Ticket {
    /// Waits until it is worth looking: at once for whoever is first, and from then on when something has changed.
    ///
    /// # Errors
    /// What all were sent away with.
    pub(super) async fn turn(&self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_turn(cx)).await
    }

    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if let Some(fault) = self.own.fault.take() {
            return Poll::Ready(Err(fault));
        }
        if self.is_first() && self.own.called.take() {
            return Poll::Ready(Ok(()));
        }
        let mut waker = self.own.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn is_first(&self) -> bool {
        self.queue.waiting.borrow().first_key_value().is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let was_first = self.is_first();
        self.queue.waiting.borrow_mut().remove(&self.number);
        if was_first {
            self.queue.call_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Kind, Stage};

    fn poll(ticket: &Ticket) -> Poll<Result<(), Fault>> {
        ticket.poll_turn(&mut Context::from_waker(Waker::noop()))
    }

    fn is_called(ticket: &Ticket) -> bool {
        matches!(poll(ticket), Poll::Ready(Ok(())))
    }

    #[test]
    fn only_the_first_is_called_and_once_for_each_change() {
        let queue = Rc::new(Queue::default());
        queue.call_first();
        let (first, second) = (queue.join(), queue.join());
        assert!(is_called(&first), "whoever is first looks at once");
        assert!(!is_called(&first) && !is_called(&second));
        queue.call_first();
        assert!(!is_called(&second) && is_called(&first) && !is_called(&first));
        drop(first);
        assert!(is_called(&second) && !queue.is_empty());
        drop(second);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_call_goes_on_to_the_next_when_its_own_is_dropped() {
        let queue = Rc::new(Queue::default());
        let tickets = [queue.join(), queue.join(), queue.join()];
        assert!(is_called(&tickets[0]) && !is_called(&tickets[1]));
        let [first, second, third] = tickets;
        queue.call_first();
        drop(second);
        drop(first);
        assert!(is_called(&third));
    }

    #[test]
    fn all_are_told_the_same_and_those_who_come_later_are_not() {
        let queue = Rc::new(Queue::default());
        let (first, second) = (queue.join(), queue.join());
        queue.send_away(&Fault::new(Kind::ConnectFailed, Stage::Connect, "no"));
        let later = queue.join();
        assert!(matches!(poll(&second), Poll::Ready(Err(Fault { kind: Kind::ConnectFailed, .. }))));
        assert!(matches!(poll(&first), Poll::Ready(Err(_))));
        assert!(is_called(&later));
        drop((first, second));
        assert!(!is_called(&later) && !queue.is_empty());
    }

    proptest! {
        /// Places are freed, calls come, look and are dropped in any order: who was first in line is served first, and nobody waits
        /// while a place is free and whoever was called has looked.
        #[test]
        fn places_are_given_in_the_order_of_coming(steps in proptest::collection::vec((0..4_u8, any::<u8>()), 0..80)) {
            let queue = Rc::new(Queue::default());
            let (mut waiting, mut free) = (Vec::<Ticket>::new(), 0);
            for (step, which) in steps {
                match step {
                    0 => waiting.push(queue.join()),
                    1 => {
                        free += 1;
                        queue.call_first();
                    }
                    2 if !waiting.is_empty() => drop(waiting.remove(usize::from(which) % waiting.len())),
                    _ => while let Some(place) = waiting.iter().position(is_called) {
                        prop_assert_eq!(place, 0);
                        if free > 0 {
                            free -= 1;
                            waiting.remove(0);
                        }
                    },
                }
            }
            while waiting.first().is_some_and(is_called) && free > 0 {
                free -= 1;
                waiting.remove(0);
            }
            prop_assert!(free == 0 || waiting.is_empty(), "{} free, {} wait", free, waiting.len());
        }
    }
}
