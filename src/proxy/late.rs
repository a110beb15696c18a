//! A call's deadline, watched from its first wait to the end of its answer. Most calls end long before it, and so must not pay for a
//! timer each: they take up one that an earlier call has laid down.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::model::Deadline;
use crate::runtime::{Lent, Timers, unless};

/// Watches a deadline. Has no timer until there is something to wait for.
#[derive(Debug)]
pub(super) struct Late {
    deadline: Deadline,
    /// `None` when it never passes.
    timer: Option<Lent>,
}

impl Late {
    pub(super) fn after(deadline: Deadline, timers: &Rc<Timers>) -> Late {
        Late { deadline, timer: deadline.at().map(|_| Lent::of(timers)) }
    }

    /// Of what is over, or may last for ever.
    pub(super) const NEVER: Late = Late { deadline: Deadline::NEVER, timer: None };

    /// Ready when the deadline has passed; else its waker is set.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(at), Some(timer)) = (self.deadline.at(), &mut self.timer) else { return Poll::Pending };
        timer.poll(at.into(), cx)
    }

    /// What `doing` comes to; `None` when the deadline passes before.
    pub(super) async fn unless_passed<T>(&mut self, doing: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        unless(doing, |cx| self.poll(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;
    use crate::runtime::now;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_when_it_should_on_a_timer_of_another_call() {
        let timers = Rc::default();
        let second = Duration::from_secs(1);
        let mut waited = Vec::new();
        for seconds in [15, 2, 30] {
            let started = now();
            let mut given_up = Late::after(Deadline::after(started, Some(second * 15)), &timers);
            let mut late = Late::after(Deadline::after(started, Some(second * seconds)), &timers);
            let short = pin!(tokio::time::sleep(second));
            assert_eq!(given_up.unless_passed(short).await, Some(()));
            drop(given_up);
            assert_eq!(late.unless_passed(pin!(std::future::pending::<()>())).await, None);
            waited.push((now() - started).as_secs());
        }
        assert_eq!(waited, [15, 2, 30]);
        assert_eq!(timers.spare(), 1, "each took up the one that was there");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_there_is_no_timer() {
        let timers = Rc::default();
        let mut late = Late::after(Deadline::NEVER, &timers);
        let hour = pin!(tokio::time::sleep(Duration::from_secs(3600)));
        assert_eq!(late.unless_passed(hour).await, Some(()));
        drop(late);
        assert_eq!(timers.spare(), 0);
    }
}
