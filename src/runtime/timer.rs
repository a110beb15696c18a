//! A timer for one wait after another, of which nearly all end before their time. The runtime takes an entry in and out of its wheel for
//! each `timeout`; this one stays where it is, and looks when it ends whether it was meant to. It leans towards a wake-up too many, once
//! for many waits, over work in each of them.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// One wait at a time. Costs nothing before its first.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready at `at`; until then the task is woken at that time, and perhaps once before it.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            // Whoever waits may have used up its turn, and is to be stopped all the same.
            if pin!(unconstrained(sleep.as_mut())).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() == at {
                return Poll::Ready(());
            }
            // It was set for a wait before.
            sleep.as_mut().reset(at);
        }
    }
}

/// Timers that are kept for waits to come. A crowd larger than this makes its own.
const SPARE: usize = 256;

/// Timers that were laid down, the last on top: under a steady load it is those few that are used, and set anew but once in a while.
#[derive(Debug, Default)]
pub struct Timers(RefCell<Vec<Timer>>);

impl Timers {
    /// How many are laid down.
    #[cfg(test)]
    pub(crate) fn spare(&self) -> usize {
        self.0.borrow().len()
    }

    fn take(&self) -> Timer {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    fn lay_down(&self, timer: Timer) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE {
            spare.push(timer);
        }
    }
}

/// A timer that is taken up when there is something to wait for, and laid down when its holder is done or dropped.
#[derive(Debug)]
pub struct Lent {
    timers: Rc<Timers>,
    timer: Option<Timer>,
}

impl Lent {
    pub fn of(timers: &Rc<Timers>) -> Lent {
        Lent { timers: Rc::clone(timers), timer: None }
    }

    /// As [`Timer::poll`].
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.get_or_insert_with(|| self.timers.take()).poll(at, cx)
    }

    /// What `doing` comes to; `None` when `limit` passes before, which begins when there is something to wait for.
    pub async fn within<T>(mut self, limit: Duration, doing: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut until = None;
        unless(doing, |cx| match *until.get_or_insert_with(|| Instant::now().checked_add(limit)) {
            Some(at) => self.poll(at, cx),
            None => Poll::Pending,
        })
        .await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.timer.take().into_iter().for_each(|timer| self.timers.lay_down(timer));
    }
}

/// What `doing` comes to; `None` when it is `over` before, which is asked whenever there is something to wait for.
pub async fn unless<T>(
    mut doing: Pin<&mut impl Future<Output = T>>,
    mut over: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Option<T> {
    poll_fn(|cx| match doing.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => over(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(timer: &mut Timer, at: Instant) -> Duration {
        let started = Instant::now();
        poll_fn(|cx| timer.poll(at, cx)).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end_whatever_the_one_before_had() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut timer = Timer::default();
        // Begun and given up, then a longer wait, a shorter one, and one that is over already.
        assert!(tokio::time::timeout(second, until(&mut timer, start + second * 5)).await.is_err());
        assert_eq!(until(&mut timer, start + second * 10).await, second * 9);
        assert!(tokio::time::timeout(second, until(&mut timer, start + second * 60)).await.is_err());
        assert_eq!(until(&mut timer, start + second * 12).await, second);
        assert_eq!(until(&mut timer, start).await, Duration::ZERO);
        assert_eq!(until(&mut timer, start + second * 13).await, second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_in_its_time_on_a_timer_of_another() {
        let timers = Rc::default();
        let lent = || Lent::of(&timers);
        let second = Duration::from_secs(1);
        for seconds in [15, 2, 30] {
            let started = Instant::now();
            assert_eq!(lent().within(second * 15, pin!(tokio::time::sleep(second))).await, Some(()));
            assert_eq!(lent().within(second * seconds, pin!(std::future::pending::<()>())).await, None);
            assert_eq!((Instant::now() - started).as_secs(), u64::from(seconds) + 1);
        }
        assert_eq!(timers.spare(), 1, "each took up the one that was there");
        assert_eq!(lent().within(Duration::MAX, pin!(tokio::time::sleep(second))).await, Some(()));
    }
}
